//! How close 64 sideloads at once come to what their wires allow.
//!
//! `cargo bench -p lineside-device --bench sideload`. Every board stages one image at 921 600 baud, by
//! [`Verified::stage`]; the device itself takes no time. The limit is what the wire needs for the image alone: TLS
//! records, TCP/IP headers at MTU 1500, SLIP. The time is that from the call to the answer of the slowest board, so head
//! and answer count against us.
//!
//! Twice: under a clock moved by hand, where the ratio is exact, and in real time, where the processor takes part. The
//! simulator then has a processor of its own and never sleeps; when it was late nevertheless, the run is void.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

mod living;
mod load;
mod measure;

use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::executor::{LocalPool, block_on};
use futures::future::join_all;
use futures::task::LocalSpawnExt as _;
use lineside_device::boot::wait_responsive;
use lineside_device::{Progress, ProgressCell, Session, SessionConfig, TrustAnchor, Verified, timeouts};
use lineside_link::{Bench as _, Board, Clock, LineSettings, LinkError, Port, Wire, run_simulated};
use lineside_protocol::assume::MTU;
use lineside_protocol::slip::ESC;
use lineside_simulator::{DeviceTimes, Lateness, WirePace, World, WorldConfig};
use lineside_terms::Epoch;
use load::{BITS_PER_BYTE, on_wire, package};
use measure::{Verdict, cpu_of, figure, median, say, threads};

const BOARDS: usize = 64;
/// Bytes of the application's one large file.
const FILE: usize = 200_000;
/// The promise: share of the limit.
const LIMIT: f64 = 0.95;
/// The run is void when more pieces than this share crossed a wire more than a millisecond late.
const LATE_SHARE: f64 = 0.01;
/// 2026-11-22.
const WALL_MS: i64 = 1_795_305_600_000;

fn main() {
    let package = noise();
    say(&format!(
        "sideload: {BOARDS} boards, one image of {} bytes each, 921 600 baud, MTU {MTU}",
        package.len()
    ));
    by_hand(&package);
    in_real_time(&package);
}

fn config() -> WorldConfig {
    WorldConfig {
        boards: BOARDS,
        wire: Some(WirePace::Baud),
        times: Some(DeviceTimes::FAST),
        ..WorldConfig::default()
    }
}

/// What is loaded, made by a world of the same seed.
fn noise() -> Bytes {
    let (clock, _) = Clock::by_hand();
    let config = WorldConfig {
        boards: 0,
        ..config()
    };
    package(&World::new(config, clock).unwrap(), FILE).into()
}

fn by_hand(package: &Bytes) {
    let (clock, hands) = Clock::by_hand();
    let world = World::new(config(), clock.clone()).unwrap();
    let mut pool = LocalPool::new();
    let life = world.run();
    pool.spawner()
        .spawn_local(async move { match life.await {} })
        .unwrap();
    let work = sideload(&world, &clock, package, &[]);
    let done = run_simulated(&hands, &mut pool, u64::MAX, work).expect("everything comes to an end");
    done.print("clock moved by hand");
}

fn in_real_time(package: &Bytes) {
    let clock = Clock::precise();
    let host = threads();
    let (by_hand, hands) = Clock::by_hand();
    let world = World::new(config(), by_hand).unwrap();
    let life = world.run();
    let simulator = std::thread::Builder::new().name("simulator".into());
    simulator
        .spawn(move || living::live_without_sleep(life, &hands, &false.into()))
        .unwrap();
    let done = block_on(sideload(&world, &clock, package, &host));
    done.print("real time");
}

/// What came of it.
struct Sideload {
    /// Share of the limit, for each board.
    shares: Vec<f64>,
    /// Bytes that the hosts sent beyond what the limit counts, for each byte that it counts.
    beyond: f64,
    /// SLIP escapes for each byte sent.
    escapes: f64,
    wall: Duration,
    /// Processor time of the host's threads, and of all others.
    host: Option<Duration>,
    others: Option<Duration>,
    late: Lateness,
}

impl Sideload {
    fn print(mut self, name: &str) {
        let all = self.late.pieces.max(1) as f64;
        let is_void = self.late.over_1_ms as f64 > LATE_SHARE * all;
        let middle = median(&mut self.shares);
        let (worst, best) = (self.shares[0], self.shares[self.shares.len() - 1]);
        let verdict = match is_void {
            true => Verdict::Void,
            false => Verdict::of(worst >= LIMIT),
        };
        figure(
            &format!("{name}: share of the wire's limit, slowest board"),
            &format!("{worst:.4}"),
            "≥ 0.95",
            verdict,
        );
        say(&format!(
            "  median {middle:.4}, best {best:.4}; {:.3} s; SLIP escapes {:.3} % of bytes; sent beyond the limit's \
             bytes {:.2} %",
            self.wall.as_secs_f64(),
            self.escapes * 100.0,
            self.beyond * 100.0
        ));
        if let (Some(host), Some(others)) = (self.host, self.others) {
            let cores = |cpu: Duration| cpu.as_secs_f64() / self.wall.as_secs_f64();
            figure(
                &format!("{name}: cores used by the host for {BOARDS} boards"),
                &format!("{:.3}", cores(host)),
                "",
                if is_void { Verdict::Void } else { Verdict::Report },
            );
            say(&format!(
                "  simulator, on a thread that never sleeps: {:.3} cores",
                cores(others)
            ));
            say(&format!(
                "  simulator: {} of {} pieces more than 1 ms late (void above {} %), mean {:.0} µs, worst {} µs",
                self.late.over_1_ms,
                self.late.pieces,
                LATE_SHARE * 100.0,
                self.late.total_us as f64 / all,
                self.late.worst_us
            ));
        }
    }
}

/// All boards at once. `host` are the threads whose time is counted as the host's.
async fn sideload(world: &World, clock: &Clock, package: &Bytes, host: &[String]) -> Sideload {
    let boards = join_all((0..BOARDS).map(|board| connected(world, clock, board))).await;
    let everybody = threads();
    let simulator: Vec<String> = everybody
        .into_iter()
        .filter(|thread| !host.contains(thread))
        .collect();
    let before = (cpu_of(host), cpu_of(&simulator), world.lateness());
    let began = clock.now();
    let cells: Vec<ProgressCell> = (0..BOARDS).map(|_| ProgressCell::default()).collect();
    let all = boards
        .into_iter()
        .zip(&cells)
        .map(|(connected, cell)| async move {
            let Connected {
                board,
                mut device,
                sent,
            } = connected;
            sent.set(Sent::default());
            let began = device.clock().now();
            device
                .stage(package.clone(), Some(Rc::clone(cell)))
                .await
                .unwrap();
            let took = device.clock().now() - began;
            drop(board);
            (took, sent.get())
        });
    // Late is what counts while image bytes travel: the chips then check what they got, all on one thread at once.
    let mut after = None;
    let mut all = pin!(join_all(all));
    let all: Vec<(Duration, Sent)> = poll_fn(|cx| {
        let polled = all.as_mut().poll(cx);
        if after.is_none() && cells.iter().any(|cell| is_whole(cell.get())) {
            after = Some(world.lateness());
        }
        polled
    })
    .await;
    let wall = clock.now() - began;
    let since = |cpu: Option<Duration>, before: Option<Duration>| Some(cpu?.saturating_sub(before?));
    let (host, others) = (since(cpu_of(host), before.0), since(cpu_of(&simulator), before.1));

    let plain = on_wire(package.len());
    let share = |(took, sent): &(Duration, Sent)| {
        let limit =
            (plain as f64 + sent.escapes as f64) * BITS_PER_BYTE / f64::from(LineSettings::SERVICE.baud);
        limit / took.as_secs_f64()
    };
    let shares: Vec<f64> = all.iter().map(share).collect();
    let sum = |part: fn(&Sent) -> u64| all.iter().map(|(_, sent)| part(sent)).sum::<u64>() as f64;
    let (bytes, escapes) = (sum(|sent| sent.bytes), sum(|sent| sent.escapes));
    let after = after.unwrap_or_else(|| world.lateness());
    Sideload {
        shares,
        beyond: bytes / ((plain * BOARDS) as f64 + escapes) - 1.0,
        escapes: escapes / bytes,
        wall,
        host,
        others,
        late: Lateness {
            // Of the whole run, connecting included.
            worst_us: after.worst_us,
            total_us: after.total_us - before.2.total_us,
            pieces: after.pieces - before.2.pieces,
            over_1_ms: after.over_1_ms - before.2.over_1_ms,
        },
    }
}

const fn is_whole(progress: Progress) -> bool {
    progress.total > 0 && progress.done == progress.total
}

struct Connected {
    board: Box<dyn Board>,
    device: Verified,
    sent: Rc<Cell<Sent>>,
}

async fn connected(world: &World, clock: &Clock, board: usize) -> Connected {
    let slot = world.slot(board).unwrap();
    let mut board = world.bench().lease(slot, "benchmark").await.unwrap();
    let sent = Rc::new(Cell::new(Sent::default()));
    let wire = Counting {
        wire: board.open(Port::Service).unwrap(),
        sent: Rc::clone(&sent),
    };
    let config = SessionConfig {
        anchor: TrustAnchor::from_pem(world.ca_pem()).unwrap(),
        ..SessionConfig::new(WALL_MS)
    };
    let session = Session::new(Box::new(wire), clock.clone(), config).unwrap();
    let device = wait_responsive(session, Epoch(1), None, timeouts::BOOT)
        .await
        .map_err(|(_, error)| error)
        .unwrap();
    Connected { board, device, sent }
}

/// What left for a device.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    bytes: u64,
    escapes: u64,
}

/// A wire whose outgoing bytes are counted.
struct Counting {
    wire: Box<dyn Wire>,
    sent: Rc<Cell<Sent>>,
}

impl Wire for Counting {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        self.wire.poll_read(cx, into)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        let taken = self.wire.poll_write(cx, from);
        if let Poll::Ready(Ok(count)) = taken {
            let mut sent = self.sent.get();
            sent.bytes += count as u64;
            sent.escapes += from[..count].iter().filter(|byte| **byte == ESC).count() as u64;
            self.sent.set(sent);
        }
        taken
    }

    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.wire.configure(settings)
    }

    fn set_packet_boundary(&mut self, byte: Option<u8>) {
        self.wire.set_packet_boundary(byte);
    }
}
