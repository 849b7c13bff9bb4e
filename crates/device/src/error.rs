//! What can go wrong between a station and a device, told so that somebody can mend it.

use std::time::Duration;

use lineside_link::LinkError;
use lineside_protocol::rest::answer::AnswerError;
use lineside_protocol::rest::{ApiVersion, ErrorCode, Operation, PathError};
use lineside_terms::{Blame, DeviceId, Explain};

use crate::http::HttpFault;
use crate::tls::TlsFault;

/// What can go wrong between a station and a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The wire itself failed.
    #[error("the wire to the device failed")]
    Link(#[from] LinkError),
    /// Nothing answered on the wire (A-07 `tcp-timeout`).
    #[error("the device does not answer: port {port} was tried {}", times(*tries))]
    TcpTimeout {
        /// The TCP port.
        port: u16,
        /// How often it was tried.
        tries: u32,
    },
    /// The device is up, but the service is not (A-07 `tcp-refused`).
    #[error("nothing listens on port {port} of the device")]
    TcpRefused {
        /// The TCP port.
        port: u16,
    },
    /// No secure connection (A-07 `tls-failed`).
    #[error("no secure connection to the device")]
    TlsFailed(#[source] TlsFault),
    /// The handshake was not finished in time.
    #[error("the device did not finish the TLS handshake in time")]
    TlsTooSlow,
    /// The device is not what it must be: its certificate is not one of the pinned maker.
    #[error("what answers is not a device that this station trusts")]
    WrongCertificate(#[source] TlsFault),
    /// The PC's clock lies outside the certificate's time.
    #[error("the device's certificate and this PC's clock do not agree")]
    ClockDisagrees(#[source] TlsFault),
    /// The verified connection is over; it proves nothing any more.
    #[error("the connection to the device is over: {why}")]
    ConnectionLost {
        /// How it ended.
        why: Lost,
    },
    /// The device did not answer in time. The connection was given up.
    #[error("{operation} was not answered within {} s", after.as_secs())]
    Timeout {
        /// What was asked.
        operation: Operation,
        /// How long was waited.
        after: Duration,
    },
    /// The device refused or failed.
    #[error("the device answered {operation} with {status}{}", told(*code))]
    Status {
        /// What was asked.
        operation: Operation,
        /// The HTTP status.
        status: u16,
        /// The device's own error code, if it sent one.
        code: Option<ErrorCode>,
    },
    /// What came back cannot be used: not HTTP, cut off, too large.
    #[error("the answer to {operation} cannot be used")]
    BadAnswer {
        /// What was asked.
        operation: Operation,
        /// What is wrong with it.
        #[source]
        fault: HttpFault,
    },
    /// What came back is HTTP, but does not say what this operation answers.
    #[error("the device gave an answer that cannot be read")]
    Unreadable(#[from] AnswerError),
    /// This device's OS is too old for the operation; it was not asked.
    #[error("the device's interface {version} does not have {operation}")]
    NotServed {
        /// What was wanted.
        operation: Operation,
        /// The version that the device speaks.
        version: ApiVersion,
    },
    /// The device said that it was done, and shows that it was not.
    #[error("the device accepted {operation} and does not show it")]
    NotDone {
        /// What was asked.
        operation: Operation,
    },
    /// Another device than before.
    #[error("the device calls itself {} instead of {}", found.short(), expected.short())]
    IdChanged {
        /// Which device it was, or has to be.
        expected: Box<DeviceId>,
        /// Which device it says it is.
        found: Box<DeviceId>,
    },
    /// A device that was told to restart did not come back.
    #[error("the device did not come back within {} s", after.as_secs())]
    NotBack {
        /// How long was waited.
        after: Duration,
        /// What went wrong last, or nothing when it answered without having restarted.
        #[source]
        last: Option<Box<Self>>,
    },
    /// The chip did not say who it is while it booted.
    #[error("the chip did not tell its id within {} s after reset; {heard} bytes came", after.as_secs())]
    NoConsole {
        /// How long was waited.
        after: Duration,
        /// How many bytes came on the recovery UART.
        heard: usize,
    },
    /// A path could not be made of what was given.
    #[error("the device was not asked")]
    Path(#[from] PathError),
    /// An application did not answer as it should over its own TCP port.
    #[error("the application on port {port} {fault}")]
    Dialogue {
        /// The TCP port.
        port: u16,
        /// What went wrong.
        fault: DialogueFault,
    },
}

/// How a verified connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The device closed it.
    Closed,
    /// The device stopped acknowledging what was sent.
    Stalled,
    /// The device restarts, as it was told.
    Restarting,
    /// An earlier call failed or was given up halfway, so nobody knows what is still in flight.
    CutShort,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Closed => "the device closed it",
            Self::Stalled => "the device stopped acknowledging what was sent",
            Self::Restarting => "the device restarts",
            Self::CutShort => "an earlier request failed or was given up",
        })
    }
}

/// What went wrong in a dialogue with an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialogueFault {
    /// It did not answer in time.
    Silent,
    /// It closed the connection.
    Closed,
    /// It sent a longer line than allowed.
    TooLong {
        /// The most bytes that were allowed.
        most: usize,
    },
}

impl std::fmt::Display for DialogueFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent => f.write_str("did not answer in time"),
            Self::Closed => f.write_str("closed the connection"),
            Self::TooLong { most } => write!(f, "sent a line of more than {most} bytes"),
        }
    }
}

fn told(code: Option<ErrorCode>) -> String {
    match code {
        None => String::new(),
        Some(code) => match (code.name(), code.meaning()) {
            (Some(_), Some(meaning)) => format!(" and error {code}: {meaning}"),
            _ => format!(" and error {code}"),
        },
    }
}

impl DeviceError {
    pub(crate) fn id_changed(expected: DeviceId, found: DeviceId) -> Self {
        Self::IdChanged {
            expected: Box::new(expected),
            found: Box::new(found),
        }
    }

    /// True when the device refuses because of its state or for want of a capability (HTTP 403).
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { status: 403, .. })
    }

    /// True when the device does not have the operation.
    pub fn is_not_available(&self) -> bool {
        match self {
            Self::NotServed { .. } => true,
            Self::Status {
                operation,
                status: 404,
                code,
            } => {
                operation.spec().item().is_none()
                    && matches!(
                        *code,
                        None | Some(ErrorCode::INVALID_REQUEST_URI | ErrorCode::INVALID_REQUEST_METHOD)
                    )
            }
            _ => false,
        }
    }

    /// True when a device that is still booting fails in this way (`chip-to-pc-and-recovery.md` 2.3): silent first,
    /// then refusing, then slow.
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::TcpTimeout { .. }
                | Self::TcpRefused { .. }
                | Self::TlsFailed(_)
                | Self::TlsTooSlow
                | Self::ConnectionLost { .. }
                | Self::Timeout { .. }
                | Self::Status { status: 500, .. }
        )
    }
}

fn times(tries: u32) -> String {
    match tries {
        1 => "once".to_owned(),
        more => format!("{more} times"),
    }
}

impl Explain for DeviceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Link(error) => error.code(),
            Self::TcpTimeout { .. } => "device.tcp-timeout",
            Self::TcpRefused { .. } => "device.tcp-refused",
            Self::TlsFailed(_) | Self::TlsTooSlow => "device.tls-failed",
            Self::WrongCertificate(_) => "device.wrong-certificate",
            Self::ClockDisagrees(_) => "device.clock-disagrees",
            Self::ConnectionLost { .. } => "device.connection-lost",
            Self::Timeout { .. } => "device.answer-timeout",
            Self::Status { status, .. } => match status {
                400 => "device.http-400",
                403 => "device.http-403",
                404 => "device.http-404",
                409 => "device.http-409",
                412 => "device.http-412",
                415 => "device.http-415",
                500 => "device.http-500",
                _ => "device.http-other",
            },
            Self::BadAnswer { fault, .. } => match fault {
                HttpFault::Truncated { .. } => "device.answer-truncated",
                HttpFault::BodyTooLong { .. } | HttpFault::HeadTooLong => "device.answer-too-large",
                _ => "device.answer-not-http",
            },
            Self::Unreadable(error) => error.code(),
            Self::NotServed { .. } => "device.not-served",
            Self::NotDone { .. } => "device.not-done",
            Self::IdChanged { .. } => "device.id-changed",
            Self::NotBack { .. } => "device.not-back",
            Self::NoConsole { .. } => "device.no-console",
            Self::Path(error) => error.code(),
            Self::Dialogue { fault, .. } => match fault {
                DialogueFault::Silent => "device.application-silent",
                DialogueFault::Closed => "device.application-closed",
                DialogueFault::TooLong { .. } => "device.application-too-long",
            },
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Link(error) => return error.help(),
            Self::Unreadable(error) => return error.help(),
            Self::Path(error) => return error.help(),
            Self::Status { status, code, .. } => return help_on_status(*status, *code).to_owned(),
            Self::TcpTimeout { .. } => {
                "Wait some minutes if it may be applying an update; otherwise check cable, board power and that the \
                 device is not held in reset or recovery, then recover its OS."
            }
            Self::TcpRefused { .. } => {
                "It may still be starting: wait ten seconds and try again. If it stays so, recover its OS; on an \
                 application's own port, check that the application runs."
            }
            Self::TlsFailed(_) | Self::TlsTooSlow => {
                "Try again; if it stays so, check the cable (lost bytes), then recover the device's OS."
            }
            Self::WrongCertificate(_) => {
                "Set this board aside: it is not a genuine device, or belongs to a simulated bench whose `ca.pem` this \
                 station does not use."
            }
            Self::ClockDisagrees(_) => "Set this PC's date and time, then try again.",
            Self::ConnectionLost { why: Lost::Restarting } => "Wait until it has booted and identify it again.",
            Self::ConnectionLost { .. } => {
                "The device may have restarted or been unplugged: attach it again and let it be identified anew."
            }
            Self::Timeout { .. } => "Try again; if it stays so, reset the device, then recover its OS.",
            Self::BadAnswer { .. } => {
                "Try again; if it stays so, check cable and board, then recover the device's OS."
            }
            Self::NotServed { .. } => "Update the device's OS by recovery before this step.",
            Self::NoConsole { .. } => {
                "Check the recovery connector (J4) of the interface board, its reset line, and power. If bytes came, check \
                 that the board is an MT3620."
            }
            Self::NotDone { .. } => "Set the unit aside: what became of it must be looked at again after a reset.",
            Self::IdChanged { .. } => {
                "Boards were swapped, or a device does not tell its id truthfully: set it aside and start anew."
            }
            Self::NotBack { .. } => {
                "Check power and recovery strap of the board; if it stays away, recover the device's OS."
            }
            Self::Dialogue { .. } => {
                "Check that the application is the one that this plan was made for and that it does not crash; the unit \
                 may be faulty."
            }
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Link(error) => error.blame(),
            Self::Unreadable(error) => error.blame(),
            Self::Path(error) => error.blame(),
            Self::TcpTimeout { .. } | Self::NoConsole { .. } => Blame::Board,
            Self::ClockDisagrees(_) => Blame::Station,
            Self::Status {
                code:
                    Some(
                        ErrorCode::IMAGE_VERIFICATION_FAILED
                        | ErrorCode::IMAGE_STAGING_FAILED
                        | ErrorCode::INVALID_COMPONENT_ID,
                    ),
                ..
            } => Blame::Supply,
            _ => Blame::Device,
        }
    }
}

fn help_on_status(status: u16, code: Option<ErrorCode>) -> &'static str {
    match (status, code) {
        (_, Some(ErrorCode::IMAGE_VERIFICATION_FAILED)) => {
            "The device does not trust this image's signature: use one that is production-signed."
        }
        (_, Some(ErrorCode::IMAGE_STAGING_FAILED)) => {
            "The file is no valid image package: build or fetch it again."
        }
        (_, Some(ErrorCode::IMAGE_PERMISSION_DENIED)) => {
            "This OS lets nobody delete that image without appDevelopment: leave a test application out of the plan that \
             is not marked as temporary, or have the unit recovered before it gets its production software."
        }
        (_, Some(ErrorCode::NOT_ENOUGH_FREE_SPACE)) => {
            "Delete software that is not needed from the device first."
        }
        (_, Some(ErrorCode::OTA_UPDATE_IN_PROGRESS)) => {
            "The device updates itself from the cloud: keep it offline on the line, wait, and try again."
        }
        (_, Some(ErrorCode::INTERFACE_IS_BUSY)) => "The device is busy: try again in a few seconds.",
        (403, _) => {
            "The device's state or capabilities do not allow this: it may be complete already, or the step needs a \
             capability that devices on the line do not have."
        }
        (404, _) => "What was asked for is not on the device: compare the plan with what is installed.",
        (409, _) => "The device is in a state that conflicts with this: look what is installed and running.",
        (400 | 415, _) => "The device did not accept what was sent: correct the step's parameters.",
        (500, _) => "The device failed internally: reset it and try again; if it stays so, recover its OS.",
        _ => "The device answered in a way that its interface does not foresee: check its OS version.",
    }
}
