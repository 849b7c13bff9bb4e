//! One board: leased, asked who it is, written, read back.

use std::cell::Cell;
use std::rc::Rc;

use futures::future::{Either, select};
use lineside_device::recovery::{self, Admitted, Broken, RecoveryCell};
use lineside_device::{DeviceError, Session, boot};
use lineside_flow::interlock::{EraseRule, EraseTarget, Erasure};
use lineside_flow::{Input, RecoveryOutcome};
use lineside_link::{Board, Port};
use lineside_terms::{DeviceId, Epoch, ManufacturingState, SlotPath, Told};

use super::book::Book;
use super::{Ended, Fault, Order, TRIES, judge_os, os_of};
use crate::place::Place;
use crate::slot::Stop;

/// What is known of a device before it is brought into recovery.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    device: Option<DeviceId>,
    is_complete: bool,
}

/// Everything that is done with one board.
pub(super) async fn work(
    place: Rc<Place>,
    order: Rc<Order>,
    book: Rc<Book>,
    slot: SlotPath,
    stop: Stop,
    progress: RecoveryCell,
) -> Ended {
    let began = place.wall.clock().now();
    let mut worker = Worker {
        place: &place,
        order: &order,
        book: &book,
        slot: &slot,
        stop: &stop,
        progress: &progress,
        before: Before::default(),
        tries: 0,
        is_erased_before: Cell::new(false),
    };
    let result = worker.recover().await;
    let (tries, before) = (worker.tries, worker.before.device);
    let took = place.wall.clock().now().saturating_since(began);
    Ended {
        slot,
        device: result.device.or(before),
        outcome: result.outcome,
        os: result.os,
        error: result.error,
        tries,
        took,
    }
}

struct Worker<'a> {
    place: &'a Place,
    order: &'a Order,
    book: &'a Book,
    slot: &'a SlotPath,
    stop: &'a Stop,
    progress: &'a RecoveryCell,
    before: Before,
    tries: u32,
    /// The records say that the device that announced itself was erased before: leaving it alone does not mend it.
    is_erased_before: Cell<bool>,
}

/// What came of it.
struct Outcome {
    device: Option<DeviceId>,
    outcome: RecoveryOutcome,
    os: Option<String>,
    error: Option<Told>,
}

impl Outcome {
    const fn untouched(error: Told) -> Self {
        Self {
            device: None,
            outcome: RecoveryOutcome::Untouched,
            os: None,
            error: Some(error),
        }
    }
}

impl Worker<'_> {
    async fn recover(&mut self) -> Outcome {
        let holder = format!("lineside recover on {}", self.place.station);
        let mut board = match self.place.bench.lease(self.slot, &holder).await {
            Ok(board) => board,
            Err(error) => return Outcome::untouched(Told::of(&error)),
        };
        self.before = self.look(&mut *board).await;
        if let Some(device) = self.before.device
            && let Err(refusal) = Erasure::judge(device, &self.rule(&device))
        {
            return Outcome::untouched(Told::of(&refusal));
        }
        loop {
            if self.stop.is_asked() {
                return Outcome::untouched(Told::of(&Fault::Stopped));
            }
            self.tries += 1;
            let broken = match self.write(&mut *board).await {
                Ok(device) => return self.read_back(&mut *board, device).await,
                Err(broken) => broken,
            };
            let outcome = if broken.is_at_risk || self.is_erased_before.get() {
                RecoveryOutcome::NeedsRecovery
            } else {
                RecoveryOutcome::Untouched
            };
            let may_retry = broken.may_retry && self.tries < TRIES && !self.stop.is_asked();
            let result = Outcome {
                device: broken.device,
                outcome,
                os: None,
                error: Some(broken.error),
            };
            let result = self.record(result).await;
            if !may_retry {
                return result;
            }
        }
    }

    /// Who it is, if it still answers. A device without a working OS does not.
    async fn look(&self, board: &mut dyn Board) -> Before {
        let clock = self.place.wall.clock();
        let session = board
            .open(Port::Service)
            .map_err(DeviceError::from)
            .and_then(|wire| Session::new(wire, clock.clone(), self.place.session.clone()));
        let Ok(session) = session else {
            return Before::default();
        };
        let answers = boot::wait_responsive(session, Epoch(0), None, self.order.first_look);
        let Either::Left((Ok(mut device), _)) = select(Box::pin(answers), Box::pin(self.stop.asked())).await
        else {
            return Before::default();
        };
        let state = device.manufacturing_state().await;
        let id = *device.id();
        device.release().await;
        Before {
            device: Some(id),
            is_complete: state == Ok(ManufacturingState::DeviceComplete),
        }
    }

    fn rule(&self, device: &DeviceId) -> EraseRule<'_> {
        let capabilities = &self.order.capabilities;
        let is_alone = self.order.slots.len() == 1;
        let own = capabilities.get_key_value(device).map(|(device, _)| *device);
        // One board and a file for another device: whoever gave it meant something else.
        let meant = own.or_else(|| capabilities.keys().next().copied().filter(|_| is_alone));
        EraseRule {
            target: self.before.device.map_or(EraseTarget::Any, EraseTarget::Exactly),
            protected: &self.order.protected,
            is_complete: self.before.is_complete || self.book.is_known_complete(device),
            capability: meant,
        }
    }

    async fn write(&self, board: &mut dyn Board) -> Result<DeviceId, Broken> {
        let order = self.order;
        let gate = async |device: DeviceId| {
            let erasure =
                Erasure::judge(device, &self.rule(&device)).map_err(|refusal| Told::of(&refusal))?;
            let set = order.recovery.set.digest();
            if self.tries == 1 {
                self.is_erased_before.set(self.book.needs_recovery(&device));
            }
            let permit = self.book.erase(self.slot, erasure, set, order.os.clone()).await?;
            Ok(Admitted {
                permit,
                capability: order.capabilities.get(&device).cloned(),
            })
        };
        let trace = order.trace.as_ref().map(|make| make());
        recovery::write_os(
            board,
            self.place.wall.clock(),
            &order.recovery,
            gate,
            self.progress,
            self.stop.asked(),
            trace,
        )
        .await
    }

    async fn read_back(&self, board: &mut dyn Board, device: DeviceId) -> Outcome {
        let read = recovery::read_back(
            board,
            self.place.wall.clock(),
            self.place.session.clone(),
            device,
            self.order.boot_ceiling,
        );
        let read = match select(Box::pin(read), Box::pin(self.stop.asked())).await {
            Either::Left((read, _)) => read.map_err(Fault::NotSeenToBoot),
            Either::Right(((), _)) => Err(Fault::Stopped),
        };
        let (os, fault) = match read {
            Ok(facts) => {
                let os = os_of(&facts, &self.order.releases);
                let fault = judge_os(os.as_deref(), self.order.os.as_deref());
                (os, fault)
            }
            Err(fault) => (None, Some(fault)),
        };
        let outcome = if fault.is_none() {
            RecoveryOutcome::Recovered
        } else {
            RecoveryOutcome::Unknown
        };
        self.record(Outcome {
            device: Some(device),
            outcome,
            os,
            error: fault.map(|fault| Told::of(&fault)),
        })
        .await
    }

    /// Writes down how it ended, if it was begun.
    async fn record(&self, result: Outcome) -> Outcome {
        let Some(device) = result.device else {
            return result;
        };
        let input = Input::RecoveryEnded {
            slot: self.slot.clone(),
            device,
            outcome: result.outcome,
            os: result.os.clone(),
            error: result.error.clone(),
        };
        match self.book.end(device, input).await {
            Ok(()) => result,
            // It is not recorded, so it is not good.
            Err(error) => Outcome {
                outcome: match result.outcome {
                    RecoveryOutcome::Recovered => RecoveryOutcome::Unknown,
                    other => other,
                },
                error: Some(result.error.unwrap_or(error)),
                ..result
            },
        }
    }
}
