//! The device's REST interface (`device-rest-api.md`): which operations there are, what each needs and does, and
//! what their bodies look like.
//!
//! [`Operation`] names the 42 operations, [`Operation::spec`] tells all that both ends must agree on, and
//! [`is_allowed`] is the check that the device makes before any handler runs. Bodies stand in one module per
//! resource: [`status`], [`device`], [`image`], [`application`], [`network`], [`wifi`], [`certificate`] and
//! [`diagnostics`].
//!
//! Readers of answers are lenient: unknown fields are passed over and an unknown word of an enumeration becomes its
//! `Unknown`. Writers are exact: the same keys in the same order and the same words as a device.

pub mod answer;
pub mod application;
pub mod assume;
pub mod certificate;
mod code;
mod code_table;
pub mod device;
pub mod diagnostics;
pub mod http;
pub mod image;
pub mod json;
pub mod network;
mod operation;
mod secret;
pub mod status;
mod table;
mod version;
pub mod wifi;

pub use code::{ErrorBody, ErrorCode, KnownCode};
pub use operation::{
    Authorizer, HandlerNeed, Item, Operation, PathError, Payload, RouteError, Spec, Verb, is_allowed,
};
pub use secret::Secret;
pub use version::{ApiVersion, ParseVersionError};
