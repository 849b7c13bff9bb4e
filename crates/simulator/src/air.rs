//! The radio around the boards: access points that come and go.

use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

/// One access point.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessPoint {
    /// Its SSID.
    pub ssid: String,
    /// Its pre-shared key, or none for an open network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psk: Option<String>,
    /// True when the internet can be reached through it.
    #[serde(default)]
    pub has_internet: bool,
    /// True when it does not tell its SSID.
    #[serde(default)]
    pub is_hidden: bool,
    /// Strength at the boards in dBm.
    #[serde(default = "usual_signal")]
    pub signal_dbm: i32,
}

impl std::fmt::Debug for AccessPoint {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessPoint")
            .field("ssid", &self.ssid)
            .field("is_open", &self.psk.is_none())
            .field("has_internet", &self.has_internet)
            .finish_non_exhaustive()
    }
}

const fn usual_signal() -> i32 {
    -45
}

impl AccessPoint {
    /// The access point of the default world: `lineside-test`, with a key, without internet.
    pub fn test() -> Self {
        Self::with_key("lineside-test", "lineside-test-key")
    }

    /// An access point with a key and without internet.
    pub fn with_key(ssid: &str, psk: &str) -> Self {
        Self {
            psk: Some(psk.to_owned()),
            ..Self::open(ssid)
        }
    }

    /// An open access point without internet.
    pub fn open(ssid: &str) -> Self {
        Self {
            ssid: ssid.to_owned(),
            psk: None,
            has_internet: false,
            is_hidden: false,
            signal_dbm: usual_signal(),
        }
    }

    /// The same with internet.
    #[must_use]
    pub fn with_internet(mut self) -> Self {
        self.has_internet = true;
        self
    }
}

/// All access points in reach, shared by the boards of a world.
#[derive(Debug, Clone, Default)]
pub struct Air(Arc<Mutex<Vec<AccessPoint>>>);

impl Air {
    /// An air with these access points.
    pub fn new(points: Vec<AccessPoint>) -> Self {
        Self(Arc::new(Mutex::new(points)))
    }

    fn points(&self) -> MutexGuard<'_, Vec<AccessPoint>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What is in reach now.
    pub fn access_points(&self) -> Vec<AccessPoint> {
        self.points().clone()
    }

    /// Replaces them all.
    pub fn set(&self, points: Vec<AccessPoint>) {
        *self.points() = points;
    }

    pub(crate) fn find(&self, ssid: &str) -> Option<AccessPoint> {
        self.points().iter().find(|point| point.ssid == ssid).cloned()
    }
}
