//! What the references assume of the vendor's device communication service (`device-rest-api.md` 7). Nowhere else.

/// A device that is attached and does not answer, because it boots for instance, is listed as well.
pub(crate) const LISTS_THE_SILENT: bool = true;

/// How the vendor's service calls the type of its answers: no capture shows it, every client takes it for JSON.
pub(crate) const CONTENT_TYPE: &str = "application/json; charset=utf-8";
