//! One thread that moves bytes for all open channels.
//!
//! Neither transport can tell this process in a way that scales what it has: D2XX offers a Windows event for each port,
//! of which one wait takes 64 at most, and a thread for each port would be hundreds. So one thread looks at every open
//! channel in turn: every half millisecond while something moves, rarely when nothing does, never when nothing is open.
//! A look is a question to the driver in memory, and a write is never given more than the chip's own buffer has room
//! for, so that a board that takes nothing costs the others nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::assume::TRANSMIT_BUFFER;
use super::transport::LATENCY_MS;
use super::{BitMode, FASTEST, SLOWEST, Transport};
use crate::{LineSettings, LinkError, Wire, WireHealth};

/// Between two looks while bytes move.
const BUSY: Duration = Duration::from_micros(500);
/// Between two looks when none have moved for [`STILL`].
const IDLE: Duration = Duration::from_millis(5);
/// How long after the last byte one still looks often.
const STILL: Duration = Duration::from_millis(500);

/// Bytes that are kept for a reader before no more are fetched: the driver's buffer fills, and flow control holds the
/// device.
const INWARD: usize = 64 * 1024;
/// Bytes that are kept for the chip: at 3 Mbaud it is fed for 50 ms.
const OUTWARD: usize = 16 * 1024;

/// How long bytes may stay in the chip after the time they need, before a change of settings throws them away: flow
/// control holds them, and nobody is there to take them.
const DRAIN_PATIENCE: Duration = Duration::from_secs(1);

/// Status is as old as the latency timer lets it be.
const STATUS_AGE: Duration = Duration::from_millis(2 * LATENCY_MS as u64);

/// Bits on the wire per byte (`chip-to-pc-and-recovery.md` 1.3).
const BITS_PER_BYTE: u64 = 10;

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can leave things half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open channel, shared by whoever drives its pins and the wire over it.
#[derive(Clone)]
pub(super) struct Open(Arc<Mutex<OpenChannel>>);

pub(super) struct OpenChannel {
    pub(super) transport: Box<dyn Transport>,
    /// Its pins are driven: what it says meanwhile are no bytes of the UART.
    pub(super) is_bit_bang: bool,
    /// What the wire over it was set to last.
    settings: Option<LineSettings>,
}

impl OpenChannel {
    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.transport.configure(settings)?;
        self.settings = Some(settings);
        Ok(())
    }

    /// Changes the bit mode; coming back to the UART, the channel is as it was before.
    pub(super) fn set_bit_mode(&mut self, mode: BitMode, mask: u8) -> Result<(), LinkError> {
        self.transport.set_bit_mode(mode, mask)?;
        self.is_bit_bang = mode != BitMode::Uart;
        if let (BitMode::Uart, Some(settings)) = (mode, self.settings) {
            self.transport.configure(settings)?;
            // Samples of pins.
            self.transport.purge_received()?;
        }
        Ok(())
    }
}

impl Open {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self(Arc::new(Mutex::new(OpenChannel {
            transport,
            is_bit_bang: false,
            settings: None,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, OpenChannel> {
        lock(&self.0)
    }

    /// True while a wire is over it.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// What is on its way between a wire and its channel.
#[derive(Default)]
struct Ways {
    inward: VecDeque<u8>,
    outward: VecDeque<u8>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Settings that wait until everything has left.
    change: Option<LineSettings>,
    event_character: Option<Option<u8>>,
    failed: Option<LinkError>,
    overruns: u64,
    is_closed: bool,
}

impl Ways {
    fn wakers(&mut self) -> [Option<Waker>; 2] {
        [self.reader.take(), self.writer.take()]
    }
}

struct Lane {
    /// Taken out when the wire is closed, so that nobody closes a channel later than that.
    open: Mutex<Option<Open>>,
    ways: Mutex<Ways>,
    pace: Mutex<Pace>,
}

/// How much the chip can take: it empties at the pace of the wire as long as flow control lets it.
struct Pace {
    settings: LineSettings,
    /// When everything handed over has left, if nothing holds it.
    leaves_at: Instant,
}

impl Pace {
    fn time_of(&self, bytes: usize) -> Duration {
        let bits = bytes as u64 * BITS_PER_BYTE;
        Duration::from_nanos(bits.saturating_mul(1_000_000_000) / u64::from(self.settings.baud.max(1)))
    }

    /// Room in the chip's buffer.
    fn room(&self, now: Instant) -> usize {
        let left = self.leaves_at.saturating_duration_since(now);
        let bytes =
            left.as_nanos() * u128::from(self.settings.baud) / (u128::from(BITS_PER_BYTE) * 1_000_000_000);
        TRANSMIT_BUFFER.saturating_sub(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    fn took(&mut self, bytes: usize, now: Instant) {
        self.leaves_at = self.leaves_at.max(now) + self.time_of(bytes);
    }
}

/// The thread, and the channels it looks at. It ends when the last handle and the last wire are gone.
#[derive(Clone)]
pub(super) struct Pump {
    shared: Arc<Shared>,
}

struct Shared {
    lanes: Mutex<Lanes>,
    changed: Condvar,
}

#[derive(Default)]
struct Lanes {
    open: Vec<Arc<Lane>>,
    is_running: bool,
}

impl Pump {
    pub(super) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                lanes: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// A wire over an open channel, from now on: what was received before is thrown away.
    pub(super) fn wire(&self, open: Open, settings: LineSettings) -> Result<PumpedWire, LinkError> {
        {
            let mut channel = open.lock();
            channel.transport.set_latency(LATENCY_MS)?;
            channel.transport.set_event_character(None)?;
            channel.configure(settings)?;
            channel.transport.purge_unsent()?;
            channel.transport.purge_received()?;
        }
        let lane = Arc::new(Lane {
            open: Mutex::new(Some(open)),
            ways: Mutex::default(),
            pace: Mutex::new(Pace {
                settings,
                leaves_at: Instant::now(),
            }),
        });
        let mut lanes = lock(&self.shared.lanes);
        lanes.open.push(Arc::clone(&lane));
        if !lanes.is_running {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new()
                .name("ftdi".into())
                .spawn(move || shared.run());
            started.map_err(|error| LinkError::io("start a thread", &error))?;
            lanes.is_running = true;
        }
        drop(lanes);
        self.shared.changed.notify_one();
        Ok(PumpedWire {
            lane,
            shared: Arc::clone(&self.shared),
        })
    }
}

impl Shared {
    fn run(&self) {
        let mut scratch = vec![0; 4096];
        let mut moved_at = Instant::now();
        loop {
            let lanes = {
                let mut lanes = lock(&self.lanes);
                lanes.open.retain(|lane| !lock(&lane.ways).is_closed);
                if lanes.open.is_empty() {
                    lanes.is_running = false;
                    return;
                }
                lanes.open.clone()
            };
            for lane in &lanes {
                if lane.turn(&mut scratch) {
                    moved_at = Instant::now();
                }
            }
            drop(lanes);
            if moved_at.elapsed() < STILL {
                // Precise where waiting for a condition is not, which is Windows.
                std::thread::sleep(BUSY);
            } else {
                let lanes = lock(&self.lanes);
                // Whatever ends the wait early, one looks again.
                drop(self.changed.wait_timeout(lanes, IDLE));
            }
        }
    }
}

impl Lane {
    /// Moves what can be moved. True when something was.
    fn turn(&self, scratch: &mut [u8]) -> bool {
        match self.try_turn(scratch) {
            Ok(moved) => moved,
            Err(error) => {
                let mut ways = lock(&self.ways);
                ways.failed.get_or_insert(error);
                let wakers = ways.wakers();
                drop(ways);
                wakers.into_iter().flatten().for_each(Waker::wake);
                false
            }
        }
    }

    fn try_turn(&self, scratch: &mut [u8]) -> Result<bool, LinkError> {
        let open = lock(&self.open);
        let Some(open) = &*open else {
            return Ok(false);
        };
        let mut channel = open.lock();
        let (room, event_character) = {
            let mut ways = lock(&self.ways);
            if ways.is_closed || ways.failed.is_some() || channel.is_bit_bang {
                return Ok(false);
            }
            (
                INWARD.saturating_sub(ways.inward.len()),
                ways.event_character.take(),
            )
        };
        if let Some(byte) = event_character {
            channel.transport.set_event_character(byte)?;
        }
        let queued = channel.transport.queued()?.min(room).min(scratch.len());
        let count = channel.transport.read(&mut scratch[..queued])?;
        let mut moved = self.deliver(&scratch[..count], channel.transport.overruns());
        moved |= self.send(&mut channel)?;
        moved |= self.change_settings(&mut channel)?;
        Ok(moved)
    }

    fn deliver(&self, bytes: &[u8], overruns: u64) -> bool {
        let mut ways = lock(&self.ways);
        ways.overruns = overruns;
        if bytes.is_empty() {
            return false;
        }
        ways.inward.extend(bytes);
        let reader = ways.reader.take();
        drop(ways);
        reader.into_iter().for_each(Waker::wake);
        true
    }

    fn send(&self, channel: &mut OpenChannel) -> Result<bool, LinkError> {
        let mut pace = lock(&self.pace);
        let now = Instant::now();
        let room = pace.room(now);
        let piece: Vec<u8> = {
            let ways = lock(&self.ways);
            let count = room.min(ways.outward.len());
            ways.outward.iter().copied().take(count).collect()
        };
        if piece.is_empty() {
            return Ok(false);
        }
        // What the device does not want now would only fill the chip's buffer, and then hold up this thread.
        if pace.settings.rts_cts && !channel.transport.modem_status()?.is_clear_to_send {
            return Ok(false);
        }
        let taken = channel.transport.write(&piece)?.min(piece.len());
        pace.took(taken, now);
        let mut ways = lock(&self.ways);
        ways.outward.drain(..taken);
        let writer = ways.writer.take();
        drop(ways);
        writer.into_iter().for_each(Waker::wake);
        Ok(taken > 0)
    }

    fn change_settings(&self, channel: &mut OpenChannel) -> Result<bool, LinkError> {
        let mut pace = lock(&self.pace);
        let Some(settings) = lock(&self.ways).change else {
            return Ok(false);
        };
        let now = Instant::now();
        let is_patient = now < pace.leaves_at + DRAIN_PATIENCE;
        let is_empty = lock(&self.ways).outward.is_empty();
        let has_left = is_empty
            && now >= pace.leaves_at + STATUS_AGE
            && channel.transport.modem_status()?.is_transmitter_empty;
        if !has_left && is_patient {
            return Ok(false);
        }
        if !has_left {
            tracing::warn!("the board took nothing: what waited for it is thrown away");
            channel.transport.purge_unsent()?;
            lock(&self.ways).outward.clear();
        }
        channel.configure(settings)?;
        pace.settings = settings;
        let mut ways = lock(&self.ways);
        ways.change = None;
        let wakers = ways.wakers();
        drop(ways);
        wakers.into_iter().flatten().for_each(Waker::wake);
        Ok(true)
    }
}

/// A wire over an open channel. Dropping it throws away what the chip does not take at once; the channel stays open.
pub(super) struct PumpedWire {
    lane: Arc<Lane>,
    shared: Arc<Shared>,
}

impl PumpedWire {
    /// A way to learn whether this wire is still open while it is in other hands.
    pub(super) fn watch(&self) -> WireWatch {
        WireWatch(Arc::downgrade(&self.lane))
    }
}

/// Knows whether a wire is open.
#[derive(Default)]
pub(super) struct WireWatch(Weak<Lane>);

impl WireWatch {
    pub(super) fn is_open(&self) -> bool {
        self.0.upgrade().is_some_and(|lane| !lock(&lane.ways).is_closed)
    }
}

impl Wire for PumpedWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        let mut ways = lock(&self.lane.ways);
        let count = into.len().min(ways.inward.len());
        if count > 0 {
            for (to, byte) in into.iter_mut().zip(ways.inward.drain(..count)) {
                *to = byte;
            }
            return Poll::Ready(Ok(count));
        }
        if let Some(error) = &ways.failed {
            return Poll::Ready(Err(error.clone()));
        }
        ways.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        let mut ways = lock(&self.lane.ways);
        if let Some(error) = &ways.failed {
            return Poll::Ready(Err(error.clone()));
        }
        let count = from.len().min(OUTWARD.saturating_sub(ways.outward.len()));
        // Bytes after a change of settings must not leave before it.
        if count == 0 || ways.change.is_some() {
            ways.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        ways.outward.extend(&from[..count]);
        drop(ways);
        self.shared.changed.notify_one();
        Poll::Ready(Ok(count))
    }

    /// Settings are changed at once when everything has left; else as soon as it has.
    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        if !(SLOWEST..=FASTEST).contains(&settings.baud) {
            return Err(LinkError::Io {
                doing: "set up the wire".into(),
                reason: format!("the interface chip cannot do {} baud", settings.baud),
            });
        }
        let open = lock(&self.lane.open);
        let Some(open) = &*open else {
            return Err(LinkError::Departed);
        };
        let mut channel = open.lock();
        let mut pace = lock(&self.lane.pace);
        let mut ways = lock(&self.lane.ways);
        if let Some(error) = &ways.failed {
            return Err(error.clone());
        }
        let is_idle = ways.outward.is_empty() && Instant::now() >= pace.leaves_at + STATUS_AGE;
        if is_idle && !channel.is_bit_bang && channel.transport.modem_status()?.is_transmitter_empty {
            channel.configure(settings)?;
            pace.settings = settings;
            ways.change = None;
        } else {
            ways.change = Some(settings);
        }
        Ok(())
    }

    fn set_packet_boundary(&mut self, byte: Option<u8>) {
        lock(&self.lane.ways).event_character = Some(byte);
    }

    fn health(&self) -> WireHealth {
        WireHealth {
            overruns: lock(&self.lane.ways).overruns,
        }
    }
}

impl Drop for PumpedWire {
    fn drop(&mut self) {
        let Some(open) = lock(&self.lane.open).take() else {
            return;
        };
        let mut channel = open.lock();
        if !channel.is_bit_bang && lock(&self.lane.ways).failed.is_none() {
            // A last word gets as far as the chip, if it wants it now.
            let _ = self.lane.send(&mut channel);
        }
        lock(&self.lane.ways).is_closed = true;
    }
}

#[cfg(test)]
mod tests;
