//! One sans-IO machine from the bytes of a wire to the answers of a device: SLIP, IP, TCP, TLS and HTTP joined.
//!
//! Bytes, time and a request go in; bytes, an answer and the next wake-up come out (design 4.1). There is at most one
//! secure connection and on it at most one request. Nothing is pooled, resumed, or sent again: only the connection itself
//! is asked for a second time when nothing at all answers.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use lineside_protocol::rest::http::PORT;
use lineside_terms::Instant;

use crate::http::{Answer, AnswerReader, HttpFault, Request};
use crate::pump::Machine;
use crate::stack::{Stack, StackConfig, TcpId, TcpState};
use crate::tls::{Tls, TlsFault, TrustAnchor};

/// How far an upload has come, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Sent and acknowledged, about; never more than `total`.
    pub done: usize,
    /// All.
    pub total: usize,
}

/// Where an upload tells how far it has come, to be looked at by whoever draws it.
pub type ProgressCell = Rc<Cell<Progress>>;

/// How long a channel waits by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the answer to one TCP connection attempt.
    pub connect: Duration,
    /// How many attempts are made when nothing answers.
    pub connect_tries: u32,
    /// For the whole TLS handshake.
    pub handshake: Duration,
    /// For the next acknowledgement of what was sent.
    pub stall: Duration,
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChannelFault {
    /// Nothing answered.
    NoAnswer,
    /// The device answered that nobody listens.
    Refused,
    /// TLS failed.
    Tls(TlsFault),
    /// The handshake was not finished in time.
    HandshakeTooSlow,
    /// What came was no answer.
    Http(HttpFault),
    /// The device closed the connection while nothing was asked.
    Closed,
    /// The device stopped acknowledging what was sent.
    Stalled,
}

/// What a channel has to tell.
#[derive(Debug)]
pub(crate) enum Event {
    /// The secure connection stands: the certificate was accepted.
    Connected,
    /// The answer to the request.
    Answer(Answer),
    /// The connection is over.
    Over(ChannelFault),
}

/// The machine for one wire.
pub(crate) struct Channel {
    stack: Stack,
    patience: Patience,
    secure: Option<Secure>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("stack", &self.stack)
            .field("is_connected", &self.is_ready())
            .finish_non_exhaustive()
    }
}

struct Secure {
    tcp: TcpId,
    tls: Tls,
    phase: Phase,
    exchange: Option<Exchange>,
    event: Option<Event>,
    flight: Flight,
    is_closing: bool,
}

/// What was sent and not acknowledged, to notice a device that is gone.
struct Flight {
    sent: u64,
    acknowledged: u64,
    /// When the device last acknowledged something, or the first of what is in flight was sent.
    since: Instant,
}

impl Flight {
    const fn is_empty(&self) -> bool {
        self.sent == self.acknowledged
    }
}

enum Phase {
    Connecting {
        tries_left: u32,
        until: Instant,
    },
    Handshaking {
        until: Instant,
    },
    Ready,
    /// The event was told or waits to be; nothing more happens.
    Over,
}

struct Exchange {
    head: Bytes,
    body: Bytes,
    total: usize,
    reader: AnswerReader,
    progress: Option<ProgressCell>,
}

impl Machine for Channel {
    fn input(&mut self, bytes: &[u8], now: Instant) {
        self.stack.input(bytes, now);
        self.pump(now);
    }

    fn output(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.pump(now);
        self.stack.output(now, out);
    }

    fn next_wake(&mut self, now: Instant) -> Option<Instant> {
        let own = self.secure.as_ref().and_then(|secure| match secure.phase {
            Phase::Connecting { until, .. } | Phase::Handshaking { until } => Some(until),
            Phase::Ready if !secure.flight.is_empty() => Some(secure.flight.since + self.patience.stall),
            Phase::Ready | Phase::Over => None,
        });
        let stack = self.stack.next_wake(now);
        own.into_iter()
            .chain(stack)
            .min()
            .map(|at| at.max(now + Duration::from_micros(1)))
    }
}

impl Channel {
    /// A channel without a connection.
    pub(crate) fn new(config: StackConfig, patience: Patience, now: Instant) -> Self {
        Self {
            stack: Stack::new(config, now),
            patience,
            secure: None,
        }
    }

    /// Begins the secure connection, in place of an earlier one. `wall_ms` is the time at which certificates are
    /// judged. [`Event::Connected`] or [`Event::Over`] follows.
    pub(crate) fn connect(&mut self, anchor: &TrustAnchor, wall_ms: i64, now: Instant) {
        let Patience {
            connect,
            connect_tries,
            ..
        } = self.patience;
        self.begin(anchor, wall_ms, connect, connect_tries, now);
    }

    /// [`connect`](Self::connect), but TCP is tried once and given up after `within`.
    pub(crate) fn knock(&mut self, anchor: &TrustAnchor, wall_ms: i64, within: Duration, now: Instant) {
        self.begin(anchor, wall_ms, within, 1, now);
    }

    fn begin(&mut self, anchor: &TrustAnchor, wall_ms: i64, within: Duration, tries: u32, now: Instant) {
        self.abort(now);
        self.secure = Some(Secure {
            tcp: self.stack.open(PORT),
            tls: Tls::new(anchor, wall_ms),
            phase: Phase::Connecting {
                tries_left: tries.saturating_sub(1),
                until: now + within,
            },
            exchange: None,
            event: None,
            flight: Flight {
                sent: 0,
                acknowledged: 0,
                since: now,
            },
            is_closing: false,
        });
    }

    /// True while the secure connection stands and no request is under way.
    pub(crate) fn is_ready(&self) -> bool {
        self.secure.as_ref().is_some_and(|secure| {
            matches!(secure.phase, Phase::Ready)
                && secure.exchange.is_none()
                && secure.event.is_none()
                && !secure.is_closing
        })
    }

    /// True after one of both ends said goodbye.
    pub(crate) fn is_ending(&self) -> bool {
        self.secure.as_ref().is_none_or(|secure| secure.is_closing)
    }

    /// Sends a request. [`Event::Answer`] or [`Event::Over`] follows. False, and nothing is sent, when the channel is
    /// not [ready](Self::is_ready).
    pub(crate) fn request(&mut self, request: &Request, progress: Option<ProgressCell>) -> bool {
        let is_ready = self.is_ready();
        if let Some(secure) = self.secure.as_mut().filter(|_| is_ready) {
            let total = request.body.len();
            if let Some(cell) = &progress {
                cell.set(Progress { done: 0, total });
            }
            secure.exchange = Some(Exchange {
                head: request.head().into(),
                body: request.body.clone(),
                total,
                reader: AnswerReader::new(request.most_body),
                progress,
            });
        }
        is_ready
    }

    /// What happened, once for each thing.
    pub(crate) fn event(&mut self) -> Option<Event> {
        self.secure.as_mut()?.event.take()
    }

    /// Says goodbye on the secure connection: what remains to be sent is in the next outputs.
    pub(crate) fn close(&mut self) {
        if let Some(secure) = &mut self.secure {
            secure.is_closing = true;
            secure.tls.close();
        }
    }

    /// True when the device has acknowledged our goodbye, or there is nobody to say it to.
    pub(crate) fn is_goodbye_said(&mut self) -> bool {
        let Some(secure) = &self.secure else { return true };
        let is_over = matches!(self.stack.state(secure.tcp), TcpState::Closed | TcpState::Refused);
        is_over
            || (secure.is_closing
                && self.stack.unacknowledged(secure.tcp) == 0
                && self.stack.is_half_closed(secure.tcp))
    }

    /// Forgets all connections without telling the device, with fresh randomness: it was reset and knows none.
    pub(crate) fn restart(&mut self, config: StackConfig, now: Instant) {
        self.secure = None;
        self.stack = Stack::new(config, now);
    }

    /// Ends the secure connection at once.
    pub(crate) fn abort(&mut self, now: Instant) {
        if let Some(secure) = self.secure.take() {
            self.stack.abort(secure.tcp, now);
        }
    }

    /// The stack below, for plain connections beside the secure one.
    pub(crate) const fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// Moves everything as far as it goes now.
    fn pump(&mut self, now: Instant) {
        let Self {
            stack,
            patience,
            secure: Some(secure),
        } = self
        else {
            return;
        };
        secure.connect(stack, patience, now);
        if matches!(secure.phase, Phase::Handshaking { .. } | Phase::Ready) {
            secure.receive(stack);
            secure.transmit(stack, now);
            secure.watch(stack, patience, now);
        }
    }
}

impl Secure {
    fn over(&mut self, stack: &mut Stack, fault: ChannelFault) {
        // An alert may wait: it tells the device why. Whether it arrives does not matter.
        self.push(stack);
        stack.close(self.tcp);
        self.phase = Phase::Over;
        self.exchange = None;
        self.event = Some(Event::Over(fault));
    }

    fn connect(&mut self, stack: &mut Stack, patience: &Patience, now: Instant) {
        let Phase::Connecting { tries_left, until } = self.phase else {
            return;
        };
        match stack.state(self.tcp) {
            TcpState::Connecting if now < until => {}
            TcpState::Connecting if tries_left > 0 => {
                stack.abort(self.tcp, now);
                self.tcp = stack.open(PORT);
                self.phase = Phase::Connecting {
                    tries_left: tries_left - 1,
                    until: now + patience.connect,
                };
            }
            TcpState::Connecting => self.over(stack, ChannelFault::NoAnswer),
            TcpState::Refused => self.over(stack, ChannelFault::Refused),
            TcpState::Open | TcpState::PeerClosed | TcpState::Closed => {
                self.phase = Phase::Handshaking {
                    until: now + patience.handshake,
                };
            }
        }
    }

    fn receive(&mut self, stack: &mut Stack) {
        let mut encrypted = [0; 4096];
        let mut plain = Vec::new();
        loop {
            let got = stack.receive(self.tcp, &mut encrypted);
            if got == 0 {
                break;
            }
            if let Err(fault) = self.tls.read(&encrypted[..got], &mut plain) {
                return self.over(stack, ChannelFault::Tls(fault));
            }
            if let Err(fault) = self.read_answer(&plain) {
                return self.over(stack, fault);
            }
            plain.clear();
        }
        if matches!(self.phase, Phase::Handshaking { .. }) && !self.tls.is_handshaking() {
            self.phase = Phase::Ready;
            self.event = Some(Event::Connected);
        }
        let is_orderly = self.tls.has_ended();
        if is_orderly
            || matches!(
                stack.state(self.tcp),
                TcpState::PeerClosed | TcpState::Closed | TcpState::Refused
            )
        {
            self.ended(stack, is_orderly);
        }
    }

    fn read_answer(&mut self, plain: &[u8]) -> Result<(), ChannelFault> {
        if plain.is_empty() {
            return Ok(());
        }
        let Some(exchange) = &mut self.exchange else {
            return Err(ChannelFault::Http(HttpFault::Unasked));
        };
        if let Some(answer) = exchange.reader.push(plain).map_err(ChannelFault::Http)? {
            self.answered(answer);
        }
        Ok(())
    }

    fn answered(&mut self, answer: Answer) {
        if let Some(Exchange {
            progress: Some(cell),
            total,
            ..
        }) = self.exchange.take()
        {
            cell.set(Progress { done: total, total });
        }
        self.is_closing |= answer.is_last;
        self.event = Some(Event::Answer(answer));
    }

    /// The device sends no more.
    fn ended(&mut self, stack: &mut Stack, is_orderly: bool) {
        // An answer that is not fetched yet is not thrown away: the next request finds the connection over.
        if matches!(self.event, Some(Event::Answer(_))) {
            self.is_closing = true;
            return;
        }
        let fault = match (&self.phase, &mut self.exchange) {
            (Phase::Handshaking { .. }, _) => ChannelFault::Tls(TlsFault::Protocol(
                "it closed the connection within the handshake".to_owned(),
            )),
            (_, Some(exchange)) => match exchange.reader.end(is_orderly) {
                Ok(answer) => return self.answered(answer),
                Err(HttpFault::Truncated { got: 0 }) => ChannelFault::Closed,
                Err(fault) => ChannelFault::Http(fault),
            },
            (_, None) => ChannelFault::Closed,
        };
        self.over(stack, fault);
    }

    fn transmit(&mut self, stack: &mut Stack, now: Instant) {
        if matches!(self.phase, Phase::Over) || matches!(stack.state(self.tcp), TcpState::Closed) {
            return;
        }
        let was_idle = self.flight.is_empty();
        loop {
            let is_drained = self.push(stack);
            let Some(exchange) = self.exchange.as_mut().filter(|_| is_drained) else {
                break;
            };
            let piece = if exchange.head.is_empty() {
                &mut exchange.body
            } else {
                &mut exchange.head
            };
            let taken = self.tls.encrypt(piece);
            if taken == 0 {
                break;
            }
            piece.advance(taken);
        }
        if self.is_closing && self.exchange.is_none() && self.push(stack) {
            stack.close(self.tcp);
        }
        let in_flight = stack.unacknowledged(self.tcp);
        let acknowledged = self.flight.sent.saturating_sub(in_flight as u64);
        if was_idle || acknowledged != self.flight.acknowledged {
            self.flight.acknowledged = acknowledged;
            self.flight.since = now;
        }
        if let Some(Exchange {
            progress: Some(cell),
            total,
            body,
            ..
        }) = &self.exchange
        {
            let done = (total - body.len()).saturating_sub(in_flight);
            cell.set(Progress { done, total: *total });
        }
    }

    /// Moves encrypted bytes down; true when none are left.
    fn push(&mut self, stack: &mut Stack) -> bool {
        let Self { tls, tcp, flight, .. } = self;
        tls.write(|bytes| {
            let taken = stack.send(*tcp, bytes);
            flight.sent += taken as u64;
            taken
        })
    }

    fn watch(&mut self, stack: &mut Stack, patience: &Patience, now: Instant) {
        match self.phase {
            Phase::Handshaking { until } if now >= until => self.over(stack, ChannelFault::HandshakeTooSlow),
            Phase::Ready if !self.flight.is_empty() && now >= self.flight.since + patience.stall => {
                self.over(stack, ChannelFault::Stalled);
            }
            _ => {}
        }
    }
}
