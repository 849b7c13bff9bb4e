//! The IP end of a wire, without I/O or clock: SLIP, IPv4 and TCP.
//!
//! Every device is 192.168.35.2 on its own wire (A-04, `chip-to-pc-and-recovery.md` 2.2), so every wire has a stack of
//! its own and no two of them can meet. The owner feeds bytes in, asks for bytes out, and comes back at
//! [`Stack::next_wake`]. Nothing here is retried beyond what TCP itself retransmits.

use std::fmt;
use std::time::Duration;

use lineside_protocol::assume::MTU;
use lineside_protocol::rest::http::{DEVICE_ADDRESS, HOST_ADDRESS, PREFIX_BITS};
use lineside_protocol::slip;
use lineside_terms::Instant;
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant as TcpInstant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::pump::Machine;

/// Bytes of a connection that wait to be sent or acknowledged: about a third of a second of wire at 921 600 baud, so
/// that the wire never starves while a device works on what it got.
const SEND_BUFFER: usize = 32 * 1024;

/// Bytes that a device may send ahead. On a slow wire a larger window only adds delay (`dependencies.md` 1).
const RECEIVE_BUFFER: usize = 16 * 1024;

/// No packet is made while this many bytes wait for the wire: two packets keep it busy, more would only make TCP
/// believe in a longer way.
const AHEAD: usize = 2 * MTU;

/// Answers to packets that nobody asked for (a babbling device) are dropped beyond this many waiting bytes.
const MOST_WAITING: usize = 16 * MTU;

/// The stack never asks to be woken sooner than this: its own estimate may be zero for ever.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// So many connections that were given up may still wait for the device's goodbye.
const MOST_RELEASED: usize = 4;

/// Datagrams that wait at one place in each direction; more are lost, as datagrams may be.
const MOST_DATAGRAMS: usize = 8;

/// Bytes of a packet that are not the datagram's: the heads of IPv4 and UDP.
const DATAGRAM_HEADS: usize = 28;

/// Ports that connections begin from (RFC 6335: dynamic ports).
const FIRST_PORT: u16 = 49_152;
const PORTS: u16 = 16_384;

/// What a stack needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StackConfig {
    /// The longest packet in bytes that is sent or taken.
    pub mtu: usize,
    /// Randomness for sequence numbers and the first port. A stack that follows another on the same wire must get
    /// another one, so that leftovers of old connections fit nowhere.
    pub seed: u64,
}

/// Names one TCP connection of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TcpId(SocketHandle);

/// Names one place of a stack from which datagrams go out and to which answers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UdpId(SocketHandle);

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TcpState {
    /// Asked for, not answered yet.
    Connecting,
    /// Both ends may send.
    Open,
    /// The device will send no more; what it sent may still be fetched.
    PeerClosed,
    /// The device answered that nobody listens there.
    Refused,
    /// Over: reset by the device, or closed by both.
    Closed,
}

/// What a stack has seen and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StackCounters {
    /// What the SLIP decoder saw.
    pub slip: slip::Counters,
    /// Packets sent.
    pub packets_sent: u64,
}

/// The IP end of one wire.
pub(crate) struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: Vec<Connection>,
    decoder: slip::Decoder,
    phy: Phy,
    next_port: u16,
}

struct Connection {
    id: TcpId,
    was_open: bool,
    /// The device ended its half in order.
    is_ended: bool,
    is_closed_by_us: bool,
    /// Nobody looks at it any more: it goes when it is closed.
    is_released: bool,
}

impl Stack {
    /// A stack without connections.
    pub(crate) fn new(config: StackConfig, now: Instant) -> Self {
        let mut phy = Phy {
            mtu: config.mtu,
            rx: Vec::new(),
            has_rx: false,
            tx: Vec::new(),
            packet: Vec::new(),
            sent: 0,
        };
        let mut settings = Config::new(HardwareAddress::Ip);
        settings.random_seed = config.seed;
        let mut interface = Interface::new(settings, &mut phy, tcp_time(now));
        let [a, b, c, d] = HOST_ADDRESS;
        interface.update_ip_addrs(|addresses| {
            addresses
                .push(IpCidr::new(IpAddress::v4(a, b, c, d), PREFIX_BITS))
                .expect("an empty list of two takes one");
        });
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            connections: Vec::new(),
            decoder: slip::Decoder::new(config.mtu),
            phy,
            // The high bits, so that neighbouring seeds do not give neighbouring ports.
            next_port: u16::try_from(config.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50).unwrap_or(0)
                % PORTS,
        }
    }

    /// Begins a connection to a port of the device. Local ports come round again only after all 16 384 were used.
    pub(crate) fn open(&mut self, port: u16) -> TcpId {
        self.clear_away();
        let mut socket = tcp::Socket::new(
            tcp::SocketBuffer::new(vec![0; RECEIVE_BUFFER]),
            tcp::SocketBuffer::new(vec![0; SEND_BUFFER]),
        );
        // Requests and answers are short: neither end may wait for the other's next piece. Acknowledgements still
        // ride on data, because packets are made only after everything that came in was worked on.
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        let [a, b, c, d] = DEVICE_ADDRESS;
        let local = FIRST_PORT + self.next_port;
        self.next_port = (self.next_port + 1) % PORTS;
        // Port 0 is the only one that cannot be connected to: such a connection is born refused.
        let _ = socket.connect(self.interface.context(), (IpAddress::v4(a, b, c, d), port), local);
        let id = TcpId(self.sockets.add(socket));
        self.connections.push(Connection {
            id,
            was_open: false,
            is_ended: false,
            is_closed_by_us: false,
            is_released: false,
        });
        id
    }

    /// Where a connection stands. A connection that was forgotten is [`TcpState::Closed`].
    pub(crate) fn state(&mut self, id: TcpId) -> TcpState {
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else {
            return TcpState::Closed;
        };
        let socket = self.sockets.get::<tcp::Socket<'_>>(id.0);
        match socket.state() {
            tcp::State::SynSent | tcp::State::SynReceived | tcp::State::Listen => TcpState::Connecting,
            tcp::State::Established | tcp::State::FinWait1 | tcp::State::FinWait2 => {
                connection.was_open = true;
                TcpState::Open
            }
            tcp::State::CloseWait => {
                connection.was_open = true;
                TcpState::PeerClosed
            }
            tcp::State::Closed if !connection.was_open && !connection.is_closed_by_us => TcpState::Refused,
            tcp::State::Closed | tcp::State::Closing | tcp::State::LastAck | tcp::State::TimeWait => {
                TcpState::Closed
            }
        }
    }

    /// Queues bytes to be sent and tells how many there was room for.
    pub(crate) fn send(&mut self, id: TcpId, bytes: &[u8]) -> usize {
        let Some(socket) = self.socket(id) else { return 0 };
        socket.send_slice(bytes).unwrap_or(0)
    }

    /// How many bytes [`send`](Self::send) would take now: none before a connection is open.
    pub(crate) fn room(&mut self, id: TcpId) -> usize {
        self.socket(id)
            .filter(|socket| socket.may_send())
            .map_or(0, |socket| socket.send_capacity() - socket.send_queue())
    }

    /// True for a connection that is over although the device did not end it in order.
    pub(crate) fn is_cut_off(&mut self, id: TcpId) -> bool {
        let is_ended = self
            .connections
            .iter()
            .any(|connection| connection.id == id && connection.is_ended);
        let is_closed = self
            .socket(id)
            .is_none_or(|socket| socket.state() == tcp::State::Closed);
        is_closed && !is_ended
    }

    /// Bytes that were queued and that the device has not acknowledged.
    pub(crate) fn unacknowledged(&mut self, id: TcpId) -> usize {
        self.socket(id).map_or(0, |socket| socket.send_queue())
    }

    /// Fetches what was received, in order; 0 when there is nothing now.
    pub(crate) fn receive(&mut self, id: TcpId, into: &mut [u8]) -> usize {
        let Some(socket) = self.socket(id) else { return 0 };
        socket.recv_slice(into).unwrap_or(0)
    }

    /// Ends our half of a connection after what is queued.
    pub(crate) fn close(&mut self, id: TcpId) {
        if let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) {
            connection.is_closed_by_us = true;
        }
        if let Some(socket) = self.socket(id) {
            socket.close();
        }
    }

    /// Ends a connection in an orderly way that nobody waits for.
    pub(crate) fn release(&mut self, id: TcpId) {
        self.close(id);
        if let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) {
            connection.is_released = true;
        }
    }

    /// True when the device knows that we send no more.
    pub(crate) fn is_half_closed(&mut self, id: TcpId) -> bool {
        use tcp::State::{Closed, FinWait2, TimeWait};
        self.socket(id)
            .is_none_or(|socket| matches!(socket.state(), FinWait2 | TimeWait | Closed))
    }

    /// Ends a connection at once: the device is told with a reset in the next output, and nothing is left of it here.
    pub(crate) fn abort(&mut self, id: TcpId, now: Instant) {
        if let Some(socket) = self.socket(id) {
            socket.abort();
            self.egress(now);
        }
        if let Some(at) = self.connections.iter().position(|connection| connection.id == id) {
            self.connections.swap_remove(at);
            self.sockets.remove(id.0);
        }
    }

    /// A place of its own for datagrams: answers to what is sent from it come to no other.
    pub(crate) fn bind(&mut self) -> UdpId {
        let buffer = || {
            let packets = vec![udp::PacketMetadata::EMPTY; MOST_DATAGRAMS];
            udp::PacketBuffer::new(packets, vec![0; MOST_DATAGRAMS * MTU])
        };
        let mut socket = udp::Socket::new(buffer(), buffer());
        // An unbound socket takes any port but 0.
        let _ = socket.bind(FIRST_PORT + self.next_port);
        self.next_port = (self.next_port + 1) % PORTS;
        UdpId(self.sockets.add(socket))
    }

    /// Sends a datagram to a port of the device. False when it is lost: too long for one packet, or too many wait.
    pub(crate) fn send_datagram(&mut self, id: UdpId, port: u16, bytes: &[u8]) -> bool {
        let [a, b, c, d] = DEVICE_ADDRESS;
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(id.0);
        bytes.len() + DATAGRAM_HEADS <= self.phy.mtu
            && socket
                .send_slice(bytes, (IpAddress::v4(a, b, c, d), port))
                .is_ok()
    }

    /// The next datagram that came to this place, and the port of the device that sent it.
    pub(crate) fn receive_datagram(&mut self, id: UdpId, into: &mut [u8]) -> Option<(u16, usize)> {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(id.0);
        let (bytes, from) = socket.recv().ok()?;
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        Some((from.endpoint.port, count))
    }

    /// Gives a place up.
    pub(crate) fn unbind(&mut self, id: UdpId) {
        self.sockets.remove(id.0);
    }

    /// What was seen and sent so far.
    pub(crate) const fn counters(&self) -> StackCounters {
        StackCounters {
            slip: self.decoder.counters(),
            packets_sent: self.phy.sent,
        }
    }

    fn socket(&mut self, id: TcpId) -> Option<&mut tcp::Socket<'static>> {
        let is_known = self.connections.iter().any(|connection| connection.id == id);
        is_known.then(|| self.sockets.get_mut::<tcp::Socket<'_>>(id.0))
    }

    /// Removes released connections that are closed, and those that never get there.
    fn clear_away(&mut self) {
        let Self {
            connections, sockets, ..
        } = self;
        let mut spare = connections
            .iter()
            .filter(|connection| connection.is_released)
            .count();
        connections.retain(|connection| {
            use tcp::State::{Closed, TimeWait};
            let is_done = matches!(
                sockets.get::<tcp::Socket<'_>>(connection.id.0).state(),
                Closed | TimeWait
            );
            let goes = connection.is_released && (is_done || spare > MOST_RELEASED);
            if goes {
                spare -= 1;
                sockets.remove(connection.id.0);
            }
            !goes
        });
    }

    fn egress(&mut self, now: Instant) {
        let now = tcp_time(now);
        self.interface.poll_maintenance(now);
        while self.interface.poll_egress(now, &mut self.phy, &mut self.sockets)
            == PollResult::SocketStateChanged
        {}
    }
}

impl Machine for Stack {
    fn input(&mut self, bytes: &[u8], now: Instant) {
        let Self {
            interface,
            sockets,
            connections,
            decoder,
            phy,
            ..
        } = self;
        decoder.push(bytes, |packet| {
            phy.rx.clear();
            phy.rx.extend_from_slice(packet);
            phy.has_rx = true;
            while phy.has_rx {
                if interface.poll_ingress_single(tcp_time(now), phy, sockets) == PollIngressSingleResult::None
                {
                    phy.has_rx = false;
                }
            }
            // Seen after each packet: a connection that opens and is reset at once was not refused.
            for connection in connections.iter_mut() {
                let socket = sockets.get::<tcp::Socket<'_>>(connection.id.0);
                connection.was_open |= socket.may_send();
                connection.is_ended |= has_ended(socket.state());
            }
        });
    }

    fn output(&mut self, now: Instant, out: &mut Vec<u8>) {
        // What the stack answered by itself comes first.
        out.append(&mut self.phy.tx);
        std::mem::swap(out, &mut self.phy.tx);
        self.egress(now);
        std::mem::swap(out, &mut self.phy.tx);
    }

    fn next_wake(&mut self, now: Instant) -> Option<Instant> {
        let at = self.interface.poll_at(tcp_time(now), &self.sockets)?;
        let at = Instant::from_nanos(
            u64::try_from(at.total_micros())
                .unwrap_or(0)
                .saturating_mul(1_000),
        );
        Some(at.max(now + SHORTEST_WAIT))
    }
}

/// True when the device has said that it sends no more.
const fn has_ended(state: tcp::State) -> bool {
    use tcp::State::{CloseWait, Closing, LastAck, TimeWait};
    matches!(state, CloseWait | Closing | LastAck | TimeWait)
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("connections", &self.connections.len())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

fn tcp_time(now: Instant) -> TcpInstant {
    TcpInstant::from_micros(i64::try_from(now.as_nanos() / 1_000).unwrap_or(i64::MAX))
}

/// What the stack takes for a network card: one packet in, framed bytes out.
struct Phy {
    mtu: usize,
    rx: Vec<u8>,
    has_rx: bool,
    tx: Vec<u8>,
    /// The packet being made, kept for its memory.
    packet: Vec<u8>,
    sent: u64,
}

impl phy::Device for Phy {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Transmit<'a>;

    fn receive(&mut self, _: TcpInstant) -> Option<(Received<'_>, Transmit<'_>)> {
        if !self.has_rx {
            return None;
        }
        self.has_rx = false;
        let transmit = Transmit {
            tx: &mut self.tx,
            packet: &mut self.packet,
            sent: &mut self.sent,
        };
        Some((Received(&self.rx), transmit))
    }

    fn transmit(&mut self, _: TcpInstant) -> Option<Transmit<'_>> {
        (self.tx.len() < AHEAD).then_some(Transmit {
            tx: &mut self.tx,
            packet: &mut self.packet,
            sent: &mut self.sent,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // Checksums are made and verified by default; nothing else guards this wire.
        capabilities
    }
}

struct Received<'a>(&'a [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

struct Transmit<'a> {
    tx: &'a mut Vec<u8>,
    packet: &'a mut Vec<u8>,
    sent: &'a mut u64,
}

impl phy::TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.packet.clear();
        self.packet.resize(len, 0);
        let result = f(self.packet);
        if self.tx.len() < MOST_WAITING {
            slip::encode_into(self.packet, self.tx);
            *self.sent += 1;
        }
        result
    }
}
