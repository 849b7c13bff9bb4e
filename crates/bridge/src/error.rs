//! What stands in the way of a bridge.

use lineside_link::{AddressError, LinkError};
use lineside_terms::{Blame, Explain};

/// Why a bridge cannot be, or cannot let programs in.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The boards cannot be listed.
    #[error("the boards cannot be listed")]
    Bench(#[from] LinkError),
    /// An address cannot be had on this PC.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Another program listens there.
    #[error("another program listens at {at} already")]
    Taken {
        /// Address and port.
        at: String,
    },
    /// Another program has the port of the device communication service.
    #[error("another program has port {port}, by which scripts ask for devices")]
    ServiceTaken {
        /// The port.
        port: u16,
    },
    /// The system does not let this user listen there.
    #[error("this user may not listen at {at}")]
    Right {
        /// Address and port.
        at: String,
    },
    /// The system refuses.
    #[error("could not listen at {at}")]
    Listen {
        /// Address and port.
        at: String,
        /// What it says.
        source: std::io::Error,
    },
    /// The ports do not fit.
    #[error("the ports from {base} on do not fit for all boards")]
    Ports {
        /// The first.
        base: u16,
    },
}

impl Explain for BridgeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Bench(error) => error.code(),
            Self::Address(error) => error.code(),
            Self::Taken { .. } => "bridge.port-taken",
            Self::ServiceTaken { .. } => "bridge.service-taken",
            Self::Right { .. } => "bridge.port-right",
            Self::Listen { .. } => "bridge.listen",
            Self::Ports { .. } => "bridge.ports",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Bench(error) => error.help(),
            Self::Address(error) => error.help(),
            Self::Taken { .. } => {
                "End that program (the vendor's service, another bridge), or take other ports with --base-port."
                    .to_owned()
            }
            Self::ServiceTaken { .. } => {
                "End that program (the vendor's service, another bridge), take another port with --service-port, or do \
                 without with --no-service."
                    .to_owned()
            }
            Self::Right { .. } => {
                "Ports below 1024 need a right: run the bridge as its system service, or without --addresses.".to_owned()
            }
            Self::Listen { .. } => "Mend that and start the bridge again.".to_owned(),
            Self::Ports { .. } => "Begin lower: every board needs one port for each port of its device.".to_owned(),
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Bench(error) => error.blame(),
            _ => Blame::Station,
        }
    }
}
