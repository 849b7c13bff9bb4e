//! One board that is lent to a client: what it asked for, in order, and what its wires deliver.
//!
//! Each wire has a queue of its own, so that one that takes nothing holds up nobody. What concerns the board itself
//! (opening, closing, lines, the end) stands in the board's queue and, as a marker, in the queue of every wire that
//! it must not overtake. It is done when all of them have reached the marker, or when none has moved on for
//! [`PATIENCE`].

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use lineside_terms::Instant;

use super::connection::End;
use super::frame::{MAX_BODY, Message};
use super::outbox::Outbox;
use super::{CREDIT_STEP, WINDOW};
use crate::{Board, Clock, Line, LineSettings, LinkError, Port, Wire, WireHealth};

/// How long a wire may take nothing before a line or an end overtakes what waits for it. Longer than any pause of a
/// wire that flows (16 ms latency timer of the interface chip, scheduling), short for a person.
const PATIENCE: Duration = Duration::from_millis(100);

/// Deeds and settings that may wait for one board or wire; an honest client has a handful.
const MAX_WAITING: usize = 1024;

/// Something that concerns the board.
#[derive(Debug, PartialEq, Eq)]
enum Deed {
    Open { wire: u32, port: Port },
    Close { wire: u32 },
    Line { line: Line, asserted: bool },
    Release,
}

/// Something that waits in the queue of one wire.
enum Waiting {
    Bytes(BytesMut),
    Settings(LineSettings),
    Boundary(Option<u8>),
    /// Until this deed is done.
    Deed(u64),
}

struct LentWire {
    /// `None` before it is opened and when it could not be.
    wire: Option<Box<dyn Wire>>,
    queue: VecDeque<Waiting>,
    /// Bytes that the client may still send.
    client_credit: u32,
    /// Room that was made and that the client does not know of yet.
    owed: u32,
    /// Bytes that we may still send.
    credit: u32,
    read_ended: bool,
    write_ended: bool,
    /// It was overtaken and has taken nothing since: nobody waits for it again.
    is_stalled: bool,
    health: WireHealth,
}

impl LentWire {
    fn waiting_for(deed: u64) -> Self {
        Self {
            wire: None,
            queue: [Waiting::Deed(deed)].into(),
            client_credit: WINDOW,
            owed: 0,
            credit: WINDOW,
            read_ended: false,
            write_ended: false,
            is_stalled: false,
            health: WireHealth::default(),
        }
    }

    /// True when nothing that was asked for before `deed` still waits here, or waits in vain.
    fn is_ready_for(&self, deed: u64) -> bool {
        match self.queue.front() {
            None => true,
            Some(Waiting::Deed(at)) => *at >= deed,
            Some(_) => self.is_stalled,
        }
    }

    fn wait(&mut self, what: Waiting) -> Result<(), End> {
        if self.queue.len() >= MAX_WAITING {
            return Err(too_much());
        }
        self.queue.push_back(what);
        Ok(())
    }

    fn end_writing(&mut self, id: u32, error: &LinkError, outbox: &Outbox) {
        if !self.write_ended {
            self.write_ended = true;
            outbox.send(&Message::WriteEnded {
                wire: id,
                fault: error.into(),
            });
        }
    }

    fn end_reading(&mut self, id: u32, error: &LinkError, outbox: &Outbox) {
        if !self.read_ended {
            self.read_ended = true;
            outbox.send(&Message::ReadEnded {
                wire: id,
                fault: error.into(),
            });
        }
    }

    /// Hands over what waits; true when something moved.
    fn send(&mut self, id: u32, deeds_done: u64, cx: &mut Context<'_>, outbox: &Outbox) -> bool {
        let mut moved = false;
        while let Some(front) = self.queue.front_mut() {
            let mut failed = None;
            match (front, &mut self.wire) {
                (Waiting::Deed(deed), _) if *deed > deeds_done => break,
                (Waiting::Bytes(bytes), Some(wire)) if !self.write_ended => {
                    match wire.poll_write(cx, bytes) {
                        Poll::Pending => break,
                        Poll::Ready(Ok(count)) => {
                            bytes.advance(count);
                            self.owed += u32::try_from(count).expect("no more than there was credit");
                            moved = true;
                            if !bytes.is_empty() {
                                continue;
                            }
                        }
                        Poll::Ready(Err(error)) => failed = Some(error),
                    }
                }
                (Waiting::Settings(settings), Some(wire)) => failed = wire.configure(*settings).err(),
                (Waiting::Boundary(byte), Some(wire)) => wire.set_packet_boundary(*byte),
                // Done already, or there is no wire that could take it.
                _ => {}
            }
            self.queue.pop_front();
            moved = true;
            if let Some(error) = failed {
                self.end_writing(id, &error, outbox);
            }
        }
        self.is_stalled &= !moved;
        if self.owed >= CREDIT_STEP {
            self.client_credit += self.owed;
            outbox.send(&Message::Credit {
                wire: id,
                bytes: self.owed,
            });
            self.owed = 0;
        }
        moved
    }

    /// Fetches what is there, as far as there is credit.
    fn receive(&mut self, id: u32, scratch: &mut [u8], cx: &mut Context<'_>, outbox: &Outbox) {
        let Some(wire) = &mut self.wire else { return };
        let mut ended = None;
        while !self.read_ended && ended.is_none() && self.credit > 0 {
            let most = scratch.len().min(self.credit as usize);
            match wire.poll_read(cx, &mut scratch[..most]) {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) => {
                    self.credit -= u32::try_from(count).expect("no more than there was credit");
                    outbox.send(&Message::Data {
                        wire: id,
                        bytes: &scratch[..count],
                    });
                }
                Poll::Ready(Err(error)) => ended = Some(error),
            }
        }
        let health = wire.health();
        if health != self.health {
            self.health = health;
            outbox.send(&Message::Health {
                wire: id,
                overruns: health.overruns,
            });
        }
        if let Some(error) = ended {
            self.end_reading(id, &error, outbox);
        }
    }
}

#[derive(Default)]
struct State {
    wires: BTreeMap<u32, LentWire>,
    deeds: VecDeque<(u64, Deed)>,
    last_deed: u64,
    deeds_done: u64,
    /// When something last moved on while a deed waits.
    moved_at: Option<Instant>,
    released: bool,
    waker: Option<Waker>,
}

/// A board that is lent, or about to be.
pub(super) struct Lent {
    id: u32,
    state: RefCell<State>,
}

impl Lent {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
            state: RefCell::default(),
        }
    }

    /// True when the client does not want it any more.
    pub(super) fn is_released(&self) -> bool {
        self.state.borrow().released
    }

    pub(super) fn open(&self, wire: u32, port: Port) -> Result<(), End> {
        self.add(Deed::Open { wire, port }, |state, deed| {
            state.wires.insert(wire, LentWire::waiting_for(deed));
        })
    }

    pub(super) fn close(&self, wire: u32) -> Result<(), End> {
        self.add(Deed::Close { wire }, |state, deed| {
            if let Some(wire) = state.wires.get_mut(&wire) {
                wire.queue.push_back(Waiting::Deed(deed));
            }
        })
    }

    pub(super) fn line(&self, line: Line, asserted: bool) -> Result<(), End> {
        self.add(Deed::Line { line, asserted }, |state, deed| state.hold_all(deed))
    }

    pub(super) fn release(&self) -> Result<(), End> {
        self.state.borrow_mut().released = true;
        self.add(Deed::Release, |state, deed| state.hold_all(deed))
    }

    pub(super) fn data(&self, wire: u32, bytes: &[u8]) -> Result<(), End> {
        self.with_wire(wire, |wire| {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            wire.client_credit = wire
                .client_credit
                .checked_sub(length)
                .ok_or_else(|| End::Foreign("it sends more than there is room for".into()))?;
            match wire.queue.back_mut() {
                Some(Waiting::Bytes(waiting)) => waiting.extend_from_slice(bytes),
                _ => wire.queue.push_back(Waiting::Bytes(bytes.into())),
            }
            Ok(())
        })
    }

    pub(super) fn credit(&self, wire: u32, bytes: u32) -> Result<(), End> {
        self.with_wire(wire, |wire| {
            let credit = wire.credit.checked_add(bytes).filter(|credit| *credit <= WINDOW);
            wire.credit = credit.ok_or_else(|| End::Foreign("it makes more room than there is".into()))?;
            Ok(())
        })
    }

    pub(super) fn configure(&self, wire: u32, settings: LineSettings) -> Result<(), End> {
        self.with_wire(wire, |wire| wire.wait(Waiting::Settings(settings)))
    }

    pub(super) fn boundary(&self, wire: u32, byte: Option<u8>) -> Result<(), End> {
        self.with_wire(wire, |wire| wire.wait(Waiting::Boundary(byte)))
    }

    fn with_wire(&self, wire: u32, act: impl FnOnce(&mut LentWire) -> Result<(), End>) -> Result<(), End> {
        let mut state = self.state.borrow_mut();
        if let Some(wire) = state.wires.get_mut(&wire) {
            act(wire)?;
        }
        state.wake();
        Ok(())
    }

    fn add(&self, deed: Deed, mark: impl FnOnce(&mut State, u64)) -> Result<(), End> {
        let mut state = self.state.borrow_mut();
        if state.deeds.len() >= MAX_WAITING {
            return Err(too_much());
        }
        state.last_deed += 1;
        let number = state.last_deed;
        mark(&mut state, number);
        state.deeds.push_back((number, deed));
        state.wake();
        Ok(())
    }

    /// Does everything that was asked until the client releases the board.
    pub(super) async fn run(&self, mut board: Box<dyn Board>, clock: &Clock, outbox: &Outbox) {
        let _ends_first = WiresEndFirst(&self.state);
        let mut scratch = vec![0; MAX_BODY];
        let mut patience = None;
        std::future::poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            loop {
                if state.poll(self.id, board.as_mut(), clock, cx, outbox).is_ready() {
                    return Poll::Ready(());
                }
                for (id, wire) in &mut state.wires {
                    wire.receive(*id, &mut scratch, cx, outbox);
                }
                let Some(moved_at) = state.moved_at else {
                    patience = None;
                    return Poll::Pending;
                };
                // Something is held up: look again when patience has run out.
                let until = moved_at + PATIENCE;
                let wait = match &mut patience {
                    Some((at, wait)) if *at == until => wait,
                    other => &mut other.insert((until, clock.sleep_until(until))).1,
                };
                if Pin::new(wait).poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }
}

/// Wires may not outlive their board, also when the connection breaks in the middle.
struct WiresEndFirst<'a>(&'a RefCell<State>);

impl Drop for WiresEndFirst<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().wires.clear();
    }
}

impl State {
    fn hold_all(&mut self, deed: u64) {
        self.wires
            .values_mut()
            .for_each(|wire| wire.queue.push_back(Waiting::Deed(deed)));
    }

    fn wake(&mut self) {
        self.waker.iter().for_each(Waker::wake_by_ref);
    }

    /// Moves on as far as possible; ready when the board was released.
    fn poll(
        &mut self,
        id: u32,
        board: &mut dyn Board,
        clock: &Clock,
        cx: &mut Context<'_>,
        outbox: &Outbox,
    ) -> Poll<()> {
        loop {
            let mut moved = false;
            for (id, wire) in &mut self.wires {
                moved |= wire.send(*id, self.deeds_done, cx, outbox);
            }
            let Some((number, deed)) = self.deeds.front() else {
                self.moved_at = None;
                return Poll::Pending;
            };
            let now = clock.now();
            let moved_at = if moved { now } else { self.moved_at.unwrap_or(now) };
            self.moved_at = Some(moved_at);
            let is_free = match deed {
                Deed::Open { .. } => true,
                Deed::Close { wire } => self.wires.get(wire).is_none_or(|wire| wire.is_ready_for(*number)),
                Deed::Line { .. } | Deed::Release => {
                    self.wires.values().all(|wire| wire.is_ready_for(*number))
                }
            };
            if !is_free && now < moved_at + PATIENCE {
                return Poll::Pending;
            }
            let (number, deed) = self.deeds.pop_front().expect("there is one");
            self.deeds_done = number;
            self.moved_at = Some(now);
            if !is_free {
                self.wires
                    .values_mut()
                    .for_each(|wire| wire.is_stalled = !wire.is_ready_for(number));
            }
            match deed {
                Deed::Open { wire, port } => self.open(wire, port, board, outbox),
                Deed::Close { wire } => drop(self.wires.remove(&wire)),
                Deed::Line { line, asserted } => {
                    if let Err(error) = board.set_line(line, asserted) {
                        outbox.send(&Message::BoardFault {
                            board: id,
                            fault: (&error).into(),
                        });
                    }
                }
                Deed::Release => return Poll::Ready(()),
            }
        }
    }

    fn open(&mut self, id: u32, port: Port, board: &mut dyn Board, outbox: &Outbox) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        match board.open(port) {
            Ok(opened) => wire.wire = Some(opened),
            Err(error) => {
                wire.end_reading(id, &error, outbox);
                wire.end_writing(id, &error, outbox);
            }
        }
    }
}

fn too_much() -> End {
    End::Foreign("it asks for too much at once".into())
}
