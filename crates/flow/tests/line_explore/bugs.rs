//! Mistakes that an engine, or the shell around it, could have. Each is made between the engine and its world, so
//! that the product needs no door for it; each must be found, or the search is blind to it.

use std::collections::BTreeMap;
use std::rc::Rc;

use lineside_flow::interlock::{EpochCause, Facts, Look, Reading, Verdict};
use lineside_flow::{Body, Event, SlotPicture};
use lineside_terms::{DeviceId, Instant, Outcome};

use crate::line_kit::{NEW, slot};
use crate::world::{Act, Order, Reply, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The engine is told that events are durable which are not: effects before durability.
    ReceiptAhead,
    /// An intent is lived by and never written.
    IntentUnwritten,
    /// The start of a step is lived by and never written.
    StartUnwritten,
    /// One permit is carried out twice.
    PermitTwice,
    /// After a restart the last act is sent again, as if its permit had been kept.
    PermitKept,
    /// After a restart every open intent is acted on.
    ResumeActs,
    /// At resume an open intent is taken for disproved, without a look.
    ResumeDisproves,
    /// At resume the end of the journal is left out, from the last intent on.
    TailLost,
    /// An answer of an epoch that is over is taken for one of the present epoch.
    StaleEpoch,
    /// A reset is told and not done.
    ResetLeftOut,
    /// A silent act is taken for done.
    SilenceTakenForDone,
    /// The facts of the first reading are shown ever after.
    FactsRemembered,
    /// What is left over on the device is overlooked.
    LeftOverlooked,
    /// A step that fails is taken for passed.
    FailTakenForPass,
    /// A step is told as passed and not done.
    StepLeftOut,
    /// A step goes to the neighbour.
    WrongSocket,
    /// An act names a try that was never intended.
    WrongGeneration,
    /// A connection is taken for alive after the boards changed places.
    SwapUnnoticed,
    /// A pass is shown when it is decided, not when it is recorded.
    ShownTooEarly,
    /// An effect is lost.
    EffectLost,
    /// A permit made for another connection is taken, and acts go out twice.
    PermitUnchecked,
    /// What an intent spends of an approval is written twice.
    SpentTwice,
    /// After a restart an approval counts once more.
    ApprovedTwice,
}

pub(crate) const ALL: [Bug; 23] = [
    Bug::ReceiptAhead,
    Bug::IntentUnwritten,
    Bug::StartUnwritten,
    Bug::PermitTwice,
    Bug::PermitKept,
    Bug::ResumeActs,
    Bug::ResumeDisproves,
    Bug::TailLost,
    Bug::StaleEpoch,
    Bug::ResetLeftOut,
    Bug::SilenceTakenForDone,
    Bug::FactsRemembered,
    Bug::LeftOverlooked,
    Bug::FailTakenForPass,
    Bug::StepLeftOut,
    Bug::WrongSocket,
    Bug::WrongGeneration,
    Bug::SwapUnnoticed,
    Bug::ShownTooEarly,
    Bug::EffectLost,
    Bug::PermitUnchecked,
    Bug::SpentTwice,
    Bug::ApprovedTwice,
];

/// What a bug remembers.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    act: Option<(usize, Act)>,
    facts: BTreeMap<DeviceId, Facts>,
}

impl World {
    pub(crate) fn alter_events(&self, mut events: Vec<Event>) -> Vec<Event> {
        events.retain(|event| match self.bug {
            Some(Bug::IntentUnwritten) => !matches!(event.body, Body::Intended { .. }),
            Some(Bug::StartUnwritten) => !matches!(event.body, Body::StepStarted { .. }),
            _ => true,
        });
        if self.bug == Some(Bug::SpentTwice) {
            for event in &mut events {
                if let Body::Intended { approvals, .. } = &mut event.body {
                    approvals.extend_from_within(..);
                }
            }
        }
        events
    }

    pub(crate) fn alter_history(&mut self) {
        if self.bug == Some(Bug::ApprovedTwice) {
            return self.approve_again();
        }
        let last = self
            .journal
            .iter()
            .rposition(|event| matches!(event.body, Body::Intended { .. }));
        let Some(last) = last else { return };
        match self.bug {
            Some(Bug::TailLost) => self.journal.truncate(last),
            Some(Bug::ResumeDisproves) => {
                let Body::Intended { intent, .. } = self.journal[last].body.clone() else {
                    return;
                };
                let of_it =
                    |event: &Event| matches!(&event.body, Body::Decided { key, .. } if *key == intent.key);
                if self.journal.iter().any(|event| of_it(event)) {
                    return;
                }
                let mut event = Event::clone(&self.journal[last]);
                event.sequence = self.journal.len() as u64 + 1;
                event.body = Body::Decided {
                    key: intent.key,
                    verdict: Verdict::Disproved,
                    look: Look {
                        device: intent.key.device,
                        epoch: intent.epoch,
                        cause: EpochCause::Attached,
                        state: intent.from,
                        taken_at: Instant::from_nanos(0),
                    },
                };
                self.journal.push(event.into());
            }
            _ => {}
        }
    }

    fn approve_again(&mut self) {
        let given = |event: &&Rc<Event>| matches!(event.body, Body::Approved { .. });
        if let Some(given) = self.journal.iter().find(given) {
            let mut event = Event::clone(given);
            event.sequence = self.journal.len() as u64 + 1;
            event.body = Body::Approved {
                grant: self.grant("again", 1),
                proof: String::new(),
            };
            self.journal.push(event.into());
        }
    }

    pub(crate) fn orders_after_start(&mut self) {
        if self.boot < 2 {
            return;
        }
        let is_open = |act: &Act| self.line.unresolved().any(|intent| intent.key == act.key);
        match (self.bug, self.memory.act) {
            (Some(Bug::PermitKept), Some((n, act))) => self.order(n, Order::Act(act)),
            (Some(Bug::ResumeActs), Some((n, act))) if is_open(&act) => self.order(n, Order::Act(act)),
            _ => {}
        }
    }

    pub(crate) fn alter_order(&mut self, n: usize, order: Order) -> Vec<(usize, Order)> {
        if let Order::Act(act) = &order {
            self.memory.act = Some((n, *act));
        }
        match (self.bug, order) {
            (Some(Bug::PermitTwice | Bug::PermitUnchecked), Order::Act(act)) => {
                vec![(n, Order::Act(act)), (n, Order::Act(act))]
            }
            (Some(Bug::WrongGeneration), Order::Act(mut act)) => {
                act.key.generation += 1;
                vec![(n, Order::Act(act))]
            }
            (Some(Bug::WrongSocket), order @ Order::Perform { .. }) => {
                vec![((n + 1) % self.sockets.len(), order)]
            }
            (Some(Bug::EffectLost), Order::ReadFacts(..)) => Vec::new(),
            (_, order) => vec![(n, order)],
        }
    }

    pub(crate) fn alter_reply(&mut self, n: usize, reply: Reply) -> Option<Reply> {
        let now = self.line.epoch(&slot(u8::try_from(n + 1).unwrap()));
        Some(match (self.bug, reply) {
            (Some(Bug::StaleEpoch), Reply::Identified(epoch, device, state)) => {
                Reply::Identified(now.unwrap_or(epoch), device, state)
            }
            (Some(Bug::StaleEpoch), Reply::Performed(epoch, run, outcome, is_over)) => {
                Reply::Performed(now.unwrap_or(epoch), run, outcome, is_over)
            }
            (Some(Bug::SilenceTakenForDone), Reply::Acted(run, key, None)) => {
                let look = Look {
                    device: key.device,
                    epoch: now?,
                    cause: EpochCause::LinkLost,
                    state: NEW,
                    taken_at: Instant::from_nanos(1_000_000_000),
                };
                Reply::Acted(run, key, Some(look))
            }
            (Some(Bug::FactsRemembered), Reply::Read(run, facts)) => {
                let kept = self
                    .memory
                    .facts
                    .entry(facts.device)
                    .or_insert_with(|| (*facts).clone());
                // The envelope is of today, the content of the first time.
                let shown = Facts {
                    epoch: facts.epoch,
                    session: facts.session,
                    writes: facts.writes,
                    wifi: kept.wifi.clone(),
                    state: kept.state.clone(),
                    ..*facts
                };
                Reply::Read(run, Box::new(shown))
            }
            (Some(Bug::LeftOverlooked), Reply::Read(run, mut facts)) => {
                facts.wifi = Reading::Read(Vec::new());
                Reply::Read(run, facts)
            }
            (Some(Bug::FailTakenForPass), Reply::Performed(epoch, run, Outcome::Fail, is_over)) => {
                Reply::Performed(epoch, run, Outcome::Pass, is_over)
            }
            (_, reply) => reply,
        })
    }

    pub(crate) fn shows_pass(&self, there: &SlotPicture) -> bool {
        let is_decided = |run| {
            self.journal.iter().any(|event| {
                event.run == Some(run)
                    && matches!(event.body, Body::RunEnded { outcome, .. } if outcome.is_good())
            })
        };
        there.standing.is_pass() || self.bug == Some(Bug::ShownTooEarly) && there.run.is_some_and(is_decided)
    }
}
