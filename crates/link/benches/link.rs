//! What moving bytes costs: how late the clock wakes, and the CPU that lent boards take.
//!
//! `cargo bench -p lineside-link`. Both ends run on one thread here, so the figure is for both together.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::{LocalBoxFuture, join_all};
use lineside_link::memory::{self, MemoryWire};
use lineside_link::remote::{Lending, RemoteBench};
use lineside_link::{
    Bench, Board, BoardInfo, Clock, Line, LinkError, Port, Watch, Wire, read_some, write_all,
};
use lineside_terms::SlotPath;

const BOARDS: usize = 64;

#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
fn report(figure: &str) {
    println!("{figure}");
}

fn main() {
    report(&lateness(1));
    report(&lateness(BOARDS));
    report(&lent());
}

/// Chains of 450 µs sleeps.
fn lateness(chains: usize) -> String {
    const TURNS: usize = 2_000;
    let clock = Clock::precise();
    let late = RefCell::new(Vec::new());
    let began = (clock.now(), cpu());
    let chain = |number: usize| {
        let (clock, late) = (&clock, &late);
        async move {
            let mut until = clock.now() + Duration::from_micros(7 * number as u64);
            for _ in 0..TURNS {
                until = until + Duration::from_micros(450);
                clock.sleep_until(until).await;
                late.borrow_mut().push(clock.now() - until);
            }
        }
    };
    block_on(join_all((0..chains).map(chain)));
    let cores = (cpu() - began.1).as_secs_f64() / (clock.now() - began.0).as_secs_f64();
    let mut late = late.into_inner();
    late.sort();
    let at = |percent: usize| late[(late.len() - 1) * percent / 100];
    format!(
        "clock, {chains} chains of 450 µs: late p50 {:?}, p99 {:?} (timer wheel of the runtime: 1 ms), {cores:.2} cores",
        at(50),
        at(99)
    )
}

/// 64 boards that send at 3 Mbaud, 300 bytes every millisecond.
fn lent() -> String {
    const TURNS: u64 = 2_000;
    const BYTES: usize = 300;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let dir = tempfile::tempdir().expect("a directory");
        let bench = Boards::default();
        let serve = Lending::bind(dir.path()).expect("nobody else lends there").serve(Rc::new(bench.clone()));
        let _serving = tokio::task::spawn_local(serve);
        let client = RemoteBench::connect(dir.path()).await.expect("somebody lends there");
        let clock = Clock::precise();
        let began = (clock.now(), cpu());
        let board = async |number: usize| {
            let mut board = client.lease(&slot(number), "benchmark").await.expect("it is free");
            let mut near = board.open(Port::Recovery).expect("it is closed");
            let mut far = loop {
                if let Some(far) = bench.far_ends.borrow_mut().pop() {
                    break far;
                }
                tokio::task::yield_now().await;
            };
            let send = async {
                let start = clock.now();
                for turn in 0..TURNS {
                    clock.sleep_until(start + Duration::from_millis(turn)).await;
                    write_all(&mut far, &[0x5a; BYTES]).await.expect("it is there");
                }
            };
            let receive = async {
                let mut left = TURNS as usize * BYTES;
                let mut buffer = [0; 4096];
                while left > 0 {
                    left -= read_some(near.as_mut(), &mut buffer).await.expect("it is there");
                }
            };
            futures::join!(send, receive);
        };
        join_all((0..BOARDS).map(board)).await;
        let wall = (clock.now() - began.0).as_secs_f64();
        let cores = (cpu() - began.1).as_secs_f64() / wall;
        let megabytes = (BOARDS * BYTES) as f64 * TURNS as f64 / 1e6;
        format!(
            "{BOARDS} lent boards sending at 3 Mbaud: {cores:.2} cores for both ends, {:.1} MB/s (limit 19.2)",
            megabytes / wall
        )
    })
}

/// CPU time of this process so far.
#[cfg(target_os = "linux")]
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

#[cfg(not(target_os = "linux"))]
fn cpu() -> Duration {
    Duration::ZERO
}

fn slot(number: usize) -> SlotPath {
    SlotPath::new(number.to_string()).expect("digits are a slot path")
}

#[derive(Clone, Default)]
struct Boards {
    far_ends: Rc<RefCell<Vec<MemoryWire>>>,
}

impl Bench for Boards {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn watch(&self) -> Watch {
        Box::pin(futures::stream::empty())
    }

    fn lease(&self, slot: &SlotPath, _: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let board = OneBoard {
            boards: self.clone(),
            slot: slot.clone(),
        };
        Box::pin(async move { Ok(Box::new(board) as Box<dyn Board>) })
    }
}

struct OneBoard {
    boards: Boards,
    slot: SlotPath,
}

impl Board for OneBoard {
    fn slot(&self) -> &SlotPath {
        &self.slot
    }

    fn open(&mut self, _: Port) -> Result<Box<dyn Wire>, LinkError> {
        let (near, far) = memory::pair(4096);
        self.boards.far_ends.borrow_mut().push(far);
        Ok(Box::new(near))
    }

    fn set_line(&mut self, _: Line, _: bool) -> Result<(), LinkError> {
        Ok(())
    }
}
