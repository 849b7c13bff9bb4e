//! A wire with a channel on it, moved by whoever awaits something from it.
//!
//! There is no task of its own: reading, writing and waiting for the clock go on side by side inside the call that is
//! awaited, so a session runs on any single-threaded executor and under a clock moved by hand. Between calls nothing is
//! read; flow control holds the device.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lineside_link::{Clock, LineSettings, LinkError, Sleep, Wire};
use lineside_protocol::assume::MTU;
use lineside_protocol::rest::Secret;
use lineside_protocol::rest::http::PORT;
use lineside_terms::Instant;

use crate::DeviceError;
use crate::channel::{Channel, ChannelFault, Event, Patience};
use crate::entropy::Entropy;
use crate::error::Lost;
use crate::stack::{StackConfig, StackCounters};
use crate::timeouts::{GOODBYE, Timeouts};
use crate::tls::{TlsFault, TrustAnchor};

/// Bytes fetched from the wire at once: fewer wake-ups, less work (`dependencies.md` 1).
const READ: usize = 4096;

/// Rounds of reading and writing before others get their turn, so that a babbling board holds nobody up.
const ROUNDS: usize = 16;

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// What the device's certificate is checked against.
    pub anchor: TrustAnchor,
    /// The time in milliseconds since 1970 at which certificates are judged: the wall clock when the session is made.
    pub wall_ms: i64,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// A capability file in base64 that goes with each request (`device-rest-api.md` 6.3).
    pub capability: Option<Secret>,
    /// The longest packet in bytes.
    pub mtu: usize,
    /// Speed of the wire in bits per second, for the time that uploads may take.
    pub baud: u32,
    /// How long things may take.
    pub timeouts: Timeouts,
}

impl SessionConfig {
    /// For real devices, at this wall time.
    pub fn new(wall_ms: i64) -> Self {
        Self {
            anchor: TrustAnchor::azure_sphere(),
            wall_ms,
            entropy: Entropy::System,
            capability: None,
            mtu: MTU,
            baud: LineSettings::SERVICE.baud,
            timeouts: Timeouts::default(),
        }
    }
}

/// A wire to a device that has not been identified (yet): see [`Session::verify`].
pub struct Session(Box<Inner>);

/// The parts of a session.
pub(crate) struct Inner {
    wire: Box<dyn Wire>,
    pub(crate) clock: Clock,
    pub(crate) config: SessionConfig,
    pub(crate) channel: Channel,
    /// Bytes for the wire, of which so many are written already.
    out: Vec<u8>,
    written: usize,
    inbox: Box<[u8; READ]>,
    /// The wire failed: it stays so.
    failed: Option<LinkError>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("channel", &self.0.channel)
            .field("failed", &self.0.failed)
            .finish_non_exhaustive()
    }
}

/// Why a wait ended without what was waited for.
#[derive(Debug)]
pub(crate) enum Stopped {
    Deadline,
    Link(LinkError),
}

impl Session {
    /// A session on a wire that is open. Nothing is sent yet.
    ///
    /// # Errors
    /// When the wire cannot have the settings of a service UART.
    pub fn new(
        mut wire: Box<dyn Wire>,
        clock: Clock,
        mut config: SessionConfig,
    ) -> Result<Self, DeviceError> {
        wire.configure(LineSettings {
            baud: config.baud,
            ..LineSettings::SERVICE
        })?;
        // A packet is handed over when it is complete.
        wire.set_packet_boundary(Some(lineside_protocol::slip::END));
        let stack = StackConfig {
            mtu: config.mtu,
            seed: config.entropy.next(),
        };
        let patience = Patience {
            connect: config.timeouts.connect,
            connect_tries: config.timeouts.connect_tries,
            handshake: config.timeouts.handshake,
            stall: config.timeouts.stall,
        };
        let channel = Channel::new(stack, patience, clock.now());
        Ok(Self(Box::new(Inner {
            wire,
            clock,
            config,
            channel,
            out: Vec::new(),
            written: 0,
            inbox: Box::new([0; READ]),
            failed: None,
        })))
    }

    /// The clock that the session runs by.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What went over the wire so far; dropped packets tell of a bad cable.
    pub fn counters(&mut self) -> StackCounters {
        self.0.channel.stack().counters()
    }

    /// The wall time at which certificates are judged from now on, in milliseconds since 1970.
    pub fn set_wall_ms(&mut self, wall_ms: i64) {
        self.0.config.wall_ms = wall_ms;
    }

    /// Forgets everything that was under way, without telling the device: it was reset and knows nothing of it.
    pub fn forget(&mut self) {
        let inner = &mut *self.0;
        let stack = StackConfig {
            mtu: inner.config.mtu,
            seed: inner.config.entropy.next(),
        };
        inner.channel.restart(stack, inner.clock.now());
        inner.out.clear();
        inner.written = 0;
    }

    /// Takes and drops what comes over the wire for a while, answering only what TCP itself answers.
    pub(crate) async fn idle(&mut self, duration: Duration) -> Result<(), DeviceError> {
        let until = self.0.clock.now() + duration;
        match self.0.drive(until, |_| None::<()>).await {
            Err(Stopped::Link(error)) => Err(error.into()),
            Ok(()) | Err(Stopped::Deadline) => Ok(()),
        }
    }

    pub(crate) fn inner(&mut self) -> &mut Inner {
        &mut self.0
    }
}

impl Inner {
    /// Moves bytes both ways until `until` yields something or the deadline passes.
    pub(crate) async fn drive<T>(
        &mut self,
        deadline: Instant,
        mut until: impl FnMut(&mut Channel) -> Option<T>,
    ) -> Result<T, Stopped> {
        let mut sleep: Option<(Instant, Sleep)> = None;
        poll_fn(move |cx| self.step(cx, deadline, &mut sleep, &mut until)).await
    }

    fn step<T>(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Instant,
        sleep: &mut Option<(Instant, Sleep)>,
        until: &mut impl FnMut(&mut Channel) -> Option<T>,
    ) -> Poll<Result<T, Stopped>> {
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let has_read = self.read(cx, now);
            let has_written = self.write(cx, now);
            if let Some(found) = until(&mut self.channel) {
                // What that changed (a window, an acknowledgement) leaves with it, as far as the wire takes it now.
                self.write(cx, now);
                return Poll::Ready(Ok(found));
            }
            if let Some(error) = &self.failed {
                return Poll::Ready(Err(Stopped::Link(error.clone())));
            }
            if now >= deadline {
                return Poll::Ready(Err(Stopped::Deadline));
            }
            if has_read || has_written {
                continue;
            }
            let wake = self
                .channel
                .next_wake(now)
                .map_or(deadline, |wake| wake.min(deadline));
            // A wait that ends sooner is kept: time-outs move on with every packet, and setting a clock costs more
            // than waking once too often.
            if sleep.as_ref().is_none_or(|(at, _)| *at > wake || *at <= now) {
                *sleep = Some((wake, self.clock.sleep_until(wake)));
            }
            let (_, wait) = sleep.as_mut().expect("it was just set");
            if Pin::new(wait).poll(cx).is_pending() {
                return Poll::Pending;
            }
            *sleep = None;
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
                self.channel.input(&self.inbox[..count], now);
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
            // Written bytes go away before new ones are made, so the channel sees what really waits.
            self.out.drain(..self.written);
            self.written = 0;
            self.channel.output(now, &mut self.out);
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

    /// Makes the secure connection; with `within`, TCP is tried once and for so long only.
    pub(crate) async fn connect(&mut self, within: Option<Duration>) -> Result<(), DeviceError> {
        let now = self.clock.now();
        let config = &self.config;
        match within {
            None => self.channel.connect(&config.anchor, config.wall_ms, now),
            Some(within) => self.channel.knock(&config.anchor, config.wall_ms, within, now),
        }
        // The channel itself gives up after its patience, so there is no deadline here.
        match self.drive(Instant::FAR, Channel::event).await {
            Ok(Event::Connected) => Ok(()),
            Ok(Event::Over(fault)) => {
                let tries = within.map_or(self.config.timeouts.connect_tries, |_| 1);
                Err(why(fault, tries))
            }
            Ok(Event::Answer(_)) | Err(Stopped::Deadline) => Err(DeviceError::TlsTooSlow),
            Err(Stopped::Link(error)) => Err(error.into()),
        }
    }

    /// Says goodbye, for as long as that takes little time.
    pub(crate) async fn goodbye(&mut self) {
        self.channel.close();
        let until = self.clock.now() + GOODBYE;
        let _ = self
            .drive(until, |channel| channel.is_goodbye_said().then_some(()))
            .await;
        self.channel.abort(self.clock.now());
    }
}

/// Why there is no secure connection.
fn why(fault: ChannelFault, tries: u32) -> DeviceError {
    match fault {
        ChannelFault::NoAnswer => DeviceError::TcpTimeout { port: PORT, tries },
        ChannelFault::Refused => DeviceError::TcpRefused { port: PORT },
        ChannelFault::HandshakeTooSlow => DeviceError::TlsTooSlow,
        ChannelFault::Tls(fault) => match fault {
            TlsFault::UnknownIssuer | TlsFault::WrongName | TlsFault::BadCertificate(_) => {
                DeviceError::WrongCertificate(fault)
            }
            TlsFault::NotValidNow => DeviceError::ClockDisagrees(fault),
            TlsFault::Alert(_) | TlsFault::Protocol(_) => DeviceError::TlsFailed(fault),
        },
        ChannelFault::Stalled => DeviceError::ConnectionLost { why: Lost::Stalled },
        ChannelFault::Closed => DeviceError::ConnectionLost { why: Lost::Closed },
        ChannelFault::Http(_) => DeviceError::ConnectionLost { why: Lost::CutShort },
    }
}
