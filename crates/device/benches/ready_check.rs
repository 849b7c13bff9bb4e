//! What the ready-to-ship check costs this PC: processor time of one check of one device, connecting included, against
//! one TLS handshake in the same process and against the vendor's own Python client.
//!
//! `cargo bench -p lineside-device --bench ready_check`. The simulator runs on its own thread and its time is not
//! counted; the wire has no limit.
//!
//! **What stands for the vendor's script.** Its script reaches a device through the network interface of the vendor's
//! driver. Here the vendor's own client package, with a script of ours that asks what that script asks in the same
//! order, talks by kernel TCP to a server on loopback with the answers of a simulated device, in a network namespace where
//! the device's address is local. Only the client's process is counted, so the wire and its IP stack, which we carry
//! ourselves, cost the vendor's side next to nothing: the comparison is in the vendor's favour.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

mod measure;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::join_all;
use lineside_device::boot::wait_responsive;
use lineside_device::{Scope, Session, SessionConfig, TrustAnchor, timeouts};
use lineside_image::OsList;
use lineside_interlock::{Expectation, Facts, OsRelease, Pair, RunFacts, judge};
use lineside_link::{Bench as _, Board, Clock, Port};
use lineside_simulator::{ChipConfig, Firmware, Request, World, WorldConfig};
use lineside_terms::{Digest, Epoch, ManufacturingState, Outcome, RunId};
use measure::{Verdict, cpu_of, figure, median, say, threads};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

const BOARDS: usize = 64;
/// Checks of every board, all boards side by side.
const ROUNDS: usize = 10;
/// Checks of one board after the other.
const ALONE: usize = 200;
const HANDSHAKES: usize = 500;
/// The promises.
const MOST_HANDSHAKES: f64 = 3.0;
const LEAST_COLD: f64 = 100.0;
const LEAST_WARM: f64 = 10.0;
/// Devices that the vendor's client checks: one interpreter for each, and all in one interpreter.
const VENDOR_COLD: &str = "10";
const VENDOR_WARM: &str = "50";
/// 2026-11-22.
const WALL_MS: i64 = 1_795_305_600_000;
const OS: &str = "24.06";
/// What the ready check of the vendor's script asks, in its order (`azsphere-cli.md` 8); its client asks for the status
/// first, by itself.
const VENDOR_ASKS: [&str; 5] = [
    "/status",
    "/device/manufacturing_state",
    "/device/capabilities",
    "/images",
    "/wifi/config/networks",
];

fn main() {
    say(&format!(
        "ready-to-ship check: {BOARDS} boards x {ROUNDS}, everything read and judged, connecting included"
    ));
    let keys = Keys::new();
    let Some((client, both)) = handshake(&keys) else {
        say("NOT MEASURED: this system does not tell the processor time of threads");
        return;
    };
    let (ours, alone, per_second, listed) = checks();
    let micros = |time: Duration| format!("{:.0} µs", time.as_secs_f64() * 1e6);
    let report = Verdict::Report;
    figure("one TLS handshake, client's side", &micros(client), "", report);
    figure("one TLS handshake, both sides", &micros(both), "", report);
    figure(
        "host's CPU for one device, side by side",
        &micros(ours),
        "",
        report,
    );
    figure(
        "host's CPU for one device, one at a time",
        &micros(alone),
        "",
        report,
    );
    figure(
        "devices checked in a second",
        &format!("{per_second:.0}"),
        "",
        report,
    );
    let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
    figure(
        "check ÷ one TLS handshake, client's side",
        &format!("{:.2} x", ratio(ours, client)),
        "≤ 3",
        Verdict::of(ratio(ours, client) <= MOST_HANDSHAKES),
    );
    figure(
        "host's CPU for one line of `lineside devices`",
        &micros(listed),
        "",
        report,
    );
    figure(
        "that of 64 boards ÷ one TLS handshake, client's side",
        &format!("{:.1} x", BOARDS as f64 * ratio(listed, client)),
        "≤ 64 x 3",
        Verdict::of(ratio(listed, client) <= MOST_HANDSHAKES),
    );
    match vendor(&keys) {
        Ok((cold, warm)) => {
            for (name, theirs, least) in [
                ("an interpreter for each device", cold, LEAST_COLD),
                ("in a warm interpreter", warm, LEAST_WARM),
            ] {
                figure(&format!("vendor's client, {name}"), &micros(theirs), "", report);
                figure(
                    &format!("vendor's client, {name} ÷ ours"),
                    &format!("{:.1} x", ratio(theirs, ours)),
                    &format!("≥ {least}"),
                    Verdict::of(ratio(theirs, ours) >= least),
                );
            }
            say(
                "  (the vendor's client with a script of ours, over loopback: see the head of ready_check.rs)",
            );
        }
        Err(why) => say(&format!(
            "LEFT OUT: the comparison with the vendor's client: {why}"
        )),
    }
}

/// Processor time of the host for one device, side by side and one at a time, and devices in a second; and that for one
/// device of which only what a list shows is read.
fn checks() -> (Duration, Duration, f64, Duration) {
    let clock = Clock::precise();
    let host = threads();
    let config = WorldConfig {
        boards: BOARDS,
        ..WorldConfig::default()
    };
    let world = World::new(config, Clock::precise()).unwrap();
    let life = world.run();
    let simulator = std::thread::Builder::new().name("simulator".into());
    simulator.spawn(move || match block_on(life) {}).unwrap();

    let config = SessionConfig {
        anchor: TrustAnchor::from_pem(world.ca_pem()).unwrap(),
        ..SessionConfig::new(WALL_MS)
    };
    let list = OsList::parse(world.os_list().as_bytes()).unwrap();
    let releases = list.versions().iter().map(|version| OsRelease {
        name: version.name.clone(),
        pairs: version
            .images
            .iter()
            .map(|image| Pair {
                component: image.component,
                image: image.image,
            })
            .collect(),
    });
    let state = ManufacturingState::Module1Complete;
    let expected = Expectation::bare(state, vec![OS.to_owned()], releases.collect());
    let check = |board: usize| check(&world, &clock, &config, &expected, board);

    // Once without counting: the boards have booted afterwards.
    block_on(join_all((0..BOARDS).map(check)));
    let (before, began) = (cpu_of(&host).unwrap(), clock.now());
    for _ in 0..ROUNDS {
        block_on(join_all((0..BOARDS).map(check)));
    }
    let (between, until) = (cpu_of(&host).unwrap(), clock.now());
    for nth in 0..ALONE {
        block_on(check(nth % BOARDS));
    }
    let after = cpu_of(&host).unwrap();
    for _ in 0..ROUNDS {
        let (world, clock, config) = (&world, &clock, &config);
        block_on(join_all((0..BOARDS).map(|board| async move {
            read(board_of(world, board).await, clock, config, Scope::OPEN).await
        })));
    }
    let listed = cpu_of(&host).unwrap();
    let devices = (BOARDS * ROUNDS) as u32;
    (
        (between - before) / devices,
        (after - between) / ALONE as u32,
        f64::from(devices) / (until - began).as_secs_f64(),
        (listed - after) / devices,
    )
}

/// One device: leased, connected, read, let go, judged.
async fn check(world: &World, clock: &Clock, config: &SessionConfig, expected: &Expectation, board: usize) {
    let facts = read(board_of(world, board).await, clock, config, Scope::ALL).await;
    let run = RunFacts {
        run: RunId::from_bytes([1; 16]),
        plan: Digest::ZERO,
        is_every_needed_step_passed: true,
    };
    let judgement = judge(expected, &facts, &run, None);
    assert_eq!(judgement.outcome(), Outcome::Pass, "{:?}", judgement.checks);
}

async fn board_of(world: &World, board: usize) -> Box<dyn Board> {
    let slot = world.slot(board).unwrap();
    world.bench().lease(slot, "benchmark").await.unwrap()
}

/// One device: connected, read, let go.
async fn read(mut board: Box<dyn Board>, clock: &Clock, config: &SessionConfig, scope: Scope) -> Facts {
    let wire = board.open(Port::Service).unwrap();
    let session = Session::new(wire, clock.clone(), config.clone()).unwrap();
    let connected = wait_responsive(session, Epoch(1), None, timeouts::BOOT).await;
    let mut device = connected.map_err(|(_, error)| error).unwrap();
    let facts = device.read_facts(scope).await.unwrap();
    device.release().await;
    facts
}

/// A certificate authority, a certificate as devices show it, and both ends of TLS with them.
struct Keys {
    ca_pem: String,
    leaf_pem: String,
    key_pem: String,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Keys {
    fn new() -> Self {
        let mut ca = CertificateParams::default();
        ca.distinguished_name
            .push(DnType::CommonName, "a benchmark's authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (ca.not_before, ca.not_after) = (date_time_ymd(2018, 1, 1), date_time_ymd(2099, 1, 1));
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let mut leaf = CertificateParams::new(vec!["*.devices.sphere.azure.local".to_owned()]).unwrap();
        leaf.use_authority_key_identifier_extension = true;
        (leaf.not_before, leaf.not_after) = (date_time_ymd(2018, 1, 1), date_time_ymd(2099, 1, 1));
        let key = KeyPair::generate().unwrap();
        let leaf = leaf.signed_by(&key, &ca).unwrap();

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ca.der().to_vec())).unwrap();
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.resumption = rustls::client::Resumption::disabled();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .unwrap();
        server.send_tls13_tickets = 0;
        Self {
            ca_pem: ca.pem(),
            leaf_pem: leaf.pem(),
            key_pem: key.serialize_pem(),
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }
}

/// Processor time of one handshake between two ends in memory: of the client, and of both. The processor time of all is
/// divided as the middle wall times of both sides are.
fn handshake(keys: &Keys) -> Option<(Duration, Duration)> {
    let this: Vec<String> = std::fs::read_link("/proc/thread-self")
        .ok()
        .and_then(|link| Some(link.file_name()?.to_str()?.to_owned()))
        .into_iter()
        .collect();
    one_handshake(keys);
    let before = cpu_of(&this)?;
    let (mut clients, mut servers): (Vec<_>, Vec<_>) = (0..HANDSHAKES).map(|_| one_handshake(keys)).unzip();
    let both = (cpu_of(&this)? - before) / HANDSHAKES as u32;
    let (client, server) = (
        median(&mut clients).as_secs_f64(),
        median(&mut servers).as_secs_f64(),
    );
    Some((both.mul_f64(client / (client + server)), both))
}

fn one_handshake(keys: &Keys) -> (Duration, Duration) {
    let (mut by_client, mut by_server) = (Duration::ZERO, Duration::ZERO);
    let mut pipe = Vec::new();
    let name = ServerName::try_from("device.devices.sphere.azure.local").unwrap();
    let mut client = timed(&mut by_client, || {
        ClientConnection::new(Arc::clone(&keys.client), name).unwrap()
    });
    let mut server = timed(&mut by_server, || {
        ServerConnection::new(Arc::clone(&keys.server)).unwrap()
    });
    while client.is_handshaking() || server.is_handshaking() {
        timed(&mut by_client, || {
            while client.wants_write() {
                client.write_tls(&mut pipe).unwrap();
            }
        });
        timed(&mut by_server, || {
            let mut left = pipe.as_slice();
            while !left.is_empty() {
                server.read_tls(&mut left).unwrap();
                server.process_new_packets().unwrap();
            }
        });
        pipe.clear();
        timed(&mut by_server, || {
            while server.wants_write() {
                server.write_tls(&mut pipe).unwrap();
            }
        });
        timed(&mut by_client, || {
            let mut left = pipe.as_slice();
            while !left.is_empty() {
                client.read_tls(&mut left).unwrap();
                client.process_new_packets().unwrap();
            }
        });
        pipe.clear();
    }
    (by_client, by_server)
}

fn timed<T>(sum: &mut Duration, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    *sum += began.elapsed();
    done
}

/// Processor time of the vendor's client for one device: an interpreter for each, and in a warm one.
fn vendor(keys: &Keys) -> Result<(Duration, Duration), String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("LINESIDE_PEERS_VENV")
        .map_or_else(|| here.join("../../target/peers-venv"), PathBuf::from);
    let python = venv.join("bin/python");
    if !python.exists() {
        return Err(format!(
            "its packages are not at {}: run `.ci/peers`",
            venv.display()
        ));
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("ca.pem", &keys.ca_pem);
    write("server.pem", &format!("{}{}", keys.leaf_pem, keys.key_pem));
    write("answers.txt", &answers());
    let (clock, _) = Clock::by_hand();
    let world = World::new(
        WorldConfig {
            boards: 0,
            ..WorldConfig::default()
        },
        clock,
    );
    write("mt3620an.json", &world.unwrap().os_list());

    // Root may make a network namespace; others may inside of a user namespace, where the system allows that.
    let mut why = String::new();
    for flags in ["-n", "-rn"] {
        let output = Command::new("unshare")
            .args([flags, "sh", "-c"])
            .arg("ip link set lo up && ip addr add 192.168.35.2/32 dev lo && exec \"$0\" \"$@\"")
            .arg(&python)
            .arg(here.join("benches/vendor_check.py"))
            .args(["drive".as_ref(), folder.path().as_os_str()])
            .args([OS, VENDOR_COLD, VENDOR_WARM])
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let mut seconds = text
                    .split_whitespace()
                    .map_while(|number| number.parse().ok())
                    .map(Duration::from_secs_f64);
                return match (seconds.next(), seconds.next()) {
                    (Some(cold), Some(warm)) => Ok((cold, warm)),
                    _ => Err(format!("its script said {text:?}")),
                };
            }
            Ok(output) => why = String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => why = format!("no network namespace: {error}"),
        }
    }
    Err(why)
}

/// What a simulated device answers to the vendor's questions: path, status, body, a line each.
fn answers() -> String {
    let mut firmware = Firmware::new(ChipConfig::alone(1).unwrap().firmware);
    let mut text = String::new();
    for path in VENDOR_ASKS {
        let answer = firmware.call(&Request::new("GET", path), lineside_terms::Instant::ZERO);
        let body = String::from_utf8(answer.body).unwrap();
        writeln!(text, "{path}\t{}\t{body}", answer.status).unwrap();
    }
    text
}
