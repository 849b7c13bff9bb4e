//! JSON as these devices write it, and how their answers are read (`device-rest-api.md` 1.3).

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::Formatter;

use super::Operation;
use super::answer::{AnswerError, BodyFault};

/// Writes a body as a device does: compact, keys in the order of the type, and `/` as `\/`.
///
/// # Panics
/// Never for the types of this crate or for [`serde_json::Value`]: their keys are text and nothing in them fails.
pub fn to_device_json<T: Serialize + ?Sized>(body: &T) -> String {
    let mut out = Vec::with_capacity(128);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, DeviceFormatter);
    body.serialize(&mut serializer)
        .expect("bodies have text keys and a Vec takes all bytes");
    String::from_utf8(out).expect("serde_json writes UTF-8")
}

/// Writes a request as clients do: compact, `/` as it is.
///
/// # Panics
/// Never for the types of this crate or for [`serde_json::Value`].
pub fn to_request_json<T: Serialize + ?Sized>(body: &T) -> String {
    serde_json::to_string(body).expect("bodies have text keys")
}

/// Reads a body, of a request or an answer. All bodies are JSON objects.
///
/// # Errors
/// When it is not JSON, not an object, or not what `T` takes. What was sent is never repeated in the error.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyFault> {
    let value = serde_json::from_slice(body).map_err(|error| BodyFault::of(&error))?;
    // Left to itself the reader takes `[634]` for `{"uptime":634}`, and `[]` for a proxy that is not configured.
    if body.trim_ascii_start().starts_with(b"{") {
        Ok(value)
    } else {
        Err(BodyFault::NotAsExpected {
            line: 1,
            column: 1,
            field: None,
        })
    }
}

/// Reads the body of an answer.
///
/// # Errors
/// As [`read`], with the operation whose answer it was.
pub fn read_answer<T: DeserializeOwned>(operation: Operation, body: &[u8]) -> Result<T, AnswerError> {
    read(body).map_err(|fault| AnswerError::new(operation, fault))
}

struct DeviceFormatter;

impl Formatter for DeviceFormatter {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut parts = fragment.split('/');
        writer.write_all(parts.next().unwrap_or_default().as_bytes())?;
        for part in parts {
            writer.write_all(b"\\/")?;
            writer.write_all(part.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slashes_are_escaped_and_nothing_else_changes() {
        let body = serde_json::json!({"a/b": ["/CN=x", "//", "\"\\\n\u{0}é"]});
        assert_eq!(
            to_device_json(&body),
            r#"{"a\/b":["\/CN=x","\/\/","\"\\\n\u0000é"]}"#
        );
        assert_eq!(
            to_request_json(&body),
            r#"{"a/b":["/CN=x","//","\"\\\n\u0000é"]}"#
        );
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_it_was(text in ".{0,60}") {
            let json = to_device_json(&text);
            prop_assert!(!json.replace("\\/", "").contains('/'));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
