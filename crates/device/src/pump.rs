//! Moves bytes between a wire and a machine without I/O, inside the call that awaits something from it.
//!
//! There is no task of its own: reading, writing and waiting for the clock go on side by side while somebody awaits, so
//! it runs on any single-threaded executor and under a clock moved by hand. Between calls nothing is read; flow control
//! holds the device.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use lineside_link::{Clock, LinkError, Sleep, Wire};
use lineside_terms::Instant;

/// Bytes fetched from the wire at once: fewer wake-ups, less work (`dependencies.md` 1).
const READ: usize = 4096;

/// Rounds of reading and writing before others get their turn, so that a babbling board holds nobody up.
const ROUNDS: usize = 16;

/// What a wire is joined to.
pub(crate) trait Machine {
    /// Takes bytes that came over the wire, cut anywhere.
    fn input(&mut self, bytes: &[u8], now: Instant);

    /// Appends what is to be sent now, as long as little is waiting in `out`.
    fn output(&mut self, now: Instant, out: &mut Vec<u8>);

    /// When `output` should be asked again although nothing came in; `None` for never.
    fn next_wake(&mut self, now: Instant) -> Option<Instant>;
}

/// Why a wait ended without what was waited for.
#[derive(Debug)]
pub(crate) enum Stopped {
    Deadline,
    Link(LinkError),
}

/// A wire, a clock, and the machine between them.
pub(crate) struct Pump<M> {
    wire: Box<dyn Wire>,
    pub(crate) clock: Clock,
    pub(crate) machine: M,
    /// Bytes for the wire, of which so many are written already.
    out: Vec<u8>,
    written: usize,
    inbox: Box<[u8; READ]>,
    /// The wire failed: it stays so.
    failed: Option<LinkError>,
}

/// What a look at the machine found.
pub(crate) enum Look<T> {
    /// That is what was waited for.
    Found(T),
    /// The machine was changed: there may be something to send at once.
    Moved,
    /// Nothing new.
    Nothing,
}

/// Remembers when the pump is to be woken, from one look to the next.
pub(crate) type Alarm = Option<(Instant, Sleep)>;

impl<M: Machine> Pump<M> {
    pub(crate) fn new(wire: Box<dyn Wire>, clock: Clock, machine: M) -> Self {
        Self {
            wire,
            clock,
            machine,
            out: Vec::new(),
            written: 0,
            inbox: Box::new([0; READ]),
            failed: None,
        }
    }

    /// Why the wire cannot be used any more, if it cannot.
    pub(crate) const fn failed(&self) -> Option<&LinkError> {
        self.failed.as_ref()
    }

    /// Forgets what waits for the wire.
    pub(crate) fn clear(&mut self) {
        self.out.clear();
        self.written = 0;
    }

    /// Moves bytes both ways until `until` yields something or the deadline passes.
    pub(crate) async fn drive<T>(
        &mut self,
        deadline: Instant,
        mut until: impl FnMut(&mut M) -> Option<T>,
    ) -> Result<T, Stopped> {
        let mut alarm = None;
        poll_fn(move |cx| {
            self.poll_drive(cx, deadline, &mut alarm, |_, machine| {
                until(machine).map_or(Look::Nothing, Look::Found)
            })
        })
        .await
    }

    /// One look at everything: see [`drive`](Self::drive). What `until` does to the machine goes out at once.
    pub(crate) fn poll_drive<T>(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Instant,
        alarm: &mut Alarm,
        mut until: impl FnMut(&mut Context<'_>, &mut M) -> Look<T>,
    ) -> Poll<Result<T, Stopped>> {
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let has_read = self.read(cx, now);
            let has_written = self.write(cx, now);
            let has_moved = match until(cx, &mut self.machine) {
                Look::Found(found) => {
                    // What that changed (a window, an acknowledgement) leaves with it, as far as the wire takes it now.
                    self.write(cx, now);
                    return Poll::Ready(Ok(found));
                }
                Look::Moved => true,
                Look::Nothing => false,
            };
            if let Some(error) = &self.failed {
                return Poll::Ready(Err(Stopped::Link(error.clone())));
            }
            if now >= deadline {
                return Poll::Ready(Err(Stopped::Deadline));
            }
            if has_read || has_written || has_moved {
                continue;
            }
            let wake = self
                .machine
                .next_wake(now)
                .map_or(deadline, |wake| wake.min(deadline));
            // A wait that ends sooner is kept: time-outs move on with every packet, and setting a clock costs more
            // than waking once too often.
            if alarm.as_ref().is_none_or(|(at, _)| *at > wake || *at <= now) {
                *alarm = Some((wake, self.clock.sleep_until(wake)));
            }
            let (_, wait) = alarm.as_mut().expect("it was just set");
            if Pin::new(wait).poll(cx).is_pending() {
                return Poll::Pending;
            }
            *alarm = None;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        if self.failed.is_some() {
            return false;
        }
        match self.wire.poll_read(cx, &mut self.inbox[..]) {
            Poll::Ready(Ok(count)) => {
                self.machine.input(&self.inbox[..count], now);
                true
            }
            Poll::Ready(Err(error)) => {
                self.failed = Some(error);
                true
            }
            Poll::Pending => false,
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut has_written = false;
        while self.failed.is_none() {
            // Written bytes go away before new ones are made, so the machine sees what really waits.
            self.out.drain(..self.written);
            self.written = 0;
            self.machine.output(now, &mut self.out);
            if self.out.is_empty() {
                break;
            }
            match self.wire.poll_write(cx, &self.out) {
                Poll::Ready(Ok(count)) => {
                    self.written = count.min(self.out.len());
                    has_written = true;
                }
                Poll::Ready(Err(error)) => self.failed = Some(error),
                Poll::Pending => break,
            }
        }
        has_written
    }
}
