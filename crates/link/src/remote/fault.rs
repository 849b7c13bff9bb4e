//! A [`LinkError`] as it travels between two processes.

use lineside_terms::SlotPath;
use serde::{Deserialize, Serialize};

use super::frame::shortened;
use crate::LinkError;

/// A [`LinkError`] as it travels. Kinds that a newer program adds arrive as [`Fault::Other`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Fault {
    /// [`LinkError::Departed`].
    Departed,
    /// [`LinkError::NoBoard`].
    NoBoard {
        /// The slot.
        slot: SlotPath,
    },
    /// [`LinkError::Leased`].
    Leased {
        /// The slot.
        slot: SlotPath,
        /// Who has it.
        holder: String,
    },
    /// [`LinkError::PortOpen`].
    PortOpen,
    /// [`LinkError::Lacking`].
    Lacking {
        /// What is lacking.
        what: String,
    },
    /// [`LinkError::Io`] and everything else that needs no telling apart.
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        reason: String,
    },
    /// Something that this program does not know.
    #[serde(other)]
    Other,
}

/// What a board can lack, as the backends say it: errors carry these as constants.
const LACKS: [&str; 5] = [
    crate::usb::NO_LINES,
    crate::usb::NO_ACCESS,
    "line that can be driven",
    "such port",
    "reset line",
];

impl From<&LinkError> for Fault {
    fn from(error: &LinkError) -> Self {
        let short = |text: &str| shortened(text).to_owned();
        match error {
            LinkError::Departed => Self::Departed,
            LinkError::NoBoard { slot } => Self::NoBoard { slot: slot.clone() },
            LinkError::Leased { slot, holder } => Self::Leased {
                slot: slot.clone(),
                holder: short(holder),
            },
            LinkError::PortOpen => Self::PortOpen,
            LinkError::Lacking { what } => Self::Lacking { what: short(what) },
            LinkError::Io { doing, reason } => Self::Io {
                doing: short(doing),
                reason: short(reason),
            },
            LinkError::Driver { problem } => Self::Io {
                doing: "use FTDI's driver".into(),
                reason: short(&problem.to_string()),
            },
            // The lender's own lender: what is wrong there is told, and that it is there.
            LinkError::NoBench { .. } | LinkError::BenchTaken { .. } | LinkError::Foreign { .. } => {
                Self::Io {
                    doing: "reach the bench behind that bench".into(),
                    reason: short(&error.to_string()),
                }
            }
        }
    }
}

impl From<Fault> for LinkError {
    fn from(fault: Fault) -> Self {
        let short = |text: String| shortened(&text).to_owned();
        match fault {
            Fault::Departed => Self::Departed,
            Fault::NoBoard { slot } => Self::NoBoard { slot },
            Fault::Leased { slot, holder } => Self::Leased {
                slot,
                holder: short(holder),
            },
            Fault::PortOpen => Self::PortOpen,
            Fault::Lacking { what } => Self::Lacking {
                what: LACKS
                    .into_iter()
                    .find(|known| *known == what)
                    .unwrap_or("such port or line"),
            },
            Fault::Io { doing, reason } => Self::Io {
                doing: short(doing),
                reason: short(reason),
            },
            Fault::Other => Self::Io {
                doing: "use a board of the other process".into(),
                reason: "it says why, but in words of a newer version".into(),
            },
        }
    }
}
