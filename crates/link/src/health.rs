//! What this computer says about the way to its boards, for a person who wants to know why something does not work.
//!
//! Everything here only looks: no board is leased and nothing is set. On Linux the kernel's own tables are read; on
//! Windows FTDI's driver is asked, and what an EEPROM says is read over a channel that nobody else needs.
//! What [`crate::Bench::list`] says of boards (who has leased one, why one cannot be opened) is not repeated.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "linux", windows))]
mod load;
mod service;
#[cfg(windows)]
mod suspend;
#[cfg(windows)]
mod windows;

pub use service::{SERVICE_PORT, service};

use crate::ftdi::Eeprom;
use crate::usb::Places;

/// How much something matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Good,
    /// Worth knowing; nothing has to be done.
    Note,
    /// Work is possible, but slower or at risk.
    Warning,
    /// Work is not possible, or its records cannot be trusted, before this is mended.
    Problem,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What was looked at, in a word or two; programs may rely on these.
    pub topic: &'static str,
    /// What was found, as a sentence without a full stop.
    pub found: String,
    /// What to do, when there is something to do.
    pub remedy: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    pub fn good(topic: &'static str, found: impl Into<String>) -> Self {
        Self {
            severity: Severity::Good,
            topic,
            found: found.into(),
            remedy: None,
        }
    }

    /// Something that is not, with what to do about it.
    pub fn bad(
        severity: Severity,
        topic: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            topic,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// What this computer tells of its interface boards and the USB that leads to them; `places` count on Linux alone.
/// May take the time that a driver needs, some tenths of a second on Windows.
pub fn usb(places: &Places) -> Vec<Finding> {
    #[cfg(target_os = "linux")]
    return linux::findings(places);
    #[cfg(windows)]
    {
        let _ = places;
        windows::findings()
    }
    #[cfg(not(any(target_os = "linux", windows)))]
    {
        let _ = places;
        Vec::new()
    }
}

/// Whether somebody keeps the system's clock right; `None` where the system does not tell.
pub fn clock_is_kept() -> Option<bool> {
    #[cfg(target_os = "linux")]
    return linux::clock_is_kept();
    #[cfg(not(target_os = "linux"))]
    None
}

/// What is wrong with the identity that a board shows.
#[cfg(any(target_os = "linux", windows))]
fn identity(slot: &str, eeprom: &Eeprom) -> Vec<Finding> {
    let findings = eeprom.findings().into_iter().map(|finding| {
        let found = if finding.found.is_empty() {
            "nothing".to_owned()
        } else {
            format!("`{}`", finding.found)
        };
        Finding::bad(
            Severity::Warning,
            "eeprom",
            format!("the board at slot {slot} says {found} as its {}", finding.item),
            format!(
                "The vendor's tools want `{}`: write the board's EEPROM anew with FTDI's tool.",
                finding.wanted
            ),
        )
    });
    findings.collect()
}
