//! Why a command could not do what was asked.

use lineside_device::DeviceError;
use lineside_link::LinkError;
use lineside_protocol::rest::ErrorCode;
use lineside_runner::RunnerError;
use lineside_runner::by_hand::HandError;
use lineside_terms::{Blame, ComponentId, Explain, Told};

/// Which exit code and which sentence a failure has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Failed,
    /// The device does not answer.
    NotResponding,
    /// What was to be shown is not there.
    Missing,
    /// The command line asks for what cannot be meant.
    Usage,
}

/// Why a command could not do what was asked.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) told: Box<Told>,
    pub(crate) kind: Kind,
    /// The number by which a device refused.
    pub(crate) device: Option<ErrorCode>,
    /// The component that the command's own sentence about failures names.
    pub(crate) component: Option<ComponentId>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, blame: Blame, code: &str, message: impl Into<String>, help: &str) -> Self {
        Self {
            told: Box::new(Told {
                code: code.to_owned(),
                message: message.into(),
                help: help.to_owned(),
                blame,
            }),
            kind,
            device: None,
            component: None,
        }
    }

    /// Trouble of the station itself.
    pub(crate) fn station(code: &str, message: &str, cause: &dyn std::fmt::Display) -> Self {
        let help = "Mend that and run the command again.";
        Self::new(
            Kind::Failed,
            Blame::Station,
            code,
            format!("{message}: {cause}"),
            help,
        )
    }

    pub(crate) fn usage(code: &str, message: impl Into<String>, help: &str) -> Self {
        Self::new(Kind::Usage, Blame::Station, code, message, help)
    }

    pub(crate) fn of(error: &dyn Explain) -> Self {
        Self::told(Told::of(error))
    }

    /// As it was told elsewhere.
    pub(crate) fn told(told: Told) -> Self {
        Self {
            told: Box::new(told),
            kind: Kind::Failed,
            device: None,
            component: None,
        }
    }

    /// Names what it is about.
    pub(crate) fn about(self, component: ComponentId) -> Self {
        Self {
            component: Some(component),
            ..self
        }
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Self::of(&error)
    }
}

impl From<RunnerError> for Failure {
    fn from(error: RunnerError) -> Self {
        Self::of(&error)
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        let device = match &error {
            DeviceError::Status { code, .. } => *code,
            _ => None,
        };
        let kind = match &error {
            DeviceError::TcpTimeout { .. }
            | DeviceError::TcpRefused { .. }
            | DeviceError::TlsTooSlow
            | DeviceError::NotBack { .. } => Kind::NotResponding,
            DeviceError::Status { status: 404, .. } => Kind::Missing,
            _ if device == Some(ErrorCode::NETWORK_NOT_FOUND) => Kind::Missing,
            _ => Kind::Failed,
        };
        Self {
            device,
            kind,
            ..Self::of(&error)
        }
    }
}

impl From<HandError> for Failure {
    fn from(error: HandError) -> Self {
        match error {
            HandError::Device(error) => error.into(),
            other => Self::of(&other),
        }
    }
}
