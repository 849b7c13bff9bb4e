//! A bench of boards whose far ends the test holds.
#![allow(dead_code, reason = "each test program uses its part of it")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::LocalBoxFuture;
use lineside_link::memory::{self, MemoryWire};
use lineside_link::remote::{Lending, RemoteBench};
use lineside_link::{
    Bench, BenchEvent, Board, BoardInfo, Line, LineSettings, LinkError, Port, Watch, Wire, WireHealth,
};
use lineside_terms::SlotPath;

/// What happened on the lender's side, in order.
pub(crate) type Log = Rc<RefCell<Vec<String>>>;

pub(crate) fn slot(number: usize) -> SlotPath {
    SlotPath::new(format!("slot-{number:02}")).unwrap()
}

/// A holder at whose name the bench panics.
pub(crate) const FATAL: &str = "Medusa";

/// Runs a test on a thread of its own kind: one runtime, one `LocalSet`.
pub(crate) fn on_a_local_set<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// Waits until something holds. Other tasks go on meanwhile; a test that hangs is ended by its runner.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

/// Lends `bench` in `dir` in the background until the returned value is dropped.
pub(crate) fn lend(dir: &Path, bench: &ToyBench, loopback: bool) -> Serving {
    let lending = if loopback {
        Lending::bind_loopback(dir)
    } else {
        Lending::bind(dir)
    };
    Serving(tokio::task::spawn_local(
        lending.unwrap().serve(Rc::new(bench.clone())),
    ))
}

pub(crate) struct Serving(tokio::task::JoinHandle<()>);

impl Serving {
    pub(crate) fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The file that leads clients to a lender, as this system has them by itself.
pub(crate) fn way_in(dir: &Path) -> PathBuf {
    dir.join(if cfg!(unix) { "bench.sock" } else { "bench.port" })
}

/// Where the token of a lender on loopback is.
pub(crate) fn token_file(dir: &Path) -> PathBuf {
    if cfg!(unix) {
        return dir.join("bench.token");
    }
    let port = std::fs::read_to_string(dir.join("bench.port")).unwrap();
    let profile = PathBuf::from(std::env::var_os("LOCALAPPDATA").unwrap());
    profile.join(format!("Lineside/loopback/bench-{}.token", port.trim_end()))
}

pub(crate) async fn connect(dir: &Path) -> RemoteBench {
    RemoteBench::connect(dir).await.unwrap()
}

#[derive(Default)]
struct State {
    holders: BTreeMap<SlotPath, Option<String>>,
    /// The far ends of wires that were opened.
    far_ends: Vec<(SlotPath, Port, MemoryWire)>,
    watchers: Vec<mpsc::UnboundedSender<BenchEvent>>,
}

#[derive(Clone)]
pub(crate) struct ToyBench {
    state: Rc<RefCell<State>>,
    pub(crate) log: Log,
    capacity: usize,
    /// Wires log what they take, as much as there is allowance for, instead of having a far end.
    pub(crate) allowance: Rc<Cell<Option<usize>>>,
    logged_wires: Rc<RefCell<Vec<Waker>>>,
}

impl ToyBench {
    pub(crate) fn new(boards: usize, capacity: usize) -> Self {
        let state = State {
            holders: (0..boards).map(|n| (slot(n), None)).collect(),
            ..State::default()
        };
        Self {
            state: Rc::new(RefCell::new(state)),
            log: Log::default(),
            capacity,
            allowance: Rc::default(),
            logged_wires: Rc::default(),
        }
    }

    pub(crate) fn holder(&self, slot: &SlotPath) -> Option<String> {
        self.state.borrow().holders[slot].clone()
    }

    pub(crate) fn leased(&self) -> usize {
        self.state.borrow().holders.values().flatten().count()
    }

    /// The far end of a wire that a client is about to open.
    pub(crate) async fn far_end(&self, slot: &SlotPath, port: Port) -> MemoryWire {
        let position = || {
            self.state
                .borrow()
                .far_ends
                .iter()
                .position(|(s, p, _)| s == slot && *p == port)
        };
        until(|| position().is_some()).await;
        let position = position().unwrap();
        self.state.borrow_mut().far_ends.remove(position).2
    }

    pub(crate) fn tell(&self, event: BenchEvent) {
        self.state
            .borrow_mut()
            .watchers
            .retain(|watcher| watcher.unbounded_send(event.clone()).is_ok());
    }

    pub(crate) fn watchers(&self) -> usize {
        self.state
            .borrow()
            .watchers
            .iter()
            .filter(|watcher| !watcher.is_closed())
            .count()
    }

    /// Lets the logged wires take that many bytes more.
    pub(crate) fn allow(&self, bytes: usize) {
        self.allowance
            .set(Some(self.allowance.get().unwrap_or(0) + bytes));
        self.logged_wires.take().into_iter().for_each(Waker::wake);
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    fn boards(&self) -> Vec<BoardInfo> {
        let state = self.state.borrow();
        let info = |(slot, holder): (&SlotPath, &Option<String>)| BoardInfo {
            slot: slot.clone(),
            attachment: 1,
            board_serial: None,
            leased_by: holder.clone(),
            trouble: None,
            device: None,
        };
        state.holders.iter().map(info).collect()
    }
}

impl Bench for ToyBench {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async { Ok(self.boards()) })
    }

    fn watch(&self) -> Watch {
        let (sender, receiver) = mpsc::unbounded();
        self.state.borrow_mut().watchers.push(sender);
        let first: Vec<_> = self.boards().into_iter().map(BenchEvent::Attached).collect();
        Box::pin(futures::stream::iter(first).chain(receiver))
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let (slot, holder) = (slot.clone(), holder.to_owned());
        Box::pin(async move {
            // A real bench has to wait for the kernel.
            tokio::task::yield_now().await;
            assert_ne!(holder, FATAL, "a fault in the bench");
            let mut state = self.state.borrow_mut();
            match state.holders.get_mut(&slot) {
                None => Err(LinkError::NoBoard { slot }),
                Some(Some(holder)) => Err(LinkError::Leased {
                    holder: holder.clone(),
                    slot,
                }),
                Some(free) => {
                    *free = Some(holder);
                    Ok(Box::new(ToyBoard {
                        bench: self.clone(),
                        slot,
                    }) as Box<dyn Board>)
                }
            }
        })
    }
}

struct ToyBoard {
    bench: ToyBench,
    slot: SlotPath,
}

impl Board for ToyBoard {
    fn slot(&self) -> &SlotPath {
        &self.slot
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        self.bench.log.borrow_mut().push(format!("open {port:?}"));
        if port == Port::Debug && self.slot == slot(0) {
            return Err(LinkError::Lacking { what: "such port" });
        }
        if self.bench.allowance.get().is_some() {
            return Ok(Box::new(LoggedWire {
                bench: self.bench.clone(),
                port,
                to_read: VecDeque::new(),
            }));
        }
        let (near, far) = memory::pair(self.bench.capacity);
        self.bench
            .state
            .borrow_mut()
            .far_ends
            .push((self.slot.clone(), port, far));
        Ok(Box::new(near))
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        if line == Line::RecoveryStrap && self.slot == slot(0) {
            return Err(LinkError::Lacking { what: "reset line" });
        }
        self.bench.log.borrow_mut().push(format!("{line:?} {asserted}"));
        Ok(())
    }
}

impl Drop for ToyBoard {
    fn drop(&mut self) {
        self.bench.log.borrow_mut().push("released".into());
        *self.bench.state.borrow_mut().holders.get_mut(&self.slot).unwrap() = None;
    }
}

/// Logs what it takes; answers each settings change with a byte, so that reading can be seen too.
struct LoggedWire {
    bench: ToyBench,
    port: Port,
    to_read: VecDeque<u8>,
}

impl Wire for LoggedWire {
    fn poll_read(&mut self, _: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        let Some(byte) = self.to_read.pop_front() else {
            return Poll::Pending;
        };
        into[0] = byte;
        Poll::Ready(Ok(1))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        let allowance = self.bench.allowance.get().unwrap_or(0);
        let count = from.len().min(allowance);
        if count == 0 {
            self.bench.logged_wires.borrow_mut().push(cx.waker().clone());
            return Poll::Pending;
        }
        self.bench.allowance.set(Some(allowance - count));
        let text = String::from_utf8_lossy(&from[..count]).into_owned();
        self.bench
            .log
            .borrow_mut()
            .push(format!("{:?} takes {text}", self.port));
        Poll::Ready(Ok(count))
    }

    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.bench
            .log
            .borrow_mut()
            .push(format!("{:?} at {}", self.port, settings.baud));
        self.to_read.push_back(1);
        Ok(())
    }

    fn set_packet_boundary(&mut self, byte: Option<u8>) {
        self.bench
            .log
            .borrow_mut()
            .push(format!("{:?} boundary {byte:?}", self.port));
    }

    fn health(&self) -> WireHealth {
        WireHealth { overruns: 7 }
    }
}

impl Drop for LoggedWire {
    fn drop(&mut self) {
        self.bench
            .log
            .borrow_mut()
            .push(format!("{:?} closed", self.port));
    }
}
