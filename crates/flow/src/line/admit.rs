//! Whether a device is taken, and what was left open on it (design 9).

use std::rc::Rc;

use lineside_terms::{
    Blame, DeviceId, Explain, ManufacturingState, RunId, SecurityState, SlotPath, Told, UnitSerial,
};

use super::Line;
use super::decide::Fact;
use super::state::{Identity, State};
use crate::event::Body;
use crate::recipe::Recipe;

/// Why a device is not taken, or why a run does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Hold {
    #[error("device {} answers on slot {other} as well", device.short())]
    Twice { device: DeviceId, other: SlotPath },
    #[error("the device is {state}, which the plan does not take")]
    WrongState { state: ManufacturingState },
    #[error("the device is {state} already, but no run of this station finished it")]
    ForeignComplete { state: ManufacturingState },
    #[error("the device is {state}, although run {} finished it", run.short())]
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
    #[error("nothing is to be done with boards yet")]
    NoBatch,
    #[error("the board was unplugged")]
    Unplugged,
    #[error("somebody asked to stop")]
    Cancelled,
}

impl Explain for Hold {
    fn code(&self) -> &'static str {
        match self {
            Self::Twice { .. } => "unit.id-twice",
            Self::WrongState { .. } => "unit.wrong-state",
            Self::ForeignComplete { .. } => "unit.foreign-complete",
            Self::WentBack { .. } => "unit.state-went-back",
            Self::OtherProduct { .. } => "unit.other-product",
            Self::OtherSerial { .. } => "unit.other-serial",
            Self::NotSecure { .. } => "unit.not-secure",
            Self::AttemptLimit { .. } => "unit.attempt-limit",
            Self::NoSerial => "unit.no-serial",
            Self::SerialTaken { .. } => "unit.serial-taken",
            Self::Unclear => "unit.unclear",
            Self::PlanChanged => "run.plan-changed",
            Self::NoBatch => "run.no-batch",
            Self::Unplugged => "run.unplugged",
            Self::Cancelled => "run.cancelled",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Twice { .. } => "Set both units aside: two chips never share an id. Check for a cable that is seen twice.",
            Self::WrongState { .. } => "Check that this plan is for such modules; `incoming` in the plan says what it takes.",
            Self::ForeignComplete { .. } => "Set the unit aside and ask where it was finished; nothing was written to it.",
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
            Self::NoBatch => "Start a run with a plan.",
            Self::Unplugged => "Plug the board in again: the run goes on where it was.",
            Self::Cancelled => "Run the same command again: the unit goes on where it was.",
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Unplugged => Blame::Board,
            Self::PlanChanged | Self::NoSerial | Self::SerialTaken { .. } | Self::OtherSerial { .. } => {
                Blame::Plan
            }
            Self::NoBatch | Self::Cancelled => Blame::Station,
            _ => Blame::Device,
        }
    }
}

impl Line {
    /// What is to be done with a device that is known and about which nothing is unresolved.
    pub(super) fn admit(&self, path: &SlotPath, identity: &Identity) -> Vec<Fact> {
        let (state, device) = (&self.state, identity.device);
        let slot = &state.slots[path];
        let hold = |hold: &dyn Explain| {
            vec![Fact::of_device(
                path,
                device,
                Body::Held {
                    epoch: slot.epoch,
                    error: Told::of(hold),
                },
            )]
        };
        if let Some(other) = state.is_elsewhere(&device, path) {
            let twice = Hold::Twice {
                device,
                other: other.clone(),
            };
            let mut facts = hold(&twice);
            // Whatever goes on over there must not go on: nobody knows which of the two it reaches.
            if let Some((run, there)) = state.open_run(&device).filter(|(_, there)| there.is_going()) {
                let error = Told::of(&twice);
                facts.push(Fact::of_run(
                    &there.slot,
                    device,
                    *run,
                    Body::RunInterrupted { error },
                ));
            }
            return facts;
        }
        if let Err(protected) = self.live.protected.check(&device) {
            return hold(&protected);
        }
        let (Some(recipe), Some(batch)) = (state.current(), state.batch.as_ref()) else {
            return hold(&Hold::NoBatch);
        };
        let mut facts = Vec::new();
        if let Some((id, run)) = state.open_run(&device) {
            if run.plan == recipe.plan {
                let step = run
                    .steps
                    .iter()
                    .position(|step| !step.is_good())
                    .unwrap_or(run.steps.len() - 1);
                let step = recipe.steps[step].id.clone();
                let body = Body::RunContinued {
                    epoch: slot.epoch,
                    step,
                };
                return vec![Fact::of_run(path, device, *id, body)];
            }
            let error = Some(Told::of(&Hold::PlanChanged));
            let body = Body::RunEnded {
                outcome: lineside_terms::Outcome::Error,
                error,
            };
            facts.push(Fact::of_run(path, device, *id, body));
        }
        let body = match self.start_or_hold(path, identity, recipe, batch.serials.get(path)) {
            Ok(body) => body,
            Err(reason) => Body::Held {
                epoch: slot.epoch,
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

    fn run_id(&self, sequence: u64) -> RunId {
        let mut bytes = *self.boot.as_bytes();
        bytes[8..].copy_from_slice(&sequence.to_be_bytes());
        RunId::from_bytes(bytes)
    }

    fn start_or_hold(
        &self,
        path: &SlotPath,
        identity: &Identity,
        recipe: &Rc<Recipe>,
        assigned: Option<&UnitSerial>,
    ) -> Result<Body, Hold> {
        let state = &self.state;
        let (device, now) = (identity.device, identity.state);
        let known = state.devices.get(&device);
        let passed = known.and_then(|known| known.passed.as_ref());
        let epoch = state.slots[path].epoch;
        if State::is_finished(recipe, now) {
            let passed = passed.ok_or(Hold::ForeignComplete { state: now })?;
            if passed.product != recipe.product {
                let (serial, product) = (passed.serial.clone(), passed.product.clone());
                return Err(Hold::OtherProduct { serial, product });
            }
            if let Some(assigned) = assigned.filter(|assigned| **assigned != passed.serial) {
                let (recorded, assigned) = (passed.serial.clone(), assigned.clone());
                return Err(Hold::OtherSerial { recorded, assigned });
            }
            return Ok(Body::AlreadyComplete {
                epoch,
                earlier: passed.run,
                serial: passed.serial.clone(),
            });
        }
        if let Some(passed) = passed {
            return Err(Hold::WentBack {
                state: now,
                run: passed.run,
            });
        }
        if state
            .ledger
            .of(&device)
            .any(|(_, standing)| standing.is_last_word())
        {
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
        Ok(Body::RunStarted {
            serial,
            plan: recipe.plan,
            attempt: known.map_or(0, |known| known.attempts) + 1,
            predecessor: known.and_then(|known| known.last_run),
            incoming: now,
            epoch,
        })
    }
}
