//! What crosses a UART of a simulated board, byte by byte, in its time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use lineside_link::memory::{self, MemoryWire};
use lineside_link::{LineSettings, LinkError, Wire};
use lineside_terms::Instant;

use crate::pace::WirePace;
use crate::usb::{BUFFER, EventCharacter, ToPc, UsbTimes};

/// What the interface board and the driver hold in each direction, in bytes.
const WIRE_CAPACITY: usize = 4096;

/// What crosses a paced wire in one piece, in bytes.
const CHUNK: usize = 1024;

/// How far the baud rates of both ends may differ, in parts of a thousand, before every byte is damaged.
const BAUD_TOLERANCE: u64 = 30;

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
pub(crate) struct Lane {
    settings: LineSettings,
    pace: WirePace,
    wire: Option<MemoryWire>,
    /// False once the host has dropped its end, which is known here before the far end is looked at.
    is_open: Arc<AtomicBool>,
    inward: Crossing,
    outward: Crossing,
    /// None when USB takes no time.
    to_pc: Option<ToPc>,
    event: EventCharacter,
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
    pub(crate) fn new(settings: LineSettings, pace: WirePace, usb: Option<UsbTimes>) -> Self {
        let is_open = Arc::default();
        Self {
            settings,
            pace,
            wire: None,
            is_open,
            inward: Crossing::default(),
            outward: Crossing::default(),
            to_pc: usb.map(ToPc::new),
            event: EventCharacter::none(),
        }
    }

    /// Changes the chip's settings. What is on its way goes on as it began.
    pub(crate) const fn configure(&mut self, settings: LineSettings) {
        self.settings = settings;
    }

    /// Opens the host's end, in place of one that was dropped.
    ///
    /// # Errors
    /// When the last one is still open.
    pub(crate) fn open(&mut self) -> Result<NearWire, LinkError> {
        if self.is_open.load(Ordering::Acquire) {
            return Err(LinkError::PortOpen);
        }
        self.close();
        let (near, far) = memory::pair(WIRE_CAPACITY);
        self.wire = Some(far);
        self.is_open = Arc::new(AtomicBool::new(true));
        self.event = EventCharacter::none();
        Ok(NearWire {
            wire: near,
            is_open: Arc::clone(&self.is_open),
            event: self.event.clone(),
        })
    }

    /// True while the far end of a wire is held, whether the host still has its own or not.
    pub(crate) fn has_wire(&self) -> bool {
        self.wire.is_some()
    }

    pub(crate) fn close(&mut self) {
        self.wire = None;
        self.is_open = Arc::default();
        self.inward.clear();
        self.outward.clear();
        if let Some(to_pc) = &mut self.to_pc {
            to_pc.clear();
        }
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
    pub(crate) fn pump_inward(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        lateness: &mut Lateness,
        mut deliver: impl FnMut(&[u8]),
    ) -> bool {
        let mut moved = false;
        let per_byte = self.per_byte();
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
            // Each piece was sent with the settings of its time.
            let fits = self.settings_fit();
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
                        let begin = match &self.to_pc {
                            Some(usb) if !was_ready => usb.times.next_frame(now),
                            _ => now,
                        };
                        self.inward.begin(bytes, begin, was_ready, per_byte);
                    }
                }
            }
        }
    }

    /// Moves bytes from `source` to the host. True when some left.
    pub(crate) fn pump_outward(
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
            moved |= self.fetch(cx, now);
            let mut was_ready = false;
            if let Some(done) = self.outward.done_at
                && let Some(to_pc) = &mut self.to_pc
            {
                // A full buffer holds the device back by RTS/CTS, too.
                if done > now || to_pc.bytes.len() >= BUFFER {
                    return moved;
                }
                if !per_byte.is_zero() {
                    lateness.note(now - done);
                }
                to_pc.take(&mut self.outward.bytes, done, &self.event);
                self.outward.done_at = None;
                was_ready = true;
                moved = true;
            } else if let Some(done) = self.outward.done_at {
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

    /// USB fetches what is due. True when some left, or the wire was found closed.
    fn fetch(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let (Some(to_pc), Some(wire)) = (&mut self.to_pc, &mut self.wire) else {
            return false;
        };
        let mut moved = false;
        while to_pc.is_due(now) {
            let (front, _) = to_pc.bytes.as_slices();
            match wire.poll_write(cx, front) {
                Poll::Pending => {
                    to_pc.is_held = true;
                    return moved;
                }
                Poll::Ready(Err(_)) => {
                    self.close();
                    return true;
                }
                Poll::Ready(Ok(count)) => {
                    moved = true;
                    to_pc.bytes.drain(..count);
                    if to_pc.bytes.is_empty() {
                        to_pc.emptied();
                    }
                }
            }
        }
        moved
    }

    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let outward = self.outward.done_at.filter(|_| !self.outward.is_held);
        let to_pc = self.to_pc.as_ref();
        // What cannot be taken because the buffer is full goes on when it was fetched.
        let outward = outward.filter(|_| to_pc.is_none_or(|to_pc| to_pc.bytes.len() < BUFFER));
        let to_pc = to_pc.and_then(ToPc::wake_at);
        self.inward.done_at.into_iter().chain(outward).chain(to_pc).min()
    }
}

/// The host's end of a wire.
#[derive(Debug)]
pub(crate) struct NearWire {
    wire: MemoryWire,
    is_open: Arc<AtomicBool>,
    event: EventCharacter,
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

    fn set_packet_boundary(&mut self, byte: Option<u8>) {
        self.event.set(byte);
    }
}

impl Drop for NearWire {
    fn drop(&mut self) {
        self.is_open.store(false, Ordering::Release);
    }
}
