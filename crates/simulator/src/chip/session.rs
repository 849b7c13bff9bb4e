//! One connection to the REST port: TLS, then requests one after the other.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use lineside_protocol::rest::ErrorCode;
use lineside_protocol::rest::assume::STATUS_OF_TOO_LARGE;
use lineside_terms::Instant;
use rustls::{ServerConfig, ServerConnection};

use super::http::{Reader, Request, Unreadable};
use super::stack::{ConnectionId, Stack};
use crate::faults::What;

/// Largest body that a request may have: more than the flash for images holds.
const BODY_LIMIT: usize = 2 * 1024 * 1024;

/// Encrypted bytes taken from the stack at once.
const READ_AT_ONCE: usize = 16 * 1024;

/// Plain bytes turned into records while earlier ones still wait for the wire.
const WRITE_AT_ONCE: usize = 8 * 1024;

/// A request that is being worked on.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) done_at: Instant,
    /// What is to go wrong with its answer.
    pub(super) faults: Vec<What>,
}

/// What a session wants from its chip.
#[derive(Debug)]
pub(super) enum Wish {
    /// Nothing now.
    Nothing,
    /// A handshake was completed, or broke.
    Shaken {
        /// Whether it was completed.
        is_complete: bool,
    },
    /// A request is complete: say when it will be done, by [`Session::begin`].
    Arrived(Request),
    /// A request is due: answer it by [`Session::answer`].
    Due(Job),
    /// Bytes that are no request: answer them by [`Session::answer`]; it is the last answer.
    Unreadable { status: u16, code: ErrorCode },
}

/// One connection to the REST port.
pub(super) struct Session {
    id: ConnectionId,
    tls: ServerConnection,
    reader: Reader,
    job: Option<Job>,
    /// Encrypted bytes that came in and were not yet looked at.
    encrypted_in: Vec<u8>,
    /// Plain bytes of answers that were not yet encrypted.
    plain_out: VecDeque<u8>,
    /// Encrypted bytes that wait for the stack.
    encrypted_out: VecDeque<u8>,
    /// Until then the chip computes its part of the handshake.
    busy_until: Option<Instant>,
    handshake_time: Duration,
    is_shaken: bool,
    /// After what is queued the connection is closed.
    is_closing: bool,
    /// The other end says nothing more.
    peer_has_closed: bool,
    is_over: bool,
}

impl Session {
    pub(super) fn new(id: ConnectionId, config: Arc<ServerConfig>, handshake_time: Duration) -> Option<Self> {
        let tls = ServerConnection::new(config).ok()?;
        Some(Self {
            id,
            tls,
            reader: Reader::new(BODY_LIMIT),
            job: None,
            encrypted_in: Vec::new(),
            plain_out: VecDeque::new(),
            encrypted_out: VecDeque::new(),
            busy_until: None,
            handshake_time,
            is_shaken: false,
            is_closing: false,
            peer_has_closed: false,
            is_over: false,
        })
    }

    /// True when nothing more will happen on it.
    pub(super) fn is_over(&self, stack: &Stack) -> bool {
        self.is_over || !stack.knows(self.id)
    }

    /// Which connection it is.
    pub(super) fn id(&self) -> ConnectionId {
        self.id
    }

    /// True when everything that was said has reached the other end, as far as it ever will.
    pub(super) fn is_flushed(&self, stack: &mut Stack) -> bool {
        self.plain_out.is_empty()
            && self.encrypted_out.is_empty()
            && !self.tls.wants_write()
            && stack.is_flushed(self.id)
    }

    /// When time alone will change something here.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.busy_until
            .into_iter()
            .chain(self.job.as_ref().map(|job| job.done_at))
            .min()
    }

    /// Works on a request until then.
    pub(super) fn begin(&mut self, job: Job) {
        self.job = Some(job);
    }

    /// Puts bytes of an answer on their way.
    pub(super) fn answer(&mut self, bytes: Vec<u8>, is_last: bool) {
        self.plain_out.extend(bytes);
        self.is_closing |= is_last;
    }

    /// Ends the connection at once, with a reset on the wire.
    pub(super) fn abort(&mut self, stack: &mut Stack) {
        stack.abort(self.id);
        self.is_over = true;
    }

    /// Goes on as far as it can. True when something moved; then it is to be called again.
    pub(super) fn progress(&mut self, stack: &mut Stack, now: Instant) -> (bool, Wish) {
        let mut moved = false;
        if self.is_over(stack) {
            return (false, Wish::Nothing);
        }
        if self.busy_until.is_some_and(|until| until > now) {
            return (false, Wish::Nothing);
        }
        let was_busy = self.busy_until.take().is_some();

        moved |= self.read(stack, now, was_busy);
        if self.busy_until.is_some() {
            return (moved, Wish::Nothing);
        }
        match self.decrypt() {
            Ok(decrypted) => moved |= decrypted,
            Err(()) => {
                let wish = if self.is_shaken {
                    Wish::Nothing
                } else {
                    Wish::Shaken { is_complete: false }
                };
                self.is_shaken = true;
                self.is_closing = true;
                self.encrypted_in.clear();
                self.plain_out.clear();
                self.write(stack);
                return (true, wish);
            }
        }
        moved |= self.write(stack);
        if !self.is_shaken && !self.tls.is_handshaking() {
            self.is_shaken = true;
            return (true, Wish::Shaken { is_complete: true });
        }
        if let Some(job) = self.job.take_if(|job| job.done_at <= now) {
            return (true, Wish::Due(job));
        }
        if self.job.is_none() && !self.is_closing && self.plain_out.is_empty() {
            match self.reader.next() {
                Ok(Some(request)) => return (true, Wish::Arrived(request)),
                Ok(None) => {}
                Err(Unreadable(code)) => {
                    return (
                        true,
                        Wish::Unreadable {
                            status: STATUS_OF_TOO_LARGE,
                            code,
                        },
                    );
                }
            }
        }
        moved |= self.end(stack);
        if self.is_over && !self.is_shaken {
            self.is_shaken = true;
            return (true, Wish::Shaken { is_complete: false });
        }
        (moved, Wish::Nothing)
    }

    /// Takes encrypted bytes from the stack, unless enough of them wait already.
    fn read(&mut self, stack: &mut Stack, now: Instant, was_busy: bool) -> bool {
        let is_full = self.reader.bytes().len() >= self.reader.wanted() || self.is_closing;
        if is_full || self.encrypted_in.len() >= READ_AT_ONCE {
            return false;
        }
        let before = self.encrypted_in.len();
        let read = stack.read(self.id, &mut self.encrypted_in, READ_AT_ONCE);
        let is_hello = read > 0 && before == 0 && !was_busy && !self.is_shaken && !self.tls.wants_write();
        if is_hello && !self.handshake_time.is_zero() {
            self.busy_until = Some(now + self.handshake_time);
            // Only the first flight makes the chip compute long.
            self.handshake_time = Duration::ZERO;
        }
        read > 0
    }

    fn decrypt(&mut self) -> Result<bool, ()> {
        let mut moved = false;
        while !self.encrypted_in.is_empty() && self.reader.bytes().len() < self.reader.wanted() {
            let taken = self
                .tls
                .read_tls(&mut self.encrypted_in.as_slice())
                .map_err(|_| ())?;
            self.encrypted_in.drain(..taken);
            let state = self.tls.process_new_packets().map_err(|_| ())?;
            moved |= taken > 0;
            let plain = state.plaintext_bytes_to_read();
            if plain > 0 {
                let into = self.reader.bytes();
                let start = into.len();
                into.resize(start + plain, 0);
                let got = self.tls.reader().read(&mut into[start..]).unwrap_or(0);
                into.truncate(start + got);
            }
            self.peer_has_closed |= state.peer_has_closed();
            if taken == 0 {
                break;
            }
        }
        Ok(moved)
    }

    /// Turns answers into records and hands them to the stack, as far as there is room.
    fn write(&mut self, stack: &mut Stack) -> bool {
        let mut moved = false;
        loop {
            if self.encrypted_out.is_empty() {
                if !self.plain_out.is_empty() && !self.tls.is_handshaking() {
                    let (front, _) = self.plain_out.as_slices();
                    let count = front.len().min(WRITE_AT_ONCE);
                    let taken = self.tls.writer().write(&front[..count]).unwrap_or(0);
                    self.plain_out.drain(..taken);
                }
                let mut records = Vec::new();
                while self.tls.wants_write() {
                    if !matches!(self.tls.write_tls(&mut records), Ok(1..)) {
                        break;
                    }
                }
                self.encrypted_out.extend(records);
            }
            let (front, _) = self.encrypted_out.as_slices();
            if front.is_empty() {
                return moved;
            }
            let written = stack.write(self.id, front);
            self.encrypted_out.drain(..written);
            if written == 0 {
                return moved;
            }
            moved = true;
        }
    }

    /// Closes when all is said, or when nobody is there any more.
    fn end(&mut self, stack: &mut Stack) -> bool {
        if !stack.may_write(self.id) {
            self.abort(stack);
            return true;
        }
        let nobody_asks = (self.peer_has_closed || !stack.may_read(self.id))
            && self.encrypted_in.is_empty()
            && self.job.is_none();
        let all_is_said = self.plain_out.is_empty() && self.encrypted_out.is_empty() && self.job.is_none();
        if all_is_said && (self.is_closing || nobody_asks) {
            self.tls.send_close_notify();
            self.write(stack);
            if self.encrypted_out.is_empty() {
                stack.close(self.id);
                self.is_over = true;
            }
            return true;
        }
        false
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("is_shaken", &self.is_shaken)
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}
