//! The journal as boards in recovery use it: write something down, wait until it is durable, get leave to erase.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use lineside_flow::interlock::{ErasePermit, EraseRefusal, Erasure};
use lineside_flow::line::Refusal;
use lineside_flow::{Event, Input, Line, Receipt};
use lineside_terms::{DeviceId, Digest, SlotPath, Told};

use super::Fault;
use crate::store::Store;
use crate::wall::WallClock;

/// What all boards share of the journal.
pub(super) struct Book {
    inner: RefCell<Inner>,
    wall: WallClock,
}

struct Inner {
    line: Line,
    /// To be submitted.
    outgoing: Vec<Event>,
    /// Submitted and not durable yet.
    undurable: VecDeque<Event>,
    receipt: Option<Receipt>,
    failed: Option<Told>,
    waiting: Vec<Waker>,
    /// Who is being recovered, and where.
    under_way: BTreeMap<DeviceId, SlotPath>,
}

impl Book {
    /// A journal that goes on with `outgoing`: what this start of the program has to say.
    pub(super) fn new(line: Line, outgoing: Vec<Event>, wall: WallClock) -> Self {
        let inner = Inner {
            line,
            outgoing,
            undurable: VecDeque::new(),
            receipt: None,
            failed: None,
            waiting: Vec::new(),
            under_way: BTreeMap::new(),
        };
        Self {
            inner: RefCell::new(inner),
            wall,
        }
    }

    /// True when the device is complete by what is recorded.
    pub(super) fn is_known_complete(&self, device: &DeviceId) -> bool {
        self.inner.borrow().line.is_known_complete(device)
    }

    /// True when the device works again only after a recovery, by what is recorded.
    pub(super) fn needs_recovery(&self, device: &DeviceId) -> bool {
        self.inner.borrow().line.needs_recovery(device).is_some()
    }

    pub(super) fn needing_recovery(&self) -> Vec<DeviceId> {
        self.inner.borrow().line.needing_recovery().copied().collect()
    }

    pub(super) fn store_error(&self) -> Option<Told> {
        self.inner.borrow().failed.clone()
    }

    /// Writes down that a device may be erased from now on, and gives leave to do it when that is durable.
    pub(super) async fn erase(
        &self,
        slot: &SlotPath,
        erasure: Erasure,
        set: Digest,
        os: Option<String>,
    ) -> Result<ErasePermit, Told> {
        let device = *erasure.device();
        {
            let mut inner = self.inner.borrow_mut();
            let elsewhere = inner.under_way.get(&device).filter(|at| *at != slot);
            if let Some(elsewhere) = elsewhere.cloned() {
                return Err(Told::of(&Fault::Twice { elsewhere }));
            }
            inner.under_way.insert(device, slot.clone());
        }
        let input = Input::RecoveryBegun {
            slot: slot.clone(),
            device,
            set,
            os,
        };
        let refused = |_: Refusal| self.store_error().unwrap_or_else(|| not_durable(device));
        let written_as = self.write(input).map_err(refused)?;
        self.durable(written_as).await?;
        let inner = self.inner.borrow();
        let receipt = inner.receipt.as_ref().expect("what is durable has a receipt");
        erasure
            .permit(written_as, receipt)
            .map_err(|refusal| Told::of(&refusal))
    }

    /// Writes down how a recovery ended, and waits until that is durable. What was not begun has no end either.
    pub(super) async fn end(&self, device: DeviceId, input: Input) -> Result<(), Told> {
        self.inner.borrow_mut().under_way.remove(&device);
        match self.write(input) {
            Ok(written_as) => self.durable(written_as).await,
            Err(Refusal::StoreDown) => Err(self.store_error().unwrap_or_else(|| not_durable(device))),
            Err(Refusal::Stale | Refusal::NotAsked | Refusal::Replayed | Refusal::BeforeRestore) => Ok(()),
        }
    }

    /// The number of the last event that the input became.
    fn write(&self, input: Input) -> Result<u64, Refusal> {
        let mut inner = self.inner.borrow_mut();
        let events = inner.line.take(input, self.wall.stamp())?;
        // What leaves no trace in the journal must never pass for durable.
        let last = events.last().ok_or(Refusal::NotAsked)?.sequence;
        inner.outgoing.extend(events);
        Ok(last)
    }

    async fn durable(&self, sequence: u64) -> Result<(), Told> {
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            if inner
                .receipt
                .as_ref()
                .is_some_and(|receipt| receipt.through() >= sequence)
            {
                return Poll::Ready(Ok(()));
            }
            if let Some(error) = &inner.failed {
                return Poll::Ready(Err(error.clone()));
            }
            inner.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    pub(super) fn has_outgoing(&self) -> bool {
        !self.inner.borrow().outgoing.is_empty()
    }

    /// Everything is durable, or nothing more will be.
    pub(super) fn is_settled(&self) -> bool {
        let inner = self.inner.borrow();
        inner.failed.is_some() || (inner.outgoing.is_empty() && inner.undurable.is_empty())
    }

    /// Submits what was written and takes receipts; true when something changed.
    pub(super) fn keep(
        &self,
        cx: &mut Context<'_>,
        store: &mut dyn Store,
        mut durable: impl FnMut(&[Event]),
    ) -> bool {
        let mut is_busy = false;
        let outgoing = std::mem::take(&mut self.inner.borrow_mut().outgoing);
        if !outgoing.is_empty() {
            self.inner.borrow_mut().undurable.extend(outgoing.iter().cloned());
            store.submit(outgoing);
            is_busy = true;
        }
        while self.inner.borrow().failed.is_none() {
            let Poll::Ready(polled) = store.poll_receipt(cx) else {
                break;
            };
            let told = self.take_receipt(polled);
            if !told.is_empty() {
                durable(&told);
            }
            is_busy = true;
        }
        is_busy
    }

    /// Notes what is durable and wakes everyone who waits; the events that became so.
    fn take_receipt(&self, polled: Result<Receipt, Told>) -> Vec<Event> {
        let mut inner = self.inner.borrow_mut();
        let mut told = Vec::new();
        match polled {
            Ok(receipt) => {
                while let Some(event) = inner
                    .undurable
                    .pop_front_if(|event| event.sequence <= receipt.through())
                {
                    told.push(event);
                }
                // Boards are recovered here, not led through a plan: nothing follows by itself.
                drop(inner.line.react(&receipt, self.wall.clock().now()));
                inner.receipt = Some(receipt);
            }
            Err(error) => {
                // From now on nothing is written, so nothing is begun.
                drop(inner.line.take(Input::StoreFailed, self.wall.stamp()));
                inner.failed = Some(error);
            }
        }
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        waiting.into_iter().for_each(Waker::wake);
        told
    }
}

fn not_durable(device: DeviceId) -> Told {
    Told::of(&EraseRefusal::NotDurable {
        device: Box::new(device),
    })
}
