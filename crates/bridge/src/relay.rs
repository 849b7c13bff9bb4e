//! One connection of a foreign program to one port of a device.
//!
//! Back-pressure goes straight through: nothing is read from the program while the device has no room, and nothing is
//! fetched from the device while the program does not read. What is kept here is one piece at most.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lineside_device::{Call, CallState, Calls};
use lineside_terms::Instant;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

/// Bytes moved at once.
pub(crate) const PIECE: usize = 16 * 1024;

/// How long a device may take to answer that a connection stands: programs themselves give up after about as long, and a
/// device that boots does not answer at all.
pub(crate) const CONNECT: Duration = Duration::from_secs(30);

/// How long a device may take to end a connection that the program has ended. A device that was restarted in between
/// never does.
pub(crate) const GOODBYE: Duration = Duration::from_secs(30);

/// A connection that carried nothing for so long does not keep a board from being leased: it is cut then.
pub(crate) const QUIET: Duration = Duration::from_secs(30);

/// What a look at a relay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    Nothing,
    Something,
    /// It is over; the program was told in the way in which the device ended it.
    Over,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Relay {
    stream: TcpStream,
    call: Call,
    /// What the program sent before the device had answered: one piece at most.
    early: Vec<u8>,
    /// And it said that this is all.
    is_early_all: bool,
    /// What the device sent and the program has not taken.
    pending: Vec<u8>,
    /// The program sends no more, since then.
    program_done: Option<Instant>,
    device_done: bool,
    began: Instant,
    last_moved: Instant,
    pub(crate) to_device: u64,
    pub(crate) from_device: u64,
}

impl Relay {
    pub(crate) fn new(stream: TcpStream, call: Call, now: Instant) -> Self {
        // Requests and answers are short. Where that cannot be had it is slower and no worse.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            call,
            early: Vec::new(),
            is_early_all: false,
            pending: Vec::new(),
            program_done: None,
            device_done: false,
            began: now,
            last_moved: now,
            to_device: 0,
            from_device: 0,
        }
    }

    /// True when it keeps others from the board.
    pub(crate) fn is_in_use(&self, now: Instant) -> bool {
        now.saturating_since(self.last_moved) < QUIET
    }

    /// Moves what can be moved now. `scratch` holds one piece and nothing between two calls.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        calls: &mut Calls<'_>,
        now: Instant,
        scratch: &mut [u8],
    ) -> Moved {
        let state = calls.state(self.call);
        let waited = now.saturating_since(self.began);
        match state {
            CallState::Connecting if waited < CONNECT => {
                return match self.hear_early(cx, scratch) {
                    Ok(()) => Moved::Nothing,
                    Err(_) => self.cut(calls),
                };
            }
            CallState::Connecting | CallState::Refused => return self.cut(calls),
            CallState::Open | CallState::Ended | CallState::Closed | CallState::CutOff => {}
        }
        let before = self.to_device + self.from_device;
        let (to, from) = (
            self.feed_device(cx, calls, now, scratch),
            self.feed_program(cx, calls, state, scratch),
        );
        // The program is gone: the device need not go on either.
        if to.is_err() || from.is_err() {
            return self.cut(calls);
        }
        let has_moved = self.to_device + self.from_device > before;
        if has_moved {
            self.last_moved = now;
        }
        if state == CallState::CutOff && self.pending.is_empty() {
            return self.cut(calls);
        }
        if self.device_done && self.program_done.is_some() {
            calls.release(self.call);
            return Moved::Over;
        }
        let is_waited_for = self
            .program_done
            .is_none_or(|since| now.saturating_since(since.max(self.last_moved)) < GOODBYE);
        match (is_waited_for, has_moved) {
            (false, _) => self.cut(calls),
            (true, true) => Moved::Something,
            (true, false) => Moved::Nothing,
        }
    }

    /// While the device has not answered: takes what the program says, to notice when it goes away.
    fn hear_early(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> io::Result<()> {
        while self.early.len() < PIECE && !self.is_early_all {
            let room = (PIECE - self.early.len()).min(scratch.len());
            let mut piece = ReadBuf::new(&mut scratch[..room]);
            match Pin::new(&mut self.stream).poll_read(cx, &mut piece) {
                Poll::Pending => break,
                Poll::Ready(result) => result?,
            }
            match piece.filled() {
                // Whoever has nothing to say has given up.
                [] if self.early.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                [] => self.is_early_all = true,
                bytes => self.early.extend_from_slice(bytes),
            }
        }
        Ok(())
    }

    /// From the program to the device, as far as the device has room.
    fn feed_device(
        &mut self,
        cx: &mut Context<'_>,
        calls: &mut Calls<'_>,
        now: Instant,
        scratch: &mut [u8],
    ) -> io::Result<()> {
        while self.program_done.is_none() {
            let room = calls.room(self.call).min(scratch.len());
            if room == 0 {
                break;
            }
            if !self.early.is_empty() {
                let sent = calls.send(self.call, &self.early);
                self.early.drain(..sent);
                self.to_device += sent as u64;
                continue;
            }
            if self.is_early_all {
                self.program_done = Some(now);
                calls.close(self.call);
                break;
            }
            let mut piece = ReadBuf::new(&mut scratch[..room]);
            match Pin::new(&mut self.stream).poll_read(cx, &mut piece) {
                Poll::Pending => break,
                Poll::Ready(result) => result?,
            }
            match piece.filled() {
                [] => {
                    self.program_done = Some(now);
                    calls.close(self.call);
                }
                bytes => self.to_device += calls.send(self.call, bytes) as u64,
            }
        }
        Ok(())
    }

    /// From the device to the program, as far as the program reads.
    fn feed_program(
        &mut self,
        cx: &mut Context<'_>,
        calls: &mut Calls<'_>,
        state: CallState,
        scratch: &mut [u8],
    ) -> io::Result<()> {
        while !self.device_done {
            if self.pending.is_empty() {
                let count = calls.receive(self.call, scratch);
                self.pending.extend_from_slice(&scratch[..count]);
            }
            if self.pending.is_empty() {
                if matches!(state, CallState::Ended | CallState::Closed) {
                    match Pin::new(&mut self.stream).poll_shutdown(cx) {
                        Poll::Pending => {}
                        Poll::Ready(result) => {
                            result?;
                            self.device_done = true;
                        }
                    }
                }
                break;
            }
            match Pin::new(&mut self.stream).poll_write(cx, &self.pending) {
                Poll::Pending => break,
                Poll::Ready(taken) => {
                    let taken = taken?;
                    self.from_device += taken as u64;
                    self.pending.drain(..taken);
                }
            }
        }
        Ok(())
    }

    /// Ends both halves at once: the program is told with a reset, as a device would.
    fn cut(&mut self, calls: &mut Calls<'_>) -> Moved {
        calls.abort(self.call);
        refuse(&self.stream);
        Moved::Over
    }
}

/// Lets a connection end with a reset when it is dropped, so that a program does not take it for an answer.
pub(crate) fn refuse(stream: &TcpStream) {
    // Where that cannot be had it ends in order, without a byte.
    let _ = stream.set_zero_linger();
}
