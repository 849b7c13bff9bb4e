//! `/status`, `/osversion`, `/abi_versions`, and the answers that say little (`device-rest-api.md` 3.2).

use serde::{Deserialize, Serialize};

/// Answer of `GET /status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whole seconds since the device started.
    pub uptime: u64,
}

/// Answer of `GET /osversion`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsVersion {
    /// As `24.06`.
    pub osversion: String,
}

/// Answer of `GET /abi_versions`: the newest version of each runtime that images may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiVersions {
    /// Of the security core.
    #[serde(rename = "SecureWorldRuntime")]
    pub secure_world_runtime: u32,
    /// Of the operating system.
    #[serde(rename = "OSRuntime")]
    pub os_runtime: u32,
    /// Of applications.
    #[serde(rename = "ApplicationRuntime")]
    pub application_runtime: u32,
}

/// Answer that says nothing: `{}`. Old firmware says `{"error":0}` instead, which reads as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Done {}

/// Answer of `POST /restart`, and of installing and deleting: `{}`, or `{"restartingSystem":true}` when the device
/// restarts now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Restarting {
    /// True when the device restarts now. Left out when it does not.
    #[serde(
        rename = "restartingSystem",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub is_restarting: bool,
}
