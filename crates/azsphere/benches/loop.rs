//! What a script's loop over 30 boards costs the PC, by our command and by the vendor's Python client, in the same run and
//! through the same bridge: each board is asked for the version of its OS.
//!
//! `cargo bench -p lineside-azsphere --bench loop`. As scripts do it: one process after the other, one for each board. What
//! one Python process for all boards costs is told beside it. Processor time of the processes and of the bridge; the
//! simulated boards have a thread of their own, which does not count. Needs the vendor's packages (`.ci/peers`) and a
//! network namespace, in which the boards have their addresses; without them it is left out.

#[path = "../../device/benches/measure/mod.rs"]
mod measure;
mod network;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use lineside_bridge::View;
use lineside_link::Clock;
use lineside_link::remote::Lending;
use lineside_simulator::{World, WorldConfig};
use measure::{Verdict, cpu_of, figure, say, threads};
use network::of_children;
use tokio::sync::oneshot;

const BOARDS: usize = 30;
/// Loops of our command: the kernel counts the time of processes in hundredths of a second.
const TIMES: u32 = 5;
const LIMIT: f64 = 10.0;

fn main() {
    let venv = std::env::var_os("LINESIDE_PEERS_VENV").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers-venv"),
        PathBuf::from,
    );
    let python = venv.join("bin/python");
    if !python.exists() || !network::in_own_network() {
        let name = "a loop over 30 boards ÷ the same by the vendor's client";
        figure(name, "LEFT OUT", "≥ 10", Verdict::Void);
        return;
    }
    let config = WorldConfig {
        boards: BOARDS,
        ..WorldConfig::default()
    };
    let world = World::new(config, Clock::precise()).expect("a world can be made");
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::fs::write(folder.path().join("ca.pem"), world.ca_pem()).expect("the folder can be written to");
    let host = threads();
    let life = world.run();
    std::thread::spawn(move || match futures::executor::block_on(life) {});
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let bridge = network::bridge(Rc::new(world.bench()), Clock::precise(), world.ca_pem(), true);
        let view = bridge.view();
        let lending = Lending::bind(folder.path()).expect("nobody lends there");
        tokio::select! {
            ended = bridge.run(|_| ()) => panic!("the bridge ended: {ended:?}"),
            () = lending.serve(view.bench()) => {}
            () = compare(&view, folder.path(), &python, &host) => {}
        }
    });
}

async fn compare(view: &View, folder: &Path, python: &Path, host: &[String]) {
    network::all_known(view, BOARDS).await;
    let addresses: Vec<String> = view
        .picture()
        .boards
        .iter()
        .filter_map(|board| Some(board.doors.first()?.at.ip().to_string()))
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/loop.py");
    let ours = |address: &String| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_azsphere"));
        command
            .args(["device", "show-os-version", "--device", address])
            .env("LINESIDE_BENCH", format!("at:{}", folder.display()))
            .env("LINESIDE_DATA", folder.join("data"))
            .env("AZSPHERE_PROFILE", "g2");
        command
    };
    // Its authors look there for the version of an SDK that knows several devices.
    let sdk = folder.join("sdk");
    std::fs::create_dir_all(&sdk)
        .and_then(|()| std::fs::write(sdk.join("VERSION"), "23.05.2.0"))
        .expect("the folder can be written to");
    let theirs = |addresses: &[String]| {
        let mut command = Command::new(python);
        command.env("AzureSphereDefaultSDKDir", sdk.join(""));
        command.arg(&script).arg(folder.join("ca.pem")).args(addresses);
        command
    };
    // Once for what only the first one does: the table of addresses, compiled Python.
    cost(host, vec![ours(&addresses[0]), theirs(&addresses[..1])]).await;
    let ours = cost(
        host,
        (0..TIMES).flat_map(|_| addresses.iter().map(ours)).collect(),
    )
    .await
        / TIMES;
    let each = cost(
        host,
        addresses
            .iter()
            .map(|one| theirs(std::slice::from_ref(one)))
            .collect(),
    )
    .await;
    let all = cost(host, vec![theirs(&addresses)]).await;
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
    say(&format!(
        "simulated bench, {BOARDS} boards behind a bridge in address mode; each asked for its OS version; processor time of \
         processes and bridge"
    ));
    figure(
        "azsphere, a process for each board",
        &ms(ours),
        "",
        Verdict::Report,
    );
    figure(
        "the vendor's client, a process for each board",
        &ms(each),
        "",
        Verdict::Report,
    );
    figure(
        "the vendor's client, one process for all",
        &ms(all),
        "",
        Verdict::Report,
    );
    let ratio = |theirs: Duration| theirs.as_secs_f64() / ours.as_secs_f64();
    figure(
        "a loop by the vendor's client ÷ the same by azsphere",
        &format!("{:.1}", ratio(each)),
        &format!("≥ {LIMIT}"),
        Verdict::of(ratio(each) >= LIMIT),
    );
    figure(
        "one process of the vendor's client ÷ azsphere for each board",
        &format!("{:.1}", ratio(all)),
        "",
        Verdict::Report,
    );
}

/// Processor time of these programs, one after the other, and of the bridge meanwhile.
async fn cost(host: &[String], commands: Vec<Command>) -> Duration {
    let (bridge, before) = (cpu_of(host), of_children());
    let (sender, done) = oneshot::channel();
    std::thread::spawn(move || {
        for mut command in commands {
            let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
            let output = output.expect("it starts");
            assert!(output.status.success(), "{output:?}");
        }
        let _ = sender.send(());
    });
    done.await.expect("they end");
    let bridge = cpu_of(host).zip(bridge).map(|(after, before)| after - before);
    of_children() - before + bridge.unwrap_or_default()
}
