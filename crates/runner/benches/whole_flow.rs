//! What a whole batch costs: the sample plan, from plugged in to locked, on simulated boards.
//!
//! `cargo bench -p lineside-runner --bench whole_flow` runs 8, 16 and 24 boards under a clock moved by hand, host and
//! simulator in one thread, each batch in a process of its own; `-- --long` adds 1 000 boards in real time, where the
//! simulator is another process, so that what is measured is the host alone.
//!
//! Other programs call it with `--flow N` (one batch by hand; `instructions.sh` counts its instructions), `--lend DIR N`
//! (the simulator) and `--host DIR N` (the host).

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::executor::{LocalPool, block_on};
use futures::future::select;
use futures::task::LocalSpawnExt as _;
use lineside_device::{Entropy, SessionConfig, TrustAnchor};
use lineside_flow::Shift;
use lineside_link::remote::{Lending, RemoteBench};
use lineside_link::{Bench, Clock, run_simulated};
use lineside_records::{Disk, FakeDisk, Journal, RealDisk};
use lineside_runner::batch::{self, Patience};
use lineside_runner::{Batch, Cancel, Keeper, Place, Program, Serials, Summary, Supplies, WallClock};
use lineside_simulator::{World, WorldConfig};
use lineside_terms::{BootId, SlotPath, StationName, UnitSerial};

const FEW: [usize; 3] = [8, 16, 24];
const MANY: usize = 1000;
/// What is aimed at with 1 000 boards.
const AIM_SECONDS: f64 = 15.0;
const AIM_MEGABYTES: f64 = 0.5;
/// More moves of the clock than any batch needs.
const MOST_STEPS: u64 = 50_000_000;
/// 1 June 2026.
const WALL_MS: i64 = 1_780_272_000_000;
/// Parts of a second that the kernel counts processor time in, towards programs: 100 on every Linux.
const TICKS: f64 = 100.0;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--flow", boards] => println!("{}", flow(boards.parse().unwrap()).line()),
        ["--host", dir, boards] => println!("{}", host(Path::new(dir), boards.parse().unwrap()).line()),
        ["--lend", dir, boards] => lend(Path::new(dir), boards.parse().unwrap()),
        ["--long"] => {
            few();
            many();
        }
        _ => few(),
    }
}

fn figure(name: &str, value: &str, limit: &str, verdict: &str) {
    println!("{name:<62} {value:>14}  {limit:<10} {verdict}");
}

/// What a batch cost its process.
#[derive(Debug)]
struct Cost {
    boards: usize,
    passed: usize,
    cpu: f64,
    megabytes: f64,
    wall: f64,
    /// The simulator's share of the time, when it ran in this thread.
    simulator: f64,
}

impl Cost {
    fn of(summary: &Summary, boards: usize, began: Instant, simulator: f64) -> Self {
        Self {
            boards,
            passed: summary.picture.passed(),
            cpu: cpu_seconds(),
            megabytes: peak_megabytes(),
            wall: began.elapsed().as_secs_f64(),
            simulator,
        }
    }

    fn line(&self) -> String {
        let Self {
            boards,
            passed,
            cpu,
            megabytes,
            wall,
            simulator,
        } = self;
        format!("{boards} {passed} {cpu} {megabytes} {wall} {simulator}")
    }

    fn read(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [boards, passed, cpu, megabytes, wall, simulator] = words[..] else {
            panic!("a batch ended with {line:?}");
        };
        Self {
            boards: boards.parse().unwrap(),
            passed: passed.parse().unwrap(),
            cpu: cpu.parse().unwrap(),
            megabytes: megabytes.parse().unwrap(),
            wall: wall.parse().unwrap(),
            simulator: simulator.parse().unwrap(),
        }
    }
}

/// Processor time of this process, ended threads included; `NaN` where the system does not tell.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold anything, come state and 10 numbers, then user and system time.
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: Vec<f64> = ticks.filter_map(|number| number.parse().ok()).collect();
    if ticks.len() == 2 {
        (ticks[0] + ticks[1]) / TICKS
    } else {
        f64::NAN
    }
}

/// The most memory that this process ever held, in MB; `NaN` where the system does not tell.
fn peak_megabytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib * 1024.0 / 1e6)
}

/// This program once more, in a process of its own, to its end.
fn child(arguments: &[&str]) -> Cost {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", output.status);
    Cost::read(&String::from_utf8(output.stdout).unwrap())
}

fn few() {
    println!("whole flow: the sample plan, clock moved by hand, host and simulator in one thread");
    let costs = FEW.map(|boards| child(&["--flow", &boards.to_string()]));
    for cost in &costs {
        figure(
            &format!(
                "{} boards ({} passed): CPU of host + simulator",
                cost.boards, cost.passed
            ),
            &format!("{:.2} s", cost.cpu),
            "",
            if cost.passed == cost.boards {
                "report"
            } else {
                "VOID"
            },
        );
        println!(
            "  the simulator's share {:.0} %; memory of both at most {:.1} MB",
            cost.simulator * 100.0,
            cost.megabytes
        );
    }
    let [first, .., last] = &costs;
    let boards = (last.boards - first.boards) as f64;
    let slope = |part: fn(&Cost) -> f64| (part(last) - part(first)) / boards;
    figure(
        &format!(
            "slope {} → {}: CPU of host + simulator for each board",
            first.boards, last.boards
        ),
        &format!("{:.1} ms", slope(|cost| cost.cpu) * 1e3),
        "",
        "report",
    );
    figure(
        &format!(
            "slope {} → {}: CPU of the host for each board",
            first.boards, last.boards
        ),
        &format!("{:.1} ms", slope(|cost| cost.cpu * (1.0 - cost.simulator)) * 1e3),
        "",
        "report",
    );
    figure(
        &format!(
            "slope {} → {}: memory of both for each board",
            first.boards, last.boards
        ),
        &format!("{:.2} MB", slope(|cost| cost.megabytes)),
        "",
        "report",
    );
}

/// 1 000 boards that another process lends.
fn many() {
    println!("whole flow: {MANY} boards in real time at the fast pace, lent by another process");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let mut simulator = Command::new(std::env::current_exe().unwrap())
        .args(["--lend", dir, &MANY.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(simulator.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let host = child(&["--host", dir, &MANY.to_string()]);
    drop(simulator.stdin.take());
    line.clear();
    said.read_line(&mut line).unwrap();
    let word = |is_within: bool| match (host.passed == MANY, is_within) {
        (false, _) => "VOID",
        (true, true) => "report, aim met",
        (true, false) => "report, aim NOT MET",
    };
    figure(
        &format!("{MANY} boards ({} passed): CPU of the host", host.passed),
        &format!("{:.1} s", host.cpu),
        "aim ≤ 15",
        word(host.cpu <= AIM_SECONDS),
    );
    let each = host.megabytes / MANY as f64;
    figure(
        &format!("{MANY} boards: memory of the host for each board"),
        &format!("{each:.3} MB"),
        "aim ≤ 0.5",
        word(each <= AIM_MEGABYTES),
    );
    println!(
        "  host: {:.1} MB at most, {:.1} s of wall time; simulator: {}",
        host.megabytes,
        host.wall,
        line.trim()
    );
    simulator.wait().unwrap();
}

/// The sample plan for a world with the ordinary seed.
fn program(world: &World) -> Rc<Program> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plans/thermostat.toml");
    let supplies = Supplies {
        signer: world.signing_key().clone(),
    };
    Rc::new(Program::load(&path, world.trust_list(), Some(&supplies)).unwrap())
}

fn world(boards: usize, clock: Clock) -> World {
    let config = WorldConfig {
        boards,
        ..WorldConfig::default()
    };
    World::new(config, clock).unwrap()
}

fn serials(slots: impl Iterator<Item = SlotPath>) -> Serials {
    let by_slot: BTreeMap<SlotPath, UnitSerial> = {
        slots
            .enumerate()
            .map(|(index, slot)| (slot, format!("TH-{index:04}").parse().unwrap()))
            .collect()
    };
    Serials {
        count: by_slot.len(),
        by_slot,
        rest: Vec::new(),
    }
}

fn station() -> StationName {
    StationName::new("benchmark").unwrap()
}

fn place(bench: Rc<dyn Bench>, wall: WallClock, entropy: Entropy, ca_pem: &str) -> Place {
    let session = SessionConfig {
        anchor: TrustAnchor::from_pem(ca_pem).unwrap(),
        entropy,
        ..SessionConfig::new(wall.stamp().wall_ms)
    };
    Place {
        station: station(),
        boot: BootId::from_bytes([0xBE; 16]),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        bench_name: "benchmark".to_owned(),
        bench,
        wall,
        session,
        shift: Shift::default(),
    }
}

/// One batch under a clock moved by hand, host and simulator in this thread.
fn flow(boards: usize) -> Cost {
    let began = Instant::now();
    let (clock, hands) = Clock::by_hand();
    let world = world(boards, clock.clone());
    let program = program(&world);
    let mut pool = LocalPool::new();
    let simulator = Rc::new(Cell::new(Duration::ZERO));
    let life = Life {
        life: Box::pin(world.run()),
        took: Rc::clone(&simulator),
    };
    pool.spawner()
        .spawn_local(async move { match life.await {} })
        .unwrap();
    let slots = (0..boards).map(|board| world.slot(board).unwrap().clone());
    let batch = Batch {
        program,
        serials: serials(slots),
        expected: None,
        only: None,
        entropy: Entropy::Seeded(1),
        patience: Patience::default(),
        order: None,
        desk: None,
    };
    let disk: Arc<dyn Disk> = Arc::new(FakeDisk::new());
    let (journal, _) = Journal::open(disk, station()).unwrap();
    let mut keeper = Keeper::inline(journal);
    let wall = WallClock::beginning_at(clock, WALL_MS);
    let place = place(Rc::new(world.bench()), wall, Entropy::Seeded(1), world.ca_pem());
    let cancel = Cancel::default();
    let run = batch::run(place, batch, Vec::new(), &mut keeper, &cancel, |_| {});
    let running = Instant::now();
    let ended = run_simulated(&hands, &mut pool, MOST_STEPS, run);
    let share = simulator.get().as_secs_f64() / running.elapsed().as_secs_f64();
    let summary = ended.expect("a batch comes to an end").unwrap();
    Cost::of(&summary, boards, began, share)
}

/// The simulated world, with its time counted.
struct Life {
    life: Pin<Box<dyn Future<Output = Infallible> + Send>>,
    took: Rc<Cell<Duration>>,
}

impl Future for Life {
    type Output = Infallible;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        let began = Instant::now();
        let polled = simulators_turn(self.life.as_mut(), cx);
        self.took.set(self.took.get() + began.elapsed());
        polled
    }
}

/// All that the simulator does, under a name of its own: `instructions.sh` looks for it.
#[inline(never)]
fn simulators_turn(
    life: Pin<&mut (dyn Future<Output = Infallible> + Send)>,
    cx: &mut Context<'_>,
) -> Poll<Infallible> {
    life.poll(cx)
}

/// Runs host work on one thread, as the command does.
fn on_host_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// One batch on the boards that are lent in a folder, as the command runs it.
fn host(dir: &Path, boards: usize) -> Cost {
    let began = Instant::now();
    on_host_thread(async {
        // A world without boards has the same keys.
        let keys = world(0, Clock::by_hand().0);
        let bench = Rc::new(RemoteBench::connect(dir).await.unwrap());
        let slots = bench.list().await.unwrap().into_iter().map(|board| board.slot);
        let batch = Batch {
            program: program(&keys),
            serials: serials(slots),
            expected: Some(u32::try_from(boards).unwrap()),
            only: None,
            entropy: Entropy::System,
            patience: Patience::default(),
            order: None,
            desk: None,
        };
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
        let (journal, _) = Journal::open(disk, station()).unwrap();
        let mut keeper = Keeper::start(journal).unwrap();
        let wall = WallClock::of_system(Clock::precise());
        let place = place(bench, wall, Entropy::System, keys.ca_pem());
        let cancel = Cancel::default();
        let run = batch::run(place, batch, Vec::new(), &mut keeper, &cancel, |_| {});
        let summary = run.await.unwrap();
        keeper.close().unwrap();
        for slot in &summary.picture.slots {
            if let Some(error) = &slot.error {
                println_once(&format!("{}: {error}", slot.slot));
            }
        }
        Cost::of(&summary, boards, began, 0.0)
    })
}

/// Tells the first trouble of many: one is enough to know what went wrong.
#[expect(clippy::print_stderr, reason = "standard output is for the figures")]
fn println_once(text: &str) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| eprintln!("{text}"));
}

/// Lends simulated boards in a folder until standard input ends, then tells what that cost.
fn lend(dir: &Path, boards: usize) {
    on_host_thread(async {
        let lending = Lending::bind(dir).unwrap();
        let world = world(boards, Clock::precise());
        let life = world.run();
        let simulator = std::thread::Builder::new().name("simulator".into());
        simulator.spawn(move || match block_on(life) {}).unwrap();
        let (ended, end) = futures::channel::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read(&mut [0]);
            drop(ended);
        });
        println!("ready");
        let serving = std::pin::pin!(lending.serve(Rc::new(world.bench())));
        select(serving, end).await;
        let late = world.lateness();
        println!(
            "{:.1} s of CPU, {:.1} MB at most, {} pieces late",
            cpu_seconds(),
            peak_megabytes(),
            late.over_1_ms
        );
    });
}
