//! What is known, and `apply`, the only mutator.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use lineside_interlock::{EpochCause, IllegalHistory as IllegalAct, Ledger, OnceKey};
use lineside_terms::{
    DeviceId, Digest, Epoch, ManufacturingState, Outcome, RunId, SecurityState, SlotPath, StepId, Told,
    UnitSerial,
};

use crate::event::{Body, Event};
use crate::recipe::{Recipe, RecipeStep};

/// A history that cannot have happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalHistory {
    /// Sequence numbers have a gap or repeat.
    #[error("event {found} follows event {after}")]
    Sequence {
        /// The number that was found.
        found: u64,
        /// The number before it.
        after: u64,
    },
    /// An event speaks of something that was never told of.
    #[error("event {sequence} ({kind}) speaks of {what} that was never told of")]
    Dangling {
        /// The event.
        sequence: u64,
        /// Its kind.
        kind: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The ledger says no.
    #[error("event {sequence} cannot be")]
    Act {
        /// The event.
        sequence: u64,
        /// Why not.
        #[source]
        source: IllegalAct,
    },
}

#[derive(Debug, Default)]
pub(super) struct State {
    last_sequence: u64,
    last_epoch: u64,
    pub(super) recipes: BTreeMap<Digest, Rc<Recipe>>,
    pub(super) batch: Option<Batch>,
    pub(super) slots: BTreeMap<SlotPath, Slot>,
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) devices: BTreeMap<DeviceId, Known>,
    /// Whose unit serial is whose: bound while a run is open and for good when it passed.
    pub(super) serials: BTreeMap<UnitSerial, DeviceId>,
    pub(super) ledger: Ledger,
    pub(super) is_cancelled: bool,
}

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) plan: Digest,
    pub(super) serials: BTreeMap<SlotPath, UnitSerial>,
    pub(super) expected: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) epoch: Epoch,
    pub(super) cause: EpochCause,
    pub(super) identity: Option<Identity>,
    pub(super) phase: Phase,
    /// The event that brought the phase.
    pub(super) sequence: u64,
}

/// Who answered on a socket in its present epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) device: DeviceId,
    pub(super) state: ManufacturingState,
    pub(super) security: SecurityState,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    /// A board is there; nobody has answered yet.
    Waiting,
    /// The device is known and in a run.
    Running(RunId),
    /// The device is known; whether it is taken is decided next, once nothing is unresolved about it.
    Clearing,
    Unresponsive(Told),
    Held(Told),
    Complete {
        earlier: RunId,
        serial: UnitSerial,
    },
    Interrupted(RunId, Told),
    Ended(RunId),
    Gone,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) attempts: u32,
    pub(super) failed: u32,
    pub(super) last_run: Option<RunId>,
    pub(super) passed: Option<Passed>,
}

#[derive(Debug)]
pub(super) struct Passed {
    pub(super) run: RunId,
    pub(super) serial: UnitSerial,
    pub(super) product: String,
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) slot: SlotPath,
    pub(super) device: DeviceId,
    pub(super) serial: UnitSerial,
    pub(super) plan: Digest,
    pub(super) attempt: u32,
    pub(super) steps: Vec<StepState>,
    pub(super) standing: RunStanding,
    pub(super) error: Option<Told>,
    /// When it began, on the clock of that start of the program.
    pub(super) began: lineside_terms::Stamp,
    pub(super) ended: Option<lineside_terms::Stamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunStanding {
    Going,
    /// Its device is away or not answering; it goes on when it is seen again.
    Interrupted,
    Ended(Outcome),
}

impl Run {
    pub(super) fn is_going(&self) -> bool {
        self.standing == RunStanding::Going
    }
    pub(super) fn is_interrupted(&self) -> bool {
        self.standing == RunStanding::Interrupted
    }
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.standing, RunStanding::Ended(_))
    }
    pub(super) fn running(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.is_running)
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StepState {
    pub(super) tries: u32,
    pub(super) errors: u32,
    pub(super) is_running: bool,
    pub(super) outcome: Option<Outcome>,
    /// The act that this step has intended last.
    pub(super) key: Option<OnceKey>,
}

impl StepState {
    pub(super) fn is_good(&self) -> bool {
        self.outcome.is_some_and(Outcome::is_good)
    }
}

impl State {
    pub(super) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    pub(super) fn next_epoch(&self) -> Epoch {
        Epoch(self.last_epoch + 1)
    }

    pub(super) fn epoch_of(&self, slot: &SlotPath) -> Option<Epoch> {
        self.slots
            .get(slot)
            .filter(|slot| slot.phase != Phase::Gone)
            .map(|slot| slot.epoch)
    }

    pub(super) fn current(&self) -> Option<&Rc<Recipe>> {
        self.recipes.get(&self.batch.as_ref()?.plan)
    }

    pub(super) fn recipe_of(&self, run: &Run) -> &Rc<Recipe> {
        self.recipes
            .get(&run.plan)
            .expect("a run starts only with a plan that was adopted")
    }

    pub(super) fn step_of(&self, run: &Run, index: usize) -> &RecipeStep {
        &self.recipe_of(run).steps[index]
    }

    /// The open run of a device.
    pub(super) fn open_run(&self, device: &DeviceId) -> Option<(&RunId, &Run)> {
        let id = self.devices.get(device)?.last_run?;
        self.runs.get_key_value(&id).filter(|(_, run)| run.is_open())
    }

    /// Instruments that running steps hold.
    pub(super) fn leased(&self) -> BTreeSet<&str> {
        let running = self.slots.values().filter_map(|slot| match &slot.phase {
            Phase::Running(run) => self.runs.get(run),
            _ => None,
        });
        running
            .filter_map(|run| Some((run, run.running()?)))
            .flat_map(|(run, index)| self.step_of(run, index).instruments.iter().map(String::as_str))
            .collect()
    }

    /// Folds one event in. `written_as` is its sequence number when this start of the program writes it.
    pub(super) fn apply(&mut self, event: &Event, written_as: Option<u64>) -> Result<(), IllegalHistory> {
        if event.sequence != self.last_sequence + 1 {
            return Err(IllegalHistory::Sequence {
                found: event.sequence,
                after: self.last_sequence,
            });
        }
        let dangling = |what| IllegalHistory::Dangling {
            sequence: event.sequence,
            kind: event.body.kind(),
            what,
        };
        match &event.body {
            Body::StationStarted { .. } => self.begin_again(),
            Body::PlanAdopted { recipe } => {
                self.recipes.insert(recipe.plan, Rc::new((**recipe).clone()));
            }
            Body::BatchStarted {
                plan,
                serials,
                expected,
            } => {
                if !self.recipes.contains_key(plan) {
                    return Err(dangling("a plan"));
                }
                self.batch = Some(Batch {
                    plan: *plan,
                    serials: serials.clone(),
                    expected: *expected,
                });
            }
            Body::CancelAsked => self.is_cancelled = true,
            Body::Decided { key, verdict, .. } => {
                let source = |source| IllegalHistory::Act {
                    sequence: event.sequence,
                    source,
                };
                self.ledger.record_verdict(key, *verdict).map_err(source)?;
            }
            Body::BoardSeen { .. }
            | Body::BoardGone { .. }
            | Body::Identified { .. }
            | Body::Unresponsive { .. }
            | Body::Held { .. }
            | Body::AlreadyComplete { .. } => self.apply_to_slot(event).ok_or_else(|| dangling("a slot"))?,
            Body::RunStarted { .. } => self
                .start_run(event)
                .ok_or_else(|| dangling("a slot, device or plan"))?,
            Body::RunContinued { .. }
            | Body::StepStarted { .. }
            | Body::StepEnded { .. }
            | Body::Judged { .. }
            | Body::Intended { .. }
            | Body::ActUnclear { .. }
            | Body::RunInterrupted { .. }
            | Body::RunEnded { .. } => {
                if let Body::Intended { intent } = &event.body {
                    let source = |source| IllegalHistory::Act {
                        sequence: event.sequence,
                        source,
                    };
                    self.ledger.record_intent(intent, written_as).map_err(source)?;
                }
                self.apply_to_run(event)
                    .ok_or_else(|| dangling("a run or step"))?;
            }
        }
        self.last_sequence = event.sequence;
        Ok(())
    }

    /// A new start of the program: it has seen no board yet, and what was under way is only known from the journal.
    fn begin_again(&mut self) {
        self.slots.clear();
        self.batch = None;
        self.is_cancelled = false;
        self.runs.retain(|_, run| run.is_open());
        for run in self.runs.values_mut() {
            run.standing = RunStanding::Interrupted;
            run.steps.iter_mut().for_each(|step| step.is_running = false);
        }
    }

    fn apply_to_slot(&mut self, event: &Event) -> Option<()> {
        let path = event.slot.as_ref()?;
        if let Body::BoardSeen { epoch, cause } = &event.body {
            self.last_epoch = self.last_epoch.max(epoch.0);
            self.interrupt_step(path);
            let slot = Slot {
                epoch: *epoch,
                cause: *cause,
                identity: None,
                phase: Phase::Waiting,
                sequence: event.sequence,
            };
            self.slots.insert(path.clone(), slot);
            return Some(());
        }
        let gone = matches!(event.body, Body::BoardGone { .. });
        if gone {
            self.interrupt_step(path);
        }
        let slot = self.slots.get_mut(path)?;
        slot.sequence = event.sequence;
        slot.phase = match &event.body {
            Body::BoardGone { .. } => Phase::Gone,
            Body::Identified { state, security, .. } => {
                slot.identity = Some(Identity {
                    device: event.device?,
                    state: *state,
                    security: *security,
                });
                Phase::Clearing
            }
            Body::Unresponsive { error, .. } => Phase::Unresponsive(error.clone()),
            Body::Held { error, .. } => Phase::Held(error.clone()),
            Body::AlreadyComplete { earlier, serial, .. } => Phase::Complete {
                earlier: *earlier,
                serial: serial.clone(),
            },
            _ => return None,
        };
        Some(())
    }

    /// The step that ran on a socket, if any, runs no more: its epoch is over.
    fn interrupt_step(&mut self, path: &SlotPath) {
        if let Some(Slot {
            phase: Phase::Running(run),
            ..
        }) = self.slots.get(path)
            && let Some(run) = self.runs.get_mut(run)
            && run.is_open()
        {
            run.standing = RunStanding::Interrupted;
            run.steps.iter_mut().for_each(|step| step.is_running = false);
        }
    }

    fn start_run(&mut self, event: &Event) -> Option<()> {
        let Body::RunStarted {
            serial,
            plan,
            attempt,
            ..
        } = &event.body
        else {
            return None;
        };
        let (id, device, path) = (event.run?, event.device?, event.slot.clone()?);
        let steps = self.recipes.get(plan)?.steps.len();
        let known = self.devices.entry(device).or_default();
        known.attempts += 1;
        known.last_run = Some(id);
        self.serials.insert(serial.clone(), device);
        let run = Run {
            slot: path.clone(),
            device,
            serial: serial.clone(),
            plan: *plan,
            attempt: *attempt,
            steps: vec![StepState::default(); steps],
            standing: RunStanding::Going,
            error: None,
            began: event.at,
            ended: None,
        };
        self.runs.insert(id, run);
        let slot = self.slots.get_mut(&path)?;
        slot.phase = Phase::Running(id);
        slot.sequence = event.sequence;
        Some(())
    }

    fn apply_to_run(&mut self, event: &Event) -> Option<()> {
        let id = event.run?;
        let run = self.runs.get_mut(&id)?;
        let recipe = Rc::clone(self.recipes.get(&run.plan)?);
        let place = |step: &StepId| recipe.steps.iter().position(|known| known.id == *step);
        match &event.body {
            Body::RunContinued { .. } => {
                let path = event.slot.clone()?;
                run.standing = RunStanding::Going;
                run.slot = path.clone();
                let slot = self.slots.get_mut(&path)?;
                slot.phase = Phase::Running(id);
                slot.sequence = event.sequence;
            }
            Body::StepStarted { step, attempt, .. } => {
                let step = run.steps.get_mut(place(step)?)?;
                *step = StepState {
                    tries: *attempt,
                    is_running: true,
                    outcome: None,
                    ..*step
                };
            }
            Body::StepEnded { step, outcome, .. } => {
                let step = run.steps.get_mut(place(step)?)?;
                step.is_running = false;
                step.outcome = Some(*outcome);
                step.errors += u32::from(!outcome.is_good());
            }
            Body::Judged { .. } => {}
            Body::Intended { intent } => {
                let index = run.running().or_else(|| {
                    recipe
                        .steps
                        .iter()
                        .position(|step| matches!(step.work, crate::recipe::Work::Act { .. }))
                })?;
                run.steps[index].key = Some(intent.key);
            }
            Body::ActUnclear { error, .. } => {
                run.error = Some(error.clone());
            }
            Body::RunInterrupted { error } => {
                run.standing = RunStanding::Interrupted;
                run.steps.iter_mut().for_each(|step| step.is_running = false);
                let slot = run.slot.clone();
                let device = run.device;
                self.phase_of_run(
                    &slot,
                    id,
                    device,
                    event.sequence,
                    Phase::Interrupted(id, error.clone()),
                );
            }
            Body::RunEnded { outcome, error } => {
                run.standing = RunStanding::Ended(*outcome);
                run.error.clone_from(error);
                run.ended = Some(event.at);
                run.steps.iter_mut().for_each(|step| step.is_running = false);
                let (slot, serial, device) = (run.slot.clone(), run.serial.clone(), run.device);
                let known = self.devices.entry(device).or_default();
                if outcome.is_good() {
                    let product = recipe.product.clone();
                    known.passed = Some(Passed {
                        run: id,
                        serial,
                        product,
                    });
                } else {
                    known.failed += 1;
                    if self.serials.get(&serial) == Some(&device) {
                        self.serials.remove(&serial);
                    }
                }
                self.phase_of_run(&slot, id, device, event.sequence, Phase::Ended(id));
            }
            _ => return None,
        }
        Some(())
    }

    /// Changes the phase of a socket only while that run, or at least its device, is on it.
    fn phase_of_run(&mut self, path: &SlotPath, run: RunId, device: DeviceId, sequence: u64, phase: Phase) {
        if let Some(slot) = self.slots.get_mut(path)
            && match &slot.phase {
                Phase::Running(there) | Phase::Interrupted(there, _) => *there == run,
                Phase::Clearing => slot
                    .identity
                    .as_ref()
                    .is_some_and(|identity| identity.device == device),
                _ => false,
            }
        {
            slot.phase = phase;
            slot.sequence = sequence;
        }
    }

    /// True while a device answers on another socket than this one.
    pub(super) fn is_elsewhere(&self, device: &DeviceId, path: &SlotPath) -> Option<&SlotPath> {
        self.slots
            .iter()
            .find(|(other, slot)| {
                *other != path
                    && slot.phase != Phase::Gone
                    && slot.identity.is_some_and(|there| there.device == *device)
            })
            .map(|(other, _)| other)
    }

    /// True when a device is in the state that the plan ends in, or beyond.
    pub(super) fn is_finished(recipe: &Recipe, state: ManufacturingState) -> bool {
        state >= recipe.target
    }
}
