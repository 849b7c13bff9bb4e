//! What lies between a PC and the UARTs of its boards: USB, and the buffer of the interface chip. Apart from the device's
//! own times, because this is the host's to win (`chip-to-pc-and-recovery.md` 1.3, 7.3).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use lineside_terms::Instant;

/// Bytes that one packet brings besides its two of status: with so many, nothing more is waited for.
const FULL: usize = 510;

/// Bytes that the interface chip holds.
pub(crate) const BUFFER: usize = 2048;

/// How long USB and the interface chip keep bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsbTimes {
    /// Transfers begin at multiples of this: 125 µs at high speed.
    pub frame: Duration,
    /// The latency timer: so long the chip waits for more bytes, unless the event character came.
    pub latency: Duration,
}

impl UsbTimes {
    /// High-speed USB with this latency timer in milliseconds: 16 after plugging in, 1 at the least.
    pub const fn high_speed(latency_ms: u64) -> Self {
        Self {
            frame: Duration::from_micros(125),
            latency: Duration::from_millis(latency_ms),
        }
    }

    /// When the next transfer begins that is not begun yet at `at`.
    pub(crate) fn next_frame(&self, at: Instant) -> Instant {
        let frame = self.frame.as_nanos().max(1) as u64;
        Instant::from_nanos((at.as_nanos() / frame).saturating_add(1).saturating_mul(frame))
    }
}

/// The event character that the host has set, told across threads.
#[derive(Debug, Clone)]
pub(crate) struct EventCharacter(Arc<AtomicU16>);

impl EventCharacter {
    pub(crate) fn none() -> Self {
        Self(Arc::new(AtomicU16::new(u16::MAX)))
    }

    pub(crate) fn set(&self, byte: Option<u8>) {
        self.0.store(byte.map_or(u16::MAX, u16::from), Ordering::Release);
    }

    fn is_in(&self, bytes: &VecDeque<u8>) -> bool {
        u8::try_from(self.0.load(Ordering::Acquire)).is_ok_and(|wanted| bytes.contains(&wanted))
    }
}

/// Bytes on their way from a UART to the PC, in the interface chip's buffer.
#[derive(Debug)]
pub(crate) struct ToPc {
    pub(crate) times: UsbTimes,
    pub(crate) bytes: VecDeque<u8>,
    /// When they are fetched.
    due: Option<Instant>,
    /// The host does not fetch them.
    pub(crate) is_held: bool,
}

impl ToPc {
    pub(crate) const fn new(times: UsbTimes) -> Self {
        Self {
            times,
            bytes: VecDeque::new(),
            due: None,
            is_held: false,
        }
    }

    /// Takes bytes that have come in at `at`.
    pub(crate) fn take(&mut self, bytes: &mut VecDeque<u8>, at: Instant, event: &EventCharacter) {
        let is_whole = event.is_in(bytes) || self.bytes.len() + bytes.len() >= FULL;
        self.bytes.append(bytes);
        let due = self
            .times
            .next_frame(if is_whole { at } else { at + self.times.latency });
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Everything was fetched.
    pub(crate) fn emptied(&mut self) {
        self.due = None;
        self.is_held = false;
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.emptied();
    }

    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.due.filter(|_| !self.is_held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(at: Instant) -> u64 {
        at.as_nanos() / 1000
    }

    #[test]
    fn bytes_wait_for_the_timer_the_event_character_or_a_full_packet() {
        let event = EventCharacter::none();
        let mut to_pc = ToPc::new(UsbTimes::high_speed(1));
        let at = Instant::from_nanos(300_000);
        to_pc.take(&mut VecDeque::from([1, 2]), at, &event);
        assert_eq!(to_pc.wake_at().map(micros), Some(1375));
        event.set(Some(6));
        to_pc.take(&mut VecDeque::from([6]), at, &event);
        assert_eq!(to_pc.wake_at().map(micros), Some(375));
        assert!(!to_pc.is_due(at));
        to_pc.clear();
        event.set(None);
        to_pc.take(&mut VecDeque::from([6; FULL]), at, &event);
        assert_eq!(to_pc.wake_at().map(micros), Some(375));
    }
}
