//! Whether a device is taken, and what was left open on it (design 9).

use std::collections::BTreeSet;

use lineside_interlock::{Standing, Verdict};
use lineside_terms::{
    Blame, DeviceId, Digest, Explain, ManufacturingState, Outcome, RunId, SecurityState, SlotPath, StepId,
    Told, UnitSerial,
};

use sha2::{Digest as _, Sha256};

use super::decide::Fact;
use super::state::{Identity, Run};
use super::{Leave, Line};
use crate::event::Body;
use crate::recipe::Recipe;

/// The code that says that a unit waits for the leave of somebody.
pub(super) const NOT_APPROVED: &str = "run.not-approved";
const VOIDED: &str = "; what was approved before is void since the records were restored from a backup";

/// Why a device is not taken, or why a run does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Hold {
    #[error("device {} is not the one that is meant", device.short())]
    NotMeant { device: DeviceId },
    #[error("device {} answers on slot {other} as well", device.short())]
    Twice { device: DeviceId, other: SlotPath },
    #[error("the device is {state}, which the plan does not take")]
    WrongState { state: ManufacturingState },
    #[error("the device is {state} already, but no run of this station finished it")]
    ForeignComplete { state: ManufacturingState },
    #[error("the device is {state}: run {} of this station brought it there, but did not pass", run.short())]
    CompleteNotPassed { state: ManufacturingState, run: RunId },
    #[error("the device is {state}: run {} of this station finished it, and its software or settings were changed since", run.short())]
    Undone { state: ManufacturingState, run: RunId },
    #[error("the device is {state}, although run {} brought it further", run.short())]
    WentBack { state: ManufacturingState, run: RunId },
    #[error(
        "the device was finished as {serial} of product {product}, which is not the product of this plan"
    )]
    OtherProduct { serial: UnitSerial, product: String },
    #[error("the device is finished as unit {recorded}, not as unit {assigned}")]
    OtherSerial {
        recorded: UnitSerial,
        assigned: UnitSerial,
    },
    #[error("security state is {state}, not SECURE")]
    NotSecure { state: SecurityState },
    #[error("{failed} runs of this device have failed, the limit is {limit}")]
    AttemptLimit { failed: u32, limit: u32 },
    #[error("no unit serial is assigned to this slot")]
    NoSerial,
    #[error("unit serial {serial} belongs to device {} already", device.short())]
    SerialTaken { serial: UnitSerial, device: DeviceId },
    #[error("what became of an irreversible act on this device is unclear")]
    Unclear,
    #[error("the plan was changed while the run was under way")]
    PlanChanged,
    #[error("the plan cannot be followed: {flaw}")]
    Flawed { flaw: &'static str },
    #[error("no step that is left can ever start")]
    Stuck,
    #[error("nothing is to be done with boards yet")]
    NoBatch,
    #[error("the device is locked, and what comes after could not be done")]
    Unfinished,
    #[error("the board was unplugged")]
    Unplugged,
    #[error("somebody asked to stop")]
    Cancelled,
    #[error("it was brought there by hand, without a ready check")]
    ByHand,
    #[error(
        "step {step} of plan {plan} waits for the approval of {people} more in the role {role}{}",
        if *is_voided { VOIDED } else { "" }
    )]
    NotApproved {
        step: StepId,
        plan: Digest,
        role: String,
        people: usize,
        /// It had been approved, before the records were restored.
        is_voided: bool,
    },
}

impl Explain for Hold {
    fn code(&self) -> &'static str {
        match self {
            Self::NotMeant { .. } => "unit.not-meant",
            Self::Twice { .. } => "unit.id-twice",
            Self::WrongState { .. } => "unit.wrong-state",
            Self::ForeignComplete { .. } => "unit.foreign-complete",
            Self::CompleteNotPassed { .. } => "unit.complete-not-passed",
            Self::Undone { .. } => "unit.undone",
            Self::WentBack { .. } => "unit.state-went-back",
            Self::OtherProduct { .. } => "unit.other-product",
            Self::OtherSerial { .. } => "unit.other-serial",
            Self::NotSecure { .. } => "unit.not-secure",
            Self::AttemptLimit { .. } => "unit.attempt-limit",
            Self::NoSerial => "unit.no-serial",
            Self::SerialTaken { .. } => "unit.serial-taken",
            Self::Unclear => "unit.unclear",
            Self::PlanChanged => "run.plan-changed",
            Self::Flawed { .. } => "plan.flawed",
            Self::Stuck => "run.stuck",
            Self::NoBatch => "run.no-batch",
            Self::Unfinished => "run.unfinished",
            Self::Unplugged => "run.unplugged",
            Self::Cancelled => "run.cancelled",
            Self::ByHand => "unit.by-hand",
            Self::NotApproved { .. } => NOT_APPROVED,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NotMeant { .. } => "Put the device back that you confirmed; nothing was written to this one.",
            Self::Twice { .. } => "Set both units aside: two chips never share an id. Check for a cable that is seen twice.",
            Self::WrongState { .. } => "Check that this plan is for such modules; `incoming` in the plan says what it takes.",
            Self::ForeignComplete { .. } => "Set the unit aside and ask where it was finished; nothing was written to it.",
            Self::CompleteNotPassed { .. } => {
                "Set the unit aside: it is locked for good, and the records show what its run found afterwards."
            }
            Self::Undone { .. } => {
                "What was proven of it is not so any more. Load and check it by hand, with its capability file, before it is \
                 shipped; or take it with a plan whose `incoming` names this state."
            }
            Self::WentBack { .. } => {
                "A real device cannot go back: set it aside for analysis. A simulated bench begins anew with each \
                 process: use a new --data folder, or `lineside sim` with --bench at:DIR."
            }
            Self::OtherProduct { .. } => "Put the unit back to its own product, or check that the right plan is running.",
            Self::OtherSerial { .. } => "Correct the list of serials: the records say which unit this device is in.",
            Self::NotSecure { .. } => "Do not ship this device: it is not a production chip.",
            Self::AttemptLimit { .. } => "Send the unit to repair; the records show why its runs failed.",
            Self::NoSerial => "Add a serial for this slot to the file given with --serials.",
            Self::SerialTaken { .. } => "Give this unit a serial of its own; `lineside records list` shows the other.",
            Self::Unclear => "Set the unit aside; a person decides with the records at hand.",
            Self::PlanChanged => "The unit starts again from the beginning with the plan that is in force now.",
            Self::Flawed { .. } | Self::Stuck => "Run `lineside plan check` and correct the order of the steps.",
            Self::NoBatch => "Start a run with a plan.",
            Self::Unfinished => "Run the same command again: the unit goes on where it was.",
            Self::Unplugged => "Plug the board in again: the run goes on where it was.",
            Self::Cancelled => "Run the same command again: the unit goes on where it was.",
            Self::ByHand => "`lineside ready-check` tells whether it is ready to be shipped; no certificate is made of this.",
            Self::NotApproved { is_voided: true, .. } => {
                "The backup does not tell what was spent of it since. Have it approved anew (`lineside approve make`, then \
                 `lineside approve grant`), then run the same command again: the unit goes on where it was."
            }
            Self::NotApproved { .. } => {
                "Have it approved (`lineside approve make`, then `lineside approve grant`), then run the same command \
                 again: the unit goes on where it was."
            }
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Unplugged | Self::NotMeant { .. } => Blame::Board,
            Self::PlanChanged
            | Self::NoSerial
            | Self::SerialTaken { .. }
            | Self::OtherSerial { .. }
            | Self::Flawed { .. }
            | Self::Stuck => Blame::Plan,
            Self::NoBatch | Self::Cancelled | Self::ByHand | Self::NotApproved { .. } => Blame::Station,
            _ => Blame::Device,
        }
    }
}

impl Line {
    /// What is to be done with a device that is known and about which nothing is open.
    pub(super) fn admit(&self, path: &SlotPath, identity: &Identity) -> Vec<Fact> {
        let (state, device) = (&self.state, identity.device);
        let Some(epoch) = state.epoch_of(path) else {
            return Vec::new();
        };
        let hold = |hold: &dyn Explain| {
            let error = Told::of(hold);
            vec![Fact::of_device(path, device, Body::Held { epoch, error })]
        };
        if let Some(other) = state.is_elsewhere(&device, path) {
            let other = other.clone();
            return self.hold_twice(path, Hold::Twice { device, other }, device);
        }
        if let Err(protected) = self.live.protected.check(&device) {
            return hold(&protected);
        }
        match self.live.leaves.get(path) {
            Some(Leave::Refused(error)) => {
                let error = error.clone();
                return vec![Fact::of_device(path, device, Body::Held { epoch, error })];
            }
            Some(Leave::Device(meant)) if *meant != device => return hold(&Hold::NotMeant { device }),
            _ => {}
        }
        let only = state.batch.as_ref().and_then(|batch| batch.only);
        if only.is_some_and(|only| only != device) {
            return hold(&Hold::NotMeant { device });
        }
        let open = state.open_run(&device);
        if let Some((id, run)) = open {
            let facts = self.left_unsaid(path, *id, run);
            if !facts.is_empty() {
                return facts;
            }
        }
        if let Some(run) = self.went_back(identity) {
            let state = identity.state;
            return hold(&Hold::WentBack { state, run });
        }
        if state.is_cancelled {
            return match open {
                // Only the last word is missing: it says what is so already.
                Some((id, run)) if run.is_done() => self.go_on(path, *id, run),
                Some((id, _)) => {
                    let error = Told::of(&Hold::Cancelled);
                    vec![Fact::of_run(path, device, *id, Body::RunInterrupted { error })]
                }
                None => hold(&Hold::Cancelled),
            };
        }
        let (Some(recipe), Some(batch)) = (state.current(), state.batch.as_ref()) else {
            return hold(&Hold::NoBatch);
        };
        if let Some(flaw) = flaw(recipe) {
            return hold(&Hold::Flawed { flaw });
        }
        let mut facts = Vec::new();
        if let Some((id, run)) = open {
            if run.plan == recipe.plan {
                return self.go_on(path, *id, run);
            }
            let error = Some(Told::of(&Hold::PlanChanged));
            let outcome = Outcome::Skipped;
            facts.push(Fact::of_run(path, device, *id, Body::RunEnded { outcome, error }));
        }
        let body = match self.start_or_hold(identity, recipe, batch.serials.get(path)) {
            Ok(Taken::Start { serial, attempt }) => Body::RunStarted {
                serial,
                plan: recipe.plan,
                attempt,
                predecessor: state.devices.get(&device).and_then(|known| known.last_run),
                incoming: identity.state,
                epoch,
            },
            Ok(Taken::Complete { earlier, serial }) => Body::AlreadyComplete {
                epoch,
                earlier,
                serial,
            },
            Err(reason) => Body::Held {
                epoch,
                error: Told::of(&reason),
            },
        };
        let run = match &body {
            // Unique without asking anybody for randomness: the start of the program is, and so is the event.
            Body::RunStarted { .. } => Some(self.run_id(state.last_sequence() + 1 + facts.len() as u64)),
            _ => None,
        };
        facts.push(Fact {
            slot: Some(path.clone()),
            device: Some(device),
            run,
            body,
        });
        facts
    }

    /// One id on two sockets: the second is not taken, and whatever goes on with the first must not go on, because
    /// nobody knows which of the two it reaches.
    fn hold_twice(&self, path: &SlotPath, twice: Hold, device: DeviceId) -> Vec<Fact> {
        let error = Told::of(&twice);
        let mut facts = Vec::new();
        if let Some(epoch) = self.state.epoch_of(path) {
            let error = error.clone();
            facts.push(Fact::of_device(path, device, Body::Held { epoch, error }));
        }
        if let Some((run, there)) = self.state.open_run(&device).filter(|(_, there)| there.is_going()) {
            let body = Body::RunInterrupted { error };
            facts.push(Fact::of_run(&there.slot, device, *run, body));
        }
        facts
    }

    /// An open run goes on with the first step that has not passed.
    fn go_on(&self, path: &SlotPath, id: RunId, run: &Run) -> Vec<Fact> {
        let (Some(epoch), steps) = (self.state.epoch_of(path), &self.state.recipe_of(run).steps) else {
            return Vec::new();
        };
        let open = run.steps.iter().position(|step| !step.is_good());
        let Some(step) = open.map_or(steps.last(), |index| steps.get(index)) else {
            return Vec::new();
        };
        let step = step.id.clone();
        vec![Fact::of_run(
            path,
            run.device,
            id,
            Body::RunContinued { epoch, step },
        )]
    }

    fn run_id(&self, sequence: u64) -> RunId {
        let hash = Sha256::new()
            .chain_update(self.boot.as_bytes())
            .chain_update(sequence.to_be_bytes())
            .finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        RunId::from_bytes(bytes)
    }

    fn start_or_hold(
        &self,
        identity: &Identity,
        recipe: &Recipe,
        assigned: Option<&UnitSerial>,
    ) -> Result<Taken, Hold> {
        let state = &self.state;
        let (device, now) = (identity.device, identity.state);
        let known = state.devices.get(&device);
        let passed = known.and_then(|known| known.passed.as_ref());
        if now >= recipe.target {
            // Only a pass that led to where this plan leads says that nothing is left to do.
            if let Some(passed) = passed.filter(|passed| passed.target >= recipe.target) {
                if passed.product != recipe.product {
                    let (serial, product) = (passed.serial.clone(), passed.product.clone());
                    return Err(Hold::OtherProduct { serial, product });
                }
                if let Some(assigned) = assigned.filter(|assigned| **assigned != passed.serial) {
                    let (recorded, assigned) = (passed.serial.clone(), assigned.clone());
                    return Err(Hold::OtherSerial { recorded, assigned });
                }
                if passed.undone.is_none() {
                    return Ok(Taken::Complete {
                        earlier: passed.run,
                        serial: passed.serial.clone(),
                    });
                }
                if !recipe.incoming.contains(&now) {
                    let run = passed.run;
                    return Err(Hold::Undone { state: now, run });
                }
            } else if let Some(run) = self.brought(identity) {
                return Err(Hold::CompleteNotPassed { state: now, run });
            }
            // A plan that changes no state takes devices that are in its last state from the beginning.
            if !recipe.incoming.contains(&now) {
                return Err(Hold::ForeignComplete { state: now });
            }
        }
        if let Some(passed) = passed.filter(|passed| passed.target > now) {
            let run = passed.run;
            return Err(Hold::WentBack { state: now, run });
        }
        let mut acts = state.ledger.of(&device);
        if acts.any(|(_, standing)| standing == Standing::Decided(Verdict::Unclear)) {
            return Err(Hold::Unclear);
        }
        if identity.security != SecurityState::Secure {
            return Err(Hold::NotSecure {
                state: identity.security,
            });
        }
        if !recipe.incoming.contains(&now) {
            return Err(Hold::WrongState { state: now });
        }
        let failed = known.map_or(0, |known| known.failed);
        if failed >= recipe.attempt_limit {
            return Err(Hold::AttemptLimit {
                failed,
                limit: recipe.attempt_limit,
            });
        }
        let serial = assigned.ok_or(Hold::NoSerial)?.clone();
        if let Some(owner) = state.serials.get(&serial).filter(|owner| **owner != device) {
            return Err(Hold::SerialTaken {
                serial,
                device: *owner,
            });
        }
        let attempt = known.map_or(0, |known| known.attempts).saturating_add(1);
        Ok(Taken::Start { serial, attempt })
    }

    /// The run of this station that saw a device further than it says to be now, if one did.
    fn went_back(&self, identity: &Identity) -> Option<RunId> {
        let mut acts = self.state.ledger.of(&identity.device);
        acts.find(|(intent, standing)| {
            *standing == Standing::Decided(Verdict::Confirmed) && intent.key.target > identity.state
        })
        .map(|(intent, _)| intent.run)
    }

    /// The run of this station that brought a device to the state in which it is, if one did.
    fn brought(&self, identity: &Identity) -> Option<RunId> {
        let acts = self.state.ledger.of(&identity.device);
        acts.filter(|(intent, standing)| {
            *standing == Standing::Decided(Verdict::Confirmed) && intent.key.target == identity.state
        })
        .map(|(intent, _)| intent.run)
        .next()
    }
}

/// How a device is taken that is not held.
enum Taken {
    Start { serial: UnitSerial, attempt: u32 },
    Complete { earlier: RunId, serial: UnitSerial },
}

/// What makes a recipe impossible to follow. The plan checker refuses such plans long before.
fn flaw(recipe: &Recipe) -> Option<&'static str> {
    let ids: BTreeSet<_> = recipe.steps.iter().map(|step| &step.id).collect();
    if recipe.steps.is_empty() {
        Some("it has no steps")
    } else if ids.len() != recipe.steps.len() {
        Some("two steps have one name")
    } else {
        None
    }
}
