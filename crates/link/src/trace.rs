//! Records what goes over a wire.
//!
//! Everything is recorded as it is, secrets included: who keeps a trace must blank them first. [`TraceEntry`] shows
//! lengths only when it is printed for debugging.

use std::fmt;
use std::task::{Context, Poll};

use lineside_terms::Instant;

use crate::{Clock, LineSettings, LinkError, Wire, WireHealth};

/// Something that happened on a wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEntry {
    /// When, on the clock that the trace was given.
    pub at: Instant,
    /// What.
    pub what: Traced,
}

/// What can happen on a wire.
#[derive(Clone, PartialEq, Eq)]
pub enum Traced {
    /// These bytes were taken to be sent.
    Sent(Vec<u8>),
    /// These bytes were received.
    Received(Vec<u8>),
    /// The settings were changed.
    Configured(LineSettings),
    /// Reading, writing or configuring failed. Told once: wires stay failed.
    Failed(LinkError),
}

impl fmt::Debug for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(bytes) => write!(f, "Sent({} bytes)", bytes.len()),
            Self::Received(bytes) => write!(f, "Received({} bytes)", bytes.len()),
            Self::Configured(settings) => f.debug_tuple("Configured").field(settings).finish(),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

/// Takes what was recorded. It is called in the middle of reading and writing, so it must be quick.
pub type TraceSink = Box<dyn FnMut(TraceEntry)>;

/// A wire that records everything that goes over another one.
pub struct TraceWire {
    wire: Box<dyn Wire>,
    clock: Clock,
    sink: TraceSink,
    has_failed: bool,
}

impl fmt::Debug for TraceWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceWire").finish_non_exhaustive()
    }
}

impl TraceWire {
    /// Records what goes over `wire` with the times of `clock`.
    pub fn new(wire: Box<dyn Wire>, clock: Clock, sink: TraceSink) -> Self {
        Self {
            wire,
            clock,
            sink,
            has_failed: false,
        }
    }

    fn tell(&mut self, what: Traced) {
        (self.sink)(TraceEntry {
            at: self.clock.now(),
            what,
        });
    }

    fn tell_failure<T>(&mut self, result: &Result<T, LinkError>) {
        if let Err(error) = result
            && !std::mem::replace(&mut self.has_failed, true)
        {
            self.tell(Traced::Failed(error.clone()));
        }
    }
}

impl Wire for TraceWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        let read = std::task::ready!(self.wire.poll_read(cx, into));
        if let Ok(count) = read {
            self.tell(Traced::Received(into[..count].to_vec()));
        }
        self.tell_failure(&read);
        Poll::Ready(read)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        let written = std::task::ready!(self.wire.poll_write(cx, from));
        if let Ok(count) = written {
            self.tell(Traced::Sent(from[..count].to_vec()));
        }
        self.tell_failure(&written);
        Poll::Ready(written)
    }

    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        let configured = self.wire.configure(settings);
        if configured.is_ok() {
            self.tell(Traced::Configured(settings));
        }
        self.tell_failure(&configured);
        configured
    }

    fn set_packet_boundary(&mut self, byte: Option<u8>) {
        self.wire.set_packet_boundary(byte);
    }

    fn health(&self) -> WireHealth {
        self.wire.health()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{memory, read_some, write_all};
    use futures::executor::block_on;
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    #[test]
    fn both_directions_are_recorded_with_their_times() {
        let (clock, hands) = Clock::by_hand();
        let (near, mut far) = memory::pair(16);
        let entries = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&entries);
        let mut near = TraceWire::new(
            Box::new(near),
            clock,
            Box::new(move |entry| sink.borrow_mut().push(entry)),
        );
        let second = |count| Instant::ZERO + Duration::from_secs(count);
        let mut buffer = [0; 8];
        block_on(async {
            write_all(&mut near, b"question").await.unwrap();
            hands.move_to(second(1));
            near.configure(LineSettings::CONSOLE).unwrap();
            write_all(&mut far, b"yes").await.unwrap();
            hands.move_to(second(2));
            assert_eq!(read_some(&mut near, &mut buffer).await, Ok(3));
            drop(far);
            for _ in 0..2 {
                assert_eq!(read_some(&mut near, &mut buffer).await, Err(LinkError::Departed));
            }
        });
        let entry = |at, what| TraceEntry { at: second(at), what };
        let expected = [
            entry(0, Traced::Sent(b"question".to_vec())),
            entry(1, Traced::Configured(LineSettings::CONSOLE)),
            entry(2, Traced::Received(b"yes".to_vec())),
            entry(2, Traced::Failed(LinkError::Departed)),
        ];
        assert_eq!(*entries.borrow(), expected);
        assert!(!format!("{entries:?}").contains("101"), "bytes in debug output");
    }
}
