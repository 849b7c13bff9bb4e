//! What a slot asks of the journal in the middle of a step: leave to erase its device, and to write down what became of
//! it.
//!
//! Leave is given as everywhere: the announced device is judged, that it may be erased is written down, and the permit is
//! made when that is durable. Only the devices that a run of this station was about to write are written without a run.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use futures::channel::oneshot;
use lineside_flow::interlock::{ErasePermit, EraseRefusal, EraseRule, EraseTarget, Erasure, Protected};
use lineside_flow::line::Standing;
use lineside_flow::{Event, Input, Line, Receipt};
use lineside_terms::{DeviceId, Digest, SlotPath, Stamp, Told};

use crate::recover::Fault;

/// Whom a slot wants to erase.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) slot: SlotPath,
    /// The device that announced itself.
    pub(crate) announced: DeviceId,
    /// The device that the step is for; `None` where nobody answered, and any that needs recovery by the records is meant.
    pub(crate) target: Option<DeviceId>,
    /// It said itself that it is complete.
    pub(crate) is_complete: bool,
    /// The set that is to be written, and its OS.
    pub(crate) set: Digest,
    pub(crate) os: Option<String>,
}

/// Leave to erase.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) permit: ErasePermit,
    /// The records say that the device was erased before: leaving it alone does not mend it.
    pub(crate) was_erased: bool,
}

#[derive(Debug)]
pub(crate) enum Ask {
    Erase(Box<Wanted>, oneshot::Sender<Result<Granted, Told>>),
    Ended(Box<Input>),
    /// Whether any device works again only after a recovery.
    IsNeeded(oneshot::Sender<bool>),
}

/// The way of slots to the journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leave(Rc<RefCell<VecDeque<Ask>>>);

impl Leave {
    /// Asks for leave to erase a device, and waits until it is given or refused.
    pub(crate) async fn erase(&self, wanted: Wanted) -> Result<Granted, Told> {
        let device = wanted.announced;
        let (answer, answered) = oneshot::channel();
        self.0
            .borrow_mut()
            .push_back(Ask::Erase(Box::new(wanted), answer));
        answered.await.unwrap_or_else(|_| Err(not_durable(device)))
    }

    /// Writes down how it ended.
    pub(crate) fn ended(&self, input: Input) {
        self.0.borrow_mut().push_back(Ask::Ended(Box::new(input)));
    }

    /// True when any device works again only after a recovery, by the records.
    pub(crate) async fn is_needed(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.0.borrow_mut().push_back(Ask::IsNeeded(answer));
        answered.await.unwrap_or(false)
    }

    pub(crate) fn take(&self) -> VecDeque<Ask> {
        std::mem::take(&mut self.0.borrow_mut())
    }
}

struct Waiting {
    written_as: u64,
    erasure: Erasure,
    was_erased: bool,
    answer: oneshot::Sender<Result<Granted, Told>>,
}

/// Erasures that are written down and not durable yet.
#[derive(Default)]
pub(crate) struct Erasures {
    waiting: Vec<Waiting>,
    /// Who is being written, and where.
    under_way: BTreeMap<DeviceId, SlotPath>,
}

impl Erasures {
    /// Judges and writes down; what is to go to the journal.
    pub(crate) fn begin(
        &mut self,
        line: &mut Line,
        protected: &Protected,
        wanted: Wanted,
        answer: oneshot::Sender<Result<Granted, Told>>,
        stamp: Stamp,
    ) -> Vec<Event> {
        let device = wanted.announced;
        match self.judged(line, protected, wanted, stamp) {
            Ok((erasure, was_erased, events)) => {
                let written_as = events.last().map(|event| event.sequence);
                match written_as {
                    Some(written_as) => self.waiting.push(Waiting {
                        written_as,
                        erasure,
                        was_erased,
                        answer,
                    }),
                    // What leaves no trace in the journal must never pass for durable.
                    None => _ = answer.send(Err(not_durable(device))),
                }
                events
            }
            Err(told) => {
                // Nobody hears it when the step was given up meanwhile.
                let _ = answer.send(Err(told));
                Vec::new()
            }
        }
    }

    fn judged(
        &mut self,
        line: &mut Line,
        protected: &Protected,
        wanted: Wanted,
        stamp: Stamp,
    ) -> Result<(Erasure, bool, Vec<Event>), Told> {
        let device = wanted.announced;
        let was_erased = line.needs_recovery(&device).is_some();
        let target = match wanted.target {
            Some(device) => EraseTarget::Exactly(device),
            None if was_erased => EraseTarget::Exactly(device),
            // Somebody else is in the socket than the device that the records speak of.
            None => line
                .needing_recovery()
                .next()
                .map_or(EraseTarget::Exactly(device), |needing| {
                    EraseTarget::Exactly(*needing)
                }),
        };
        if wanted.target.is_none() && !was_erased && line.needing_recovery().next().is_none() {
            return Err(not_durable(device));
        }
        let rule = EraseRule {
            target,
            protected,
            is_complete: wanted.is_complete || line.is_known_complete(&device),
            capability: None,
        };
        let erasure = Erasure::judge(device, &rule).map_err(|refusal| Told::of(&refusal))?;
        let elsewhere = self
            .under_way
            .get(&device)
            .filter(|at| **at != wanted.slot)
            .cloned();
        if let Some(elsewhere) = elsewhere.or_else(|| answers_elsewhere(line, &device, &wanted.slot)) {
            return Err(Told::of(&Fault::Twice { elsewhere }));
        }
        let input = Input::RecoveryBegun {
            slot: wanted.slot.clone(),
            device,
            set: wanted.set,
            os: wanted.os,
        };
        let events = line.take(input, stamp).map_err(|_| not_durable(device))?;
        self.under_way.insert(device, wanted.slot);
        Ok((erasure, was_erased, events))
    }

    /// Gives the leave that is durable now.
    pub(crate) fn durable(&mut self, receipt: &Receipt) {
        let is_durable = |waiting: &mut Waiting| waiting.written_as <= receipt.through();
        for waiting in self.waiting.extract_if(.., is_durable) {
            let was_erased = waiting.was_erased;
            let permit = waiting.erasure.permit(waiting.written_as, receipt);
            let granted = permit.map(|permit| Granted { permit, was_erased });
            let _ = waiting.answer.send(granted.map_err(|refusal| Told::of(&refusal)));
        }
    }

    /// The journal failed: nothing is erased any more.
    pub(crate) fn failed(&mut self, told: &Told) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.answer.send(Err(told.clone()));
        }
    }

    /// A device is done with.
    pub(crate) fn ended(&mut self, input: &Input) {
        if let Input::RecoveryEnded { device, .. } = input {
            self.under_way.remove(device);
        }
    }
}

/// Another socket in which a device of this id answers.
fn answers_elsewhere(line: &Line, device: &DeviceId, slot: &SlotPath) -> Option<SlotPath> {
    let picture = line.picture();
    let same = picture.slots.into_iter().find(|there| {
        there.slot != *slot && there.device == Some(*device) && there.standing != Standing::Gone
    });
    same.map(|there| there.slot)
}

fn not_durable(device: DeviceId) -> Told {
    Told::of(&EraseRefusal::NotDurable {
        device: Box::new(device),
    })
}
