//! What happened: the one stream that the journal keeps and every screen, record and export is made from.
//!
//! An event is a fact, written down before anything is done because of it. Its stored form is JSON; readers ignore
//! fields they do not know and refuse a [`VERSION`] they do not know.

use std::collections::BTreeMap;

use lineside_interlock::{Check, EpochCause, Grant, Intent, Look, OnceKey, Verdict};
use lineside_terms::{
    BootId, DeviceId, Digest, Epoch, ManufacturingState, Outcome, RunId, SecurityState, SlotPath, Stamp,
    StationName, StepId, Told, UnitSerial,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::order::Order;
use crate::recipe::Recipe;

/// Version of the stored form. It grows only when an older reader would misunderstand.
pub const VERSION: u16 = 1;

/// One fact with its circumstances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Version of this form: [`VERSION`].
    pub version: u16,
    /// Counts from 1 without gaps over the whole journal.
    pub sequence: u64,
    /// The station that wrote it.
    pub station: StationName,
    /// The start of the program that wrote it.
    pub boot: BootId,
    /// When it was decided.
    pub at: Stamp,
    /// Pseudonymous id of the operator, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Shift, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<String>,
    /// Work order, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_order: Option<String>,
    /// The socket it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotPath>,
    /// The device it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The run it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// Who works, for the envelope of every event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Shift {
    /// Pseudonymous id of the operator.
    pub operator: Option<String>,
    /// Name of the shift.
    pub shift: Option<String>,
    /// Work order.
    pub work_order: Option<String>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "body", rename_all = "kebab-case")]
pub enum Body {
    /// The program started; everything that was under way before is only known from the journal.
    StationStarted {
        /// Version of the program.
        program: String,
        /// The bench as it was named.
        bench: String,
    },
    /// A plan is in force from here on, whole, so that old runs can be read without the file.
    PlanAdopted {
        /// What the engine needs of it.
        recipe: Box<Recipe>,
    },
    /// A tray of boards is to be taken through the plan.
    BatchStarted {
        /// The plan in force.
        plan: Digest,
        /// Which unit serial belongs to which socket.
        serials: BTreeMap<SlotPath, UnitSerial>,
        /// How many units must pass, if the caller said so.
        expected: Option<u32>,
        /// The only device that is meant, if somebody named one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<DeviceId>,
    },
    /// What somebody ordered, for who goes on with it after the program ended.
    Ordered {
        /// The order.
        order: Box<Order>,
    },
    /// A new epoch of a socket: a board is there, or was reset, or came back.
    BoardSeen {
        /// The new epoch.
        epoch: Epoch,
        /// Why it began.
        cause: EpochCause,
    },
    /// The board left.
    BoardGone {
        /// The epoch that ended.
        epoch: Epoch,
    },
    /// A device answered on a verified connection and said who it is.
    Identified {
        /// Under which epoch.
        epoch: Epoch,
        /// Manufacturing state.
        state: ManufacturingState,
        /// Security state.
        security: SecurityState,
    },
    /// Nothing sensible answered on the board.
    Unresponsive {
        /// Under which epoch.
        epoch: Epoch,
        /// What was seen and what to do.
        error: Told,
    },
    /// The device is not taken; nothing was written to it.
    Held {
        /// Under which epoch.
        epoch: Epoch,
        /// Why, and what to do.
        error: Told,
    },
    /// The device was finished by an earlier run of this station.
    AlreadyComplete {
        /// Under which epoch.
        epoch: Epoch,
        /// The run that finished it.
        earlier: RunId,
        /// The unit that it is in.
        serial: UnitSerial,
    },
    /// A run began.
    RunStarted {
        /// The unit.
        serial: UnitSerial,
        /// The plan.
        plan: Digest,
        /// First, second… run of this device through this product's plans.
        attempt: u32,
        /// The run before, if any.
        predecessor: Option<RunId>,
        /// The state that the device arrived in.
        incoming: ManufacturingState,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// A run goes on under a new epoch.
    RunContinued {
        /// The new epoch.
        epoch: Epoch,
        /// The step that it goes on with.
        step: StepId,
    },
    /// A step began.
    StepStarted {
        /// The step.
        step: StepId,
        /// First, second… try in this run.
        attempt: u32,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// A step ended.
    StepEnded {
        /// The step.
        step: StepId,
        /// Which try.
        attempt: u32,
        /// How.
        outcome: Outcome,
        /// What was measured.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        measurements: Vec<Measurement>,
        /// What went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Told>,
        /// What is worth knowing, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The device was compared with what it must be.
    Judged {
        /// The step that asked for it.
        step: StepId,
        /// Every check.
        checks: Vec<Check>,
        /// The worst of them.
        outcome: Outcome,
        /// Digest of the facts.
        facts: Digest,
    },
    /// Something irreversible is about to be sent.
    Intended {
        /// What exactly.
        intent: Intent,
        /// The ids of the approvals that this spends one unit of each; none where nobody's leave is needed, or when this
        /// run has spent its share.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvals: Vec<String>,
    },
    /// The device did not plainly confirm; it must be asked in a new epoch.
    ActUnclear {
        /// The act.
        key: OnceKey,
        /// What was seen.
        error: Told,
    },
    /// What became of an intent.
    Decided {
        /// The act.
        key: OnceKey,
        /// What became of it.
        verdict: Verdict,
        /// The look that decided it.
        look: Look,
    },
    /// The run stops here for now and can go on later.
    RunInterrupted {
        /// Why, and what to do.
        error: Told,
    },
    /// A run ended for good.
    RunEnded {
        /// How.
        outcome: Outcome,
        /// The first thing that went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Told>,
    },
    /// The device's OS is written anew: from now on it may be erased. Nothing was answered to it before this was durable.
    RecoveryBegun {
        /// The recovery set.
        set: Digest,
        /// The OS that it holds, if a list says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        os: Option<String>,
    },
    /// A recovery came to its end.
    RecoveryEnded {
        /// How the device is left.
        outcome: RecoveryOutcome,
        /// The OS that it said it runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        os: Option<String>,
        /// What went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Told>,
    },
    /// Something was written to a device by hand, outside of any run. The time is that of its beginning, and the start of
    /// the program is that of the command; it stands here once the next command opened the journal.
    HandWrite {
        /// What: the words of the command.
        verb: String,
        /// How it ended.
        outcome: HandOutcome,
        /// What the device passed before counts no more: its software or settings are not what was proven.
        #[serde(default)]
        is_undoing: bool,
        /// What went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Told>,
    },
    /// Somebody asked everything to stop.
    CancelAsked,
    /// Somebody gave leave for a number of units.
    Approved {
        /// The leave.
        grant: Grant,
        /// What was signed, as the approver sealed it: whoever wants to can check it again.
        proof: String,
    },
    /// The journal was put back from a backup: what happened since then is not in it, and every quota is void.
    Restored {
        /// The last event that was in the backup.
        sequence: u64,
        /// Its hash.
        hash: Digest,
    },
}

/// How something ended that was written by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HandOutcome {
    /// It was done.
    Done,
    /// The device refused, and is as it was.
    Refused,
    /// It failed, or nobody was left to say how it ended: the device may have taken it, or a part of it.
    Unclear,
}

/// How a recovery leaves a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecoveryOutcome {
    /// It runs the new OS and says who it is.
    Recovered,
    /// Nothing was erased: it is as it was.
    Untouched,
    /// It was erased, or may have been: it works again only after a recovery.
    NeedsRecovery,
    /// Everything was written, and it does not answer as it should: nobody can say how it is.
    Unknown,
}

impl Body {
    /// The word under which this kind is stored.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::StationStarted { .. } => "station-started",
            Self::PlanAdopted { .. } => "plan-adopted",
            Self::BatchStarted { .. } => "batch-started",
            Self::Ordered { .. } => "ordered",
            Self::BoardSeen { .. } => "board-seen",
            Self::BoardGone { .. } => "board-gone",
            Self::Identified { .. } => "identified",
            Self::Unresponsive { .. } => "unresponsive",
            Self::Held { .. } => "held",
            Self::AlreadyComplete { .. } => "already-complete",
            Self::RunStarted { .. } => "run-started",
            Self::RunContinued { .. } => "run-continued",
            Self::StepStarted { .. } => "step-started",
            Self::StepEnded { .. } => "step-ended",
            Self::Judged { .. } => "judged",
            Self::Intended { .. } => "intended",
            Self::ActUnclear { .. } => "act-unclear",
            Self::Decided { .. } => "decided",
            Self::RunInterrupted { .. } => "run-interrupted",
            Self::RunEnded { .. } => "run-ended",
            Self::RecoveryBegun { .. } => "recovery-begun",
            Self::RecoveryEnded { .. } => "recovery-ended",
            Self::HandWrite { .. } => "hand-write",
            Self::CancelAsked => "cancel-asked",
            Self::Approved { .. } => "approved",
            Self::Restored { .. } => "restored",
        }
    }
}

/// A named value with its unit and what it must satisfy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// What was measured.
    pub name: String,
    /// The value; `None` when what came was not a finite number.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// Smallest good value.
    pub min: Option<f64>,
    /// Greatest good value.
    pub max: Option<f64>,
    /// How it compares.
    pub outcome: Outcome,
}
