//! Moves the machine of a recovery: bytes, time and settings.
//!
//! Reading, answering and sending go on within one poll, because every block waits for the one before it: what the PC
//! takes for a turn is lost on the wire.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use lineside_link::{Clock, LineSettings, LinkError, Sleep, Wire};
use lineside_protocol::recovery::host::{Failure, Host, Note, Supply, Want, Wanted};
use lineside_terms::{DeviceId, Instant};

use super::{RecoveryCell, RecoveryProgress};

/// Bytes fetched at once: what comes are acknowledgements and short messages.
const READ: usize = 512;

/// Rounds before others get their turn, so that a babbling board holds nobody up.
const ROUNDS: usize = 16;

/// Why the driver came back.
pub(super) enum Pause {
    /// A device announced itself: [`Host::admit`], then go on.
    Admit(DeviceId),
    /// It is over.
    Over(Result<(), Failure>),
}

pub(super) struct Driver {
    wire: Box<dyn Wire>,
    clock: Clock,
    pub(super) host: Host,
    /// Bytes for the wire, of which so many are written already.
    out: Vec<u8>,
    written: usize,
    inbox: Box<[u8; READ]>,
    sleep: Option<(Instant, Sleep)>,
    /// What is being written must be kept by nobody.
    is_secret: Rc<Cell<bool>>,
    is_stopped: bool,
    is_departed: bool,
}

impl Driver {
    pub(super) fn new(wire: Box<dyn Wire>, clock: Clock, host: Host, is_secret: Rc<Cell<bool>>) -> Self {
        Self {
            wire,
            clock,
            host,
            out: Vec::new(),
            written: 0,
            inbox: Box::new([0; READ]),
            sleep: None,
            is_secret,
            is_stopped: false,
            is_departed: false,
        }
    }

    /// True when the board left.
    pub(super) const fn is_departed(&self) -> bool {
        self.is_departed
    }

    /// Goes on until somebody is needed or it is over.
    pub(super) async fn next(
        &mut self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        supply: impl Fn(&Wanted) -> Supply,
        progress: &RecoveryCell,
    ) -> Result<Pause, LinkError> {
        poll_fn(|cx| {
            if !self.is_stopped && self.host.flash().may_retry() && stop.as_mut().poll(cx).is_ready() {
                self.is_stopped = true;
                self.host.stop();
            }
            let polled = self.step(cx, &supply);
            let told = self.host.progress();
            progress.set(RecoveryProgress {
                phase: self.host.phase(),
                bytes: told.bytes,
                total_bytes: told.total_bytes.unwrap_or(0),
                images: told.images,
                total_images: told.total_images.unwrap_or(0),
            });
            if let Poll::Ready(Err(_)) = polled {
                self.is_departed = true;
            }
            polled
        })
        .await
    }

    fn step(
        &mut self,
        cx: &mut Context<'_>,
        supply: &impl Fn(&Wanted) -> Supply,
    ) -> Poll<Result<Pause, LinkError>> {
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let has_read = match self.wire.poll_read(cx, &mut self.inbox[..]) {
                Poll::Ready(Ok(count)) => {
                    self.host.input(&self.inbox[..count], now);
                    true
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => false,
            };
            let is_sent = self.write(cx, now)?;
            let mut has_answered = false;
            // Settings change and files follow only behind what was said before.
            while is_sent && let Some(want) = self.host.next_want() {
                has_answered = true;
                match want {
                    Want::Configure(uart) => {
                        self.wire.configure(LineSettings {
                            baud: uart.baud,
                            rts_cts: uart.rts_cts,
                        })?;
                        self.host.configured(self.clock.now());
                    }
                    Want::Admit(device) => return Poll::Ready(Ok(Pause::Admit(device))),
                    Want::Supply(wanted) => self.host.supply(supply(&wanted), now),
                    Want::Note(note) => tell(&note),
                    Want::Finish(outcome) => return Poll::Ready(Ok(Pause::Over(outcome))),
                }
            }
            if has_read || has_answered {
                continue;
            }
            let Some(wake) = self.host.next_wake() else {
                // It is over, and what it had to say is on its way: the wire wakes us.
                return Poll::Pending;
            };
            if wake <= now && is_sent {
                self.sleep = None;
                continue;
            }
            // A wait that ends sooner is kept: time-outs move on with every block.
            if self.sleep.as_ref().is_none_or(|(at, _)| *at > wake || *at <= now) {
                self.sleep = Some((wake, self.clock.sleep_until(wake)));
            }
            let (_, sleep) = self.sleep.as_mut().expect("it was just set");
            if Pin::new(sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands over what is to be sent; true when nothing is left.
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, LinkError> {
        loop {
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
                self.is_secret.set(self.host.is_secret());
                self.host.output(now, &mut self.out);
                if self.out.is_empty() {
                    return Ok(true);
                }
            }
            match self.wire.poll_write(cx, &self.out[self.written..]) {
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(false),
            }
        }
    }
}

fn tell(note: &Note) {
    match note {
        Note::Console(line) => tracing::debug!(%line, "console"),
        Note::Log(line) => tracing::info!(%line, "recovery"),
        Note::Event(event) => tracing::debug!(event = event.0, "recovery"),
        Note::SwitchFailed => tracing::info!("recovery goes on at the old speed"),
    }
}
