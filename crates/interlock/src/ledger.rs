//! The ledger of irreversible acts: what was intended, what came of it, and who may act now.

use std::collections::BTreeMap;
use std::fmt;

use lineside_terms::{Blame, DeviceId, Digest, Epoch, Explain, Instant, ManufacturingState, RunId, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::Approved;
use crate::facts::Look;
use crate::judge::ReadyProof;
use crate::permit::{PERMIT_LIFE, Permit, Receipt};

/// Kinds of irreversible act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Bringing the device to a later manufacturing state.
    StateChange,
}

/// Names one act: the same key can be intended only once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct OnceKey {
    /// What is done.
    pub verb: Verb,
    /// To which device.
    pub device: DeviceId,
    /// What it becomes.
    pub target: ManufacturingState,
    /// Grows by one each time an earlier intent for the same act was disproved.
    pub generation: u32,
}

impl fmt::Display for OnceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of device {} (intent {})",
            self.target,
            self.device.short(),
            self.generation
        )
    }
}

/// The decision to act, written down before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Intent {
    /// The act.
    pub key: OnceKey,
    /// The run that decided it.
    pub run: RunId,
    /// The plan that the run follows, with all that it refers to.
    pub plan: Digest,
    /// The epoch in which it is to happen.
    pub epoch: Epoch,
    /// The state from which it starts.
    pub from: ManufacturingState,
    /// Digest of the facts that prove readiness.
    pub proof: Digest,
}

/// What became of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The device was seen in the target state.
    Confirmed,
    /// It was seen in the old state when nothing could be in flight any more.
    Disproved,
    /// Nobody can say: a person decides.
    Unclear,
}

/// Where an intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// No verdict yet: the device must be asked.
    Open,
    /// Decided.
    Decided(Verdict),
}

/// A history that cannot have happened: the journal was damaged, mixed up or edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalHistory {
    /// A second intent for an act whose first was not disproved.
    #[error("a second intent for {key} although the first was not disproved")]
    SecondIntent {
        /// The act.
        key: OnceKey,
    },
    /// A verdict about something that nobody intended.
    #[error("a verdict for {key}, which nobody intended")]
    NoIntent {
        /// The act.
        key: OnceKey,
    },
    /// A verdict on top of a different final verdict.
    #[error("a second verdict for {key}")]
    SecondVerdict {
        /// The act.
        key: OnceKey,
    },
}

/// Why the ledger does not let somebody act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An earlier intent for the same act has no verdict yet.
    #[error("whether {key} happened is not known yet")]
    Unresolved {
        /// The earlier act.
        key: OnceKey,
    },
    /// The act is done.
    #[error("{key} is done already")]
    Done {
        /// The earlier act.
        key: OnceKey,
    },
    /// What happened is unclear and a person must decide.
    #[error("what became of {key} is unclear")]
    Unclear {
        /// The earlier act.
        key: OnceKey,
    },
    /// The act does not lead forward from the proven state.
    #[error("{target} does not come after {from}")]
    NotForward {
        /// The proven state.
        from: ManufacturingState,
        /// The state that was asked for.
        target: ManufacturingState,
    },
    /// The intent is not durable, or was made before this start of the program.
    #[error("the intent for {key} is not durable, or not of this start of the program")]
    NotDurable {
        /// The act.
        key: OnceKey,
    },
    /// Proof, look and intent do not speak of the same thing.
    #[error("proof, look and intent do not belong together: {what} differs")]
    Mismatch {
        /// What differs.
        what: &'static str,
    },
    /// The look is too old.
    #[error("the look at the device is too old to act on")]
    Stale,
    /// The plan asks for somebody's leave, and none is spent for this run.
    #[error("no approval is spent for the step {step}")]
    NotApproved {
        /// The step.
        step: StepId,
    },
}

impl Explain for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Unresolved { .. } => "interlock.unresolved",
            Self::Done { .. } => "interlock.done",
            Self::Unclear { .. } => "interlock.unclear",
            Self::NotForward { .. } => "interlock.not-forward",
            Self::NotDurable { .. } => "interlock.not-durable",
            Self::Mismatch { .. } => "interlock.mismatch",
            Self::Stale => "interlock.stale",
            Self::NotApproved { .. } => "interlock.not-approved",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unresolved { .. } => {
                "Attach the device again: it is asked what happened before anything is sent.".into()
            }
            Self::Done { .. } => "Nothing is to be done: see the run in the records.".into(),
            Self::Unclear { .. } => "Set the unit aside; a person decides with the records at hand.".into(),
            Self::NotForward { .. } => "Correct `final` in the plan: states only move forward.".into(),
            Self::NotDurable { .. } | Self::Mismatch { .. } | Self::Stale | Self::NotApproved { .. } => {
                "Nothing was sent. Run the unit again; if it comes back, report it with the journal.".into()
            }
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Unresolved { .. } | Self::Done { .. } | Self::Unclear { .. } => Blame::Device,
            Self::NotForward { .. } => Blame::Plan,
            Self::NotDurable { .. } | Self::Mismatch { .. } | Self::Stale | Self::NotApproved { .. } => {
                Blame::Station
            }
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    intent: Intent,
    standing: Standing,
    /// Sequence number of the intent's event, if it was written by this start of the program. It is not kept: an intent
    /// that was read back can never become a permit.
    #[serde(skip)]
    written_as: Option<u64>,
    /// A permit was handed out for it.
    #[serde(skip)]
    is_permitted: bool,
}

/// Which acts were intended and what became of them: a fold over the journal. It can be kept as a list of the intents and
/// where they stand.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ledger {
    /// The latest intent for each act; earlier generations are disproved by construction.
    #[serde(with = "by_act")]
    acts: BTreeMap<(DeviceId, Verb, ManufacturingState), Entry>,
}

/// The map of acts as a list: a key is a part of what it stands for.
mod by_act {
    use std::collections::BTreeMap;

    use lineside_terms::{DeviceId, ManufacturingState};
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Entry, Verb};

    type Acts = BTreeMap<(DeviceId, Verb, ManufacturingState), Entry>;

    pub(super) fn serialize<S: Serializer>(acts: &Acts, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(acts.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Acts, D::Error> {
        let entries = Vec::<Entry>::deserialize(deserializer)?;
        let keyed = entries.into_iter().map(|entry| {
            let key = entry.intent.key;
            ((key.device, key.verb, key.target), entry)
        });
        Ok(keyed.collect())
    }
}

impl Ledger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// The intent that may be written down now. It changes nothing.
    ///
    /// # Errors
    /// When an earlier intent for the same act stands in the way, or the act does not lead forward.
    pub fn propose(
        &self,
        verb: Verb,
        target: ManufacturingState,
        proof: &ReadyProof,
    ) -> Result<Intent, Refusal> {
        if target <= proof.state || proof.state == ManufacturingState::Unknown {
            return Err(Refusal::NotForward {
                from: proof.state,
                target,
            });
        }
        let generation = match self.acts.get(&(proof.device, verb, target)) {
            None => 1,
            Some(entry) => {
                let key = entry.intent.key;
                match entry.standing {
                    Standing::Open => return Err(Refusal::Unresolved { key }),
                    Standing::Decided(Verdict::Confirmed) => return Err(Refusal::Done { key }),
                    Standing::Decided(Verdict::Unclear) => return Err(Refusal::Unclear { key }),
                    Standing::Decided(Verdict::Disproved) => key.generation + 1,
                }
            }
        };
        Ok(Intent {
            key: OnceKey {
                verb,
                device: proof.device,
                target,
                generation,
            },
            run: proof.run,
            plan: proof.plan,
            epoch: proof.epoch,
            from: proof.state,
            proof: proof.digest,
        })
    }

    /// Folds in an intent. `written_as` is its sequence number when this start of the program writes it, `None` when
    /// it is read back: an intent that was read back can never become a permit.
    ///
    /// # Errors
    /// When the history is impossible.
    pub fn record_intent(&mut self, intent: &Intent, written_as: Option<u64>) -> Result<(), IllegalHistory> {
        let key = intent.key;
        let place = (key.device, key.verb, key.target);
        let is_next = match self.acts.get(&place) {
            None => key.generation == 1,
            Some(entry) => {
                entry.standing == Standing::Decided(Verdict::Disproved)
                    && key.generation == entry.intent.key.generation + 1
            }
        };
        if !is_next {
            return Err(IllegalHistory::SecondIntent { key });
        }
        let entry = Entry {
            intent: *intent,
            standing: Standing::Open,
            written_as,
            is_permitted: false,
        };
        self.acts.insert(place, entry);
        Ok(())
    }

    /// Folds in a verdict. The same verdict twice is accepted; *unclear* may later be cleared up.
    ///
    /// # Errors
    /// When the history is impossible.
    pub fn record_verdict(&mut self, key: &OnceKey, verdict: Verdict) -> Result<(), IllegalHistory> {
        let entry = self
            .acts
            .get_mut(&(key.device, key.verb, key.target))
            .filter(|entry| entry.intent.key == *key)
            .ok_or(IllegalHistory::NoIntent { key: *key })?;
        match entry.standing {
            Standing::Decided(earlier) if earlier != verdict && earlier != Verdict::Unclear => {
                return Err(IllegalHistory::SecondVerdict { key: *key });
            }
            _ => entry.standing = Standing::Decided(verdict),
        }
        Ok(())
    }

    /// The one permit for an intent.
    ///
    /// # Errors
    /// When the intent is not durable or not of this start of the program, has a verdict or a permit already, or when
    /// proof, look, approval and intent do not belong together or are too old.
    pub fn permit(
        &mut self,
        key: &OnceKey,
        receipt: &Receipt,
        look: &Look,
        proof: ReadyProof,
        approved: Approved,
        now: Instant,
    ) -> Result<Permit, Refusal> {
        let entry = self
            .acts
            .get_mut(&(key.device, key.verb, key.target))
            .filter(|entry| entry.intent.key == *key)
            .ok_or(Refusal::NotDurable { key: *key })?;
        match entry.standing {
            Standing::Open => {}
            Standing::Decided(Verdict::Confirmed) => return Err(Refusal::Done { key: *key }),
            Standing::Decided(_) => return Err(Refusal::Unclear { key: *key }),
        }
        if entry.is_permitted {
            return Err(Refusal::Unresolved { key: *key });
        }
        if entry.written_as.is_none_or(|sequence| sequence > receipt.through) {
            return Err(Refusal::NotDurable { key: *key });
        }
        let intent = &entry.intent;
        let differs = [
            (proof.device != key.device || look.device != key.device, "device"),
            (proof.epoch != intent.epoch || look.epoch != intent.epoch, "epoch"),
            (proof.run != intent.run, "run"),
            (proof.plan != intent.plan, "plan"),
            (
                approved.run != intent.run || approved.plan != intent.plan,
                "approval",
            ),
            (proof.digest != intent.proof, "facts"),
            (
                look.state != intent.from || proof.state != intent.from,
                "manufacturing state",
            ),
        ];
        if let Some((_, what)) = differs.into_iter().find(|(differs, _)| *differs) {
            return Err(Refusal::Mismatch { what });
        }
        let expires = look.taken_at.min(proof.taken_at) + PERMIT_LIFE;
        if now >= expires {
            return Err(Refusal::Stale);
        }
        entry.is_permitted = true;
        Ok(Permit {
            key: *key,
            epoch: proof.epoch,
            session: proof.session,
            writes: proof.writes,
            uptime_s: proof.uptime_s,
            from: proof.state,
            expires,
        })
    }

    /// What a look says about an open or unclear intent for that device: the verdict that may be recorded, or `None`
    /// when the look cannot decide. A look never disproves anything in the epoch of the intent, nor in one that began
    /// while something could still be in flight.
    pub fn verdict(&self, key: &OnceKey, look: &Look) -> Option<Verdict> {
        let entry = self
            .acts
            .get(&(key.device, key.verb, key.target))
            .filter(|entry| entry.intent.key == *key)?;
        if look.device != key.device
            || matches!(
                entry.standing,
                Standing::Decided(Verdict::Confirmed | Verdict::Disproved)
            )
        {
            return None;
        }
        if look.state >= key.target {
            return Some(Verdict::Confirmed);
        }
        let is_over = look.epoch > entry.intent.epoch && look.cause.is_clean();
        (is_over && look.state == entry.intent.from).then_some(Verdict::Disproved)
    }

    /// The latest intent for a device towards any target, with where it stands.
    pub fn of(&self, device: &DeviceId) -> impl Iterator<Item = (&Intent, Standing)> {
        let from = (*device, Verb::StateChange, ManufacturingState::Unknown);
        self.acts
            .range(from..)
            .take_while(move |((id, ..), _)| id == device)
            .map(|(_, entry)| (&entry.intent, entry.standing))
    }

    /// Intents without a final verdict: open or unclear.
    pub fn unresolved(&self) -> impl Iterator<Item = (&Intent, Standing)> {
        self.acts
            .values()
            .filter(|entry| {
                matches!(
                    entry.standing,
                    Standing::Open | Standing::Decided(Verdict::Unclear)
                )
            })
            .map(|entry| (&entry.intent, entry.standing))
    }
}
