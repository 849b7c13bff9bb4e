//! What no public source tells of the REST interface, one item each, in the order of appearance in
//! `device-rest-api.md`. Where both answers are thinkable the item is an enum, so that the simulator can be switched
//! and the client shown to survive either.
//!
//! Guesses about the link itself are in [`crate::assume`].

use super::{ApiVersion, ErrorCode};

/// **REST-A01** (1.3): the status of an answer to content that is too large. The code is known:
/// [`ErrorCode::INVALID_CONTENT_LENGTH`].
pub const STATUS_OF_TOO_LARGE: u16 = 400;

/// **REST-A02** (1.3): what a known path answers to a wrong method. The catalogue has
/// [`ErrorCode::INVALID_REQUEST_METHOD`], which the vendor's clients do not know.
pub const WRONG_METHOD: Refusal = Refusal {
    status: 404,
    code: ErrorCode::INVALID_REQUEST_URI,
};

/// **REST-A03** (1.3): what an unknown path answers. The code is tested for unknown interface names only.
pub const UNKNOWN_PATH: Refusal = Refusal {
    status: 404,
    code: ErrorCode::INVALID_REQUEST_URI,
};

/// **REST-A04** (1.4): the interface version of OS 20.05. It has the additions of 3.1.0, not those of 4.1.0, and
/// still shows the general key that 4.0.0 took away; on the other hand it reads the capability header of 4.0.0.
pub const API_OF_OS_20_05: ApiVersion = ApiVersion::new(3, 1, 0);

/// **REST-A05** (1.4): the version that first had the proxy. No history tells; OS 20.05 does not have it.
pub const API_OF_PROXY: ApiVersion = ApiVersion::new(4, 0, 0);

/// A status with the code in its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code in `{"error":…}`.
    pub code: ErrorCode,
}

/// **REST-A06** (2.1, 9): the body of the common authorizer's 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RefusalBody {
    /// `{"error":10485778}`: what the catalogue has for exactly this, but the vendor's clients do not know it.
    #[default]
    CommandAuthorizationFailed,
    /// `{"error":13}`, whose text in the vendor's clients fits.
    AccessDenied,
    /// No body at all.
    Empty,
}

impl RefusalBody {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CommandAuthorizationFailed, Self::AccessDenied, Self::Empty];

    /// The code in the body, or `None` for no body.
    pub const fn code(self) -> Option<ErrorCode> {
        match self {
            Self::CommandAuthorizationFailed => Some(ErrorCode::COMMAND_AUTHORIZATION_FAILED),
            Self::AccessDenied => Some(ErrorCode::ACCESS_DENIED),
            Self::Empty => None,
        }
    }
}

/// **REST-A07** (2.2, and the vendor's guide for factory floors): who may delete an image from a device that is not
/// complete. OS components can never be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeletePolicy {
    /// Anyone, any application.
    #[default]
    All,
    /// Anyone, but only applications that are marked as temporary; others need appDevelopment.
    TemporaryOnly,
    /// Nobody without appDevelopment.
    NeedsAppDevelopment,
}

impl DeletePolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::All, Self::TemporaryOnly, Self::NeedsAppDevelopment];
}
