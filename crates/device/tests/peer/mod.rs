//! A small device for tests: its own SLIP reader, IP stack, TLS server and HTTP reader, told by a closure what to answer.
//! It shares the IP and TLS libraries with the client, and nothing else.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod card;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use lineside_device::{Entropy, Session, SessionConfig, TrustAnchor};
use lineside_link::memory::{self, MemoryWire};
use lineside_link::{Clock, Hands, Wire, read_some, write_all};
use lineside_terms::Instant;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use self::card::{Card, Framer};

/// 2026-11-22.
pub(crate) const WALL_MS: i64 = 1_795_305_600_000;

pub(crate) const NAME: &str = "*.devices.sphere.azure.local";

/// The id of every test device unless it is told another.
pub(crate) fn id_text(digit: char) -> String {
    digit.to_string().repeat(128)
}

// ---- certificates

pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) config: Arc<ServerConfig>,
}

#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) alternative_names: Vec<String>,
    pub(crate) common_name: &'static str,
    pub(crate) from_year: i32,
    pub(crate) until_year: i32,
    pub(crate) versions: &'static [&'static rustls::SupportedProtocolVersion],
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            alternative_names: vec![NAME.into()],
            common_name: "a device",
            from_year: 2018,
            until_year: 2038,
            versions: rustls::ALL_VERSIONS,
        }
    }
}

impl Authority {
    pub(crate) fn new(leaf: &Leaf) -> Self {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "a test authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(leaf.alternative_names.clone()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, leaf.common_name);
        params.not_before = date_time_ymd(leaf.from_year, 1, 1);
        params.not_after = date_time_ymd(leaf.until_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(leaf.versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self {
            pem: ca.pem(),
            config: Arc::new(config),
        }
    }
}

thread_local! {
    /// Keys take long to make: one authority for all tests of a thread that want nothing special.
    static ORDINARY: Rc<Authority> = Rc::new(Authority::new(&Leaf::default()));
}

pub(crate) fn ordinary() -> Rc<Authority> {
    ORDINARY.with(Rc::clone)
}

// ---- what the device is asked and answers

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// Everything that is sent, head and body.
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Then {
    KeepOpen,
    /// Says goodbye in TLS and TCP.
    Close,
    /// Closes TCP without a word of TLS.
    Cut,
    /// Never says anything again on any connection.
    Freeze,
}

pub(crate) fn json(status: u16, body: &str) -> Reply {
    let head = format!(
        "HTTP/1.1 {status} X\r\nREST-API-Version: 4.6.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Reply {
        bytes: format!("{head}{body}").into_bytes(),
        then: Then::KeepOpen,
    }
}

pub(crate) fn raw(bytes: impl Into<Vec<u8>>, then: Then) -> Reply {
    Reply {
        bytes: bytes.into(),
        then,
    }
}

pub(crate) type Handler = Box<dyn FnMut(&Asked) -> Reply>;

/// Answers like a device in Module1Complete.
pub(crate) fn healthy(asked: &Asked) -> Reply {
    match asked.line().as_str() {
        "GET /device/security_state" => {
            let id = id_text('a');
            json(
                200,
                &format!(
                    r#"{{"securityState":"SECURE","deviceIdentifier":"{id}","deviceIdentityPublicKey":"{id}"}}"#
                ),
            )
        }
        "GET /status" => json(200, r#"{"uptime":634}"#),
        "GET /osversion" => json(200, r#"{"osversion":"24.06"}"#),
        "GET /device/manufacturing_state" => json(200, r#"{"manufacturingState":"Module1Complete"}"#),
        "GET /device/capabilities" => json(200, r#"{"device_capabilities":[]}"#),
        "GET /images" => json(
            200,
            r#"{"is_ota_update_in_progress":false,"has_staged_updates":false,"restart_required":false,"components":[{"uid":"ec96028b-080b-4ff5-9ef1-b40264a8c652","image_type":7,"is_update_staged":false,"does_image_type_require_restart":true,"images":[{"uid":"6415a939-c098-48cf-8e5c-02b52a9f0ffb","length_in_bytes":2544816,"uncompressed_length_in_bytes":2544816,"replica_type":0}],"name":"NW Kernel"}]}"#,
        ),
        "GET /wifi/config/networks" => json(200, r#"{"values":[]}"#),
        "GET /certstore/certs" => json(200, r#"{"identifiers":["a"]}"#),
        "GET /net/proxy" => json(200, "{}"),
        "PUT /update/stage" | "PUT /device/manufacturing_state" | "POST /update/install" => json(200, "{}"),
        "POST /restart" => json(200, r#"{"restartingSystem":true}"#),
        _ => json(404, r#"{"error":15728642}"#),
    }
}

// ---- the device's end of the wire

pub(crate) struct Peer {
    wire: MemoryWire,
    clock: Clock,
    mtu: usize,
    interface: Interface,
    sockets: SocketSet<'static>,
    phy: Card,
    framer: Framer,
    services: Vec<Service>,
    tls: Arc<ServerConfig>,
    handler: Handler,
    /// Nothing is taken and nothing said any more.
    pub(crate) is_frozen: Rc<Cell<bool>>,
    /// Kept while nothing happens, so that the clock wakes us.
    wait: Option<lineside_link::Sleep>,
    pub(crate) asked: Rc<RefCell<Vec<Asked>>>,
}

struct Service {
    socket: SocketHandle,
    port: u16,
    secure: Option<ServerConnection>,
    received: Vec<u8>,
    to_send: Vec<u8>,
    then: Then,
}

/// What listens besides 443: an application that answers each line through this.
pub(crate) type Application = fn(&str) -> Option<String>;

pub(crate) struct PeerConfig {
    pub(crate) mtu: usize,
    pub(crate) window: usize,
    pub(crate) listens: bool,
    pub(crate) application: Option<(u16, Application)>,
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self {
            mtu: 1500,
            window: 16_384,
            listens: true,
            application: None,
        }
    }
}

impl Peer {
    pub(crate) fn new(
        wire: MemoryWire,
        clock: Clock,
        config: &PeerConfig,
        tls: Arc<ServerConfig>,
        handler: Handler,
    ) -> Self {
        let mut phy = Card {
            mtu: config.mtu,
            rx: None,
            tx: Vec::new(),
        };
        let mut settings = Config::new(HardwareAddress::Ip);
        settings.random_seed = 4711;
        let mut interface = Interface::new(settings, &mut phy, time(clock.now()));
        interface.update_ip_addrs(|list| {
            list.push(IpCidr::new(IpAddress::v4(192, 168, 35, 2), 24))
                .unwrap()
        });
        let mut sockets = SocketSet::new(Vec::new());
        let mut services = Vec::new();
        let ports = std::iter::repeat_n(443, if config.listens { 3 } else { 0 });
        for port in ports.chain(config.application.iter().flat_map(|(port, _)| [*port; 3])) {
            let buffer = || tcp::SocketBuffer::new(vec![0; config.window]);
            let mut socket = tcp::Socket::new(buffer(), buffer());
            socket.set_nagle_enabled(false);
            socket.set_ack_delay(None);
            socket.listen(port).unwrap();
            let socket = sockets.add(socket);
            let service = Service {
                socket,
                port,
                secure: None,
                received: Vec::new(),
                to_send: Vec::new(),
                then: Then::KeepOpen,
            };
            services.push(service);
        }
        let mut handler = handler;
        let application = config.application.map(|(_, application)| application);
        let handler: Handler = Box::new(move |asked| match (asked.method.as_str(), application) {
            ("LINE", Some(application)) => match application(&asked.path) {
                Some(answer) => raw(answer, Then::KeepOpen),
                None => raw("", Then::KeepOpen),
            },
            _ => handler(asked),
        });
        Self {
            wire,
            clock,
            mtu: config.mtu,
            interface,
            sockets,
            phy,
            framer: Framer::default(),
            services,
            tls,
            handler,
            is_frozen: Rc::default(),
            wait: None,
            asked: Rc::default(),
        }
    }

    pub(crate) async fn run(mut self) {
        let mut out: Vec<u8> = Vec::new();
        let mut inbox = [0; 2048];
        poll_fn(move |cx| {
            loop {
                let now = self.clock.now();
                let mut moved = false;
                match self.wire.poll_read(cx, &mut inbox) {
                    Poll::Ready(Ok(count)) => {
                        moved = true;
                        for packet in self.framer.push(&inbox[..count]) {
                            if self.is_frozen.get() {
                                continue;
                            }
                            self.phy.rx = Some(packet);
                            self.interface.poll(time(now), &mut self.phy, &mut self.sockets);
                        }
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
                if !self.is_frozen.get() {
                    self.serve();
                    if out.len() < 2 * self.mtu {
                        self.interface.poll(time(now), &mut self.phy, &mut self.sockets);
                        out.append(&mut self.phy.tx);
                    }
                }
                while !out.is_empty() {
                    match self.wire.poll_write(cx, &out) {
                        Poll::Ready(Ok(count)) => {
                            out.drain(..count);
                            moved = true;
                        }
                        Poll::Ready(Err(_)) => return Poll::Ready(()),
                        Poll::Pending => break,
                    }
                }
                if moved {
                    continue;
                }
                let delay = self.interface.poll_delay(time(now), &self.sockets);
                self.wait = delay.map(|delay| {
                    self.clock
                        .sleep(Duration::from_micros(delay.total_micros().max(500)))
                });
                if self
                    .wait
                    .as_mut()
                    .is_none_or(|sleep| Pin::new(sleep).poll(cx).is_pending())
                {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    fn serve(&mut self) {
        for service in &mut self.services {
            let socket = self.sockets.get_mut::<tcp::Socket>(service.socket);
            if !socket.is_open() {
                service.secure = None;
                service.received.clear();
                service.to_send.clear();
                service.then = Then::KeepOpen;
                socket.listen(service.port).unwrap();
            }
            if socket.may_recv() && service.port == 443 && service.secure.is_none() && socket.is_active() {
                service.secure = Some(ServerConnection::new(Arc::clone(&self.tls)).unwrap());
            }
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = socket.recv_slice(&mut bytes) {
                let Some(tls) = &mut service.secure else {
                    service.received.extend_from_slice(&bytes[..count]);
                    continue;
                };
                let mut encrypted = &bytes[..count];
                while !encrypted.is_empty() {
                    if tls.read_tls(&mut encrypted).is_err() || tls.process_new_packets().is_err() {
                        break;
                    }
                    let mut plain = Vec::new();
                    let _ = tls.reader().read_to_end(&mut plain);
                    service.received.extend_from_slice(&plain);
                }
            }
            while let Some(asked) = take_request(&mut service.received, service.port == 443) {
                self.asked.borrow_mut().push(asked.clone());
                let reply = (self.handler)(&asked);
                service.to_send.extend_from_slice(&reply.bytes);
                service.then = reply.then;
                if reply.then == Then::Freeze {
                    self.is_frozen.set(true);
                }
            }
            match &mut service.secure {
                Some(tls) => {
                    // Never more than a little ahead, so that a large answer flows.
                    if !tls.wants_write() {
                        let count = service.to_send.len().min(2048);
                        tls.writer().write_all(&service.to_send[..count]).unwrap();
                        service.to_send.drain(..count);
                        if service.to_send.is_empty() && service.then == Then::Close {
                            tls.send_close_notify();
                        }
                    }
                    let mut encrypted = Vec::new();
                    if socket.can_send() && socket.send_capacity() - socket.send_queue() > 4096 {
                        while tls.wants_write() {
                            tls.write_tls(&mut encrypted).unwrap();
                        }
                        assert_eq!(socket.send_slice(&encrypted).unwrap(), encrypted.len());
                    }
                    if matches!(service.then, Then::Close | Then::Cut)
                        && service.to_send.is_empty()
                        && !tls.wants_write()
                    {
                        socket.close();
                    }
                }
                None => {
                    let sent = socket.send_slice(&service.to_send).unwrap_or(0);
                    service.to_send.drain(..sent);
                }
            }
            if socket.state() == tcp::State::CloseWait {
                socket.close();
            }
        }
    }
}

fn take_request(bytes: &mut Vec<u8>, is_http: bool) -> Option<Asked> {
    if !is_http {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = bytes.drain(..=end).collect();
        let path = String::from_utf8_lossy(&line[..end]).into_owned();
        return Some(Asked {
            method: "LINE".into(),
            path,
            head: String::new(),
            body: Vec::new(),
        });
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(|text| text.trim().parse().unwrap())
        })
        .unwrap_or(0);
    if bytes.len() < end + length {
        return None;
    }
    let body = bytes[end..end + length].to_vec();
    bytes.drain(..end + length);
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    Some(Asked {
        method,
        path,
        head,
        body,
    })
}

fn time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros((now.as_nanos() / 1000) as i64)
}

// ---- a bench of one

/// A cable that takes time and loses pieces.
#[derive(Clone, Copy)]
pub(crate) struct Cable {
    pub(crate) bytes_per_second: u64,
    /// Each piece of up to this many bytes arrives at once.
    pub(crate) piece: usize,
    /// One in so many pieces is lost; 0 for none.
    pub(crate) lost_one_in: u64,
    pub(crate) seed: u64,
}

async fn carry(
    clock: Clock,
    cable: Cable,
    from: Rc<RefCell<MemoryWire>>,
    to: Rc<RefCell<MemoryWire>>,
    seed: u64,
) {
    let mut free_at = clock.now();
    let mut random = seed;
    let mut buffer = vec![0; cable.piece];
    loop {
        let Ok(count) = poll_fn(|cx: &mut Context<'_>| from.borrow_mut().poll_read(cx, &mut buffer)).await
        else {
            return;
        };
        free_at = free_at.max(clock.now())
            + Duration::from_nanos(count as u64 * 1_000_000_000 / cable.bytes_per_second);
        clock.sleep_until(free_at).await;
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if cable.lost_one_in > 0 && (random >> 33).is_multiple_of(cable.lost_one_in) {
            continue;
        }
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let written = poll_fn(|cx: &mut Context<'_>| to.borrow_mut().poll_write(cx, rest)).await;
            let Ok(written) = written else { return };
            rest = &rest[written..];
        }
    }
}

pub(crate) struct Bench {
    pub(crate) pool: LocalPool,
    pub(crate) clock: Clock,
    pub(crate) hands: Hands,
    pub(crate) asked: Rc<RefCell<Vec<Asked>>>,
    pub(crate) session: Option<Session>,
    pub(crate) is_frozen: Rc<Cell<bool>>,
}

pub(crate) struct Setup {
    pub(crate) peer: PeerConfig,
    pub(crate) authority: Rc<Authority>,
    pub(crate) anchor: Option<TrustAnchor>,
    pub(crate) cable: Option<Cable>,
    pub(crate) handler: Handler,
    pub(crate) adjust: fn(&mut SessionConfig),
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            peer: PeerConfig::default(),
            authority: ordinary(),
            anchor: None,
            cable: None,
            handler: Box::new(healthy),
            adjust: |_| {},
        }
    }
}

pub(crate) fn config(authority: &Authority) -> SessionConfig {
    let mut config = SessionConfig::new(WALL_MS);
    config.anchor = TrustAnchor::from_pem(&authority.pem).unwrap();
    config.entropy = Entropy::Seeded(1);
    config
}

impl Bench {
    pub(crate) fn new(setup: Setup) -> Self {
        let (clock, hands) = Clock::by_hand();
        let pool = LocalPool::new();
        let (near, far) = match setup.cable {
            None => memory::pair(4096),
            Some(cable) => {
                let ((near, a), (b, far)) = (memory::pair(4096), memory::pair(4096));
                let (a, b) = (Rc::new(RefCell::new(a)), Rc::new(RefCell::new(b)));
                let spawner = pool.spawner();
                spawner
                    .spawn_local(carry(
                        clock.clone(),
                        cable,
                        Rc::clone(&a),
                        Rc::clone(&b),
                        2 * cable.seed + 1,
                    ))
                    .unwrap();
                spawner
                    .spawn_local(carry(clock.clone(), cable, b, a, 2 * cable.seed + 2))
                    .unwrap();
                (near, far)
            }
        };
        let peer = Peer::new(
            far,
            clock.clone(),
            &setup.peer,
            Arc::clone(&setup.authority.config),
            setup.handler,
        );
        let asked = Rc::clone(&peer.asked);
        let is_frozen = Rc::clone(&peer.is_frozen);
        pool.spawner().spawn_local(peer.run()).unwrap();
        let mut config = config(&setup.authority);
        if let Some(anchor) = setup.anchor {
            config.anchor = anchor;
        }
        (setup.adjust)(&mut config);
        let session = Session::new(Box::new(near), clock.clone(), config).unwrap();
        Self {
            pool,
            clock,
            hands,
            asked,
            session: Some(session),
            is_frozen,
        }
    }

    /// Runs to the end, moving the clock whenever nothing else can go on.
    pub(crate) fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        run(&mut self.pool, &self.hands, future)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked.borrow().iter().map(Asked::line).collect()
    }
}

/// Far more steps than any test needs: a test that hangs fails.
const MOST_STEPS: u64 = 5_000_000;

pub(crate) fn run<T>(pool: &mut LocalPool, hands: &Hands, future: impl Future<Output = T>) -> T {
    lineside_link::run_simulated(hands, pool, MOST_STEPS, future).expect("everything comes to an end")
}

/// A wire to nothing but a task that writes what it likes.
pub(crate) async fn babble(mut wire: MemoryWire, bytes: Vec<u8>) {
    let mut sink = [0; 1024];
    loop {
        if write_all(&mut wire, &bytes).await.is_err() || read_some(&mut wire, &mut sink).await.is_err() {
            return;
        }
    }
}
