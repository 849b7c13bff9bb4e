//! Judged by what others wrote: the simulated device by the vendor's own client, curl and OpenSSL over the kernel's TCP;
//! our client by a device made of the kernel's TCP, OpenSSL and Python's HTTP server. The framing at the other end is
//! not ours either (`foreign/peer.py`), so host and simulator cannot share a mistake unseen.
//!
//! Needs Linux, `ip`, `unshare`, `/dev/net/tun` and the packages of `.ci/peers`; where one of them is missing, this
//! fails and says so.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::channel::mpsc;
use futures::executor::block_on;
use futures::future::{Either, select};
use lineside_device::boot::wait_responsive;
use lineside_device::{DeviceError, Session, SessionConfig, TrustAnchor, timeouts};
use lineside_image::{ApplicationSource, pack_application};
use lineside_link::{Bench as _, Clock, Port, Wire, memory, read_some, write_all};
use lineside_simulator::{Counters, World, WorldConfig};
use lineside_terms::{Epoch, ImageId, ManufacturingState};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use std::pin::pin;

/// 2026-11-22.
const WALL_MS: i64 = 1_795_305_600_000;

/// Somebody else at the other end of a line.
struct Foreign {
    child: Child,
    said: JoinHandle<String>,
    received: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Foreign {
    fn start(role: &str, folder: &Path) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let venv = std::env::var_os("LINESIDE_PEERS_VENV")
            .map_or_else(|| here.join("../../target/peers-venv"), PathBuf::from);
        let python = venv.join("bin/python");
        assert!(python.exists(), "{} is missing: run .ci/peers", python.display());
        // Root may make a network namespace; others may inside of a user namespace, where the system allows that.
        let is_root = Command::new("unshare").args(["-n", "true"]).output();
        let is_root = is_root
            .expect("`unshare` of util-linux is there")
            .status
            .success();
        let mut child = Command::new("unshare")
            .arg(if is_root { "-n" } else { "-rn" })
            .arg(python)
            .arg(here.join("tests/foreign/peer.py"))
            .arg(role)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (send, received) = mpsc::unbounded();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                if send.unbounded_send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let stderr = child.stderr.take().unwrap();
        Self {
            child,
            said: std::thread::spawn(move || told(stderr)),
            received,
        }
    }

    /// Joins the line to a wire until the other end hangs up.
    async fn joined_to(&mut self, wire: &mut dyn Wire) {
        let mut stdin = self.child.stdin.take().unwrap();
        let mut piece = [0; 4096];
        loop {
            let step = {
                let from_wire = pin!(read_some(wire, &mut piece));
                match select(self.received.next(), from_wire).await {
                    Either::Left((bytes, _)) => Either::Left(bytes),
                    Either::Right((count, _)) => Either::Right(count.unwrap()),
                }
            };
            match step {
                Either::Left(None) => return,
                Either::Left(Some(bytes)) => write_all(wire, &bytes).await.unwrap(),
                Either::Right(count) => {
                    if stdin.write_all(&piece[..count]).is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Ends it and tells whether it was content, and what it said.
    fn end(mut self, is_killed: bool) -> (bool, String) {
        if is_killed {
            self.child.kill().unwrap();
        }
        let status = self.child.wait().unwrap();
        (status.success(), self.said.join().unwrap())
    }
}

fn told(mut stderr: ChildStderr) -> String {
    let mut text = String::new();
    let _ = stderr.read_to_string(&mut text);
    text
}

/// Lets somebody else ask a simulated device; tells what it counted.
fn judged_by(role: &str, config: WorldConfig) -> Counters {
    let world = World::new(WorldConfig { boards: 1, ..config }, Clock::precise()).unwrap();
    let life = world.run();
    std::thread::spawn(move || match block_on(life) {});
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let manifest =
        br#"{"SchemaVersion":1,"Name":"foreign","ComponentId":"11111111-2222-3333-4444-555555555555",
        "EntryPoint":"/bin/app","CmdArgs":[],"Capabilities":{"MutableStorage":{"SizeKB":8}},
        "ApplicationType":"Default"}"#;
    let source = ApplicationSource {
        manifest,
        files: &[("/bin/app".to_owned(), b"\x7fELF and so on".to_vec())],
        executables: &[],
        image: ImageId::from_u128(1),
        built: 1_767_225_600,
        runtime_version: 12,
        temporary: None,
    };
    write(
        "application.imagepackage",
        &pack_application(&source, world.signing_key()).unwrap(),
    );
    write("component.txt", b"11111111-2222-3333-4444-555555555555");
    write("ca.pem", world.ca_pem().as_bytes());

    let mut foreign = Foreign::start(role, folder.path());
    block_on(async {
        let slot = world.slot(0).unwrap();
        let mut board = world.bench().lease(slot, "a test").await.unwrap();
        let mut wire = board.open(Port::Service).unwrap();
        wire.configure(lineside_link::LineSettings::SERVICE).unwrap();
        foreign.joined_to(&mut *wire).await;
    });
    let (is_content, said) = foreign.end(false);
    assert!(is_content && said.contains("judged"), "{said}");
    world
        .with_chip(0, |chip| chip.firmware().counters().clone())
        .unwrap()
}

#[test]
fn the_vendors_client_judges_the_simulated_device() {
    let counters = judged_by("client", WorldConfig::default());
    assert_eq!(
        (counters.irreversible_applied, counters.wrong_target_writes),
        (1, 0),
        "{counters:?}"
    );
}

#[test]
fn every_function_of_the_vendors_client_is_answered_as_it_expects() {
    let config = WorldConfig {
        development: true,
        ..WorldConfig::default()
    };
    let counters = judged_by("developer", config);
    assert_eq!(counters.irreversible_applied, 0, "{counters:?}");
}

#[test]
fn our_client_speaks_with_a_device_that_others_wrote() {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (ca.not_before, ca.not_after) = (date_time_ymd(2018, 1, 1), date_time_ymd(2099, 1, 1));
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::new(vec!["*.devices.sphere.azure.local".to_owned()]).unwrap();
    (leaf.not_before, leaf.not_after) = (date_time_ymd(2018, 1, 1), date_time_ymd(2099, 1, 1));
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &ca).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pem = format!("{}{}", leaf.pem(), key.serialize_pem());
    std::fs::write(folder.path().join("server.pem"), pem).unwrap();

    let mut foreign = Foreign::start("device", folder.path());
    let (near, mut far) = memory::pair(64 * 1024);
    block_on(async {
        let config = SessionConfig {
            anchor: TrustAnchor::from_pem(&ca.pem()).unwrap(),
            ..SessionConfig::new(WALL_MS)
        };
        let session = Session::new(Box::new(near), Clock::precise(), config).unwrap();
        let work = pin!(async {
            let device = wait_responsive(session, Epoch(1), None, timeouts::BOOT).await;
            let mut device = device.map_err(|(_, error)| error).unwrap();
            assert_eq!(device.id().to_string(), "5c".repeat(64));
            assert_eq!(device.os_version().await.unwrap().osversion, "24.06");
            assert_eq!(
                device.manufacturing_state().await.unwrap(),
                ManufacturingState::Module1Complete
            );
            let image: Bytes = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
            device.stage(image, None).await.unwrap();
            assert!(device.capabilities().await.unwrap().is_empty());
            let unknown = device.images().await.unwrap_err();
            assert!(
                matches!(unknown, DeviceError::Status { status: 404, .. }),
                "{unknown:?}"
            );
            drop(device.release().await);
        });
        match select(work, pin!(foreign.joined_to(&mut far))).await {
            Either::Left(_) => {}
            Either::Right(_) => panic!("the other end hung up"),
        }
    });
    let (_, said) = foreign.end(true);
    assert!(said.contains("PUT /update/stage HTTP/1.1"), "{said}");
}
