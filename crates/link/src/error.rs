//! What can go wrong on the way to a board.

use lineside_terms::{Blame, Explain, SlotPath};

/// What can go wrong on the way to a board.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The board was unplugged or its bench went away.
    #[error("the board is gone")]
    Departed,
    /// No board at this slot.
    #[error("no board at slot {slot}")]
    NoBoard {
        /// The slot that was asked for.
        slot: SlotPath,
    },
    /// Somebody else has the board.
    #[error("the board at slot {slot} is in use by {holder}")]
    Leased {
        /// The slot that was asked for.
        slot: SlotPath,
        /// Who has it.
        holder: String,
    },
    /// The port is open already.
    #[error("this port of the board is open already")]
    PortOpen,
    /// The board lacks what was asked for.
    #[error("the board has no {what}")]
    Lacking {
        /// What it lacks.
        what: &'static str,
    },
    /// The operating system refused.
    #[error("could not {doing}: {reason}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        reason: String,
    },
    /// No process lends boards there.
    #[error("nobody lends boards at {place}")]
    NoBench {
        /// The directory that was asked for.
        place: String,
    },
    /// Another process lends boards there already.
    #[error("{holder} lends boards at {place} already")]
    BenchTaken {
        /// The directory that was asked for.
        place: String,
        /// Who does.
        holder: String,
    },
    /// The other process speaks another protocol or broke it.
    #[error("the bench at the other end does not speak our protocol: {reason}")]
    Foreign {
        /// What was wrong.
        reason: String,
    },
}

impl LinkError {
    /// What the operating system refused, with what was being done (`open /dev/ttyUSB2`).
    pub(crate) fn io(doing: impl Into<String>, error: &std::io::Error) -> Self {
        Self::Io {
            doing: doing.into(),
            reason: error.to_string(),
        }
    }

    /// What the other process did wrong.
    pub(crate) fn foreign(reason: impl Into<String>) -> Self {
        Self::Foreign {
            reason: reason.into(),
        }
    }
}

impl Explain for LinkError {
    fn code(&self) -> &'static str {
        match self {
            Self::Departed => "link.departed",
            Self::NoBoard { .. } => "link.no-board",
            Self::Leased { .. } => "link.leased",
            Self::PortOpen => "link.port-open",
            Self::Lacking { .. } => "link.lacking",
            Self::Io { .. } => "link.io",
            Self::NoBench { .. } => "link.no-bench",
            Self::BenchTaken { .. } => "link.bench-taken",
            Self::Foreign { .. } => "link.foreign-bench",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Departed => "Check the USB cable and the hub's power, then plug the board in again.".into(),
            Self::NoBoard { .. } => "Run `lineside devices` to see which slots hold a board.".into(),
            Self::Leased { holder, .. } => {
                format!("Wait until {holder} lets go of it, or stop that program.")
            }
            Self::PortOpen => "This is a fault in Lineside: please report it with the log.".into(),
            Self::Lacking { .. } => "Use an interface board that has it.".into(),
            Self::Io { .. } => "Check cable, permissions and that no other program holds the port.".into(),
            Self::NoBench { place } => {
                format!("Start the program that lends the boards, for instance `lineside sim --dir {place}`.")
            }
            Self::BenchTaken { holder, .. } => format!("Stop {holder}, or choose another directory."),
            Self::Foreign { .. } => "Start both programs from the same version of Lineside.".into(),
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Departed | Self::NoBoard { .. } | Self::Lacking { .. } => Blame::Board,
            Self::Leased { .. }
            | Self::PortOpen
            | Self::Io { .. }
            | Self::NoBench { .. }
            | Self::BenchTaken { .. }
            | Self::Foreign { .. } => Blame::Station,
        }
    }
}
