//! What is open, before anything is done: for people who want to know what a program found that goes on.

use lineside_terms::{DeviceId, Digest, Effect, ManufacturingState, RunId, SlotPath, StepId, UnitSerial};

use super::state::{Run, State, StepState};

/// A run that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRun {
    /// Which.
    pub run: RunId,
    /// The device.
    pub device: DeviceId,
    /// The unit.
    pub serial: UnitSerial,
    /// Where its device was seen last.
    pub slot: SlotPath,
    /// The plan that it follows.
    pub plan: Digest,
    /// How far it came.
    pub at: Reached,
}

/// How far an open run came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Something irreversible was intended, and nobody knows what became of it: the device is asked.
    Intended {
        /// The step.
        step: StepId,
        /// What the device would have become.
        target: ManufacturingState,
        /// A look was taken and did not say: a person decides.
        is_unclear: bool,
    },
    /// A step began, and its end is not recorded.
    Within {
        /// The step.
        step: StepId,
        /// What it does to the device: that says how it goes on.
        effect: Effect,
    },
    /// This step is next.
    Before {
        /// The step.
        step: StepId,
    },
    /// Every step passed; that the run ended is not recorded.
    Done,
}

impl State {
    /// The runs that are open, in the order in which they began.
    pub(super) fn open_runs(&self) -> Vec<OpenRun> {
        let mut open: Vec<(&RunId, &Run)> = self.runs.iter().filter(|(_, run)| run.is_open()).collect();
        open.sort_by_key(|(_, run)| run.began_as);
        let of = |(id, run): (&RunId, &Run)| OpenRun {
            run: *id,
            device: run.device,
            serial: run.serial.clone(),
            slot: run.slot.clone(),
            plan: run.plan,
            at: self.reached(run),
        };
        open.into_iter().map(of).collect()
    }

    fn reached(&self, run: &Run) -> Reached {
        let intents: Vec<_> = self.unresolved_intents(&run.device).collect();
        let intent_of = |state: &StepState| {
            let key = state.key?;
            intents.iter().find(|intent| intent.key == key)
        };
        let steps = || run.steps.iter().enumerate();
        if let Some((index, intent)) = steps().find_map(|(index, state)| Some((index, intent_of(state)?))) {
            return Reached::Intended {
                step: self.step_of(run, index).id.clone(),
                target: intent.key.target,
                is_unclear: !self.is_open(&intent.key),
            };
        }
        let within = steps().find(|(_, state)| state.tries > 0 && state.outcome.is_none());
        if let Some((index, _)) = within {
            let step = self.step_of(run, index);
            let (step, effect) = (step.id.clone(), step.effect);
            return Reached::Within { step, effect };
        }
        let next = steps()
            .find(|(index, state)| !state.is_good() && run.has_what_it_needs(self.step_of(run, *index)));
        match next {
            Some((index, _)) => Reached::Before {
                step: self.step_of(run, index).id.clone(),
            },
            None => Reached::Done,
        }
    }
}
