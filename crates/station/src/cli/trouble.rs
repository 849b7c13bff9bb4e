//! Why a command could not do what was asked, with the exit code that it leads to.

use lineside_link::LinkError;
use lineside_records::RecordsError;
use lineside_runner::RunnerError;
use lineside_terms::{Blame, Explain, Told};

use super::exit::Exit;

/// Why a command could not do what was asked.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) told: Told,
    pub(crate) exit: Exit,
}

impl Trouble {
    /// Trouble of the station itself.
    pub(crate) fn station(code: &str, message: &str, cause: &dyn std::fmt::Display) -> Self {
        Self::new(
            Exit::Station,
            Blame::Station,
            code,
            &format!("{message}: {cause}"),
            "Mend that and run the command again.",
        )
    }

    /// A command line that asks for something that is not there.
    pub(crate) fn usage(code: &str, message: &str, help: &str) -> Self {
        Self::new(Exit::Usage, Blame::Station, code, message, help)
    }

    /// There is nothing to work on: not good, whatever was asked.
    pub(crate) fn no_board() -> Self {
        let help = "Check cable, power and --bench.";
        Self::new(
            Exit::NotGood,
            Blame::Board,
            "station.no-board",
            "no board is there",
            help,
        )
    }

    pub(crate) fn new(exit: Exit, blame: Blame, code: &str, message: &str, help: &str) -> Self {
        let told = Told {
            code: code.to_owned(),
            message: message.to_owned(),
            help: help.to_owned(),
            blame,
        };
        Self { told, exit }
    }

    fn of(error: &dyn Explain, exit: Exit) -> Self {
        Self {
            told: Told::of(error),
            exit,
        }
    }
}

impl From<LinkError> for Trouble {
    fn from(error: LinkError) -> Self {
        Self::of(&error, Exit::Station)
    }
}

impl From<lineside_bridge::BridgeError> for Trouble {
    fn from(error: lineside_bridge::BridgeError) -> Self {
        Self::of(&error, Exit::Station)
    }
}

impl From<RecordsError> for Trouble {
    fn from(error: RecordsError) -> Self {
        Self::of(&error, Exit::Station)
    }
}

impl From<lineside_runner::bundle::BundleError> for Trouble {
    fn from(error: lineside_runner::bundle::BundleError) -> Self {
        Self::of(&error, Exit::Refused)
    }
}

impl From<lineside_runner::manual::ManualError> for Trouble {
    fn from(error: lineside_runner::manual::ManualError) -> Self {
        use lineside_runner::manual::ManualError;
        match error {
            ManualError::Runner(error) => error.into(),
            ManualError::NoTarget(_) => Self::of(&error, Exit::Usage),
            ManualError::Protected(_) => Self::of(&error, Exit::NotGood),
            _ => Self::of(&error, Exit::Refused),
        }
    }
}

impl From<lineside_runner::by_hand::ListError> for Trouble {
    fn from(error: lineside_runner::by_hand::ListError) -> Self {
        use lineside_runner::by_hand::ListError;
        match error {
            ListError::Unread { .. } => Self::of(&error, Exit::Station),
            ListError::Line { .. } => Self::of(&error, Exit::Refused),
        }
    }
}

impl From<lineside_runner::policy::PolicyError> for Trouble {
    fn from(error: lineside_runner::policy::PolicyError) -> Self {
        Self::of(&error, Exit::Station)
    }
}

impl From<lineside_records::SealError> for Trouble {
    fn from(error: lineside_records::SealError) -> Self {
        Self::of(&error, Exit::Refused)
    }
}

impl From<RunnerError> for Trouble {
    fn from(error: RunnerError) -> Self {
        let exit = match error {
            RunnerError::History(_) | RunnerError::Bench(_) | RunnerError::SetFile { .. } => Exit::Station,
            _ => Exit::Refused,
        };
        Self::of(&error, exit)
    }
}

impl From<lineside_simulator::SimulatorError> for Trouble {
    fn from(error: lineside_simulator::SimulatorError) -> Self {
        Self::of(&error, Exit::Station)
    }
}
