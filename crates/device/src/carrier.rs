//! Plain TCP and UDP to a device for other programs: any number of connections over one wire at once.
//!
//! What goes through belongs to others. TLS stays between their program and the device: nothing is looked into here, and
//! nothing is ever sent that they did not send. Whoever needs something of a device uses [`crate::Session`].

use std::fmt;
use std::task::{Context, Poll};

use lineside_link::{Clock, LineSettings, LinkError, Wire};
use lineside_terms::Instant;

use crate::DeviceError;
use crate::entropy::Entropy;
use crate::pump::{Alarm, Look, Pump, Stopped};
use crate::stack::{Stack, StackConfig, StackCounters, TcpId, TcpState, UdpId};

/// Names one connection of a carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call(TcpId);

/// Names one place of a carrier from which datagrams go out and to which answers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place(UdpId);

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// Asked for, not answered yet.
    Connecting,
    /// Both ends may send.
    Open,
    /// The device will send no more; what it sent may still be fetched.
    Ended,
    /// The device answered that nobody listens there.
    Refused,
    /// Both ends have said that they are done.
    Closed,
    /// The device reset it.
    CutOff,
}

/// All connections of one wire. See [`Carrier::poll`].
#[derive(Debug)]
pub struct Calls<'a> {
    stack: &'a mut Stack,
    now: Instant,
}

impl Calls<'_> {
    /// Begins a connection to a port of the device.
    pub fn open(&mut self, port: u16) -> Call {
        Call(self.stack.open(port))
    }

    /// Where a connection stands.
    pub fn state(&mut self, call: Call) -> CallState {
        match self.stack.state(call.0) {
            TcpState::Connecting => CallState::Connecting,
            TcpState::Open => CallState::Open,
            TcpState::PeerClosed => CallState::Ended,
            TcpState::Refused => CallState::Refused,
            TcpState::Closed if self.stack.is_cut_off(call.0) => CallState::CutOff,
            TcpState::Closed => CallState::Closed,
        }
    }

    /// How many bytes [`send`](Self::send) takes now: none before a connection is open, and none while the device does
    /// not fetch what was sent.
    pub fn room(&mut self, call: Call) -> usize {
        self.stack.room(call.0)
    }

    /// Queues bytes and tells how many there was room for.
    pub fn send(&mut self, call: Call, bytes: &[u8]) -> usize {
        self.stack.send(call.0, bytes)
    }

    /// Fetches what was received, in order; 0 when there is nothing now. What nobody fetches closes the window of that
    /// connection and no other.
    pub fn receive(&mut self, call: Call, into: &mut [u8]) -> usize {
        self.stack.receive(call.0, into)
    }

    /// Ends our half after what is queued.
    pub fn close(&mut self, call: Call) {
        self.stack.close(call.0);
    }

    /// Nobody looks at a connection any more, which ends in order.
    pub fn release(&mut self, call: Call) {
        self.stack.release(call.0);
    }

    /// A place for datagrams: answers to what is sent from it come to no other.
    pub fn bind(&mut self) -> Place {
        Place(self.stack.bind())
    }

    /// Sends a datagram to a port of the device. False when it is lost: it is too long for one packet (28 bytes less than the
    /// MTU), or too many wait already.
    pub fn send_datagram(&mut self, place: Place, port: u16, bytes: &[u8]) -> bool {
        self.stack.send_datagram(place.0, port, bytes)
    }

    /// Fetches the next datagram that came to this place: the port of the device that sent it, and its length.
    pub fn receive_datagram(&mut self, place: Place, into: &mut [u8]) -> Option<(u16, usize)> {
        self.stack.receive_datagram(place.0, into)
    }

    /// Gives a place up; what comes for it later is dropped.
    pub fn unbind(&mut self, place: Place) {
        self.stack.unbind(place.0);
    }

    /// Ends a connection at once: the device is told with a reset.
    pub fn abort(&mut self, call: Call) {
        self.stack.abort(call.0, self.now);
    }
}

/// A wire that carries connections of other programs.
pub struct Carrier {
    pump: Pump<Stack>,
    alarm: Alarm,
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier")
            .field("stack", &self.pump.machine)
            .finish_non_exhaustive()
    }
}

impl Carrier {
    /// A carrier on a wire that is open. `mtu` is the longest packet in bytes.
    ///
    /// # Errors
    /// When the wire cannot have the settings of a service UART.
    pub fn new(
        mut wire: Box<dyn Wire>,
        clock: Clock,
        mtu: usize,
        entropy: &mut Entropy,
    ) -> Result<Self, DeviceError> {
        wire.configure(LineSettings::SERVICE)?;
        // A packet is handed over when it is complete.
        wire.set_packet_boundary(Some(lineside_protocol::slip::END));
        let config = StackConfig {
            mtu,
            seed: entropy.next(),
        };
        let stack = Stack::new(config, clock.now());
        Ok(Self {
            pump: Pump::new(wire, clock, stack),
            alarm: None,
        })
    }

    /// What went over the wire so far.
    pub const fn counters(&self) -> StackCounters {
        self.pump.machine.counters()
    }

    /// Moves bytes between wire and connections, and lets `look` work on the connections whenever something may have
    /// changed; `look` tells whether it changed something itself. Ready only when the wire cannot be used any more.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut look: impl FnMut(&mut Context<'_>, &mut Calls<'_>) -> bool,
    ) -> Poll<LinkError> {
        let Self { pump, alarm } = self;
        let clock = pump.clock.clone();
        let moved = |cx: &mut Context<'_>, stack: &mut Stack| {
            let now = clock.now();
            match look(cx, &mut Calls { stack, now }) {
                true => Look::Moved::<()>,
                false => Look::Nothing,
            }
        };
        match pump.poll_drive(cx, Instant::FAR, alarm, moved) {
            Poll::Ready(Err(Stopped::Link(error))) => Poll::Ready(error),
            // Nothing is waited for, so nothing else ends it.
            Poll::Ready(Ok(()) | Err(Stopped::Deadline)) | Poll::Pending => Poll::Pending,
        }
    }
}
