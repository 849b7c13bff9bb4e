//! A client of its own for the tests: SLIP, smoltcp, rustls and HTTP, written apart from the product's client so that
//! the two cannot share a mistake.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod packages;
pub mod recovery;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{Read as _, Write as _};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt as _;
use lineside_link::{Bench as _, Board, Clock, LinkError, Port, Wire};
use lineside_simulator::{World, WorldConfig};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

/// How long a test may take in simulated time.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Why something did not work, as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing came in time.
    Timeout,
    /// The connection was refused or reset.
    Refused,
    /// The board is gone.
    Departed,
    /// TLS refused.
    Tls(String),
    /// The answer is no HTTP, or ended early.
    Broken,
}

/// Runs a test in a simulated world under a clock that is moved by hand.
pub fn in_world<F: Future<Output = ()> + 'static>(config: WorldConfig, test: impl FnOnce(World) -> F) {
    let (clock, hands) = Clock::by_hand();
    let world = World::new(config, clock.clone()).unwrap();
    let mut pool = LocalPool::new();
    let run = world.run();
    pool.spawner()
        .spawn_local(async move { match run.await {} })
        .unwrap();
    let done = Rc::new(RefCell::new(false));
    let (test, flag) = (test(world), Rc::clone(&done));
    pool.spawner()
        .spawn_local(async move {
            test.await;
            *flag.borrow_mut() = true;
        })
        .unwrap();
    loop {
        pool.run_until_stalled();
        if *done.borrow() {
            return;
        }
        assert!(hands.step(), "everybody waits for ever");
        assert!(
            clock.now().as_nanos() < PATIENCE.as_nanos() as u64,
            "the test takes too long in simulated time"
        );
    }
}

/// Leases a board and opens its service wire.
pub async fn lease(world: &World, board: usize) -> (Box<dyn Board>, Host) {
    let slot = world.slot(board).unwrap().clone();
    let mut leased = world.bench().lease(&slot, "test").await.unwrap();
    let wire = leased.open(Port::Service).unwrap();
    (leased, Host::new(wire, world.clock().clone(), 1500))
}

/// Waits until the board's REST port is open, then connects.
pub async fn rest(world: &World, board: usize) -> (Box<dyn Board>, Rest) {
    let (leased, host) = lease(world, board).await;
    (leased, Rest::open_patiently(host, world.ca_pem()).await)
}

/// The PC's end of a wire.
pub struct Host {
    wire: Box<dyn Wire>,
    clock: Clock,
    interface: Interface,
    sockets: SocketSet<'static>,
    phy: Phy,
    partial: Vec<u8>,
    escaped: bool,
    next_port: u16,
    is_gone: bool,
}

impl Host {
    pub fn new(wire: Box<dyn Wire>, clock: Clock, mtu: usize) -> Self {
        let mut phy = Phy {
            mtu,
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
        };
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut phy, instant(clock.now()));
        interface.update_ip_addrs(|list| {
            list.push(IpCidr::new(IpAddress::v4(192, 168, 35, 1), 24))
                .unwrap()
        });
        Self {
            wire,
            clock,
            interface,
            sockets: SocketSet::new(Vec::new()),
            phy,
            partial: Vec::new(),
            escaped: false,
            next_port: 40_000,
            is_gone: false,
        }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Moves bytes until `ready` says what was waited for.
    pub async fn until<R>(
        &mut self,
        timeout: Duration,
        mut ready: impl FnMut(&mut SocketSet<'static>) -> Option<R>,
    ) -> Result<R, Trouble> {
        let deadline = self.clock.now() + timeout;
        let mut sleep: Option<Pin<Box<lineside_link::Sleep>>> = None;
        poll_fn(|cx| {
            loop {
                let now = instant(self.clock.now());
                let mut moved = false;
                let mut chunk = [0; 700];
                while let Poll::Ready(read) = self.wire.poll_read(cx, &mut chunk) {
                    match read {
                        Ok(count) => self.decode(&chunk[..count]),
                        Err(_) => {
                            self.is_gone = true;
                            return Poll::Ready(Err(Trouble::Departed));
                        }
                    }
                    moved = true;
                }
                self.interface.poll(now, &mut self.phy, &mut self.sockets);
                if let Some(result) = ready(&mut self.sockets) {
                    // What `ready` wrote is to leave as well.
                    self.interface.poll(now, &mut self.phy, &mut self.sockets);
                    self.send(cx);
                    return Poll::Ready(Ok(result));
                }
                self.interface.poll(now, &mut self.phy, &mut self.sockets);
                moved |= self.send(cx);
                if moved {
                    continue;
                }
                if self.clock.now() >= deadline {
                    return Poll::Ready(Err(Trouble::Timeout));
                }
                let next = self.interface.poll_at(now, &self.sockets);
                let next = next.map_or(deadline, |at| {
                    let at =
                        lineside_terms::Instant::from_nanos((at.total_micros().max(0) as u64 + 1) * 1000);
                    at.max(self.clock.now() + Duration::from_micros(100))
                        .min(deadline)
                });
                let waiting = sleep.insert(Box::pin(self.clock.sleep_until(next)));
                if waiting.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn send(&mut self, cx: &mut std::task::Context<'_>) -> bool {
        let mut moved = false;
        while !self.phy.outgoing.is_empty() {
            let (front, _) = self.phy.outgoing.as_slices();
            let Poll::Ready(Ok(count)) = self.wire.poll_write(cx, front) else {
                break;
            };
            self.phy.outgoing.drain(..count);
            moved = true;
        }
        moved
    }

    fn decode(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match (byte, std::mem::take(&mut self.escaped)) {
                (0xC0, _) => {
                    let packet = std::mem::take(&mut self.partial);
                    if !packet.is_empty() {
                        self.phy.incoming.push_back(packet);
                    }
                }
                (0xDB, false) => self.escaped = true,
                (0xDC, true) => self.partial.push(0xC0),
                (0xDD, true) => self.partial.push(0xDB),
                (other, _) => self.partial.push(other),
            }
            assert!(self.partial.len() <= 70_000, "a packet without an end");
        }
    }

    /// Begins a connection and waits until it is there.
    pub async fn connect(&mut self, port: u16, timeout: Duration) -> Result<SocketHandle, Trouble> {
        let buffer = || tcp::SocketBuffer::new(vec![0; 16 * 1024]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        let handle = self.sockets.add(socket);
        self.next_port += 1;
        let address = IpAddress::v4(192, 168, 35, 2);
        let context = self.interface.context();
        self.sockets
            .get_mut::<tcp::Socket>(handle)
            .connect(context, (address, port), self.next_port)
            .unwrap();
        let connected = self
            .until(timeout, |sockets| {
                match sockets.get::<tcp::Socket>(handle).state() {
                    tcp::State::Established => Some(Ok(handle)),
                    tcp::State::Closed => Some(Err(Trouble::Refused)),
                    _ => None,
                }
            })
            .await;
        connected?
    }

    /// Connects as soon as the device takes connections.
    pub async fn connect_patiently(&mut self, port: u16) -> SocketHandle {
        for _ in 0..200 {
            match self.connect(port, Duration::from_millis(200)).await {
                Ok(handle) => return handle,
                Err(Trouble::Departed) => panic!("the board is gone"),
                Err(_) => self.clock.sleep(Duration::from_millis(100)).await,
            }
        }
        panic!("port {port} never opened");
    }

    /// Sends bytes and reads until a line end.
    pub async fn ask_line(
        &mut self,
        handle: SocketHandle,
        line: &str,
        timeout: Duration,
    ) -> Result<Vec<u8>, Trouble> {
        let mut out = line.as_bytes().to_vec();
        let mut answer = Vec::new();
        self.until(timeout, |sockets| {
            let socket = sockets.get_mut::<tcp::Socket>(handle);
            if !out.is_empty() && socket.can_send() {
                let count = socket.send_slice(&out).unwrap_or(0);
                out.drain(..count);
            }
            while socket.can_recv() {
                socket
                    .recv(|bytes| (bytes.len(), answer.extend_from_slice(bytes)))
                    .unwrap();
            }
            if answer.ends_with(b"\n") {
                return Some(Ok(()));
            }
            (!socket.may_recv()).then_some(Err(Trouble::Refused))
        })
        .await??;
        Ok(answer)
    }
}

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub version: String,
    pub content_type: String,
    pub is_last: bool,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The number in `{"error":…}`.
    pub fn code(&self) -> Option<u64> {
        serde_json::from_slice::<serde_json::Value>(&self.body).ok()?["error"].as_u64()
    }
}

/// A TLS connection to the REST port.
pub struct Rest {
    pub host: Host,
    socket: SocketHandle,
    tls: ClientConnection,
    encrypted_out: Vec<u8>,
    plain: Vec<u8>,
    pub timeout: Duration,
    pub capabilities: Option<String>,
}

impl Rest {
    pub async fn open_patiently(mut host: Host, ca_pem: &str) -> Self {
        let socket = host.connect_patiently(443).await;
        Self::over(host, socket, ca_pem)
            .await
            .map_err(|(_, trouble)| trouble)
            .unwrap()
    }

    /// The TLS handshake over a connection that is there.
    pub async fn over(host: Host, socket: SocketHandle, ca_pem: &str) -> Result<Self, (Host, Trouble)> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_sni = false;
        let name = ServerName::try_from("device.devices.sphere.azure.local").unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
        tls.set_buffer_limit(None);
        let mut rest = Self {
            host,
            socket,
            tls,
            encrypted_out: Vec::new(),
            plain: Vec::new(),
            timeout: Duration::from_secs(30),
            capabilities: None,
        };
        match rest.turn(|rest| (!rest.tls.is_handshaking()).then_some(())).await {
            Ok(()) => Ok(rest),
            Err(trouble) => {
                // The alert that says why goes out.
                rest.timeout = Duration::from_millis(50);
                while rest.tls.wants_write() {
                    rest.tls.write_tls(&mut rest.encrypted_out).unwrap();
                }
                Err((rest.close().await, trouble))
            }
        }
    }

    /// Ends this connection politely and makes a new one.
    pub async fn reconnect(mut self, ca_pem: &str) -> Self {
        self.tls.send_close_notify();
        let mut host = self.close().await;
        let socket = host.connect_patiently(443).await;
        Self::over(host, socket, ca_pem)
            .await
            .map_err(|(_, trouble)| trouble)
            .unwrap()
    }

    /// Closes the TCP connection.
    pub async fn close(mut self) -> Host {
        let socket = self.socket;
        let _ = self
            .turn(|rest| rest.encrypted_out.is_empty().then_some(()))
            .await;
        let _ = self
            .host
            .until(Duration::from_millis(50), |sockets| {
                sockets.get_mut::<tcp::Socket>(socket).close();
                Some(())
            })
            .await;
        self.host
    }

    /// Moves records until `ready`, which sees the plain bytes, says what was waited for.
    async fn turn<R>(&mut self, mut ready: impl FnMut(&mut Self) -> Option<R>) -> Result<R, Trouble> {
        let deadline = self.host.clock.now() + self.timeout;
        loop {
            while self.tls.wants_write() {
                self.tls.write_tls(&mut self.encrypted_out).unwrap();
            }
            if self.encrypted_out.is_empty()
                && let Some(result) = ready(self)
            {
                return Ok(result);
            }
            if self.host.clock.now() >= deadline {
                return Err(Trouble::Timeout);
            }
            let (socket, out) = (self.socket, &mut self.encrypted_out);
            let mut received = Vec::new();
            let left = deadline - self.host.clock.now();
            let moved = self
                .host
                .until(left, |sockets| {
                    let socket = sockets.get_mut::<tcp::Socket>(socket);
                    let mut moved = false;
                    if !out.is_empty() && socket.can_send() {
                        let count = socket.send_slice(out).unwrap_or(0);
                        out.drain(..count);
                        moved = count > 0;
                    }
                    while socket.can_recv() {
                        socket
                            .recv(|bytes| (bytes.len(), received.extend_from_slice(bytes)))
                            .unwrap();
                        moved = true;
                    }
                    if moved {
                        return Some(true);
                    }
                    (!socket.may_recv()).then_some(false)
                })
                .await?;
            let mut bytes = received.as_slice();
            while !bytes.is_empty() {
                self.tls.read_tls(&mut bytes).unwrap();
                let state = self
                    .tls
                    .process_new_packets()
                    .map_err(|error| Trouble::Tls(error.to_string()))?;
                let mut plain = vec![0; state.plaintext_bytes_to_read()];
                if !plain.is_empty() {
                    self.tls.reader().read_exact(&mut plain).unwrap();
                    self.plain.extend(plain);
                }
            }
            if !moved {
                while self.tls.wants_write() {
                    self.tls.write_tls(&mut self.encrypted_out).unwrap();
                }
                self.encrypted_out.clear();
                return ready(self).ok_or(Trouble::Refused);
            }
        }
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.tls.writer().write_all(bytes).unwrap();
    }

    /// Sends a request without waiting for its answer.
    pub fn send(&mut self, method: &str, path: &str, content_type: Option<&str>, body: &[u8]) {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: *.devices.sphere.azure.local\r\nAccept: application/json\r\n"
        );
        if let Some(kind) = content_type {
            head.push_str(&format!("Content-Type: {kind}\r\n"));
        }
        if let Some(file) = &self.capabilities {
            head.push_str(&format!("AZSPHERE-CAPABILITIES: {file}    \r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        self.write(head.as_bytes());
        self.write(body);
    }

    /// Waits for the next answer.
    pub async fn receive(&mut self) -> Result<Answer, Trouble> {
        self.turn(|rest| read_answer(&mut rest.plain)).await
    }

    /// A request without a body.
    pub async fn call(&mut self, method: &str, path: &str) -> Result<Answer, Trouble> {
        self.send(method, path, None, b"");
        self.receive().await
    }

    /// A request with JSON.
    pub async fn call_json(&mut self, method: &str, path: &str, body: &str) -> Result<Answer, Trouble> {
        self.send(method, path, Some("application/json"), body.as_bytes());
        self.receive().await
    }

    /// A request with raw bytes.
    pub async fn call_octets(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer, Trouble> {
        self.send(method, path, Some("application/octet-stream"), body);
        self.receive().await
    }

    /// The text of a successful GET.
    pub async fn get(&mut self, path: &str) -> String {
        let answer = self.call("GET", path).await.unwrap();
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        answer.text()
    }
}

fn read_answer(bytes: &mut Vec<u8>) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(used) = parsed.parse(bytes).unwrap() else {
        return None;
    };
    let header = |name: &str| {
        let header = parsed
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        header
            .map(|header| String::from_utf8(header.value.to_vec()).unwrap())
            .unwrap_or_default()
    };
    let length: usize = header("content-length").parse().unwrap();
    let answer = Answer {
        status: parsed.code.unwrap(),
        version: header("rest-api-version"),
        content_type: header("content-type"),
        is_last: header("connection") == "close",
        body: bytes.get(used..used + length)?.to_vec(),
    };
    bytes.drain(..used + length);
    Some(answer)
}

fn instant(at: lineside_terms::Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros((at.as_nanos() / 1000) as i64)
}

struct Phy {
    mtu: usize,
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<u8>,
}

impl phy::Device for Phy {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;
    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let packet = self.incoming.pop_front()?;
        Some((Incoming(packet), Outgoing(&mut self.outgoing)))
    }
    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Outgoing<'_>> {
        (self.outgoing.len() < 3000).then_some(Outgoing(&mut self.outgoing))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

struct Incoming(Vec<u8>);

impl phy::RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Outgoing<'a>(&'a mut VecDeque<u8>);

impl phy::TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push_back(0xC0);
        for byte in packet {
            match byte {
                0xC0 => self.0.extend([0xDB, 0xDC]),
                0xDB => self.0.extend([0xDB, 0xDD]),
                other => self.0.push_back(other),
            }
        }
        self.0.push_back(0xC0);
        result
    }
}

/// True when the wire says that the board is gone.
pub fn is_departed(result: &Result<(), LinkError>) -> bool {
    matches!(result, Err(LinkError::Departed))
}
