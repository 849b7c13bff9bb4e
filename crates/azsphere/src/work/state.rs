//! Another manufacturing state. The only door to it is the station's, with the station's policy: what writes the intent
//! down, asks once and looks again is there.

use lineside_device::Entropy;
use lineside_runner::manual::{self, Change, DIGITS, Door, End};
use lineside_runner::{Cancel, Notice, policy};
use lineside_terms::{Blame, ManufacturingState, UnitSerial};
use serde_json::json;

use super::hold::{self, Target};
use super::{Done, Job, journal};
use crate::screen;
use crate::trouble::{Failure, Kind};

/// Why, in the records.
const WHY: &str = "azsphere device manufacturing-state update";

/// Brings the device to another state, if the station's policy allows it.
pub(super) async fn set(job: &Job<'_>) -> Result<Done, Failure> {
    let word = job.values.get("state").unwrap_or_default();
    let to: ManufacturingState = word.parse().map_err(|_| {
        let help = "Take Module1Complete or DeviceComplete; nothing was sent.";
        Failure::usage(
            "azsphere.parameter",
            format!("`{}` is no state", word.escape_default()),
            help,
        )
    })?;
    let folder = &job.station.folder;
    let policy = policy::state_change(folder).map_err(|error| Failure::of(&error))?;
    manual::allowed(&policy, to).map_err(|error| Failure::of(&error))?;
    let target = Target::of(job)?;
    let bench = crate::bench::open(job.station).await?;
    let (trust, supplies) = bench.supplies()?;
    let door = Door::open(&policy, to, &trust, supplies.as_ref()).map_err(|error| Failure::of(&error))?;
    if door.needs_approval() {
        // Who approved what is checked by the command that also grants it.
        return Err(Failure::new(
            Kind::Failed,
            Blame::Station,
            "run.not-approved",
            "the plan that the policy names waits for approvals, which this command does not check; nothing was sent",
            "Use `lineside device manufacturing-state update`.",
        ));
    }
    let held = hold::take(job, &bench, &target).await?;
    let (device, board) = (held.hand.id(), held.placed.board.clone());
    held.release().await;

    let who = journal::operator();
    screen::aside(&door.banner(&board.slot, &device, &who, WHY));
    // Scripts give no answer and wait for none; a person is asked.
    if let Some(typed) = screen::asked(&format!("the last {DIGITS} digits of the device's id: ")) {
        manual::confirm(&device, &board.slot, &typed).map_err(|error| Failure::of(&error))?;
    }
    let mut journal = journal::open(job, &bench, manual::shift(&who, WHY))?;
    let serial = journal::set_in("LINESIDE_SERIAL")
        .map(|text| text.parse::<UnitSerial>())
        .transpose()
        .map_err(|error| {
            Failure::usage(
                "azsphere.parameter",
                format!("LINESIDE_SERIAL is no serial: {error}"),
                "Correct it; nothing was sent.",
            )
        })?;
    let change = Change {
        door,
        board,
        device,
        serial,
        protected: job.station.protected()?,
        entropy: Entropy::System,
    };
    let done = manual::change(
        journal.place,
        change,
        journal.history,
        &mut journal.keeper,
        &Cancel::default(),
        |news| {
            if let Notice::Store(Some(error)) = news {
                screen::aside(&format!("{error} It is tried again."));
            }
        },
    )
    .await;
    // Everything is durable; a journal that failed has said so.
    drop(journal.keeper.close());
    let done = done.map_err(|error| Failure::of(&error))?;
    match done.end {
        End::Not(told) => Err(Failure::told(told)),
        End::Brought | End::Already => Ok(json!({ "manufacturingState": to }).into()),
    }
}
