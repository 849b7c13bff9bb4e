//! `/device/…`: who the device is and how far it has come (`device-rest-api.md` 3.2).

use lineside_terms::{Capability, DeviceId, ManufacturingState, SecurityState};
use serde::{Deserialize, Deserializer, Serialize};

/// Answer of `GET /device/security_state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Security {
    /// The only state that may be shipped is [`SecurityState::Secure`].
    pub security_state: SecurityState,
    /// The device's id.
    pub device_identifier: DeviceId,
    /// The same id once more, deprecated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_identity_public_key: Option<DeviceId>,
    /// Only in firmware before 4.0.0. Its place among the keys is assumed (REST-A59).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub general_public_key: Option<String>,
}

/// Answer of `GET /device/capabilities`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capabilities {
    /// Those in force, but not what a state implies by itself; RF test mode in Blank is listed (2.3).
    pub device_capabilities: Vec<Capability>,
}

/// Answer of `GET /device/manufacturing_state` and request of `PUT` to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manufacturing {
    /// The state; a word that we do not know is read as [`ManufacturingState::Unknown`].
    #[serde(deserialize_with = "known_or_unknown")]
    pub manufacturing_state: ManufacturingState,
}

fn known_or_unknown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ManufacturingState, D::Error> {
    let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    // Exactly as devices write it: a word in another case is not one of theirs.
    Ok([
        ManufacturingState::Blank,
        ManufacturingState::Module1Complete,
        ManufacturingState::DeviceComplete,
    ]
    .into_iter()
    .find(|state| state.as_str() == word)
    .unwrap_or(ManufacturingState::Unknown))
}
