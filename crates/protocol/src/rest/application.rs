//! `/app/…` and `/stats/…`: applications that run (`device-rest-api.md` 3.3).

use lineside_terms::ComponentId;
use serde::{Deserialize, Serialize};

/// Answer of `GET` and `PATCH /app/status/{cid}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Number of the real-time core that the application runs on, only in answers to `PATCH`. Its place among the
    /// keys is assumed (REST-A61).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_time_core: Option<u32>,
    /// What it does.
    pub state: AppState,
    /// TCP port of the debugger, while debugging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gdb_port: Option<u16>,
    /// TCP port of what the application prints, while debugging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_port: Option<u16>,
}

impl AppStatus {
    /// The state and nothing else.
    pub const fn of(state: AppState) -> Self {
        Self {
            real_time_core: None,
            state,
            gdb_port: None,
            out_port: None,
        }
    }
}

/// What an application does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AppState {
    /// It runs.
    Running,
    /// It is installed and does not run.
    Stopped,
    /// It runs under the debugger.
    Debugging,
    /// It is not installed; staged only is not installed.
    NotPresent,
    /// The device said a word that we do not know.
    #[serde(other)]
    Unknown,
}

/// Request of `PATCH /app/status/{cid}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRequest {
    /// What to do.
    pub trigger: Trigger,
}

/// What an application is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trigger {
    /// Run.
    Start,
    /// Stop.
    Stop,
    /// Run under the debugger, which must be installed.
    StartDebug,
    /// A word that is none of these.
    #[serde(other)]
    Unknown,
}

/// Answer of `GET /app/quota/{cid}`: mutable storage in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// In use.
    #[serde(rename = "UsageKB")]
    pub usage_kb: u32,
    /// What the application's manifest asks for; 0 without any.
    #[serde(rename = "LimitKB")]
    pub limit_kb: u32,
}

/// Answer of `GET /stats/memory/groups/applications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryStats {
    /// The figures.
    pub memory_stats: MemoryFigures,
}

/// The figures in [`MemoryStats`], all in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryFigures {
    /// All memory in use by applications.
    pub current_memory_usage_in_bytes: u64,
    /// The most that was ever in use in user mode.
    pub peak_user_mode_memory_usage_in_bytes: u64,
    /// In use in user mode.
    pub user_mode_memory_usage_in_bytes: u64,
    /// By application, where the firmware tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<Vec<AppMemory>>,
}

/// Memory of one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppMemory {
    /// Which application.
    pub component_id: ComponentId,
    /// Its processes.
    pub processes: Vec<ProcessMemory>,
}

/// Memory of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessMemory {
    /// Process number.
    pub pid: u32,
    /// Heap by the library that asked for it.
    #[serde(default)]
    pub heap_usage_by_caller: Vec<HeapUsage>,
}

/// Heap that one library asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeapUsage {
    /// The library.
    pub name: String,
    /// Bytes.
    pub usage_in_bytes: u64,
}
