//! What can go wrong on the way to a board.

use lineside_terms::{Blame, Explain, SlotPath};

use crate::ftdi::d2xx::DRIVER;

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
    /// FTDI's driver cannot be used.
    #[error("FTDI's driver cannot be used: {problem}")]
    Driver {
        /// Why not.
        problem: DriverProblem,
    },
    /// The other process speaks another protocol or broke it.
    #[error("the bench at the other end does not speak our protocol: {reason}")]
    Foreign {
        /// What was wrong.
        reason: String,
    },
}

/// Why FTDI's driver cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverProblem {
    /// It is not installed.
    #[error("there is no `{DRIVER}`")]
    Missing,
    /// It was built for programs of another width.
    #[error("`{DRIVER}` is built for another kind of program than this one")]
    WrongBits,
    /// It is too old, or not FTDI's.
    #[error("`{DRIVER}` lacks the function {function}")]
    LacksFunction {
        /// What it lacks.
        function: &'static str,
    },
    /// The system cannot load it.
    #[error("`{DRIVER}` cannot be loaded: {reason}")]
    Unloadable {
        /// What the system said.
        reason: String,
    },
}

impl DriverProblem {
    const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "link.driver-missing",
            Self::WrongBits => "link.driver-bits",
            Self::LacksFunction { .. } => "link.driver-function",
            Self::Unloadable { .. } => "link.driver",
        }
    }

    fn help(&self) -> String {
        let install = "install FTDI's D2XX driver package for this Windows";
        match self {
            Self::Missing => format!("Plug a board in and let Windows find its driver, or {install}."),
            Self::WrongBits => format!(
                "Take away the `{DRIVER}` that lies beside this program, if there is one; else {install} \
                 ({} bits).",
                usize::BITS
            ),
            Self::LacksFunction { function } => {
                format!(
                    "It is too old, or another library of that name: {install}, with the function {function}."
                )
            }
            Self::Unloadable { .. } => format!("Restart the computer; if it stays so, {install} anew."),
        }
    }
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
            Self::Driver { problem } => problem.code(),
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
            Self::Lacking { what } if *what == crate::usb::NO_ACCESS => {
                "Install the udev rules of Lineside (packaging/udev), then plug the board in again.".into()
            }
            Self::Lacking { .. } => "Use an interface board that has it.".into(),
            Self::Io { .. } => "Check cable, permissions and that no other program holds the port.".into(),
            Self::NoBench { place } => {
                format!("Start the program that lends the boards, for instance `lineside sim --dir {place}`.")
            }
            Self::BenchTaken { holder, .. } => format!("Stop {holder}, or choose another directory."),
            Self::Driver { problem } => problem.help(),
            Self::Foreign { .. } => "Start both programs from the same version of Lineside.".into(),
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Lacking { what } if *what == crate::usb::NO_ACCESS => Blame::Station,
            Self::Departed | Self::NoBoard { .. } | Self::Lacking { .. } => Blame::Board,
            Self::Leased { .. }
            | Self::PortOpen
            | Self::Io { .. }
            | Self::NoBench { .. }
            | Self::BenchTaken { .. }
            | Self::Driver { .. }
            | Self::Foreign { .. } => Blame::Station,
        }
    }
}
