//! `apply`: the only code that changes what is known, live and on resume alike.
//!
//! History comes from a disk. Whatever it says, folding it in ends in a state whose rules hold, or in
//! [`IllegalHistory`]; never in a panic.

use std::rc::Rc;

use lineside_interlock::{EpochCause, IllegalHistory as IllegalAct, Standing, Verdict};
use lineside_terms::{Blame, DeviceId, Epoch, Explain, ManufacturingState, Outcome, RunId, SlotPath, StepId};

use super::state::{Batch, Identity, Moment, Passed, Phase, Run, RunStanding, Slot, State, StepState};
use crate::event::{Body, Event, RecoveryOutcome};
use crate::recipe::{Recipe, Work};

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
    /// An event comes when it cannot.
    #[error("event {sequence} ({kind}) comes although {what}")]
    Order {
        /// The event.
        sequence: u64,
        /// Its kind.
        kind: &'static str,
        /// What stands in the way.
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

impl Explain for IllegalHistory {
    fn code(&self) -> &'static str {
        match self {
            Self::Sequence { .. } => "history.sequence",
            Self::Dangling { .. } => "history.dangling",
            Self::Order { .. } => "history.order",
            Self::Act { .. } => "history.act",
        }
    }

    fn help(&self) -> String {
        "The journal was damaged, mixed up or edited, so nobody can say what became of devices. Keep it, put back \
         the last good copy or begin with an empty data folder; devices are asked before anything is sent."
            .to_owned()
    }

    fn blame(&self) -> Blame {
        Blame::Station
    }
}

/// Why one event does not fit; its number and kind are added at the top.
enum Misfit {
    Dangling(&'static str),
    Order(&'static str),
    Act(IllegalAct),
}

type Fits = Result<(), Misfit>;

const NO_SLOT: Misfit = Misfit::Dangling("a socket with a board");
const NO_RUN: Misfit = Misfit::Dangling("a run");
const NO_STEP: Misfit = Misfit::Dangling("a step");
const NOT_NOW: Misfit = Misfit::Order("the board is not at that point");
const NO_DEVICE: Misfit = Misfit::Dangling("a device");
const RUN_OVER: Misfit = Misfit::Order("the run is over");
const RUN_NOT_GOING: Misfit = Misfit::Order("the run is not going");

impl State {
    /// Folds one event in. `written_as` is its sequence number when this start of the program writes it. After an
    /// error the state is of no use any more.
    pub(super) fn apply(&mut self, event: &Event, written_as: Option<u64>) -> Result<(), IllegalHistory> {
        let sequence = event.sequence;
        if sequence != self.last_sequence + 1 {
            return Err(IllegalHistory::Sequence {
                found: sequence,
                after: self.last_sequence,
            });
        }
        let kind = event.body.kind();
        self.fit(event, written_as).map_err(|misfit| match misfit {
            Misfit::Dangling(what) => IllegalHistory::Dangling { sequence, kind, what },
            Misfit::Order(what) => IllegalHistory::Order { sequence, kind, what },
            Misfit::Act(source) => IllegalHistory::Act { sequence, source },
        })?;
        self.last_sequence = sequence;
        Ok(())
    }

    fn fit(&mut self, event: &Event, written_as: Option<u64>) -> Fits {
        match &event.body {
            Body::StationStarted { .. } => self.begin_again(),
            Body::PlanAdopted { recipe } => {
                // One hash, one recipe: runs may be under way that count on its steps.
                self.recipes
                    .entry(recipe.plan)
                    .or_insert_with(|| Rc::new((**recipe).clone()));
            }
            Body::BatchStarted {
                plan,
                serials,
                expected,
                only,
            } => {
                if !self.recipes.contains_key(plan) {
                    return Err(Misfit::Dangling("a plan"));
                }
                self.batch = Some(Batch {
                    plan: *plan,
                    serials: serials.clone(),
                    expected: *expected,
                    only: *only,
                    passed: Default::default(),
                });
                // A new order stands above an older wish to stop.
                self.is_cancelled = false;
            }
            Body::Ordered { .. } => {}
            Body::CancelAsked => self.is_cancelled = true,
            Body::Decided { key, verdict, .. } => {
                self.ledger.record_verdict(key, *verdict).map_err(Misfit::Act)?;
                if *verdict == Verdict::Confirmed
                    && let Some(run) = event.run.and_then(|run| self.runs.get_mut(&run))
                {
                    run.reached = key.target;
                }
            }
            Body::BoardSeen { epoch, cause } => self.board_seen(event, *epoch, *cause)?,
            Body::BoardGone { epoch } => self.board_gone(event, *epoch)?,
            Body::Identified { .. }
            | Body::Unresponsive { .. }
            | Body::Held { .. }
            | Body::AlreadyComplete { .. } => self.apply_to_slot(event)?,
            Body::RunStarted { .. } => self.start_run(event)?,
            Body::RunContinued { .. } => self.continue_run(event)?,
            Body::StepStarted { .. }
            | Body::StepEnded { .. }
            | Body::Judged { .. }
            | Body::Intended { .. }
            | Body::ActUnclear { .. } => self.apply_to_step(event, written_as)?,
            Body::RunInterrupted { .. } | Body::RunEnded { .. } => self.close_run(event)?,
            Body::RecoveryBegun { set, .. } => {
                let device = event.device.ok_or(NO_DEVICE)?;
                self.devices
                    .entry(device)
                    .or_default()
                    .begin_recovery(*set, event.sequence);
                if let Some(batch) = &mut self.batch {
                    batch.passed.remove(&device);
                }
            }
            Body::HandWrite { is_undoing, .. } => {
                let device = event.device.ok_or(NO_DEVICE)?;
                if *is_undoing {
                    self.written_by_hand(device, event.sequence);
                }
            }
            Body::RecoveryEnded { outcome, .. } => self.recovery_ended(event, *outcome)?,
            // The same grant again is no history that cannot be: it brings nothing.
            Body::Approved { grant, .. } => _ = self.approvals.record(grant),
            Body::Restored { .. } => self.approvals.void(event.at.wall_ms),
        }
        Ok(())
    }

    /// A new start of the program: it has seen no board yet, and what was under way is only known from the journal.
    fn begin_again(&mut self) {
        self.slots.clear();
        self.answering.clear();
        self.batch = None;
        self.is_cancelled = false;
        self.runs.retain(|_, run| run.is_open());
        self.runs.values_mut().for_each(Run::interrupt);
    }

    /// Its software or settings are not what they were: what it passed counts no more, and an open run begins again.
    fn written_by_hand(&mut self, device: DeviceId, sequence: u64) {
        let known = self.devices.entry(device).or_default();
        if let Some(passed) = &mut known.passed {
            passed.undone.get_or_insert(sequence);
        }
        let run = known.last_run.and_then(|id| self.runs.get_mut(&id));
        run.into_iter().filter(|run| run.is_open()).for_each(Run::void);
        if let Some(batch) = &mut self.batch {
            batch.passed.remove(&device);
        }
    }

    fn recovery_ended(&mut self, event: &Event, outcome: RecoveryOutcome) -> Fits {
        let device = event.device.ok_or(NO_DEVICE)?;
        let known = self.devices.get_mut(&device).ok_or(NO_DEVICE)?;
        if known.needs_recovery.is_none() {
            return Err(Misfit::Dangling("a recovery"));
        }
        if outcome != RecoveryOutcome::NeedsRecovery {
            known.needs_recovery = None;
        }
        if outcome == RecoveryOutcome::Untouched {
            known.recovery_left_it_alone();
        } else {
            let run = known.last_run.and_then(|id| self.runs.get_mut(&id));
            run.into_iter().filter(|run| run.is_open()).for_each(Run::void);
        }
        Ok(())
    }

    fn board_seen(&mut self, event: &Event, epoch: Epoch, cause: EpochCause) -> Fits {
        let path = event.slot.as_ref().ok_or(NO_SLOT)?;
        if epoch != self.next_epoch() {
            return Err(Misfit::Order("that epoch is not the next one"));
        }
        self.last_epoch = epoch.0;
        let run = match self.slots.get(path) {
            // The same board after a restart: whatever it was in may go on.
            Some(slot) if slot.is_present && matches!(cause, EpochCause::Reset | EpochCause::LinkLost) => {
                self.run_at(path, slot).map(|(id, _)| *id)
            }
            _ => None,
        };
        self.leave(path);
        let slot = Slot {
            epoch,
            cause,
            is_present: true,
            identity: None,
            phase: Phase::Waiting,
            run,
            sequence: event.sequence,
        };
        self.slots.insert(path.clone(), slot);
        Ok(())
    }

    fn board_gone(&mut self, event: &Event, epoch: Epoch) -> Fits {
        let path = event.slot.as_ref().ok_or(NO_SLOT)?;
        if self.epoch_of(path) != Some(epoch) {
            return Err(NO_SLOT);
        }
        self.leave(path);
        let slot = self.slots.get_mut(path).ok_or(NO_SLOT)?;
        slot.is_present = false;
        if !matches!(
            slot.phase,
            Phase::Ended(_) | Phase::Complete { .. } | Phase::Held(_)
        ) {
            slot.phase = Phase::Gone;
            slot.sequence = event.sequence;
        }
        Ok(())
    }

    /// An epoch is over: nobody answers on that socket any more, and a run that was going there waits.
    fn leave(&mut self, path: &SlotPath) {
        let Some(slot) = self.slots.get(path) else {
            return;
        };
        if let Some(identity) = &slot.identity
            && let Some(places) = self.answering.get_mut(&identity.device)
        {
            places.remove(path);
            if places.is_empty() {
                self.answering.remove(&identity.device);
            }
        }
        self.interrupt_at(path);
    }

    fn interrupt_at(&mut self, path: &SlotPath) {
        if let Some(Slot {
            phase: Phase::Running(run),
            ..
        }) = self.slots.get(path)
            && let Some(run) = self.runs.get_mut(run)
        {
            run.interrupt();
        }
    }

    fn apply_to_slot(&mut self, event: &Event) -> Fits {
        let path = event.slot.as_ref().ok_or(NO_SLOT)?;
        let (Body::Identified { epoch, .. }
        | Body::Unresponsive { epoch, .. }
        | Body::Held { epoch, .. }
        | Body::AlreadyComplete { epoch, .. }) = &event.body
        else {
            return Err(NOT_NOW);
        };
        if self.epoch_of(path) != Some(*epoch) {
            return Err(NO_SLOT);
        }
        if matches!(event.body, Body::Unresponsive { .. }) {
            self.interrupt_at(path);
        }
        let slot = self.slots.get_mut(path).ok_or(NO_SLOT)?;
        let next = match (&event.body, &slot.phase) {
            (Body::Identified { state, security, .. }, Phase::Waiting) => {
                let device = event.device.ok_or(NO_DEVICE)?;
                slot.identity = Some(Identity {
                    device,
                    state: *state,
                    security: *security,
                });
                self.answering.entry(device).or_default().insert(path.clone());
                let is_complete = *state == ManufacturingState::DeviceComplete;
                self.devices.entry(device).or_default().is_complete |= is_complete;
                Phase::Clearing
            }
            (Body::Unresponsive { error, .. }, Phase::Waiting | Phase::Clearing | Phase::Running(_)) => {
                Phase::Unresponsive(error.clone())
            }
            // A run that cannot go on with a changed plan has just ended then.
            (Body::Held { error, .. }, Phase::Clearing | Phase::Ended(_)) => Phase::Held(error.clone()),
            (Body::AlreadyComplete { earlier, serial, .. }, Phase::Clearing | Phase::Ended(_)) => {
                let device = slot.identity.map(|identity| identity.device).ok_or(NO_DEVICE)?;
                if let Some(batch) = &mut self.batch {
                    batch.passed.entry(device).or_insert(event.sequence);
                }
                Phase::Complete {
                    earlier: *earlier,
                    serial: serial.clone(),
                }
            }
            _ => return Err(NOT_NOW),
        };
        slot.phase = next;
        slot.sequence = event.sequence;
        Ok(())
    }

    /// The socket on which a device answers and about which nothing is decided yet.
    fn clearing(&mut self, event: &Event) -> Result<&mut Slot, Misfit> {
        let path = event.slot.as_ref().ok_or(NO_SLOT)?;
        let slot = self
            .slots
            .get_mut(path)
            .filter(|slot| slot.is_present)
            .ok_or(NO_SLOT)?;
        if slot.identity.map(|identity| identity.device) != event.device {
            return Err(NO_DEVICE);
        }
        if !matches!(slot.phase, Phase::Clearing | Phase::Ended(_)) {
            return Err(NOT_NOW);
        }
        Ok(slot)
    }

    fn start_run(&mut self, event: &Event) -> Fits {
        let Body::RunStarted {
            serial,
            plan,
            attempt,
            incoming,
            ..
        } = &event.body
        else {
            return Err(NOT_NOW);
        };
        let (id, device) = (event.run.ok_or(NO_RUN)?, event.device.ok_or(NO_DEVICE)?);
        let path = event.slot.clone().ok_or(NO_SLOT)?;
        let steps = self
            .recipes
            .get(plan)
            .ok_or(Misfit::Dangling("a plan"))?
            .steps
            .len();
        if self.runs.contains_key(&id) || self.open_run(&device).is_some() {
            return Err(Misfit::Order("such a run is open already"));
        }
        let slot = self.clearing(event)?;
        slot.phase = Phase::Running(id);
        slot.run = Some(id);
        slot.sequence = event.sequence;
        let known = self.devices.entry(device).or_default();
        known.attempts = known.attempts.saturating_add(1);
        known.last_run = Some(id);
        self.serials.insert(serial.clone(), device);
        let run = Run {
            slot: path,
            device,
            serial: serial.clone(),
            plan: *plan,
            attempt: *attempt,
            reached: *incoming,
            steps: vec![StepState::default(); steps],
            running: None,
            standing: RunStanding::Going,
            error: None,
            began_as: event.sequence,
            began: moment(event),
            ended: None,
        };
        self.runs.insert(id, run);
        Ok(())
    }

    fn continue_run(&mut self, event: &Event) -> Fits {
        let (id, path) = (event.run.ok_or(NO_RUN)?, event.slot.clone().ok_or(NO_SLOT)?);
        let run = self.runs.get(&id).ok_or(NO_RUN)?;
        if !run.is_interrupted() {
            return Err(Misfit::Order("the run does not wait"));
        }
        if event.device != Some(run.device) {
            return Err(NO_DEVICE);
        }
        let slot = self.clearing(event)?;
        slot.phase = Phase::Running(id);
        slot.run = Some(id);
        slot.sequence = event.sequence;
        let run = self.runs.get_mut(&id).ok_or(NO_RUN)?;
        run.standing = RunStanding::Going;
        run.slot = path;
        Ok(())
    }

    fn apply_to_step(&mut self, event: &Event, written_as: Option<u64>) -> Fits {
        let id = event.run.ok_or(NO_RUN)?;
        let run = self.runs.get_mut(&id).ok_or(NO_RUN)?;
        let recipe: &Recipe = self.recipes.get(&run.plan).ok_or(Misfit::Dangling("a plan"))?;
        let place = |step: &StepId| {
            let known = recipe.steps.iter().position(|known| known.id == *step);
            known.ok_or(NO_STEP)
        };
        match &event.body {
            Body::StepStarted { step, attempt, .. } => {
                if !run.is_going() {
                    return Err(RUN_NOT_GOING);
                }
                if run.running.is_some() {
                    return Err(Misfit::Order("another step runs"));
                }
                let index = place(step)?;
                let step = run.steps.get_mut(index).ok_or(NO_STEP)?;
                step.tries = *attempt;
                step.outcome = None;
                step.key = None;
                run.running = Some(index);
                run.error = None;
            }
            Body::StepEnded {
                step, outcome, error, ..
            } => {
                if !run.is_open() {
                    return Err(RUN_OVER);
                }
                let index = place(step)?;
                // An act may be decided when its step runs no more; no other step ends then.
                if run.running.is_some_and(|running| running != index) {
                    return Err(Misfit::Order("another step runs"));
                }
                let step = run.steps.get_mut(index).ok_or(NO_STEP)?;
                step.outcome = Some(*outcome);
                step.errors = step.errors.saturating_add(u32::from(!outcome.is_good()));
                run.running = None;
                run.error.clone_from(error);
            }
            Body::Intended { intent, approvals } => {
                if !run.is_going() {
                    return Err(RUN_NOT_GOING);
                }
                let index = run.running.ok_or(NO_STEP)?;
                let step = recipe.steps.get(index).ok_or(NO_STEP)?;
                let is_act = matches!(step.work, Work::Act { .. });
                if !is_act || intent.key.device != run.device || intent.run != id {
                    return Err(Misfit::Order("the running step is not that act"));
                }
                if intent.epoch.0 > self.last_epoch {
                    return Err(Misfit::Order("that epoch has not begun"));
                }
                let (plan, step) = (&recipe.plan, &step.id);
                let need = recipe.approvals.get(step);
                if need.is_none() && !approvals.is_empty() {
                    return Err(Misfit::Order("nobody's leave is needed for the act"));
                }
                if let Some(need) = need
                    && !self.approvals.spend(need, plan, id, step, approvals)
                {
                    // A record of before intents said so is of an act that was approved when its step began; what
                    // has expired since is of no use to anybody else.
                    if !approvals.is_empty() {
                        return Err(Misfit::Order("nobody approved the act"));
                    }
                    self.approvals.spend_as_of(need, plan, id, step, event.at.wall_ms);
                }
                self.ledger
                    .record_intent(intent, written_as)
                    .map_err(Misfit::Act)?;
                run.steps.get_mut(index).ok_or(NO_STEP)?.key = Some(intent.key);
            }
            Body::ActUnclear { error, .. } => run.error = Some(error.clone()),
            _ => {}
        }
        Ok(())
    }

    /// A run stops for now or for good, at the place where its device was seen last.
    fn close_run(&mut self, event: &Event) -> Fits {
        let (id, path) = (event.run.ok_or(NO_RUN)?, event.slot.clone().ok_or(NO_SLOT)?);
        let run = self.runs.get_mut(&id).ok_or(NO_RUN)?;
        if !run.is_open() {
            return Err(RUN_OVER);
        }
        if run.is_going() && run.slot != path {
            return Err(Misfit::Order("the run goes on elsewhere"));
        }
        let is_ended = matches!(event.body, Body::RunEnded { .. });
        if is_ended
            && self
                .ledger
                .of(&run.device)
                .any(|(intent, standing)| intent.run == id && standing == Standing::Open)
        {
            return Err(Misfit::Order("what its act did is not known"));
        }
        run.slot = path.clone();
        let (device, serial) = (run.device, run.serial.clone());
        let phase = match &event.body {
            Body::RunInterrupted { error } => {
                run.interrupt();
                Phase::Interrupted(id, error.clone())
            }
            Body::RunEnded { outcome, error } => {
                run.running = None;
                run.standing = RunStanding::Ended(*outcome);
                run.error.clone_from(error);
                run.ended = Some(moment(event));
                let recipe = self.recipes.get(&run.plan).ok_or(Misfit::Dangling("a plan"))?;
                let known = self.devices.entry(device).or_default();
                if outcome.is_good() {
                    known.passed = Some(Passed {
                        run: id,
                        serial,
                        product: recipe.product.clone(),
                        target: recipe.target,
                        undone: None,
                    });
                    if let Some(batch) = &mut self.batch {
                        batch.passed.entry(device).or_insert(event.sequence);
                    }
                } else {
                    // A run that was given up for another plan says nothing about the device.
                    let counts = *outcome != Outcome::Skipped;
                    known.failed = known.failed.saturating_add(u32::from(counts));
                    if self.serials.get(&serial) == Some(&device) {
                        self.serials.remove(&serial);
                    }
                }
                Phase::Ended(id)
            }
            _ => return Err(NOT_NOW),
        };
        self.show_end_of_run(&path, id, event, phase);
        Ok(())
    }

    /// Changes the phase of a socket only while that run, or at least its device, is on it.
    fn show_end_of_run(&mut self, path: &SlotPath, run: RunId, event: &Event, phase: Phase) {
        let Some(slot) = self.slots.get_mut(path) else {
            return;
        };
        let is_there = match &slot.phase {
            Phase::Running(there) | Phase::Interrupted(there, _) => *there == run,
            Phase::Clearing => slot.identity.map(|identity| identity.device) == event.device,
            _ => false,
        };
        if is_there {
            slot.phase = phase;
            slot.run = Some(run);
            slot.sequence = event.sequence;
        }
    }
}

fn moment(event: &Event) -> Moment {
    Moment {
        boot: event.boot,
        at: event.at,
    }
}
