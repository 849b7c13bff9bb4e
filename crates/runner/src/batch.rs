//! The async shell of the engine: one batch of boards through one program.
//!
//! The loop is short on purpose: what a slot or the bench reports becomes an input; the engine's events go to the
//! store; what the store has made durable becomes orders for slots. Nothing is shown as final and nothing is done
//! before its event is durable. Dropping the returned future at any moment is the same as a power cut.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lineside_device::{Entropy, Progress, ProgressCell};
use lineside_flow::interlock::EpochCause;
use lineside_flow::line::Refusal;
use lineside_flow::recipe::Recipe;
use lineside_flow::{Effect, Event, Input, Line, Picture, Receipt};
use lineside_link::{BenchEvent, BoardInfo, Sleep, Watch};
use lineside_terms::{DeviceId, SlotPath, Told, UnitSerial};

use crate::desk::Clerk;
use crate::error::RunnerError;
use crate::gate::{self, Gate, News, Pass, Tally};
use crate::history::History;
use crate::leave::{Ask, Erasures, Leave};
use crate::outage::{Next, Outage};
use crate::place::Place;
use crate::program::{Program, Serials};
use crate::slot::{Common, Order, Orders, Slot, Stop, Working};
use crate::store::Store;
use crate::wall::WallClock;

pub use crate::slot::Patience;

/// How long the end of a batch waits for boards that are being let go of: saying goodbye takes
/// `lineside_device::timeouts::GOODBYE` at most, and whatever else a slot still does is of no interest any more.
const PARTING: Duration = Duration::from_millis(500);

/// What is to be done.
#[derive(Debug)]
pub struct Batch {
    /// The plan with all its bytes.
    pub program: Rc<Program>,
    /// The unit serials.
    pub serials: Serials,
    /// How many units must pass, if the caller said so; else every board and every serial counts.
    pub expected: Option<u32>,
    /// The only device that is meant, if somebody named one: every other is held, whatever socket it answers in.
    pub only: Option<DeviceId>,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// How long devices are waited for.
    pub patience: Patience,
    /// What was ordered, to be written down for who goes on with it; its number of units is filled in.
    pub order: Option<lineside_flow::order::Order>,
    /// Where approvals are brought meanwhile, if anywhere.
    pub desk: Option<crate::desk::Desk>,
}

/// Something worth showing.
#[derive(Debug)]
pub enum Notice<'a> {
    /// Events that are durable now, in order.
    Durable(&'a [Event]),
    /// The picture changed.
    Picture(&'a Picture),
    /// How far an upload has come; sampled, never recorded.
    Progress(&'a SlotPath, Progress),
    /// Something at the gate.
    Gate(&'a News),
    /// The journal cannot be written, for this reason; or, without one, it can be again and all that was done is in it.
    Store(Option<&'a Told>),
}

/// Asks a running batch to stop in a told state.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Rc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    is_asked: std::cell::Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Cancel {
    /// Asks. Steps under way end where the device's state is told; no new one begins.
    pub fn ask(&self) {
        self.0.is_asked.set(true);
        if let Some(waker) = self.0.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Cancel {
    /// True when somebody has asked; else whoever waits with `cx` is woken when somebody does.
    pub(crate) fn poll_asked(&self, cx: &Context<'_>) -> bool {
        if !self.0.is_asked.get() {
            *self.0.waker.borrow_mut() = Some(cx.waker().clone());
        }
        self.0.is_asked.get()
    }
}

/// How a batch ended.
#[derive(Debug)]
pub struct Summary {
    /// Every socket.
    pub picture: Picture,
    /// How many units had to pass.
    pub expected: usize,
    /// True when somebody asked to stop.
    pub is_cancelled: bool,
    /// What the journal said when it failed; then nothing after it is recorded.
    pub store_error: Option<Told>,
    /// What went through the gate, if there was one.
    pub tally: Option<Tally>,
    /// Boards came and went until somebody asked to stop.
    pub is_continuous: bool,
}

impl Summary {
    /// True only when every expected unit passed, no board is left out, and everything is recorded.
    pub fn is_pass(&self) -> bool {
        let tally = self.tally.unwrap_or_default();
        if tally.untold > 0 {
            return false;
        }
        if self.is_continuous {
            return tally.failed == 0 && tally.passed >= self.expected && self.store_error.is_none();
        }
        let all = self.picture.slots.iter().all(|slot| slot.standing.is_pass());
        all && self.picture.passed() >= self.expected.max(1)
            && self.store_error.is_none()
            && !self.is_cancelled
    }
}

/// Takes all boards of the bench through the program, until nothing more will happen by itself.
///
/// `history` is what the journal holds; `store` takes what follows it.
///
/// # Errors
/// When the history cannot be followed or the bench cannot be listed. Trouble with single boards is no error here: it
/// stands in the summary.
pub async fn run(
    place: Place,
    batch: Batch,
    history: impl Into<History>,
    store: &mut dyn Store,
    cancel: &Cancel,
    notice: impl FnMut(Notice<'_>),
) -> Result<Summary, RunnerError> {
    run_behind(None, place, batch, history, store, cancel, notice).await
}

/// [`run`], where boards go through a gate before they are taken.
///
/// # Errors
/// As [`run`].
pub async fn run_behind(
    gate: Option<Gate>,
    place: Place,
    batch: Batch,
    history: impl Into<History>,
    store: &mut dyn Store,
    cancel: &Cancel,
    mut notice: impl FnMut(Notice<'_>),
) -> Result<Summary, RunnerError> {
    let Batch {
        program,
        serials,
        expected,
        only,
        entropy,
        patience,
        order,
        desk,
    } = batch;
    let (mut line, mut pending) = place.resume(program.protected().clone(), history.into())?;
    let Place {
        station,
        bench,
        wall,
        session,
        ..
    } = place;
    let holder = format!("lineside run on {station}");
    let boards = bench.list().await.map_err(RunnerError::Bench)?;
    let is_continuous = gate.as_ref().is_some_and(|gate| gate.is_continuous);
    let to_pass = match expected {
        Some(count) => count as usize,
        None if is_continuous => 0,
        None => boards.len().max(serials.count),
    };
    let gate = gate.map(|gate| {
        let serials = (serials.by_slot.clone(), serials.rest.clone());
        let clock = wall.clock().clone();
        gate::Keeper::new(
            gate,
            Rc::clone(&bench),
            clock,
            session.clone(),
            patience.found,
            serials,
        )
    });
    let tray = Tray {
        recipe: Rc::clone(program.recipe()),
        serials: serials.by_slot.clone(),
        expected,
        only,
    };
    let watch = bench.watch();
    let common = Rc::new(Common {
        bench,
        wall: wall.clone(),
        program: Rc::clone(&program),
        session,
        entropy: RefCell::new(entropy),
        holder,
        patience,
        leave: Leave::default(),
    });
    pending.extend(line.take(tray.begin(), wall.stamp()).unwrap_or_default());
    if let Some(mut order) = order {
        order.units = u32::try_from(to_pass).unwrap_or(u32::MAX);
        pending.extend(line.order(order, wall.stamp()));
    }
    let mut shell = Shell {
        line,
        wall,
        common,
        slots: BTreeMap::new(),
        workers: FuturesUnordered::new(),
        inputs: Inputs::default(),
        erasures: Erasures::default(),
        watch: Some(watch),
        known: boards.iter().map(|board| board.slot.clone()).collect(),
        undurable: VecDeque::new(),
        is_cancelled: false,
        store_error: None,
        outage: None,
        is_changed: true,
        parting: None,
        gate,
        tray,
        clerk: Clerk::at(desk),
    };
    shell.write(pending, store);
    // Boards that are there already are not attached while we watch: something sent earlier may be on its way.
    for board in boards {
        shell.seen(board, EpochCause::Found, store);
    }
    poll_fn(|cx| shell.turn(cx, store, cancel, &mut notice)).await;
    let picture = shell.line.picture();
    Ok(Summary {
        picture,
        expected: to_pass,
        is_cancelled: shell.is_cancelled,
        store_error: shell.store_error,
        tally: shell.gate.as_ref().map(gate::Keeper::tally),
        is_continuous,
    })
}

/// What is to be done with boards, as it is told to the engine again when a board brings a serial with it.
struct Tray {
    recipe: Rc<Recipe>,
    serials: BTreeMap<SlotPath, UnitSerial>,
    expected: Option<u32>,
    only: Option<DeviceId>,
}

impl Tray {
    fn begin(&self) -> Input {
        Input::Begin {
            recipe: Rc::clone(&self.recipe),
            serials: self.serials.clone(),
            expected: self.expected,
            only: self.only,
        }
    }
}

/// What slots report, until the shell fetches it.
#[derive(Debug, Clone, Default)]
struct Inputs(Rc<RefCell<VecDeque<Input>>>);

struct Desk {
    orders: Orders,
    stop: Stop,
    progress: ProgressCell,
    shown: Progress,
}

struct Shell {
    line: Line,
    wall: WallClock,
    common: Rc<Common>,
    slots: BTreeMap<SlotPath, Desk>,
    workers: FuturesUnordered<Working<'static>>,
    inputs: Inputs,
    erasures: Erasures,
    watch: Option<Watch>,
    /// Boards that the first listing has told already: the watch begins with them again.
    known: std::collections::BTreeSet<SlotPath>,
    /// Events that were submitted and are not durable yet.
    undurable: VecDeque<Event>,
    is_cancelled: bool,
    /// The journal failed for good.
    store_error: Option<Told>,
    /// The journal cannot be written for now.
    outage: Option<Outage>,
    is_changed: bool,
    /// Everything is settled, and boards are let go of for as long as this.
    parting: Option<Sleep>,
    /// What boards go through before they are taken.
    gate: Option<gate::Keeper>,
    tray: Tray,
    clerk: Clerk,
}

impl Shell {
    /// Does everything that can be done now.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        store: &mut dyn Store,
        cancel: &Cancel,
        notice: &mut dyn FnMut(Notice<'_>),
    ) -> Poll<()> {
        loop {
            let mut is_busy = false;
            if !self.is_cancelled && cancel.poll_asked(cx) {
                self.is_cancelled = true;
                if let Some(gate) = &mut self.gate {
                    gate.close();
                }
                self.input(Input::Cancel, store);
                is_busy = true;
            }
            is_busy |= self.follow_bench(cx, store);
            is_busy |= self.follow_gate(cx, store, notice);
            is_busy |= self.follow_store(cx, store, notice);
            while let Some(approved) = self.clerk.take(cx, &mut self.line, self.wall.stamp()) {
                self.write(approved, store);
                is_busy = true;
            }
            // Workers never end; polling them moves bytes and fills the inputs.
            while let Poll::Ready(Some(())) = self.workers.poll_next_unpin(cx) {}
            is_busy |= self.follow_asks(store);
            let inputs = std::mem::take(&mut *self.inputs.0.borrow_mut());
            is_busy |= !inputs.is_empty();
            for input in inputs {
                self.input(input, store);
            }
            self.show_progress(notice);
            if self.is_changed {
                self.is_changed = false;
                notice(Notice::Picture(&self.line.picture()));
            }
            let is_given_up = self.is_cancelled || self.store_error.is_some();
            if self.is_settled() && (is_given_up || !self.clerk.waits(cx, &self.line, self.wall.clock())) {
                if self.is_over(cx) {
                    return Poll::Ready(());
                }
            } else {
                self.parting = None;
            }
            if !is_busy {
                return Poll::Pending;
            }
        }
    }

    /// Nothing is on its way to the journal and nothing more will happen on any board.
    fn is_settled(&self) -> bool {
        let is_idle = self.gate.as_ref().is_none_or(gate::Keeper::is_idle) || self.watch.is_none();
        self.store_error.is_some()
            || (is_idle && self.undurable.is_empty() && self.line.picture().is_settled())
    }

    /// Every board was let go of, or took longer than that may take.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if self.store_error.is_some() || self.slots.values().all(|desk| desk.orders.are_done()) {
            return true;
        }
        let clock = self.wall.clock();
        let parting = self
            .parting
            .get_or_insert_with(|| clock.sleep_until(clock.now() + PARTING));
        Pin::new(parting).poll(cx).is_ready()
    }

    fn input(&mut self, input: Input, store: &mut dyn Store) {
        match self.line.take(input, self.wall.stamp()) {
            Ok(events) => self.write(events, store),
            Err(Refusal::Stale | Refusal::NotAsked | Refusal::Replayed | Refusal::BeforeRestore) => {
                tracing::debug!("a reply came too late")
            }
            Err(Refusal::StoreDown) => {}
        }
    }

    /// What slots ask in the middle of a step. It comes before what they report at its end.
    fn follow_asks(&mut self, store: &mut dyn Store) -> bool {
        let asks = self.common.leave.take();
        let is_busy = !asks.is_empty();
        for ask in asks {
            match ask {
                Ask::Erase(wanted, answer) => {
                    let (stamp, protected) = (self.wall.stamp(), self.common.program.protected());
                    let events = self
                        .erasures
                        .begin(&mut self.line, protected, *wanted, answer, stamp);
                    self.write(events, store);
                }
                Ask::Ended(input) => {
                    self.erasures.ended(&input);
                    self.input(*input, store);
                }
                Ask::IsNeeded(answer) => {
                    // Nobody hears it when the step was given up meanwhile.
                    let _ = answer.send(self.line.needing_recovery().next().is_some());
                }
            }
        }
        is_busy
    }

    fn write(&mut self, events: Vec<Event>, store: &mut dyn Store) {
        if !events.is_empty() {
            self.is_changed = true;
            self.undurable.extend(events.iter().cloned());
            store.submit(events);
        }
    }

    fn follow_bench(&mut self, cx: &mut Context<'_>, store: &mut dyn Store) -> bool {
        let mut is_busy = false;
        while let Some(watch) = &mut self.watch {
            match watch.as_mut().poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.watch = None,
                Poll::Ready(Some(BenchEvent::Attached(board))) => {
                    if !self.known.remove(&board.slot) {
                        self.seen(board, EpochCause::Attached, store);
                    }
                }
                Poll::Ready(Some(BenchEvent::Detached(slot))) => {
                    self.known.remove(&slot);
                    if let Some(gate) = &mut self.gate {
                        gate.detached(&slot);
                    }
                    self.input(Input::Gone { slot }, store);
                }
            }
            is_busy = true;
        }
        is_busy
    }

    /// A board is there: it is taken, or goes to the gate.
    fn seen(&mut self, board: BoardInfo, cause: EpochCause, store: &mut dyn Store) {
        match &mut self.gate {
            Some(gate) if !self.is_cancelled => gate.attached(board, cause),
            Some(_) => {}
            None => self.input(
                Input::Seen {
                    slot: board.slot,
                    cause,
                },
                store,
            ),
        }
    }

    fn follow_gate(
        &mut self,
        cx: &mut Context<'_>,
        store: &mut dyn Store,
        notice: &mut dyn FnMut(Notice<'_>),
    ) -> bool {
        let mut is_busy = false;
        while let Some(gate) = &mut self.gate {
            let pass = gate.poll(cx, &self.line);
            while let Some(news) = gate.next_news() {
                notice(Notice::Gate(&news));
            }
            let Some(Pass {
                slot,
                cause,
                leave,
                serial,
            }) = pass
            else {
                break;
            };
            if let Some(serial) = serial
                && self.tray.serials.get(&slot) != Some(&serial)
            {
                self.tray.serials.insert(slot.clone(), serial);
                self.input(self.tray.begin(), store);
            }
            self.line.leave(slot.clone(), leave);
            self.input(Input::Seen { slot, cause }, store);
            is_busy = true;
        }
        is_busy
    }

    fn follow_store(
        &mut self,
        cx: &mut Context<'_>,
        store: &mut dyn Store,
        notice: &mut dyn FnMut(Notice<'_>),
    ) -> bool {
        let mut is_busy = false;
        while self.store_error.is_none() {
            match store.poll_receipt(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(receipt)) => {
                    let is_back = self.outage.take().is_some();
                    self.line.waits_for_store(false);
                    self.durable(&receipt, notice);
                    if is_back {
                        notice(Notice::Store(None));
                    }
                }
                Poll::Ready(Err(error)) => self.store_failed(error, store, notice),
            }
            self.is_changed = true;
            is_busy = true;
        }
        let clock = self.wall.clock();
        let next = self.outage.as_mut().map(|outage| match self.is_cancelled {
            // Who asks to stop does not wait for a disk.
            true => Poll::Ready(Next::GiveUp),
            false => outage.poll(cx, clock),
        });
        match next {
            Some(Poll::Ready(Next::Retry)) => store.retry(),
            Some(Poll::Ready(Next::GiveUp)) => {
                let error = self.outage.take().map(|outage| outage.error);
                self.store_is_lost(error, store);
            }
            None | Some(Poll::Pending) => return is_busy,
        }
        self.is_changed = true;
        true
    }

    /// Nothing new starts, what is under way comes to its end, and the journal is tried again for a while.
    fn store_failed(&mut self, error: Told, store: &mut dyn Store, notice: &mut dyn FnMut(Notice<'_>)) {
        let clock = self.wall.clock();
        match &mut self.outage {
            _ if !store.can_retry() => self.store_is_lost(Some(error), store),
            Some(outage) => outage.goes_on(clock),
            None => {
                notice(Notice::Store(Some(&error)));
                self.line.waits_for_store(true);
                self.outage = Some(Outage::begin(error, clock, self.common.patience.store));
            }
        }
    }

    fn store_is_lost(&mut self, error: Option<Told>, store: &mut dyn Store) {
        self.outage = None;
        if let Some(error) = &error {
            self.erasures.failed(error);
        }
        self.store_error = error;
        self.input(Input::StoreFailed, store);
    }

    fn durable(&mut self, receipt: &Receipt, notice: &mut dyn FnMut(Notice<'_>)) {
        let count = self
            .undurable
            .iter()
            .take_while(|event| event.sequence <= receipt.through())
            .count();
        let durable: Vec<Event> = self.undurable.drain(..count).collect();
        self.erasures.durable(receipt);
        self.clerk.durable(receipt);
        let effects = self.line.react(receipt, self.wall.clock().now());
        if let Some(gate) = &mut self.gate {
            durable.iter().for_each(|event| gate.durable(event, &self.line));
        }
        if !durable.is_empty() {
            notice(Notice::Durable(&durable));
        }
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let (slot, order) = match effect {
            Effect::Identify { slot, epoch, cause } => (slot, Order::Identify { epoch, cause }),
            Effect::Reset { slot, epoch } => (slot, Order::Reset { epoch }),
            Effect::Perform {
                slot,
                epoch,
                run,
                device,
                step,
                ..
            } => (
                slot,
                Order::Perform {
                    epoch,
                    run,
                    device,
                    step,
                },
            ),
            Effect::ReadFacts { slot, epoch, run } => (slot, Order::ReadFacts { epoch, run }),
            Effect::Act { slot, run, permit } => (slot, Order::Act { run, permit }),
            Effect::Release { slot } => (slot, Order::Release),
            Effect::NotActed {
                slot,
                run,
                key,
                refusal,
            } => {
                let error = Some(Told::of(&refusal));
                self.inputs.0.borrow_mut().push_back(Input::Acted {
                    slot,
                    run,
                    key,
                    look: None,
                    error,
                });
                return;
            }
            Effect::Stop { slot } => {
                self.desk(&slot).stop.ask();
                return;
            }
        };
        self.desk(&slot).orders.give(order);
    }

    /// The place where a slot takes its orders; its worker starts with the first.
    fn desk(&mut self, path: &SlotPath) -> &Desk {
        if !self.slots.contains_key(path) {
            let desk = Desk {
                orders: Orders::default(),
                stop: Stop::default(),
                progress: ProgressCell::default(),
                shown: Progress::default(),
            };
            let slot = Slot {
                path: path.clone(),
                common: Rc::clone(&self.common),
                orders: desk.orders.clone(),
                stop: desk.stop.clone(),
                progress: Rc::clone(&desk.progress),
            };
            let inputs = self.inputs.clone();
            self.workers.push(Box::pin(
                slot.work(move |input| inputs.0.borrow_mut().push_back(input)),
            ));
            self.slots.insert(path.clone(), desk);
        }
        &self.slots[path]
    }

    fn show_progress(&mut self, notice: &mut dyn FnMut(Notice<'_>)) {
        for (path, desk) in &mut self.slots {
            let progress = desk.progress.get();
            if progress != desk.shown {
                desk.shown = progress;
                notice(Notice::Progress(path, progress));
            }
        }
    }
}
