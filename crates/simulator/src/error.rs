//! What can go wrong when a simulated world is made or asked.

use lineside_terms::{Blame, Explain};

/// What can go wrong when a simulated world is made or asked. Faults of the simulated devices are none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulatorError {
    /// Certificates for the simulated devices could not be made.
    #[error("could not make the certificates of the simulated devices: {reason}")]
    Certificate {
        /// What the library said.
        reason: String,
    },
    /// No OS of this name is simulated.
    #[error("no OS `{name}` is simulated")]
    NoSuchOs {
        /// What was asked for.
        name: String,
    },
    /// There is no such board.
    #[error("there is no board {board}: the world has {boards}")]
    NoSuchBoard {
        /// The number that was asked for, from 0.
        board: usize,
        /// How many there are.
        boards: usize,
    },
    /// The world cannot be as it was configured.
    #[error("this world cannot be: {reason}")]
    BadConfig {
        /// Why not.
        reason: String,
    },
    /// The control socket broke or was spoken to in another language.
    #[error("the control socket: {reason}")]
    Control {
        /// What was wrong.
        reason: String,
    },
}

impl Explain for SimulatorError {
    fn code(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "simulator.certificate",
            Self::NoSuchOs { .. } => "simulator.no-such-os",
            Self::NoSuchBoard { .. } => "simulator.no-such-board",
            Self::BadConfig { .. } => "simulator.bad-config",
            Self::Control { .. } => "simulator.control",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Certificate { .. } => "This is a fault in Lineside: please report it with the log.".into(),
            Self::NoSuchOs { .. } => format!("Use one of {}.", crate::OsProfile::names().join(", ")),
            Self::NoSuchBoard { boards, .. } => {
                format!("Boards are numbered from 0 to {}.", boards.saturating_sub(1))
            }
            Self::BadConfig { .. } => "Change the configuration of the simulated bench.".into(),
            Self::Control { .. } => {
                "Check that the simulated bench still runs, and start both programs from the same version."
                    .into()
            }
        }
    }

    fn blame(&self) -> Blame {
        Blame::Station
    }
}
