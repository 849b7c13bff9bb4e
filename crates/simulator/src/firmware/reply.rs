//! Making answers, and reading the JSON of requests.

use lineside_protocol::rest::assume::Refusal;
use lineside_protocol::rest::status::Restarting;
use lineside_protocol::rest::{ErrorCode, json as device_json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chip::Response;

/// A request that is not done: status, and the number in the body unless it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) code: Option<ErrorCode>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        refused(refusal.status, refusal.code)
    }
}

/// A refusal with its number.
pub(super) const fn refused(status: u16, code: ErrorCode) -> Refused {
    Refused {
        status,
        code: Some(code),
    }
}

/// 200 with a body as the device writes it.
pub(super) fn json<T: Serialize>(body: &T) -> Response {
    Response::ok(device_json::to_device_json(body))
}

/// `{"restartingSystem":true}` or `{}`.
pub(super) fn restarting(is_restarting: bool) -> Response {
    json(&Restarting { is_restarting })
}

/// The JSON of a request.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|_| refused(400, ErrorCode::INVALID_JSON_REQUEST))
}
