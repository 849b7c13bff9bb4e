//! What `azsphere device list-attached` costs the PC when a bridge has 64 boards, beside what `azsphere --help` costs: a
//! script asks it in every loop. Both are whole processes; the bridge and the simulated boards live in this one, and what
//! they cost is not in the figure.

#[path = "../../device/benches/measure/mod.rs"]
mod measure;
mod network;

use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use lineside_link::Clock;
use lineside_link::remote::Lending;
use lineside_simulator::{World, WorldConfig};
use measure::{Verdict, figure, say};
use network::of_children;

const BOARDS: usize = 64;
/// Processes of each kind. The kernel counts in hundredths of a second, so one alone says nothing.
const TIMES: u32 = 100;
const LIMIT: f64 = 3.0;

fn main() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (ready, is_ready) = mpsc::channel();
    let dir = folder.path().to_owned();
    std::thread::spawn(move || lend(&dir, &ready));
    is_ready.recv().expect("the bridge stands");
    let bench = format!("at:{}", folder.path().display());
    let data = folder.path().join("data");
    let cost = |words: &[&str]| {
        let before = of_children();
        for _ in 0..TIMES {
            let status = Command::new(env!("CARGO_BIN_EXE_azsphere"))
                .args(words)
                .env("LINESIDE_BENCH", &bench)
                .env("LINESIDE_DATA", &data)
                .env("AZSPHERE_PROFILE", "g2")
                .stdout(Stdio::null())
                .status()
                .expect("azsphere starts");
            assert!(status.success());
        }
        (of_children() - before) / TIMES
    };
    // Once for what only the first one does: the table of addresses.
    cost(&["device", "list-attached"]);
    let help = cost(&["--help"]);
    let list = cost(&["device", "list-attached"]);
    let ratio = list.as_secs_f64() / help.as_secs_f64();
    say(&format!(
        "simulated bench, {BOARDS} boards behind a bridge; processor time of whole processes, mean of {TIMES}"
    ));
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    figure("azsphere --help", &ms(help), "", Verdict::Report);
    figure("azsphere device list-attached", &ms(list), "", Verdict::Report);
    figure(
        "list-attached with 64 boards ÷ --help",
        &format!("{ratio:.2}"),
        &format!("<= {LIMIT}"),
        Verdict::of(ratio <= LIMIT),
    );
}

/// Boards behind a bridge, lent in a folder, until the process ends.
fn lend(dir: &Path, ready: &mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let clock = Clock::precise();
        let config = WorldConfig {
            boards: BOARDS,
            ..WorldConfig::default()
        };
        let world = World::new(config, clock.clone()).expect("a world can be made");
        let life = world.run();
        tokio::task::spawn_local(async move { match life.await {} });
        std::fs::write(dir.join("ca.pem"), world.ca_pem()).expect("the folder can be written to");
        let bridge = network::bridge(Rc::new(world.bench()), clock, world.ca_pem(), false);
        let view = bridge.view();
        let lending = Lending::bind(dir).expect("nobody lends there");
        let told = view.clone();
        let wait = async move {
            network::all_known(&told, BOARDS).await;
            ready.send(()).expect("somebody waits");
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = bridge.run(|_| ()) => ended.expect("the bench lives"),
            () = lending.serve(view.bench()) => {}
            () = wait => {}
        }
    });
}
