//! One of many: `lineside each` starts this command once for every board, and says by the environment which one is meant.
//!
//! What it does to all boards at once must be harmless: only what reads is done then, and anything that writes is refused
//! before a board is touched. Locking many devices happens only through a plan.

use lineside_terms::{Blame, SlotPath};

use super::hold::{Target, reads_only};
use super::{Action, Job};
use crate::trouble::{Failure, Kind};

/// The variable that names the slot.
const EACH: &str = "LINESIDE_EACH";

/// The board that is meant when this process is one of many; `None` when it stands alone.
///
/// # Errors
/// When the command does more than read, is about no single device, or names a device itself.
pub(super) fn target(job: &Job<'_>) -> Result<Option<Target>, Failure> {
    let Some(text) = std::env::var_os(EACH) else {
        return Ok(None);
    };
    let slot = text.to_str().and_then(|text| SlotPath::new(text).ok());
    let slot = slot.ok_or_else(|| {
        Failure::usage(
            "azsphere.each",
            format!("{EACH} names no slot"),
            "Leave that variable to `lineside each`.",
        )
    })?;
    let action = job.command.action;
    if !reads_only(action) || action == Action::ListAttached {
        return Err(Failure::new(
            Kind::Usage,
            Blame::Station,
            "azsphere.each-refused",
            "this command is not one that only reads one device: it is not done to all boards at once",
            "Run it for one device with --device; changes to many devices go through a plan.",
        ));
    }
    if Target::of(job)? != Target::Only {
        return Err(Failure::usage(
            "azsphere.each",
            "a device is named, and all of them are meant",
            "Leave out the name of the device.",
        ));
    }
    Ok(Some(Target::Path(slot)))
}
