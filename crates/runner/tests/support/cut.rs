//! Ends a start of the program where one likes: at a boundary of the journal or at an output to a device.
//!
//! From the moment of the cut nothing leaves the program any more: wires and lines are dead, the store takes nothing;
//! then the future is dropped. That is what a loss of the PC's power looks like from outside.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::StreamExt as _;
use futures::future::{FutureExt as _, LocalBoxFuture};
use lineside_flow::{Event, Receipt};
use lineside_link::{Bench, Board, BoardInfo, Line, LineSettings, LinkError, Port, Watch, Wire, WireHealth};
use lineside_records::FakeDisk;
use lineside_runner::{Cancel, Keeper, Store};
use lineside_simulator::BenchHandle;
use lineside_terms::{SlotPath, Told};

/// What happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The PC loses its power.
    Cut,
    /// Somebody asks to stop.
    Cancel,
    /// The disk goes bad, in this way.
    Disk(DiskFault),
    /// What [`Cutter::hand`] was given is done to the world.
    Hand,
}

/// How a disk goes bad while a start runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// So many bytes are left.
    Full(u64),
    ReadOnly,
    /// The next write fails half-way.
    Write,
    /// The next sync fails.
    Sync,
}

/// How much of an output reaches the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    Nothing,
    Half,
    All,
}

/// Where in the submission of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// Nothing of them is written.
    Before,
    /// They are written and not synced: the dice of the disk decide what survives.
    Unsynced,
    /// They are durable, and nobody heard of it.
    Synced,
}

/// A moment of a start; numbers begin with 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moment {
    #[default]
    Never,
    /// At the nth write to a wire, or drive of a line.
    Output { nth: u64, share: Share },
    /// At the nth submission of events.
    Submit { nth: u64, boundary: Boundary },
}

/// Decides when a start falls. Clones share it.
#[derive(Clone, Default)]
pub struct Cutter(Rc<State>);

#[derive(Default)]
struct State {
    moment: Cell<Moment>,
    fate: Cell<Option<Fate>>,
    seed: Cell<u64>,
    outputs: Cell<u64>,
    submits: Cell<u64>,
    is_dead: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    disk: RefCell<Option<FakeDisk>>,
    cancel: RefCell<Option<Cancel>>,
    hand: RefCell<Option<Box<dyn FnOnce()>>>,
    /// How often a store that failed is tried again until the disk is mended; without it, a failure is final.
    mends: Cell<Option<u32>>,
}

impl Cutter {
    /// Lets the next start come to this; starts after it are left alone.
    pub fn at(&self, moment: Moment, fate: Fate, seed: u64) {
        self.0.moment.set(moment);
        self.0.fate.set(Some(fate));
        self.0.seed.set(seed);
    }

    /// Lets somebody do something to the world when the next start comes to this.
    pub fn hand(&self, moment: Moment, hand: impl FnOnce() + 'static) {
        self.at(moment, Fate::Hand, 0);
        *self.0.hand.borrow_mut() = Some(Box::new(hand));
    }

    /// A disk that fails is mended when it has been tried again so often.
    pub fn mend_at_try(&self, nth: u32) {
        self.0.mends.set(Some(nth));
    }

    /// What has not happened yet does not happen.
    pub fn leave_alone(&self) {
        self.0.moment.set(Moment::Never);
    }

    /// A start begins.
    pub fn begin(&self, disk: FakeDisk, cancel: Cancel) {
        self.0.outputs.set(0);
        self.0.submits.set(0);
        self.0.is_dead.set(false);
        *self.0.disk.borrow_mut() = Some(disk);
        *self.0.cancel.borrow_mut() = Some(cancel);
    }

    /// How many outputs and submissions the last start made.
    pub fn counts(&self) -> (u64, u64) {
        (self.0.outputs.get(), self.0.submits.get())
    }

    pub fn seed(&self) -> u64 {
        self.0.seed.get()
    }

    /// Returns when the start has fallen.
    pub async fn fallen(&self) {
        poll_fn(|cx| {
            if self.0.is_dead.get() {
                return Poll::Ready(());
            }
            *self.0.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn is_dead(&self) -> bool {
        self.0.is_dead.get()
    }

    /// The moment has come. True when the start is dead now.
    fn strike(&self) -> bool {
        self.0.moment.set(Moment::Never);
        match self.0.fate.take() {
            Some(Fate::Cancel) => {
                self.0.cancel.borrow().as_ref().unwrap().ask();
                false
            }
            Some(Fate::Hand) => {
                let hand = self.0.hand.borrow_mut().take();
                hand.unwrap()();
                false
            }
            Some(Fate::Disk(fault)) => {
                let disk = self.0.disk.borrow();
                let disk = disk.as_ref().unwrap();
                match fault {
                    DiskFault::Full(room) => disk.fill_after(room),
                    DiskFault::ReadOnly => disk.make_read_only(),
                    DiskFault::Write => disk.fail_write(1),
                    DiskFault::Sync => disk.fail_sync(1),
                }
                false
            }
            _ => {
                self.0.is_dead.set(true);
                if let Some(waker) = self.0.waker.borrow_mut().take() {
                    waker.wake();
                }
                true
            }
        }
    }

    /// Counts an output; how much of it may leave.
    fn output(&self) -> Option<Share> {
        let nth = self.0.outputs.get() + 1;
        self.0.outputs.set(nth);
        match self.0.moment.get() {
            Moment::Output { nth: at, share } if at == nth => self.strike().then_some(share),
            _ => None,
        }
    }
}

/// A store that falls with its start.
pub struct CutStore {
    keeper: Keeper,
    cutter: Cutter,
}

impl CutStore {
    pub fn new(keeper: Keeper, cutter: Cutter) -> Self {
        Self { keeper, cutter }
    }
}

impl Store for CutStore {
    fn submit(&mut self, events: Vec<Event>) {
        let cutter = &self.cutter;
        if cutter.is_dead() {
            return;
        }
        let nth = cutter.0.submits.get() + 1;
        cutter.0.submits.set(nth);
        let boundary = match cutter.0.moment.get() {
            Moment::Submit { nth: at, boundary } if at == nth => Some(boundary),
            _ => None,
        };
        match boundary {
            None => self.keeper.submit(events),
            Some(Boundary::Before) => {
                if !cutter.strike() {
                    self.keeper.submit(events);
                }
            }
            Some(Boundary::Unsynced) => {
                cutter.0.disk.borrow().as_ref().unwrap().cut_power_at_sync(1);
                self.keeper.submit(events);
                assert!(cutter.strike(), "only a cut falls between writing and syncing");
            }
            Some(Boundary::Synced) => {
                self.keeper.submit(events);
                cutter.strike();
            }
        }
    }

    fn poll_receipt(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, Told>> {
        if self.cutter.is_dead() {
            return Poll::Pending;
        }
        self.keeper.poll_receipt(cx)
    }

    fn can_retry(&self) -> bool {
        self.cutter.0.mends.get().is_some() && self.keeper.can_retry()
    }

    fn retry(&mut self) {
        let State { mends, disk, .. } = &*self.cutter.0;
        let left = mends.get().unwrap().saturating_sub(1);
        mends.set(Some(left));
        if left == 0 {
            disk.borrow().as_ref().unwrap().heal();
        }
        self.keeper.retry();
    }
}

/// A bench whose boards fall silent for a start that has fallen.
pub struct CutBench {
    bench: BenchHandle,
    cutter: Cutter,
}

impl CutBench {
    pub fn new(bench: BenchHandle, cutter: Cutter) -> Self {
        Self { bench, cutter }
    }
}

impl Bench for CutBench {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        self.bench.list()
    }

    fn watch(&self) -> Watch {
        let cutter = self.cutter.clone();
        Box::pin(
            self.bench
                .watch()
                .filter(move |_| std::future::ready(!cutter.is_dead())),
        )
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let leased = self.bench.lease(slot, holder);
        let cutter = self.cutter.clone();
        async move {
            let board = leased.await?;
            Ok(Box::new(CutBoard { board, cutter }) as Box<dyn Board>)
        }
        .boxed_local()
    }
}

struct CutBoard {
    board: Box<dyn Board>,
    cutter: Cutter,
}

impl Board for CutBoard {
    fn slot(&self) -> &SlotPath {
        self.board.slot()
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        let wire = self.board.open(port)?;
        Ok(Box::new(CutWire {
            wire,
            cutter: self.cutter.clone(),
        }))
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        if self.cutter.is_dead() || self.cutter.output() == Some(Share::Nothing) {
            return Ok(());
        }
        self.board.set_line(line, asserted)
    }
}

struct CutWire {
    wire: Box<dyn Wire>,
    cutter: Cutter,
}

impl Wire for CutWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        if self.cutter.is_dead() {
            return Poll::Pending;
        }
        self.wire.poll_read(cx, into)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        if self.cutter.is_dead() {
            return Poll::Pending;
        }
        let share = self.cutter.output();
        match share {
            Some(Share::Nothing) => Poll::Pending,
            Some(Share::Half) => {
                let _ = self.wire.poll_write(cx, &from[..from.len() / 2 + from.len() % 2]);
                Poll::Pending
            }
            Some(Share::All) | None => self.wire.poll_write(cx, from),
        }
    }

    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.wire.configure(settings)
    }

    fn set_packet_boundary(&mut self, byte: Option<u8>) {
        self.wire.set_packet_boundary(byte);
    }

    fn health(&self) -> WireHealth {
        self.wire.health()
    }
}
