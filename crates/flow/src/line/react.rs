//! Durable facts → effects. Before the journal has said that a fact is durable, nothing is done because of it.

use std::collections::BTreeSet;

use lineside_interlock::{OnceKey, Receipt, Refusal as ActRefusal};
use lineside_terms::{Instant, RunId, SlotPath};

use super::state::Phase;
use super::{Effect, Line};
use crate::event::{Body, Event};
use crate::recipe::Work;

/// What will be done when its event is durable.
#[derive(Debug)]
pub(super) enum Due {
    Ready(Effect),
    /// A permit is made only when the receipt is there.
    Act {
        slot: SlotPath,
        run: RunId,
        key: OnceKey,
    },
}

impl Line {
    /// Everything that has become due by a receipt. Effects that speak of an epoch that is over meanwhile are dropped.
    pub fn react(&mut self, receipt: &Receipt, now: Instant) -> Vec<Effect> {
        self.live.durable = self.live.durable.max(receipt.through());
        let mut effects = Vec::new();
        while let Some((sequence, _)) = self.live.due.front()
            && *sequence <= receipt.through()
        {
            let Some((_, due)) = self.live.due.pop_front() else {
                break;
            };
            match due {
                Due::Ready(effect) if self.is_current(&effect) => effects.push(effect),
                Due::Ready(_) => {}
                Due::Act { slot, run, key } => effects.push(self.permitted(slot, run, key, receipt, now)),
            }
        }
        effects
    }

    fn is_current(&self, effect: &Effect) -> bool {
        match effect {
            Effect::Identify { slot, epoch, .. }
            | Effect::Reset { slot, epoch }
            | Effect::Perform { slot, epoch, .. }
            | Effect::ReadFacts { slot, epoch, .. } => self.state.epoch_of(slot) == Some(*epoch),
            Effect::Act { .. } | Effect::NotActed { .. } | Effect::Stop { .. } | Effect::Release { .. } => {
                true
            }
        }
    }

    /// Proof and permit are made here, from facts that are still held in memory, and nowhere else.
    fn permitted(
        &mut self,
        slot: SlotPath,
        run: RunId,
        key: OnceKey,
        receipt: &Receipt,
        now: Instant,
    ) -> Effect {
        let made = self.make_permit(&slot, &run, &key, receipt, now);
        match made {
            Ok(permit) => Effect::Act { slot, run, permit },
            Err(refusal) => Effect::NotActed {
                slot,
                run,
                key,
                refusal,
            },
        }
    }

    fn make_permit(
        &mut self,
        slot: &SlotPath,
        run: &RunId,
        key: &OnceKey,
        receipt: &Receipt,
        now: Instant,
    ) -> Result<lineside_interlock::Permit, ActRefusal> {
        let gone = ActRefusal::NotDurable { key: *key };
        let facts = self.live.held.remove(run).ok_or_else(|| gone.clone())?;
        let there = self
            .state
            .runs
            .get(run)
            .filter(|there| there.is_going())
            .ok_or_else(|| gone.clone())?;
        let index = there.running.ok_or_else(|| gone.clone())?;
        let proof = self
            .judge(*run, there, index, &facts)
            .proof
            .ok_or_else(|| gone.clone())?;
        let cause = self
            .state
            .slots
            .get(slot)
            .map(|slot| slot.cause)
            .ok_or_else(|| gone.clone())?;
        let look = facts.look(cause).ok_or(gone)?;
        let recipe = self.state.recipe_of(there);
        let step = &self.state.step_of(there, index).id;
        let approvals = &self.state.approvals;
        let approved = approvals.approved(&recipe.approvals, recipe.plan, *run, step)?;
        self.state
            .ledger
            .permit(key, receipt, &look, proof, approved, now)
    }

    /// What a batch of events calls for.
    pub(super) fn due_of(&self, events: &[Event]) -> Vec<(u64, Due)> {
        let intended: BTreeSet<RunId> = events
            .iter()
            .filter(|e| matches!(e.body, Body::Intended { .. }))
            .filter_map(|e| e.run)
            .collect();
        events
            .iter()
            .flat_map(|event| {
                self.due_for(event, &intended)
                    .into_iter()
                    .map(|due| (event.sequence, due))
            })
            .collect()
    }

    fn due_for(&self, event: &Event, intended: &BTreeSet<RunId>) -> Vec<Due> {
        if matches!(event.body, Body::CancelAsked) {
            let busy = |phase: &Phase| matches!(phase, Phase::Waiting | Phase::Running(_) | Phase::Clearing);
            let slots = self.state.slots.iter().filter(|(_, slot)| busy(&slot.phase));
            return slots
                .map(|(slot, _)| Due::Ready(Effect::Stop { slot: slot.clone() }))
                .collect();
        }
        let Some(slot) = event.slot.clone() else {
            return Vec::new();
        };
        // The phase at the end of this batch of events: what one of them calls for, a later one may have overtaken.
        let phase = self.state.slots.get(&slot).map(|slot| &slot.phase);
        let due = match &event.body {
            Body::BoardSeen { epoch, cause } => Some(Due::Ready(Effect::Identify {
                slot,
                epoch: *epoch,
                cause: *cause,
            })),
            Body::Identified { epoch, .. } => {
                // Not while two boards claim one id: neither can speak for what was sent to the other.
                let must_look = event.device.is_some_and(|device| {
                    self.state.open_intents(&device).next().is_some()
                        && self.state.is_elsewhere(&device, &slot).is_none()
                });
                must_look.then_some(Due::Ready(Effect::Reset { slot, epoch: *epoch }))
            }
            Body::ActUnclear { .. } => {
                // Anywhere else but in its run the device is asked already, or is not there.
                let is_going =
                    matches!((phase, event.run), (Some(Phase::Running(run)), Some(id)) if *run == id);
                let epoch = self.state.epoch_of(&slot).filter(|_| is_going);
                epoch.map(|epoch| Due::Ready(Effect::Reset { slot, epoch }))
            }
            Body::StepStarted { attempt, epoch, .. } => event
                .run
                .and_then(|run| self.due_for_step(slot, run, *attempt, *epoch, intended.contains(&run))),
            Body::Intended { intent, .. } => event.run.map(|run| Due::Act {
                slot,
                run,
                key: intent.key,
            }),
            Body::BoardGone { .. } => Some(Due::Ready(Effect::Release { slot })),
            Body::Held { .. }
            | Body::AlreadyComplete { .. }
            | Body::Unresponsive { .. }
            | Body::RunInterrupted { .. }
            | Body::RunEnded { .. } => {
                let is_let_go = matches!(
                    (&event.body, phase),
                    (Body::Held { .. }, Some(Phase::Held(_)))
                        | (Body::AlreadyComplete { .. }, Some(Phase::Complete { .. }))
                        | (Body::Unresponsive { .. }, Some(Phase::Unresponsive(_)))
                        | (Body::RunInterrupted { .. }, Some(Phase::Interrupted(..)))
                        | (Body::RunEnded { .. }, Some(Phase::Ended(_)))
                );
                is_let_go.then_some(Due::Ready(Effect::Release { slot }))
            }
            _ => None,
        };
        due.into_iter().collect()
    }

    fn due_for_step(
        &self,
        slot: SlotPath,
        run: RunId,
        attempt: u32,
        epoch: lineside_terms::Epoch,
        is_intended: bool,
    ) -> Option<Due> {
        let there = self.state.runs.get(&run)?;
        // The step may have ended in the same batch: facts that were held already did not suffice.
        let step = there.running?;
        let effect = match self.state.step_of(there, step).work {
            Work::Perform => {
                let device = there.device;
                Effect::Perform {
                    slot,
                    epoch,
                    run,
                    device,
                    step,
                    attempt,
                    is_again: attempt > 1,
                }
            }
            Work::Act { .. } if is_intended => return None,
            Work::Prove | Work::Act { .. } => Effect::ReadFacts { slot, epoch, run },
        };
        Some(Due::Ready(effect))
    }
}
