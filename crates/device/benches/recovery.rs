//! How close boards that take a new OS at once come to what their wires and chips allow.
//!
//! `cargo bench -p lineside-device --bench recovery`. Every board is recovered by [`write_os`] with a set of the sizes of a
//! real one, in blocks of 128 bytes: bootloader and recovery application at 115 200 baud, the images at 3 Mbaud.
//!
//! *One board's own limit* is the same recovery of one board under a clock moved by hand, where the host takes no time at
//! all; it stands beside what the bytes alone take on the wire. The gates compare with it the slowest of many boards in
//! real time; the simulator then has a processor of its own and never sleeps. When it was late nevertheless, the run is void. A host's turn is
//! the time from the moment when an acknowledgement can be fetched to the moment when the next block is handed over.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

mod living;
mod measure;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::executor::{LocalPool, block_on};
use futures::future::join_all;
use futures::task::LocalSpawnExt as _;
use lineside_device::recovery::{Admitted, Recovery, RecoveryCell, write_os};
use lineside_image::{ImageSet, SetFiles};
use lineside_interlock::{EraseRule, EraseTarget, Erasure, Protected, Receipt};
use lineside_link::{Bench as _, Board, Clock, Line, LineSettings, LinkError, Port, Wire, run_simulated};
use lineside_protocol::recovery::device::Times;
use lineside_simulator::{DeviceTimes, OsProfile, SetSize, UsbTimes, WirePace, World, WorldConfig};
use lineside_terms::SlotPath;
use measure::{Verdict, cpu_of, figure, say, threads};

/// The run is void when more pieces than this share crossed a wire more than a millisecond late.
const LATE_SHARE: f64 = 0.01;
/// Blocks of 128 bytes as they cross the wire, and their answer.
const BLOCK: usize = 128;
const BLOCK_WIRE: usize = 3 + BLOCK + 2;
const ACK: u8 = 0x06;
const SOH: u8 = 0x01;
/// What the host may hold for each board beside the set.
const MOST_MEGABYTES: f64 = 0.5;
/// A host's turn may take this share of a block's time on the wire.
const TURN_SHARE: f64 = 0.05;

fn main() {
    let small = set_of_small();
    // First: what was freed before would be used again without being seen.
    memory(&small);
    let set = set(SetSize::Real);
    say(&format!(
        "recovery: {} images of {} bytes in all, and two programs of {} bytes",
        set.manifest().entries.len(),
        set.total_size(),
        set.boot_loader().len() + set.asked_for("recovery-runtime.bin").unwrap().len()
    ));
    let one = alone(&set, Duration::ZERO, None);
    let wire = wire_alone(&set);
    figure(
        "one board, host without time: its time ÷ its bytes on the wire",
        &format!("{:.4}", one.as_secs_f64() / wire.as_secs_f64()),
        "",
        Verdict::Report,
    );
    say(&format!(
        "  {:.3} s, of which {:.3} s are the bytes; the limit of what follows",
        one.as_secs_f64(),
        wire.as_secs_f64()
    ));
    many(16, &set, Duration::ZERO, one, Some(1.10));
    many(64, &set, Duration::ZERO, one, Some(1.12));
    let half = Duration::from_micros(500);
    many(64, &set, half, alone(&set, half, None), Some(1.05));

    let turn = Duration::from_micros(2500);
    let modelled = alone(&set, turn, None);
    figure(
        "one board, device turn-around 2.5 ms, host without time",
        &format!("{:.1} s", modelled.as_secs_f64()),
        "",
        Verdict::Report,
    );
    // A smaller set tells as much about the way of one block.
    let bare = alone(&small, Duration::ZERO, None).as_secs_f64();
    let blocks = blocks(&small) as f64;
    for latency in [16, 2, 1] {
        let took = alone(&small, Duration::ZERO, Some(UsbTimes::high_speed(latency)));
        figure(
            &format!("modelled FTDI, latency timer {latency} ms, event character: a block more by"),
            &format!("{:.0} µs", (took.as_secs_f64() - bare) / blocks * 1e6),
            "",
            Verdict::Report,
        );
    }
}

fn config(boards: usize, turn_around: Duration, usb: Option<UsbTimes>) -> WorldConfig {
    let recovery = Times {
        turn_around,
        ..Times::NONE
    };
    WorldConfig {
        boards,
        usb,
        wire: Some(WirePace::Baud),
        times: Some(DeviceTimes {
            recovery,
            ..DeviceTimes::FAST
        }),
        os_profile: OsProfile::V20_05,
        ..WorldConfig::default()
    }
}

fn set_of_small() -> Arc<ImageSet> {
    set(SetSize::Small)
}

/// A set that these devices accept.
fn set(size: SetSize) -> Arc<ImageSet> {
    let (clock, _) = Clock::by_hand();
    let world = World::new(config(0, Duration::ZERO, None), clock).unwrap();
    let files = world.supplies().image_set(OsProfile::V24_06, size).unwrap();
    let files = SetFiles::from_listing(files.into_iter().map(|(name, bytes)| (name, bytes.into()))).unwrap();
    Arc::new(ImageSet::read(&files, world.trust_list()).unwrap())
}

fn blocks(set: &ImageSet) -> usize {
    let entries = set.manifest().entries.iter();
    entries
        .map(|entry| (entry.file_size as usize).div_ceil(BLOCK))
        .sum()
}

/// What blocks and acknowledgements alone take.
fn wire_alone(set: &ImageSet) -> Duration {
    let slow = [
        set.boot_loader().len(),
        set.asked_for("recovery-runtime.bin").unwrap().len(),
    ];
    let slow: usize = slow.into_iter().map(|bytes| bytes.div_ceil(BLOCK)).sum();
    let of = |blocks: usize, baud: f64| (blocks * (BLOCK_WIRE + 1)) as f64 * 10.0 / baud;
    Duration::from_secs_f64(of(slow, 115_200.0) + of(blocks(set), 3.0e6))
}

/// One board under a clock moved by hand.
fn alone(set: &Arc<ImageSet>, turn_around: Duration, usb: Option<UsbTimes>) -> Duration {
    by_hand(1, set, turn_around, usb)
}

/// So many boards at once under a clock moved by hand; the slowest.
fn by_hand(boards: usize, set: &Arc<ImageSet>, turn_around: Duration, usb: Option<UsbTimes>) -> Duration {
    let (clock, hands) = Clock::by_hand();
    let world = World::new(config(boards, turn_around, usb), clock.clone()).unwrap();
    let mut pool = LocalPool::new();
    let life = world.run();
    pool.spawner()
        .spawn_local(async move { match life.await {} })
        .unwrap();
    let turns = Rc::default();
    let all = (0..boards).map(|board| recover(&world, &clock, board, set, &turns));
    let took = run_simulated(&hands, &mut pool, u64::MAX, join_all(all));
    took.expect("everything comes to an end")
        .into_iter()
        .max()
        .unwrap()
}

/// What a board holds in memory. Host and simulated board are in one process, and what 64 boards share counts as theirs, so
/// this is more than the host's share; the set is the small one, because the simulated board collects each image whole.
fn memory(set: &Arc<ImageSet>) {
    let boards = 64;
    let held = measure::held_meanwhile(|| by_hand(boards, set, Duration::ZERO, None));
    let Some(held) = held else {
        return say("  the system does not tell how much memory is held");
    };
    let each = held / boards as f64;
    figure(
        &format!("{boards} boards: memory for each, host and simulated board"),
        &format!("{each:.3} MB"),
        "≤ 0.5 MB",
        Verdict::of(each <= MOST_MEGABYTES),
    );
}

/// Many boards in real time.
fn many(boards: usize, set: &Arc<ImageSet>, turn_around: Duration, one: Duration, limit: Option<f64>) {
    let clock = Clock::precise();
    let host = threads();
    let (by_hand, hands) = Clock::by_hand();
    let world = World::new(config(boards, turn_around, None), by_hand).unwrap();
    let life = world.run();
    let simulator = std::thread::Builder::new().name("simulator".into());
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&is_over);
    let thread = simulator
        .spawn(move || living::live_without_sleep(life, &hands, &ends))
        .unwrap();
    let turns: Turns = Rc::default();
    let before = cpu_of(&host);
    let began = clock.now();
    let all = (0..boards).map(|board| recover(&world, &clock, board, set, &turns));
    let took = block_on(join_all(all)).into_iter().max().unwrap();
    let wall = clock.now() - began;
    let simulator: Vec<String> = threads()
        .into_iter()
        .filter(|thread| !host.contains(thread))
        .collect();
    let (host, simulator) = (cpu_of(&host), cpu_of(&simulator));
    is_over.store(true, Ordering::Release);
    thread.join().unwrap();

    let late = world.lateness();
    let is_void = late.over_1_ms as f64 > LATE_SHARE * late.pieces.max(1) as f64;
    let judged = |is_met: Option<bool>| match (is_void, is_met) {
        (true, _) => Verdict::Void,
        (false, Some(is_met)) => Verdict::of(is_met),
        (false, None) => Verdict::Report,
    };
    let ratio = took.as_secs_f64() / one.as_secs_f64();
    let name = format!("{boards} boards, device turn-around {turn_around:?}");
    figure(
        &format!("{name}: slowest ÷ one board's limit"),
        &format!("{ratio:.4}"),
        &limit.map_or(String::new(), |limit| format!("≤ {limit:.2}")),
        judged(limit.map(|limit| ratio <= limit)),
    );
    let mut turns = turns.borrow_mut();
    turns.sort_unstable();
    let at = |share: f64| turns[((turns.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    let block = (BLOCK_WIRE * 10) as f64 / 3.0;
    let share = at(0.5) / block;
    figure(
        &format!("{name}: a host's turn, p50, of a block's time"),
        &format!("{:.2} %", share * 100.0),
        "≤ 5 %",
        judged(Some(share <= TURN_SHARE)),
    );
    say(&format!(
        "  p50 {:.1} µs, p90 {:.1} µs, p99 {:.1} µs of {block:.0} µs",
        at(0.5),
        at(0.9),
        at(0.99)
    ));
    if let (Some(host), Some(before), Some(simulator)) = (host, before, simulator) {
        let cores = |cpu: Duration| cpu.as_secs_f64() / wall.as_secs_f64();
        say(&format!(
            "  {:.1} s; cores used: host {:.3}, simulator {:.3}; {} of {} pieces more than 1 ms late, mean {:.0} µs",
            wall.as_secs_f64(),
            cores(host.saturating_sub(before)),
            cores(simulator),
            late.over_1_ms,
            late.pieces,
            late.total_us as f64 / late.pieces.max(1) as f64
        ));
    }
}

/// One board from entering recovery to its word that all is written.
async fn recover(world: &World, clock: &Clock, board: usize, set: &Arc<ImageSet>, turns: &Turns) -> Duration {
    let slot = world.slot(board).unwrap();
    let mut board = Watched {
        board: world.bench().lease(slot, "benchmark").await.unwrap(),
        clock: clock.clone(),
        turns: Rc::clone(turns),
    };
    let gate = async |device| {
        let rule = EraseRule {
            target: EraseTarget::Any,
            protected: &Protected::default(),
            is_complete: false,
            capability: None,
        };
        let erasure = Erasure::judge(device, &rule).unwrap();
        // A benchmark keeps no journal.
        let receipt = Receipt::issued_by_the_journal(1);
        Ok(Admitted {
            permit: erasure.permit(1, &receipt).unwrap(),
            capability: None,
        })
    };
    let began = clock.now();
    let recovery = Recovery::new(Arc::clone(set));
    let never = std::future::pending();
    write_os(
        &mut board,
        clock,
        &recovery,
        gate,
        &RecoveryCell::default(),
        never,
        None,
    )
    .await
    .unwrap();
    clock.now() - began
}

/// How long the host's turns took, in nanoseconds.
type Turns = Rc<RefCell<Vec<u32>>>;

/// A board whose recovery wire is watched.
struct Watched {
    board: Box<dyn Board>,
    clock: Clock,
    turns: Turns,
}

impl Board for Watched {
    fn slot(&self) -> &SlotPath {
        self.board.slot()
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        Ok(Box::new(WatchedWire {
            wire: self.board.open(port)?,
            clock: self.clock.clone(),
            turns: Rc::clone(&self.turns),
            woken: None,
            answered: None,
        }))
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        self.board.set_line(line, asserted)
    }
}

struct WatchedWire {
    wire: Box<dyn Wire>,
    clock: Clock,
    turns: Turns,
    woken: Option<Arc<Woken>>,
    /// When an acknowledgement could be fetched that has not been followed by a block yet.
    answered: Option<u64>,
}

/// Notes when a reader is woken.
struct Woken {
    waker: Waker,
    clock: Clock,
    at: AtomicU64,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let now = self.clock.now().as_nanos();
        // Only the first one counts.
        let _ = self
            .at
            .compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire);
        self.waker.wake_by_ref();
    }
}

impl Wire for WatchedWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        let woken = Arc::new(Woken {
            waker: cx.waker().clone(),
            clock: self.clock.clone(),
            at: AtomicU64::new(0),
        });
        let waker = Waker::from(Arc::clone(&woken));
        let read = self.wire.poll_read(&mut Context::from_waker(&waker), into);
        match &read {
            Poll::Pending => {
                // An earlier waker that was not used is used no more.
                self.woken = Some(woken);
            }
            Poll::Ready(Ok(count)) => {
                let woken = self.woken.take().map(|woken| woken.at.load(Ordering::Acquire));
                let at = woken.filter(|at| *at != 0).unwrap_or(self.clock.now().as_nanos());
                self.answered = (into[..*count] == [ACK]).then_some(at);
            }
            Poll::Ready(Err(_)) => {}
        }
        read
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        let written = self.wire.poll_write(cx, from);
        if from.first() == Some(&SOH)
            && let Some(at) = self.answered.take()
        {
            let turn = self.clock.now().as_nanos().saturating_sub(at);
            self.turns
                .borrow_mut()
                .push(u32::try_from(turn).unwrap_or(u32::MAX));
        }
        written
    }

    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.wire.configure(settings)
    }

    fn set_packet_boundary(&mut self, byte: Option<u8>) {
        self.wire.set_packet_boundary(byte);
    }
}
