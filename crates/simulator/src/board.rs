//! One board: an interface board in a slot, with a chip on it, and what crosses its wires.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lineside_link::memory::{self, MemoryWire};
use lineside_link::{BoardInfo, LineSettings, LinkError, Port, Wire};
use lineside_terms::{Instant, SlotPath};

use crate::chip::{Chip, ChipEvent};
use crate::firmware::WritesExpected;
use crate::pace::WirePace;

/// What the interface board and the driver hold in each direction, in bytes.
const WIRE_CAPACITY: usize = 4096;

/// What crosses a paced wire in one piece, in bytes.
const CHUNK: usize = 1024;

/// Boot messages that wait while nobody listens, in bytes; older ones are lost.
const CONSOLE_LIMIT: usize = 4096;

/// How far the baud rates of both ends may differ, in parts of a thousand, before every byte is damaged.
const BAUD_TOLERANCE: u64 = 30;

/// A board of the world. Cheap to lock: nothing waits under the lock.
pub(crate) struct BoardCell {
    /// Its number in the world.
    pub(crate) index: usize,
    pub(crate) slot: SlotPath,
    state: Mutex<BoardState>,
}

impl std::fmt::Debug for BoardCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoardCell")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

/// What changes about a board.
#[derive(Debug)]
pub(crate) struct BoardState {
    pub(crate) chip: Chip,
    /// Serial number of the interface board: it moves with the chip.
    pub(crate) serial: String,
    pub(crate) is_plugged: bool,
    pub(crate) attachment: u64,
    pub(crate) lease: Option<Lease>,
    leases_given: u64,
    pub(crate) writes_expected: WritesExpected,
    service: Lane,
    console: Lane,
    pub(crate) replug_at: Option<Instant>,
    /// The host has closed the service wire; what it said last is still to be heard.
    is_abandoned: bool,
    /// Wakes the task that drives this board.
    waker: Option<Waker>,
    pub(crate) lateness: Lateness,
}

/// Who has the board.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub(crate) number: u64,
    pub(crate) holder: String,
}

/// How late the simulator was with bytes that had a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Lateness {
    /// The worst case, in microseconds.
    pub worst_us: u64,
    /// Sum of all, in microseconds.
    pub total_us: u64,
    /// How many pieces had a time.
    pub pieces: u64,
    /// How many of them were more than a millisecond late.
    pub over_1_ms: u64,
}

impl Lateness {
    fn note(&mut self, late: Duration) {
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.worst_us = self.worst_us.max(micros);
        self.total_us = self.total_us.saturating_add(micros);
        self.pieces += 1;
        self.over_1_ms += u64::from(micros > 1000);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.worst_us = self.worst_us.max(other.worst_us);
        self.total_us = self.total_us.saturating_add(other.total_us);
        self.pieces += other.pieces;
        self.over_1_ms += other.over_1_ms;
    }
}

/// A UART: the far end of an open wire, and what is on its way in each direction.
#[derive(Debug)]
struct Lane {
    settings: LineSettings,
    pace: WirePace,
    wire: Option<MemoryWire>,
    /// False once the host has dropped its end, which is known here before the far end is looked at.
    is_open: Arc<AtomicBool>,
    inward: Crossing,
    outward: Crossing,
}

/// Bytes that are crossing in one direction.
#[derive(Debug, Default)]
struct Crossing {
    bytes: VecDeque<u8>,
    /// When the last of them has crossed.
    done_at: Option<Instant>,
    /// When the wire was last free: the schedule that lateness is measured against.
    free_at: Instant,
    /// The host does not fetch what has crossed: only the wire itself can change that, not time.
    is_held: bool,
}

impl Crossing {
    /// Bytes begin to cross. `was_ready` is true when they were there before the wire became free.
    fn begin(&mut self, bytes: &[u8], now: Instant, was_ready: bool, per_byte: Duration) {
        let start = if was_ready { self.free_at } else { now };
        let done = start + per_byte * u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend(bytes);
        self.done_at = Some(done);
        self.free_at = done;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.done_at = None;
        self.is_held = false;
    }
}

impl Lane {
    fn new(settings: LineSettings, pace: WirePace) -> Self {
        let is_open = Arc::default();
        Self {
            settings,
            pace,
            wire: None,
            is_open,
            inward: Crossing::default(),
            outward: Crossing::default(),
        }
    }

    fn close(&mut self) {
        self.wire = None;
        self.is_open = Arc::default();
        self.inward.clear();
        self.outward.clear();
    }

    fn per_byte(&self) -> Duration {
        match self.pace {
            // One start bit, eight data bits, one stop bit.
            WirePace::Baud => Duration::from_nanos(10_000_000_000 / u64::from(self.settings.baud.max(1))),
            WirePace::Unlimited => Duration::ZERO,
        }
    }

    fn settings_fit(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| {
            let (ours, theirs) = (
                u64::from(self.settings.baud),
                u64::from(wire.peer_settings().baud),
            );
            ours.abs_diff(theirs) * 1000 <= ours * BAUD_TOLERANCE
        })
    }

    /// Moves bytes from the host to `deliver`. True when some arrived, or the wire was found closed.
    fn pump_inward(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        lateness: &mut Lateness,
        mut deliver: impl FnMut(&[u8]),
    ) -> bool {
        let mut moved = false;
        let per_byte = self.per_byte();
        let fits = self.settings_fit();
        loop {
            let mut was_ready = false;
            if let Some(done) = self.inward.done_at {
                if done > now {
                    return moved;
                }
                if !per_byte.is_zero() {
                    lateness.note(now - done);
                }
                self.inward.done_at = None;
                was_ready = true;
                moved = true;
                let bytes: Vec<u8> = self.inward.bytes.drain(..).collect();
                deliver(&bytes);
            }
            let Some(wire) = &mut self.wire else { return moved };
            let mut chunk = [0; CHUNK];
            match wire.poll_read(cx, &mut chunk) {
                Poll::Pending => return moved,
                Poll::Ready(Err(_)) => {
                    self.close();
                    return true;
                }
                Poll::Ready(Ok(count)) => {
                    let bytes = &mut chunk[..count];
                    if !fits {
                        // Sampled at the wrong moments, every byte is another.
                        bytes
                            .iter_mut()
                            .for_each(|byte| *byte = byte.rotate_left(3) ^ 0x5A);
                    }
                    if per_byte.is_zero() {
                        deliver(bytes);
                        moved = true;
                    } else {
                        self.inward.begin(bytes, now, was_ready, per_byte);
                    }
                }
            }
        }
    }

    /// Moves bytes from `source` to the host. True when some left.
    fn pump_outward(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        lateness: &mut Lateness,
        source: &mut VecDeque<u8>,
    ) -> bool {
        let mut moved = false;
        let per_byte = self.per_byte();
        let fits = self.settings_fit();
        loop {
            let mut was_ready = false;
            if let Some(done) = self.outward.done_at {
                if done > now {
                    return moved;
                }
                let Some(wire) = &mut self.wire else {
                    self.outward.clear();
                    return moved;
                };
                let (front, _) = self.outward.bytes.as_slices();
                match wire.poll_write(cx, front) {
                    // Nobody fetches them: RTS/CTS holds the device back.
                    Poll::Pending => {
                        self.outward.is_held = true;
                        return moved;
                    }
                    Poll::Ready(Err(_)) => {
                        self.close();
                        return true;
                    }
                    Poll::Ready(Ok(count)) => {
                        moved = true;
                        self.outward.bytes.drain(..count);
                        if !self.outward.bytes.is_empty() {
                            continue;
                        }
                        if std::mem::take(&mut self.outward.is_held) {
                            self.outward.free_at = now;
                        } else if !per_byte.is_zero() {
                            lateness.note(now - done);
                        }
                        self.outward.done_at = None;
                        was_ready = true;
                    }
                }
            }
            if source.is_empty() || self.wire.is_none() {
                return moved;
            }
            let count = source.len().min(CHUNK);
            let mut bytes: Vec<u8> = source.drain(..count).collect();
            if !fits {
                bytes
                    .iter_mut()
                    .for_each(|byte| *byte = byte.rotate_left(3) ^ 0x5A);
            }
            self.outward.begin(&bytes, now, was_ready, per_byte);
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let outward = self.outward.done_at.filter(|_| !self.outward.is_held);
        self.inward.done_at.into_iter().chain(outward).min()
    }
}

/// The host's end of a wire.
#[derive(Debug)]
pub(crate) struct NearWire {
    wire: MemoryWire,
    is_open: Arc<AtomicBool>,
}

impl Wire for NearWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        self.wire.poll_read(cx, into)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        self.wire.poll_write(cx, from)
    }

    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.wire.configure(settings)
    }
}

impl Drop for NearWire {
    fn drop(&mut self) {
        self.is_open.store(false, Ordering::Release);
    }
}

impl BoardCell {
    pub(crate) fn new(index: usize, slot: SlotPath, serial: String, chip: Chip, pace: WirePace) -> Self {
        let state = BoardState {
            chip,
            serial,
            is_plugged: false,
            attachment: 0,
            lease: None,
            leases_given: 0,
            writes_expected: WritesExpected::Anywhere,
            service: Lane::new(LineSettings::SERVICE, pace),
            console: Lane::new(LineSettings::CONSOLE, pace),
            replug_at: None,
            is_abandoned: false,
            waker: None,
            lateness: Lateness::default(),
        };
        Self {
            index,
            slot,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, BoardState> {
        // A panic in one board's turn is a fault to be seen, not to be multiplied.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn info(&self, state: &BoardState) -> BoardInfo {
        BoardInfo {
            slot: self.slot.clone(),
            attachment: state.attachment,
            board_serial: Some(state.serial.clone()),
            leased_by: state.lease.as_ref().map(|lease| lease.holder.clone()),
            trouble: None,
        }
    }
}

/// What a turn of a board asks of its world.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) wake_at: Option<Instant>,
    pub(crate) events: Vec<ChipEvent>,
    pub(crate) is_replug_due: bool,
}

impl BoardState {
    /// Lets everything happen that can happen now.
    pub(crate) fn turn(&mut self, cx: &mut Context<'_>, now: Instant) -> Turn {
        self.waker = Some(cx.waker().clone());
        let mut events = Vec::new();
        let mut wake_at;
        loop {
            wake_at = self.chip.poll(now);
            if std::mem::take(&mut self.is_abandoned) && self.chip.is_connected() {
                self.chip.firmware_mut().counters_mut().kills_survived += 1;
            }
            let mut moved = self.pump(cx, now);
            while let Some(event) = self.chip.take_event() {
                moved = true;
                events.push(event);
            }
            if !moved || !events.is_empty() {
                break;
            }
        }
        let times = [
            wake_at,
            self.service.wake_at(),
            self.console.wake_at(),
            self.replug_at,
        ];
        let wake_at = times.into_iter().flatten().min();
        // Bytes that wait for a host which does not fetch them wake us by the wire, not by time.
        Turn {
            wake_at,
            events,
            is_replug_due: self.replug_at.is_some_and(|at| at <= now),
        }
    }

    fn pump(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Self {
            chip,
            service,
            console,
            lateness,
            is_abandoned,
            ..
        } = self;
        let was_open = service.wire.is_some();
        let mut moved = service.pump_inward(cx, now, lateness, |bytes| chip.receive(bytes));
        if service.wire.is_some() {
            moved |= service.pump_outward(cx, now, lateness, chip.output());
        } else {
            // A UART sends whether anybody listens or not; what nobody hears is gone.
            moved |= chip.discard_output();
        }
        *is_abandoned |= was_open && service.wire.is_none();
        moved |= console.pump_inward(cx, now, lateness, |_| {});
        moved |= console.pump_outward(cx, now, lateness, chip.console());
        let excess = chip.console().len().saturating_sub(CONSOLE_LIMIT);
        chip.console().drain(..excess);
        moved
    }

    /// Makes the driving task look again.
    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Gives the board to somebody.
    pub(crate) fn take(&mut self, holder: &str) -> u64 {
        self.leases_given += 1;
        self.lease = Some(Lease {
            number: self.leases_given,
            holder: holder.to_owned(),
        });
        self.leases_given
    }

    pub(crate) fn is_held_by(&self, number: u64) -> bool {
        self.is_plugged && self.lease.as_ref().is_some_and(|lease| lease.number == number)
    }

    /// Ends a lease; later ones are left alone.
    pub(crate) fn release(&mut self, number: u64) {
        if self.lease.as_ref().is_some_and(|lease| lease.number == number) {
            // What is still on the wires is heard; then their far ends find them closed.
            self.lease = None;
            self.wake();
        }
    }

    pub(crate) fn open(&mut self, port: Port) -> Result<NearWire, LinkError> {
        let lane = match port {
            Port::Service => &mut self.service,
            Port::Recovery => &mut self.console,
            Port::Debug => return Err(LinkError::Lacking { what: "debug port" }),
        };
        if lane.is_open.load(Ordering::Acquire) {
            return Err(LinkError::PortOpen);
        }
        self.is_abandoned |= port == Port::Service && lane.wire.is_some();
        lane.close();
        let (near, far) = memory::pair(WIRE_CAPACITY);
        lane.wire = Some(far);
        lane.is_open = Arc::new(AtomicBool::new(true));
        let is_open = Arc::clone(&lane.is_open);
        self.wake();
        Ok(NearWire { wire: near, is_open })
    }

    /// Cuts supply and wires.
    pub(crate) fn unplug(&mut self) {
        self.is_plugged = false;
        self.lease = None;
        self.service.close();
        self.console.close();
        self.chip.power_off();
        self.wake();
    }

    pub(crate) fn plug(&mut self, now: Instant) {
        self.is_plugged = true;
        self.replug_at = None;
        self.attachment += 1;
        self.chip.firmware_mut().expect_writes(self.writes_expected);
        self.chip.power_on(now);
        self.wake();
    }

    pub(crate) fn expect_writes(&mut self, expected: WritesExpected) {
        self.writes_expected = expected;
        self.chip.firmware_mut().expect_writes(expected);
    }
}
