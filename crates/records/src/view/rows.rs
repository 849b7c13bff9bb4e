//! What the view answers with. These are also the documents of exports: fields are added, never changed.

use lineside_flow::interlock::{Check, OnceKey, Verdict};
use lineside_flow::{HandOutcome, Measurement};
use lineside_terms::{
    ClockTrust, DeviceId, Digest, ManufacturingState, Outcome, RunId, SecurityState, SlotPath, StepId, Told,
    UnitSerial,
};
use serde::{Deserialize, Serialize};

/// Which runs are asked for. The default asks for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// Only this device: its id, or how its id ends, as hex digits.
    pub device: Option<String>,
    /// Only this unit.
    pub serial: Option<UnitSerial>,
    /// Only on this socket.
    pub slot: Option<SlotPath>,
    /// Only with this outcome.
    pub outcome: Option<Outcome>,
    /// Only those that began then or later: milliseconds since 1970-01-01 UTC.
    pub since_ms: Option<i64>,
    /// Only so many of the newest.
    pub limit: Option<u32>,
}

/// A run in one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its id.
    pub run: RunId,
    /// The device.
    pub device: DeviceId,
    /// The unit.
    pub serial: UnitSerial,
    /// The socket that it began on.
    pub slot: Option<SlotPath>,
    /// Hash of the plan and all that it refers to.
    pub plan: Digest,
    /// The product that the plan is for, if the plan is in the journal.
    pub product: Option<String>,
    /// First, second… run of this device.
    pub attempt: u32,
    /// The run before.
    pub predecessor: Option<RunId>,
    /// The state that the device arrived in.
    pub incoming: ManufacturingState,
    /// When it began: RFC 3339, UTC.
    pub started: String,
    /// When it ended, if it did.
    pub ended: Option<String>,
    /// How far these times can be believed: the worst of both.
    pub clock: ClockTrust,
    /// How it ended; absent while it is open.
    pub outcome: Option<Outcome>,
    /// Pseudonymous id of the operator who began it.
    pub operator: Option<String>,
    /// Shift.
    pub shift: Option<String>,
    /// Work order.
    pub work_order: Option<String>,
    /// What ended it, if it was an error.
    pub error: Option<Told>,
    /// When the software and settings that passed in it were lost, because the device's OS was
    /// written anew or something was written to it by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<String>,
}

/// One try of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its name in the plan.
    pub step: StepId,
    /// What it does, for people.
    pub label: Option<String>,
    /// Which try.
    pub attempt: u32,
    /// When it began.
    pub started: Option<String>,
    /// When it ended, if it did.
    pub ended: Option<String>,
    /// How; absent while it is open, or when the program ended in it.
    pub outcome: Option<Outcome>,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// What is worth knowing.
    pub note: Option<String>,
    /// What went wrong.
    pub error: Option<Told>,
}

/// A comparison of the device with what it must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgementRecord {
    /// Number of its event.
    pub sequence: u64,
    /// When.
    pub at: String,
    /// The step that asked for it.
    pub step: StepId,
    /// The worst of all checks.
    pub outcome: Outcome,
    /// Digest of what was read.
    pub facts: Digest,
    /// Every check.
    pub checks: Vec<Check>,
}

/// Something irreversible that was decided, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentRecord {
    /// The act.
    pub key: OnceKey,
    /// Number of its event.
    pub sequence: u64,
    /// When it was written down.
    pub at: String,
    /// The run that decided it.
    pub run: RunId,
    /// The socket.
    pub slot: Option<SlotPath>,
    /// The state that it started from.
    pub from: ManufacturingState,
    /// Digest of the facts that proved readiness.
    pub proof: Digest,
    /// What became of it; absent while nobody knows.
    pub verdict: Option<Verdict>,
    /// When that was decided.
    pub decided: Option<String>,
}

/// Something that went wrong outside the end of a step or run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Number of its event.
    pub sequence: u64,
    /// When.
    pub at: String,
    /// Kind of its event: `unresponsive`, `held`, `run-interrupted`, `act-unclear`.
    pub kind: String,
    /// The socket.
    pub slot: Option<SlotPath>,
    /// The device, if it was known.
    pub device: Option<DeviceId>,
    /// What, and what to do.
    pub error: Told,
}

/// A run whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run in one line.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// Every try of every step, in the order in which they began.
    pub steps: Vec<StepRecord>,
    /// Every comparison with what the device must be.
    pub judgements: Vec<JudgementRecord>,
    /// Every irreversible intent and what became of it.
    pub intents: Vec<IntentRecord>,
    /// What went wrong in between.
    pub incidents: Vec<Incident>,
}

/// A device as this station knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Its id.
    pub device: DeviceId,
    /// When it was first seen: RFC 3339, UTC.
    pub first_seen: String,
    /// When it was last seen.
    pub last_seen: String,
    /// Where it was last seen.
    pub slot: Option<SlotPath>,
    /// The state that it last showed.
    pub state: Option<ManufacturingState>,
    /// What it last said of its security.
    pub security: Option<SecurityState>,
    /// The unit of its latest run.
    pub serial: Option<UnitSerial>,
    /// The run of this station that finished it, confirmed by the device itself.
    pub complete_run: Option<RunId>,
}

/// Something that was written to a device by hand, outside of runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HandRecord {
    /// Its event.
    pub sequence: u64,
    /// When it began, RFC 3339.
    pub at: String,
    /// Pseudonymous id of whoever did it, if one is known.
    pub operator: Option<String>,
    /// Where the device was.
    pub slot: Option<SlotPath>,
    /// The device.
    pub device: DeviceId,
    /// What: the words of the command.
    pub verb: String,
    /// How it ended.
    pub outcome: HandOutcome,
    /// What the device passed before counts no more.
    pub is_undoing: bool,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Told>,
}
