//! Identifiers. Each parses from and prints as text, and each refuses text that cannot be one.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Text that is not the identifier it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}: {rule}")]
pub struct ParseIdError {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

impl ParseIdError {
    fn new(kind: &'static str, rule: &'static str, text: &str) -> Self {
        // What was typed may be long and hostile: keep enough to recognise it.
        let text = text.chars().take(40).flat_map(char::escape_default).collect();
        Self { kind, rule, text }
    }
}

/// Text in, text out: serde, schema and printing for an identifier that has `FromStr` and `Display`.
macro_rules! textual {
    ($name:ident, $pattern:literal) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

/// The chip's identity: its P-256 public key X‖Y, 64 bytes, printed as 128 lower-case hex digits
/// (`device-rest-api.md` 5.5, `image-package.md` 7). Either case is read. It is the only name of a device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId([u8; 64]);

impl DeviceId {
    /// From the raw bytes in the order in which the id is printed.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The raw bytes in the order in which the id is printed.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// The last eight hex digits: what a person types to confirm, and what tables show.
    pub fn short(&self) -> String {
        hex::encode(&self.0[60..])
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for DeviceId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| ParseIdError::new("device id", "it takes exactly 128 hex digits", text))?;
        Ok(Self(bytes))
    }
}
textual!(DeviceId, "^[0-9a-fA-F]{128}$");

/// SHA-256 of something, printed as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The value before the first link of a chain.
    pub const ZERO: Self = Self([0; 32]);

    /// From the raw hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first twelve hex digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Digest {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| ParseIdError::new("digest", "it takes exactly 64 hex digits", text))?;
        Ok(Self(bytes))
    }
}
textual!(Digest, "^[0-9a-fA-F]{64}$");

macro_rules! guid {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// From the 16 bytes as files hold them: .NET order, first three fields little-endian
            /// (`image-package.md` 1.3).
            pub fn from_bytes_le(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes_le(bytes))
            }

            /// The 16 bytes as files hold them.
            pub fn to_bytes_le(self) -> [u8; 16] {
                self.0.to_bytes_le()
            }

            /// True for the id that is all zeros, which no component and no image may have.
            pub fn is_nil(self) -> bool {
                self.0.is_nil()
            }

            /// From a number in the order in which the id is printed, for ids that are constants of the field.
            pub const fn from_u128(value: u128) -> Self {
                Self(uuid::Uuid::from_u128(value))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                uuid::Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| ParseIdError::new($kind, "it takes 32 hex digits as 8-4-4-4-12", text))
            }
        }
        textual!($name, "^[0-9a-fA-F-]{32,36}$");
    };
}

guid! {
    /// Names a component: stable across the versions of one piece of software.
    ComponentId, "component id"
}
guid! {
    /// Names one build of a component: new for every build.
    ImageId, "image id"
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Reads the name.
            ///
            /// # Errors
            /// When the text breaks the rule of this kind of name.
            pub fn new(text: impl Into<String>) -> Result<Self, ParseIdError> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(ParseIdError::new($kind, $rule, &text)) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }
        textual!($name, $pattern);
    };
}

fn is_label(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

word! {
    /// A physical socket, named by its connection path: digits of the hub ports and the channel, `1213`
    /// (`chip-to-pc-and-recovery.md` 1.5). It stays when the board in it changes.
    SlotPath, "slot path", "1 to 64 letters, digits, `-`, `_`, `.` or `:`", "^[A-Za-z0-9._:-]{1,64}$",
    |text| is_label(text, 64)
}
word! {
    /// The serial number of a unit: the product that contains the device.
    UnitSerial, "unit serial", "1 to 64 printable ASCII characters without spaces, commas or quotes",
    "^[!#-&(-+\\--~]{1,64}$",
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'"' | b'\''))
}
word! {
    /// Names a step within its plan.
    StepId, "step id", "1 to 40 letters, digits, `-`, `_`, `.` or `:`", "^[A-Za-z0-9._:-]{1,40}$",
    |text| is_label(text, 40)
}
word! {
    /// Names a station: one factory PC.
    StationName, "station name", "1 to 40 letters, digits, `-`, `_`, `.` or `:`", "^[A-Za-z0-9._:-]{1,40}$",
    |text| is_label(text, 40)
}

macro_rules! sixteen {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From 16 bytes that the caller took from a source of randomness.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The first eight hex digits, for people.
            pub fn short(&self) -> String {
                hex::encode(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| ParseIdError::new($kind, "it takes exactly 32 hex digits", text))?;
                Ok(Self(bytes))
            }
        }
        textual!($name, "^[0-9a-fA-F]{32}$");
    };
}

sixteen! {
    /// Names one run: one pass of one device through one plan.
    RunId, "run id"
}
sixteen! {
    /// Names one start of the program on a station.
    BootId, "boot id"
}

/// One unbroken presence of one board on one slot. A new one begins with every attach, reset or link loss, so a
/// reply that carries an older epoch speaks of a world that may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_id_reads_either_case_and_prints_lower() {
        let id: DeviceId = "AB".repeat(64).parse().unwrap();
        assert_eq!(id.to_string(), "ab".repeat(64));
        assert_eq!(id.short(), "abababab");
        assert!("ab".repeat(63).parse::<DeviceId>().is_err());
    }

    #[test]
    fn a_component_id_keeps_the_byte_order_of_files() {
        let bytes = hex::decode("0f4b072f9dd9924682d9ef93a7d6463c").unwrap();
        let id = ComponentId::from_bytes_le(bytes.try_into().unwrap());
        assert_eq!(id.to_string(), "2f074b0f-d99d-4692-82d9-ef93a7d6463c");
        assert_eq!(id.to_string().to_uppercase().replace('-', "").parse(), Ok(id));
    }

    #[test]
    fn an_error_never_repeats_control_characters() {
        let error = "\u{1b}[31mred".parse::<SlotPath>().unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,200}") {
            if let Ok(slot) = text.parse::<SlotPath>() { prop_assert_eq!(slot.to_string(), text.clone()); }
            if let Ok(serial) = text.parse::<UnitSerial>() { prop_assert_eq!(serial.to_string(), text.clone()); }
            let _ = text.parse::<DeviceId>();
            let _ = text.parse::<ComponentId>();
            let _ = text.parse::<RunId>();
        }

        #[test]
        fn identifiers_survive_json(bytes in proptest::array::uniform32(any::<u8>())) {
            let digest = Digest::from_bytes(bytes);
            let json = serde_json::to_string(&digest).unwrap();
            prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        }
    }
}
