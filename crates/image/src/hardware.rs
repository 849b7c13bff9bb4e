//! Hardware definitions: the names by which a source manifest calls peripherals, and their values.
//!
//! The packer replaces `$NAME` in a manifest by what a hardware definition says (`image-package.md` 6.5). What the files
//! look like that say it stands in `assume`. A definition is a file with the files that it imports:
//!
//! ```text
//! HardwareFile::parse ──► imports() ──► … ──► HardwareDefinition::of(all files) ──► resolve(manifest)
//! ```

use std::collections::BTreeMap;

use lineside_terms::{Blame, Explain};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::assume::hardware as names;
use crate::json::{Members, parse_strict};

/// Longer chains of names than this lead nowhere.
const LONGEST_CHAIN: usize = 32;

/// One file of a hardware definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HardwareFile {
    imports: Vec<String>,
    peripherals: Vec<(String, Meaning)>,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    /// The same as another name.
    Name(String),
    /// This value, in a manifest.
    Value(Value),
}

/// Names of peripherals with their values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HardwareDefinition {
    meanings: BTreeMap<String, Meaning>,
}

/// How hardware definitions fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HardwareError {
    /// No JSON, or not of the form.
    #[error("it is no hardware definition: {reason}")]
    Malformed {
        /// Why, in one line.
        reason: String,
    },
    /// Two files give one name two meanings.
    #[error("the peripheral `{name}` is defined twice, and differently")]
    Twice {
        /// Which.
        name: String,
    },
    /// A manifest names what no definition has.
    #[error("the manifest names `${name}`, and the hardware definition has no such peripheral")]
    Unknown {
        /// Which, without its `$`.
        name: String,
    },
    /// A name leads to no value.
    #[error("the peripheral `{name}` has no value: it is mapped to a name that has none")]
    NoValue {
        /// Which.
        name: String,
    },
    /// The manifest is no manifest.
    #[error("the manifest cannot be read: {reason}")]
    Manifest {
        /// Why, in one line.
        reason: String,
    },
}

impl HardwareFile {
    /// Reads one file.
    ///
    /// # Errors
    /// [`HardwareError::Malformed`], and [`HardwareError::Twice`] when it says two things of one name.
    pub fn parse(bytes: &[u8]) -> Result<Self, HardwareError> {
        let malformed = |reason: &str| HardwareError::Malformed {
            reason: reason.into(),
        };
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let value = parse_strict(bytes).map_err(|reason| HardwareError::Malformed { reason })?;
        let file = value.as_object().ok_or_else(|| malformed("it is no object"))?;
        if !file.contains_key(names::PERIPHERALS) && !file.contains_key(names::IMPORTS) {
            return Err(malformed("it has neither Peripherals nor Imports"));
        }
        let list = |key: &str| match file.get(key) {
            None => Ok(&[][..]),
            Some(value) => value
                .as_array()
                .map(Vec::as_slice)
                .ok_or_else(|| malformed(&format!("{key} is no list"))),
        };
        let imports = list(names::IMPORTS)?.iter().map(|import| {
            let path = import.get(names::PATH).and_then(Value::as_str);
            path.map(str::to_owned)
                .ok_or_else(|| malformed("an import has no Path"))
        });
        let peripherals = list(names::PERIPHERALS)?.iter().map(|peripheral| {
            let name = peripheral.get(names::NAME).and_then(Value::as_str);
            let name = name.ok_or_else(|| malformed("a peripheral has no Name"))?;
            let meaning = match (peripheral.get(names::VALUE), peripheral.get(names::MAPPING)) {
                (Some(value @ (Value::Number(_) | Value::String(_))), None) => Meaning::Value(value.clone()),
                (None, Some(Value::String(other))) => Meaning::Name(other.clone()),
                _ => {
                    let reason = format!("{name} has neither a Mapping nor an AppManifestValue, or both");
                    return Err(malformed(&reason));
                }
            };
            Ok((name.to_owned(), meaning))
        });
        let file = Self {
            imports: imports.collect::<Result<_, _>>()?,
            peripherals: peripherals.collect::<Result<_, _>>()?,
        };
        HardwareDefinition::of([&file])?;
        Ok(file)
    }

    /// The files that it is built on, as it names them: paths beside itself or in another folder of definitions.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }
}

impl HardwareDefinition {
    /// What files say together. Their order does not matter.
    ///
    /// # Errors
    /// [`HardwareError::Twice`].
    pub fn of<'a>(files: impl IntoIterator<Item = &'a HardwareFile>) -> Result<Self, HardwareError> {
        let mut meanings = BTreeMap::new();
        for (name, meaning) in files.into_iter().flat_map(|file| &file.peripherals) {
            match meanings.insert(name.clone(), meaning.clone()) {
                Some(other) if other != *meaning => {
                    return Err(HardwareError::Twice { name: name.clone() });
                }
                _ => {}
            }
        }
        Ok(Self { meanings })
    }

    /// The value that stands in a manifest for a name.
    ///
    /// # Errors
    /// [`HardwareError::Unknown`] and [`HardwareError::NoValue`].
    pub fn value(&self, name: &str) -> Result<&Value, HardwareError> {
        let mut at = name;
        for _ in 0..LONGEST_CHAIN {
            match self.meanings.get(at) {
                Some(Meaning::Value(value)) => return Ok(value),
                Some(Meaning::Name(other)) => at = other,
                None if at == name => return Err(HardwareError::Unknown { name: name.into() }),
                None => break,
            }
        }
        Err(HardwareError::NoValue { name: name.into() })
    }

    /// The manifest with values in the places of names; all else is as it was spelled.
    ///
    /// # Errors
    /// When the manifest is no JSON object, or names what has no value.
    pub fn resolve(&self, manifest: &[u8]) -> Result<Vec<u8>, HardwareError> {
        let broken = |error: &dyn std::fmt::Display| HardwareError::Manifest {
            reason: error.to_string(),
        };
        parse_strict(manifest).map_err(|reason| HardwareError::Manifest { reason })?;
        let text = str::from_utf8(manifest).map_err(|error| broken(&error))?;
        let members: Members<'_> = serde_json::from_str(text).map_err(|error| broken(&error))?;
        let mut out = Vec::new();
        for (key, value) in &members.0 {
            let resolved = if key == names::CAPABILITIES && value.get().starts_with('{') {
                self.capabilities(value)?
            } else {
                value.get().to_owned()
            };
            out.push(format!("{}:{resolved}", Value::from(key.as_str())));
        }
        Ok(format!("{{{}}}", out.join(",")).into_bytes())
    }

    fn capabilities(&self, capabilities: &RawValue) -> Result<String, HardwareError> {
        let broken = |error: serde_json::Error| HardwareError::Manifest {
            reason: error.to_string(),
        };
        let members: Members<'_> = serde_json::from_str(capabilities.get()).map_err(broken)?;
        let mut out = Vec::new();
        for (key, value) in &members.0 {
            let is_list = names::OF_PERIPHERALS.contains(&key.as_str()) && value.get().starts_with('[');
            let resolved = if is_list {
                let items: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(broken)?;
                let items = items.into_iter().map(|item| self.item(item));
                format!("[{}]", items.collect::<Result<Vec<_>, _>>()?.join(","))
            } else {
                value.get().to_owned()
            };
            out.push(format!("{}:{resolved}", Value::from(key.as_str())));
        }
        Ok(format!("{{{}}}", out.join(",")))
    }

    fn item(&self, item: &RawValue) -> Result<String, HardwareError> {
        let value: Value = serde_json::from_str(item.get()).unwrap_or_default();
        match value.as_str().and_then(|text| text.strip_prefix('$')) {
            Some(name) => self.value(name).map(Value::to_string),
            None => Ok(item.get().to_owned()),
        }
    }
}

impl Explain for HardwareError {
    fn code(&self) -> &'static str {
        match self {
            Self::Manifest { .. } => "image.manifest",
            _ => "image.hardware",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Malformed { .. } => {
                "Name the definition of the board by its maker: JSON with Peripherals and Imports."
            }
            Self::Twice { .. } => "Keep one of the two, or name another definition.",
            Self::Unknown { .. } | Self::NoValue { .. } => {
                "Name the definition of the board that this application is for, or the peripheral by its value."
            }
            Self::Manifest { .. } => "Correct app_manifest.json.",
        }
        .into()
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sample data: no real board.
    const BOARD: &[u8] = br#"{
        "Metadata": {"Type": "Azure Sphere Hardware Definition", "Version": 1},
        "Imports": [{"Path": "chip.json"}],
        "Peripherals": [
            {"Name": "SAMPLE_LED", "Type": "Gpio", "Mapping": "CHIP_GPIO8", "Comment": "red"},
            {"Name": "SAMPLE_UART", "Type": "Uart", "Mapping": "SAMPLE_PORT"},
            {"Name": "SAMPLE_PORT", "Type": "Uart", "Mapping": "CHIP_ISU0"},
            {"Name": "LOOSE", "Type": "Gpio", "Mapping": "CHIP_NOTHING"},
            {"Name": "RING", "Type": "Gpio", "Mapping": "RING"}
        ]}"#;
    const CHIP: &[u8] = br#"{"Peripherals": [
        {"Name": "CHIP_GPIO8", "Type": "Gpio", "MainCoreHeaderValue": "8", "AppManifestValue": 8},
        {"Name": "CHIP_ISU0", "Type": "Uart", "MainCoreHeaderValue": "4", "AppManifestValue": "ISU0"}]}"#;

    fn sample() -> HardwareDefinition {
        let board = HardwareFile::parse(BOARD).unwrap();
        assert_eq!(board.imports(), ["chip.json"]);
        HardwareDefinition::of([&board, &HardwareFile::parse(CHIP).unwrap()]).unwrap()
    }

    #[test]
    fn names_become_values_and_all_else_stays() {
        let manifest = br#"{ "SchemaVersion": 1, "Name" : "a $SAMPLE_LED",
            "Capabilities": {"Gpio": ["$SAMPLE_LED", 12], "Uart": [ "$SAMPLE_UART" ],
                "AllowedConnections": ["$SAMPLE_LED"]}, "CmdArgs": ["$SAMPLE_LED"] }"#;
        let resolved = sample().resolve(manifest).unwrap();
        assert_eq!(
            str::from_utf8(&resolved).unwrap(),
            r#"{"SchemaVersion":1,"Name":"a $SAMPLE_LED","Capabilities":{"Gpio":[8,12],"Uart":["ISU0"],"AllowedConnections":["$SAMPLE_LED"]},"CmdArgs":["$SAMPLE_LED"]}"#
        );
        assert_eq!(sample().resolve(&resolved).unwrap(), resolved);
    }

    #[test]
    fn what_leads_nowhere_is_named() {
        let named =
            |name: &str| sample().resolve(format!(r#"{{"Capabilities":{{"Gpio":["${name}"]}}}}"#).as_bytes());
        assert_eq!(named("X"), Err(HardwareError::Unknown { name: "X".into() }));
        for name in ["LOOSE", "RING"] {
            assert_eq!(named(name), Err(HardwareError::NoValue { name: name.into() }));
        }
        assert!(matches!(
            sample().resolve(br#"{"a":1,"a":2}"#),
            Err(HardwareError::Manifest { .. })
        ));
    }

    #[test]
    fn what_is_no_definition_is_refused() {
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"Peripherals":{}}"#,
            r#"{"Imports":[{}]}"#,
            r#"{"Peripherals":[{"Mapping":"A"}]}"#,
            r#"{"Peripherals":[{"Name":"A"}]}"#,
            r#"{"Peripherals":[{"Name":"A","Mapping":"B","AppManifestValue":1}]}"#,
            r#"{"Peripherals":[{"Name":"A","AppManifestValue":[1]}]}"#,
        ] {
            let found = HardwareFile::parse(wrong.as_bytes());
            assert!(
                matches!(found, Err(HardwareError::Malformed { .. })),
                "{wrong}: {found:?}"
            );
        }
        let twice = br#"{"Peripherals":[{"Name":"A","Mapping":"B"},{"Name":"A","Mapping":"C"}]}"#;
        assert_eq!(
            HardwareFile::parse(twice),
            Err(HardwareError::Twice { name: "A".into() })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = HardwareFile::parse(&bytes);
            let _ = sample().resolve(&bytes);
        }
    }
}
