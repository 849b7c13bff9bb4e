//! The device's end of the wire: SLIP frames in, TCP connections out.
//!
//! Everything runs in simulated time and nothing waits: bytes go in by [`Stack::receive`], come out of
//! [`Stack::output`], and [`Stack::wake_at`] tells when time alone will change something.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use lineside_protocol::rest::http::{DEVICE_ADDRESS, PREFIX_BITS};
use lineside_protocol::slip;
use lineside_terms::Instant;
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::{tcp, udp};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

/// Bytes that one connection holds in each direction. A device of this size has no more to give.
const BUFFER_BYTES: usize = 8 * 1024;

/// How many connections a port holds before the oldest is dropped: those that a vanished host left behind are
/// never closed by it.
const CONNECTIONS_PER_PORT: usize = 6;

/// Datagrams that wait on one port in each direction.
const DATAGRAMS: usize = 8;

/// More than this is not queued towards the wire by connections; they wait.
const OUTPUT_SOFT_LIMIT: usize = 4 * 1024;

/// More than this is not queued at all: packets are lost, as on a wire that nobody reads.
const OUTPUT_HARD_LIMIT: usize = 64 * 1024;

/// How long an acknowledgement waits for company.
const ACK_DELAY: smoltcp::time::Duration = smoltcp::time::Duration::from_millis(1);

/// After this long without a sign from the other end a connection with something to say is given up.
const PEER_TIMEOUT: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(60);

/// Names one connection for as long as the stack lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(u64);

struct Connection {
    port: u16,
    handle: SocketHandle,
    /// Already handed out by [`Stack::accept`].
    is_known: bool,
}

/// The device's IP stack.
pub(crate) struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    phy: Phy,
    decoder: slip::Decoder,
    listeners: BTreeMap<u16, SocketHandle>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Ports on which each datagram is sent back.
    echoes: BTreeMap<u16, SocketHandle>,
    next_id: u64,
}

impl Stack {
    /// A stack with its address and no open port. `mtu` is the longest packet in bytes either way.
    pub(crate) fn new(mtu: usize, random: u64, now: Instant) -> Self {
        let mut phy = Phy {
            mtu,
            incoming: VecDeque::new(),
            output: VecDeque::new(),
            lost: 0,
        };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = random;
        let mut interface = Interface::new(config, &mut phy, time(now));
        let [a, b, c, d] = DEVICE_ADDRESS;
        interface.update_ip_addrs(|addresses| {
            // The list is empty and holds two.
            let _ = addresses.push(IpCidr::new(IpAddress::v4(a, b, c, d), PREFIX_BITS));
        });
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            phy,
            decoder: slip::Decoder::new(mtu),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            echoes: BTreeMap::new(),
            next_id: 0,
        }
    }

    /// Takes bytes from the wire.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.decoder
            .push(bytes, |packet| self.phy.incoming.push_back(packet.to_vec()));
    }

    /// What is to go out on the wire next.
    pub(crate) fn output(&mut self) -> &mut VecDeque<u8> {
        &mut self.phy.output
    }

    /// Opens a port, or keeps it open.
    pub(crate) fn listen(&mut self, port: u16) {
        if self.listeners.contains_key(&port) {
            return;
        }
        let same_port: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, c)| c.port == port)
            .map(|(id, _)| *id)
            .collect();
        if same_port.len() >= CONNECTIONS_PER_PORT {
            self.abort(same_port[0]);
            self.forget(same_port[0]);
        }
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER_BYTES]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(ACK_DELAY));
        // A fresh socket accepts any port but 0, and nothing listens there.
        if socket.listen(port).is_ok() {
            self.listeners.insert(port, self.sockets.add(socket));
        }
    }

    /// Closes a port and cuts its connections.
    pub(crate) fn close_port(&mut self, port: u16) {
        self.close_port_for_new(port);
        let ids: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, c)| c.port == port)
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().for_each(|id| self.abort(id));
    }

    /// Closes a port for new connections; those that there are go on.
    pub(crate) fn close_port_for_new(&mut self, port: u16) {
        if let Some(handle) = self.listeners.remove(&port) {
            self.sockets.remove(handle);
        }
    }

    /// Sends datagrams back that come to these ports, and to no others. True when there was one.
    pub(crate) fn echo(&mut self, ports: &BTreeSet<u16>) -> bool {
        let sockets = &mut self.sockets;
        self.echoes.retain(|port, handle| {
            let stays = ports.contains(port);
            if !stays {
                sockets.remove(*handle);
            }
            stays
        });
        let mut moved = false;
        for port in ports {
            let handle = *self.echoes.entry(*port).or_insert_with(|| {
                let buffer = || {
                    let packets = vec![udp::PacketMetadata::EMPTY; DATAGRAMS];
                    udp::PacketBuffer::new(packets, vec![0; BUFFER_BYTES])
                };
                let mut socket = udp::Socket::new(buffer(), buffer());
                // A fresh socket takes any port but 0, and nothing listens there.
                let _ = socket.bind(*port);
                sockets.add(socket)
            });
            let socket = sockets.get_mut::<udp::Socket>(handle);
            while let Ok((bytes, from)) = socket.recv().map(|(bytes, from)| (bytes.to_vec(), from)) {
                // What cannot be sent is lost, as datagrams may be.
                let _ = socket.send_slice(&bytes, from);
                moved = true;
            }
        }
        moved
    }

    /// Lets time and packets have their effect. True when something happened to a connection.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        let at = time(now);
        let mut changed = false;
        for connection in self.connections.values() {
            let socket = self.sockets.get_mut::<tcp::Socket>(connection.handle);
            // A connection on which nobody has anything to say may last for ever.
            let is_idle = socket.state() == tcp::State::Established && socket.send_queue() == 0;
            socket.set_timeout((!is_idle).then_some(PEER_TIMEOUT));
        }
        self.interface.poll_maintenance(at);
        loop {
            match self
                .interface
                .poll_ingress_single(at, &mut self.phy, &mut self.sockets)
            {
                PollIngressSingleResult::None => break,
                PollIngressSingleResult::PacketProcessed => {}
                PollIngressSingleResult::SocketStateChanged => {
                    changed = true;
                    self.promote();
                }
            }
        }
        while self.interface.poll_egress(at, &mut self.phy, &mut self.sockets)
            == PollResult::SocketStateChanged
        {
            changed = true;
        }
        changed
    }

    /// When time alone will change something, or `None` when nothing is under way. While the wire is full nothing
    /// changes by time.
    pub(crate) fn wake_at(&mut self, now: Instant) -> Option<Instant> {
        if !self.phy.incoming.is_empty() {
            return Some(now);
        }
        if self.phy.output.len() >= OUTPUT_SOFT_LIMIT {
            return None;
        }
        let at = self.interface.poll_at(time(now), &self.sockets)?;
        let micros = u64::try_from(at.total_micros()).unwrap_or(0);
        // Rounded up, so that the time has come when it is reached.
        Some(Instant::ZERO + Duration::from_micros(micros.saturating_add(1)))
    }

    /// A connection that was made since the last call, with its port.
    pub(crate) fn accept(&mut self) -> Option<(ConnectionId, u16)> {
        let (id, connection) = self.connections.iter_mut().find(|(_, connection)| {
            !connection.is_known && self.sockets.get::<tcp::Socket>(connection.handle).may_send()
        })?;
        connection.is_known = true;
        Some((*id, connection.port))
    }

    /// Moves what has arrived to the end of `into`, up to `limit` bytes in all. Returns how much.
    pub(crate) fn read(&mut self, id: ConnectionId, into: &mut Vec<u8>, limit: usize) -> usize {
        let Some(socket) = self.socket(id) else { return 0 };
        let before = into.len();
        while into.len() < limit && socket.can_recv() {
            let room = limit - into.len();
            let copied = socket.recv(|bytes| {
                let count = bytes.len().min(room);
                into.extend_from_slice(&bytes[..count]);
                (count, count)
            });
            if !matches!(copied, Ok(1..)) {
                break;
            }
        }
        into.len() - before
    }

    /// Hands over as much of `bytes` as there is room for. Returns how much.
    pub(crate) fn write(&mut self, id: ConnectionId, bytes: &[u8]) -> usize {
        match self.socket(id) {
            Some(socket) if socket.can_send() => socket.send_slice(bytes).unwrap_or(0),
            _ => 0,
        }
    }

    /// True while the other end may still send, or something that it sent is still unread.
    pub(crate) fn may_read(&mut self, id: ConnectionId) -> bool {
        self.socket(id)
            .is_some_and(|socket| socket.may_recv() || socket.can_recv())
    }

    /// True while what is written can still reach the other end.
    pub(crate) fn may_write(&mut self, id: ConnectionId) -> bool {
        self.socket(id).is_some_and(|socket| socket.may_send())
    }

    /// True when all that was written has been acknowledged, or never will be.
    pub(crate) fn is_flushed(&mut self, id: ConnectionId) -> bool {
        self.socket(id)
            .is_none_or(|socket| socket.send_queue() == 0 || !socket.is_active())
    }

    /// Ends a connection after what was written.
    pub(crate) fn close(&mut self, id: ConnectionId) {
        if let Some(socket) = self.socket(id) {
            socket.close();
        }
    }

    /// Ends a connection at once.
    pub(crate) fn abort(&mut self, id: ConnectionId) {
        if let Some(socket) = self.socket(id) {
            socket.abort();
        }
    }

    /// Drops connections that are over. What they held is gone.
    pub(crate) fn sweep(&mut self) {
        let over: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, c)| {
                let state = self.sockets.get::<tcp::Socket>(c.handle).state();
                // A device of this size does not wait for late packets, and its clients use a new port each time.
                matches!(state, tcp::State::Closed | tcp::State::TimeWait)
            })
            .map(|(id, _)| *id)
            .collect();
        over.into_iter().for_each(|id| self.forget(id));
    }

    /// True while the connection is known to the stack.
    pub(crate) fn knows(&self, id: ConnectionId) -> bool {
        self.connections.contains_key(&id)
    }

    fn socket(&mut self, id: ConnectionId) -> Option<&mut tcp::Socket<'static>> {
        let handle = self.connections.get(&id)?.handle;
        Some(self.sockets.get_mut(handle))
    }

    fn forget(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id) {
            self.sockets.remove(connection.handle);
        }
    }

    /// Makes connections of listeners that somebody called, and puts new listeners in their place.
    fn promote(&mut self) {
        let called: Vec<(u16, SocketHandle)> = self
            .listeners
            .iter()
            .filter(|(_, handle)| !self.sockets.get::<tcp::Socket>(**handle).is_listening())
            .map(|(port, handle)| (*port, *handle))
            .collect();
        for (port, handle) in called {
            self.listeners.remove(&port);
            self.next_id += 1;
            self.connections.insert(
                ConnectionId(self.next_id),
                Connection {
                    port,
                    handle,
                    is_known: false,
                },
            );
            self.listen(port);
        }
    }
}

fn time(at: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(at.as_nanos() / 1000).unwrap_or(i64::MAX))
}

/// What smoltcp sees of the wire: whole packets. Checksums are computed and verified both ways.
struct Phy {
    mtu: usize,
    incoming: VecDeque<Vec<u8>>,
    output: VecDeque<u8>,
    lost: u64,
}

impl phy::Device for Phy {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Room<'_>)> {
        let packet = self.incoming.pop_front()?;
        Some((Received(packet), Room(self)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Room<'_>> {
        (self.output.len() < OUTPUT_SOFT_LIMIT).then_some(Room(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

struct Received(Vec<u8>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Room<'a>(&'a mut Phy);

impl phy::TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        if self.0.output.len() < OUTPUT_HARD_LIMIT {
            let mut framed = Vec::with_capacity(slip::encoded_len(&packet));
            slip::encode_into(&packet, &mut framed);
            self.0.output.extend(framed);
        } else {
            self.0.lost += 1;
        }
        result
    }
}
