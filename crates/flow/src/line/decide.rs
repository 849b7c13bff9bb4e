//! Input → facts to write down. Nothing is changed here, and nothing is done.

use lineside_interlock::{EpochCause, Facts, Look, Verdict};
use lineside_terms::{DeviceId, Epoch, RunId, SecurityState, SlotPath, Stamp, Told};

use super::act::went_wrong;
use super::admit::Hold;
use super::state::{Phase, Run};
use super::{Input, Line, Refusal, Report};
use crate::event::Body;
use crate::recipe::Work;

/// A fact that has no envelope yet.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) slot: Option<SlotPath>,
    pub(super) device: Option<DeviceId>,
    pub(super) run: Option<RunId>,
    pub(super) body: Body,
}

impl Fact {
    pub(super) const fn of_station(body: Body) -> Self {
        Self {
            slot: None,
            device: None,
            run: None,
            body,
        }
    }
    pub(super) fn of_slot(slot: &SlotPath, body: Body) -> Self {
        Self {
            slot: Some(slot.clone()),
            device: None,
            run: None,
            body,
        }
    }
    pub(super) fn of_device(slot: &SlotPath, device: DeviceId, body: Body) -> Self {
        Self {
            slot: Some(slot.clone()),
            device: Some(device),
            run: None,
            body,
        }
    }
    pub(super) fn of_run(slot: &SlotPath, device: DeviceId, run: RunId, body: Body) -> Self {
        Self {
            slot: Some(slot.clone()),
            device: Some(device),
            run: Some(run),
            body,
        }
    }
}

impl Line {
    pub(super) fn decide(&self, input: &Input, stamp: Stamp) -> Result<Vec<Fact>, Refusal> {
        match input {
            Input::Begin {
                recipe,
                serials,
                expected,
                only,
            } => {
                let mut facts = Vec::new();
                if !self.state.recipes.contains_key(&recipe.plan) {
                    facts.push(Fact::of_station(Body::PlanAdopted {
                        recipe: Box::new((**recipe).clone()),
                    }));
                }
                let (plan, serials) = (recipe.plan, serials.clone());
                facts.push(Fact::of_station(Body::BatchStarted {
                    plan,
                    serials,
                    expected: *expected,
                    only: *only,
                }));
                Ok(facts)
            }
            Input::Seen { slot, cause } => {
                // Only a board that is there can restart: such news of one that has left comes too late.
                let needs_a_board = matches!(cause, EpochCause::Reset | EpochCause::LinkLost);
                if needs_a_board && self.state.epoch_of(slot).is_none() {
                    return Err(Refusal::Stale);
                }
                Ok(vec![self.seen(slot, *cause)])
            }
            Input::Gone { slot } => {
                let epoch = self.state.epoch_of(slot).ok_or(Refusal::Stale)?;
                let there = self.state.slots.get(slot).ok_or(Refusal::Stale)?;
                let mut facts = Vec::new();
                if let Phase::Running(run) = &there.phase {
                    let error = Told::of(&Hold::Unplugged);
                    facts.push(self.of_run(*run, Body::RunInterrupted { error }));
                }
                facts.push(Fact::of_slot(slot, Body::BoardGone { epoch }));
                Ok(facts)
            }
            Input::Identified {
                slot,
                epoch,
                device,
                state,
                security,
                read_at,
            } => {
                let there = self.there(slot, *epoch)?;
                if there.phase != Phase::Waiting {
                    return Err(Refusal::NotAsked);
                }
                let look = Look {
                    device: *device,
                    epoch: *epoch,
                    cause: there.cause,
                    state: *state,
                    taken_at: *read_at,
                };
                Ok(self.identified(slot, look, *security))
            }
            Input::RecoveryBegun {
                slot,
                device,
                set,
                os,
            } => {
                let body = Body::RecoveryBegun {
                    set: *set,
                    os: os.clone(),
                };
                Ok(vec![Fact::of_device(slot, *device, body)])
            }
            Input::RecoveryEnded {
                slot,
                device,
                outcome,
                os,
                error,
            } => {
                if self.needs_recovery(device).is_none() {
                    return Err(Refusal::NotAsked);
                }
                let body = Body::RecoveryEnded {
                    outcome: *outcome,
                    os: os.clone(),
                    error: error.clone(),
                };
                Ok(vec![Fact::of_device(slot, *device, body)])
            }
            Input::Unresponsive { slot, epoch, error } => {
                let there = self.there(slot, *epoch)?;
                if !matches!(there.phase, Phase::Waiting | Phase::Clearing | Phase::Running(_)) {
                    return Err(Refusal::NotAsked);
                }
                let error = if self.state.is_cancelled {
                    // Nobody waits any longer, as asked: that says nothing about the board.
                    Told::of(&Hold::Cancelled)
                } else {
                    error.clone()
                };
                let body = Body::Unresponsive { epoch: *epoch, error };
                Ok(vec![Fact::of_slot(slot, body)])
            }
            Input::Performed {
                slot,
                epoch,
                run,
                report,
            } => {
                self.there(slot, *epoch)?;
                let (there, index) = self.running(slot, run)?;
                self.performed(*run, there, index, report)
            }
            Input::Read { slot, run, facts } => {
                self.there(slot, facts.epoch)?;
                let (there, index) = self.running(slot, run)?;
                self.read(*run, there, index, facts, stamp)
            }
            Input::Acted {
                slot,
                run,
                key,
                look,
                error,
            } => self.acted(slot, *run, key, look.as_ref(), error.as_ref()),
            Input::Cancel if self.state.is_cancelled => Err(Refusal::NotAsked),
            Input::Cancel => Ok(vec![Fact::of_station(Body::CancelAsked)]),
            Input::Approve { grant, .. } if self.state.approvals.knows(&grant.id) => Err(Refusal::Replayed),
            Input::Approve { grant, .. } if self.state.approvals.may_be_lost(grant) => {
                Err(Refusal::BeforeRestore)
            }
            Input::Approve { grant, proof } => Ok(vec![Fact::of_station(Body::Approved {
                grant: grant.clone(),
                proof: proof.clone(),
            })]),
            Input::Restored { sequence, hash } => Ok(vec![Fact::of_station(Body::Restored {
                sequence: *sequence,
                hash: *hash,
            })]),
            Input::StoreFailed => Err(Refusal::StoreDown),
        }
    }

    /// The socket, if a board is in it under that epoch.
    fn there(&self, slot: &SlotPath, epoch: Epoch) -> Result<&super::state::Slot, Refusal> {
        self.state
            .slots
            .get(slot)
            .filter(|there| there.is_present && there.epoch == epoch)
            .ok_or(Refusal::Stale)
    }

    /// The run on that socket and its running step.
    fn running(&self, slot: &SlotPath, id: &RunId) -> Result<(&Run, usize), Refusal> {
        let run = self.state.runs.get(id);
        let run = run
            .filter(|run| run.is_going() && run.slot == *slot)
            .ok_or(Refusal::NotAsked)?;
        Ok((run, run.running.ok_or(Refusal::NotAsked)?))
    }

    pub(super) fn of_run(&self, id: RunId, body: Body) -> Fact {
        let run = &self.state.runs[&id];
        Fact::of_run(&run.slot, run.device, id, body)
    }

    pub(super) fn seen(&self, slot: &SlotPath, cause: EpochCause) -> Fact {
        let epoch = self.state.next_epoch();
        Fact::of_slot(slot, Body::BoardSeen { epoch, cause })
    }

    fn identified(&self, slot: &SlotPath, look: Look, security: SecurityState) -> Vec<Fact> {
        let body = Body::Identified {
            epoch: look.epoch,
            state: look.state,
            security,
        };
        let mut facts = vec![Fact::of_device(slot, look.device, body)];
        // While two boards claim one id, neither can speak for what was sent to the other.
        if self.state.is_elsewhere(&look.device, slot).is_some() {
            return facts;
        }
        // That something did not happen is believed only after a reset that this line asked for. News of a board that
        // was plugged in may be older than what was sent to it since, and a chip may have power of its own.
        let is_over = look.cause.is_clean();
        for intent in self.state.unresolved_intents(&look.device) {
            let verdict = match self.state.ledger.verdict(&intent.key, &look) {
                Some(Verdict::Confirmed) => Verdict::Confirmed,
                Some(verdict) if is_over => verdict,
                // Nothing more can be learnt by looking again.
                None if is_over && look.epoch > intent.epoch => Verdict::Unclear,
                _ => continue,
            };
            facts.extend(self.resolved(slot, &intent.key, intent.run, verdict, look));
        }
        facts
    }

    fn performed(&self, id: RunId, run: &Run, index: usize, report: &Report) -> Result<Vec<Fact>, Refusal> {
        let step = self.state.step_of(run, index);
        let is_good = report.outcome.is_good();
        // Where the engine judges, a report can only say that nothing could be read; and once an act is intended
        // nobody but the device can end its step.
        if (is_good && step.work != Work::Perform) || self.state.is_acting(run) {
            return Err(Refusal::NotAsked);
        }
        let went_wrong = went_wrong(report.outcome);
        if self.state.is_cancelled && went_wrong {
            // Cut short, as asked: that says nothing about the device, and the step is done again later.
            let error = Told::of(&Hold::Cancelled);
            return Ok(vec![self.of_run(id, Body::RunInterrupted { error })]);
        }
        let state = run.steps[index];
        let mut facts = vec![self.of_run(
            id,
            Body::StepEnded {
                step: step.id.clone(),
                attempt: state.tries,
                outcome: report.outcome,
                measurements: report.measurements.clone(),
                error: report.error.clone(),
                note: report.note.clone(),
            },
        )];
        let mut others = run.steps.iter().enumerate().filter(|(other, _)| *other != index);
        let is_done = is_good && others.all(|(_, state)| state.is_good());
        if !(is_good || went_wrong && state.errors < step.retries) {
            let (outcome, error) = (report.outcome, report.error.clone());
            let body = if went_wrong && run.has_acted() {
                // No other run of this device can follow, so a trial that went wrong is not the last word about it.
                let error = error.unwrap_or_else(|| Told::of(&Hold::Unfinished));
                Body::RunInterrupted { error }
            } else {
                Body::RunEnded { outcome, error }
            };
            facts.push(self.of_run(id, body));
        } else if report.is_link_over && !is_done {
            facts.push(self.seen(&run.slot, EpochCause::LinkLost));
        }
        Ok(facts)
    }

    fn read(
        &self,
        id: RunId,
        run: &Run,
        index: usize,
        read: &Facts,
        stamp: Stamp,
    ) -> Result<Vec<Fact>, Refusal> {
        if read.device != run.device {
            return Err(Refusal::Stale);
        }
        match self.state.step_of(run, index).work {
            Work::Perform => Err(Refusal::NotAsked),
            Work::Prove => Ok(self.proved(id, run, index, read)),
            Work::Act { .. } if self.state.is_acting(run) => Err(Refusal::NotAsked),
            // Nothing irreversible begins after somebody asked to stop.
            Work::Act { .. } if self.state.is_cancelled => {
                let error = Told::of(&Hold::Cancelled);
                Ok(vec![self.of_run(id, Body::RunInterrupted { error })])
            }
            Work::Act { .. } => Ok(self.act(id, run, index, run.steps[index].tries, read, stamp)),
        }
    }
}
