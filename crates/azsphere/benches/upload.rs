//! How close uploads by programs that others wrote come, through the bridge, to what the wires allow: 64 boards, and a
//! `curl` for each that puts one image on it, all at once.
//!
//! `cargo bench -p lineside-azsphere --bench upload`. Every board has an address of its own, in a network namespace of the
//! benchmark; TLS is curl's. The limit is what a wire at 921 600 baud needs for the image alone: TLS records, TCP/IP headers
//! at MTU 1500, SLIP, the same as for direct access (`device`'s benchmark `sideload`). The time is curl's own, from the end
//! of the TLS handshake to the device's answer. The simulator has a processor of its own and never sleeps; when it was
//! late nevertheless, the figure is a lower bound, and void when it is not met.

#[path = "../../device/benches/living/mod.rs"]
mod living;
#[path = "../../device/benches/load/mod.rs"]
mod load;
#[path = "../../device/benches/measure/mod.rs"]
mod measure;
mod network;

use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;

use lineside_bridge::View;
use lineside_link::{Clock, LineSettings};
use lineside_protocol::assume::MTU;
use lineside_simulator::{DeviceTimes, Lateness, WirePace, World, WorldConfig};
use load::{BITS_PER_BYTE, encrypted, on_wire, package};
use measure::{Verdict, cpu_of, figure, median, say, threads};
use tokio::sync::oneshot;

const BOARDS: usize = 64;
/// Bytes of the application's one large file: some seven seconds of the wire.
const FILE: usize = 600_000;
/// The promise: share of the limit.
const LIMIT: f64 = 0.93;
/// Bytes of what is encrypted that SLIP sends as two: two values of 256, in what looks like noise.
const ESCAPES: f64 = 2.0 / 256.0;
/// More pieces than this share that crossed a wire more than a millisecond late make a bad figure void.
const LATE_SHARE: f64 = 0.01;

fn main() {
    let has_addresses = network::in_own_network();
    let (by_hand, hands) = Clock::by_hand();
    let config = WorldConfig {
        boards: BOARDS,
        wire: Some(WirePace::Baud),
        times: Some(DeviceTimes::FAST),
        ..WorldConfig::default()
    };
    let world = World::new(config, by_hand).expect("a world can be made");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("large.imagepackage");
    let package = package(&world, FILE);
    std::fs::write(&file, &package).expect("the folder can be written to");
    say(&format!(
        "uploads through a bridge {}: simulated bench, {BOARDS} boards, one image of {} bytes each, 921 600 baud, MTU {MTU}, {}",
        if has_addresses {
            "in address mode"
        } else {
            "at loopback ports (no network of its own was to be had)"
        },
        package.len(),
        curl_version(),
    ));
    let host = threads();
    let life = world.run();
    std::thread::Builder::new()
        .name("simulator".into())
        .spawn(move || living::live_without_sleep(life, &hands, &false.into()))
        .expect("a thread can be had");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let bridge = network::bridge(
        Rc::new(world.bench()),
        Clock::precise(),
        world.ca_pem(),
        has_addresses,
    );
    let view = bridge.view();
    let measured = tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            ended = bridge.run(|_| ()) => panic!("the bridge ended: {ended:?}"),
            measured = uploads(&view, &world, &file, &host) => measured,
        }
    });
    measured.print(package.len());
}

/// What came of it.
struct Measured {
    /// Seconds, for each board.
    took: Vec<f64>,
    cores: Option<f64>,
    late: Lateness,
}

/// A curl for each board. They are waited for on another thread: this one carries what they send.
async fn uploads(view: &View, world: &World, file: &Path, host: &[String]) -> Measured {
    network::all_known(view, BOARDS).await;
    let doors: Vec<String> = view
        .picture()
        .boards
        .iter()
        .filter_map(|board| board.doors.iter().find(|door| door.port == 443))
        .map(|door| door.at.to_string())
        .collect();
    let (sender, done) = oneshot::channel();
    let file = file.to_owned();
    let (late, cpu, began) = (world.lateness(), cpu_of(host), std::time::Instant::now());
    std::thread::spawn(move || _ = sender.send(put_all(&doors, &file)));
    let took = done.await.expect("they end");
    let wall = began.elapsed().as_secs_f64();
    let after = world.lateness();
    Measured {
        took,
        cores: cpu_of(host)
            .zip(cpu)
            .map(|(after, before)| (after - before).as_secs_f64() / wall),
        late: Lateness {
            pieces: after.pieces - late.pieces,
            over_1_ms: after.over_1_ms - late.over_1_ms,
            ..after
        },
    }
}

fn put_all(doors: &[String], file: &Path) -> Vec<f64> {
    let all: Vec<_> = doors
        .iter()
        .map(|at| {
            Command::new("curl")
                .args([
                    "--silent",
                    "--show-error",
                    "--insecure",
                    "--noproxy",
                    "*",
                    "--max-time",
                    "120",
                ])
                .args(["--header", "Expect:", "--output", "/dev/null"])
                .args([
                    "--write-out",
                    "%{http_code} %{time_pretransfer} %{time_total}",
                    "--upload-file",
                ])
                .arg(file)
                .arg(format!("https://{at}/update/stage"))
                .stdout(Stdio::piped())
                .spawn()
                .expect("curl is there")
        })
        .collect();
    all.into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("curl ends");
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            let parts: Vec<f64> = told.split(' ').filter_map(|part| part.parse().ok()).collect();
            let [status, before, total] = parts[..] else {
                panic!("curl said {told:?}")
            };
            assert_eq!(status, 200.0, "the device refused");
            total - before
        })
        .collect()
}

impl Measured {
    fn print(mut self, bytes: usize) {
        let on_wire = on_wire(bytes) as f64 + encrypted(bytes) as f64 * ESCAPES;
        let limit = on_wire * BITS_PER_BYTE / f64::from(LineSettings::SERVICE.baud);
        let middle = limit / median(&mut self.took);
        let (best, worst) = (limit / self.took[0], limit / self.took[self.took.len() - 1]);
        let all = self.late.pieces.max(1) as f64;
        // A wire that was late is never early later: the figure would have been better without.
        let verdict = match self.late.over_1_ms as f64 > LATE_SHARE * all {
            true if worst < LIMIT => Verdict::Void,
            _ => Verdict::of(worst >= LIMIT),
        };
        figure(
            "upload through the bridge: share of the limit, slowest board",
            &format!("{worst:.4}"),
            &format!("≥ {LIMIT}"),
            verdict,
        );
        say(&format!(
            "  median {middle:.4}, best {best:.4}; the wire alone needs {limit:.3} s; {} of {} pieces more than 1 ms late",
            self.late.over_1_ms, self.late.pieces
        ));
        if let Some(cores) = self.cores {
            figure(
                "cores used by the bridge for them",
                &format!("{cores:.3}"),
                "",
                Verdict::Report,
            );
        }
    }
}

fn curl_version() -> String {
    let output = Command::new("curl")
        .arg("--version")
        .output()
        .expect("curl is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
