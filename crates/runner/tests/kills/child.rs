//! The program under test: a batch on real time, a real disk and a bench of another process. Its bench, disk and store
//! are wrapped where they are injected, and stop at every boundary until *go* is said.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::future::{FutureExt as _, LocalBoxFuture};
use lineside_device::{Entropy, SessionConfig, TrustAnchor};
use lineside_flow::{Body, Event, Receipt, Shift};
use lineside_link::remote::RemoteBench;
use lineside_link::{
    Bench, Board, BoardInfo, Clock, Line, LineSettings, LinkError, Port, Watch, Wire, WireHealth,
};
use lineside_records::{Disk, DiskFile, Journal, RealDisk, RecordsError};
use lineside_runner::batch::{self, Patience};
use lineside_runner::{Batch, Cancel, Keeper, Place, Serials, Store, WallClock};
use lineside_terms::{BootId, SlotPath, Told};

use super::support::{plans, station, told};
use super::{BEFORE, SEED, WALL_MS};

/// Where the program is, and who may say *go*.
#[derive(Debug, Default)]
struct Gate {
    steps: Mutex<Steps>,
    /// Held while somebody waits for *go*, so that there is one question at a time.
    asking: Mutex<()>,
}

#[derive(Debug, Default)]
struct Steps {
    by_slot: BTreeMap<SlotPath, String>,
    /// The step that the events submitted last are of.
    last: String,
}

impl Gate {
    /// Tells where the program is and waits for *go*. Whoever asked is not there any more when the input ends.
    fn stop(&self, kind: &str, slot: Option<&SlotPath>) {
        let asked = self.asking.lock().unwrap();
        let step = {
            let steps = self.steps.lock().unwrap();
            match slot {
                Some(slot) => steps.by_slot.get(slot).cloned().unwrap_or_default(),
                None => steps.last.clone(),
            }
        };
        let step = if step.is_empty() { BEFORE } else { &step };
        say(&format!("@ {kind} {step}"));
        let mut line = String::new();
        let count = io::stdin().lock().read_line(&mut line).unwrap();
        assert!(count > 0, "nobody is there to say go");
        drop(asked);
    }

    fn note(&self, events: &[Event]) {
        let mut steps = self.steps.lock().unwrap();
        for event in events {
            let Some(slot) = &event.slot else { continue };
            if let Body::StepStarted { step, .. } = &event.body {
                steps.by_slot.insert(slot.clone(), step.to_string());
            }
            steps.last = steps.by_slot.get(slot).cloned().unwrap_or_default();
        }
    }
}

/// A line that the judge reads.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    // The test harness may have begun a line of its own.
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// One start of the program, from the journal in `data`, on the bench lent there.
pub(crate) fn work(data: PathBuf, boot: u8) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let gate = Arc::new(Gate::default());
        let (program, _) = plans::sample(SEED);
        let bench = RemoteBench::connect(&data).await.unwrap();
        let boards = bench.list().await.unwrap();
        let by_slot: BTreeMap<_, _> = boards
            .iter()
            .enumerate()
            .map(|(index, board)| (board.slot.clone(), format!("TH-{index:04}").parse().unwrap()))
            .collect();
        let disk = GatedDisk {
            disk: Arc::new(RealDisk::open(&data.join("journal")).unwrap()),
            gate: Arc::clone(&gate),
        };
        let (journal, replay) = Journal::open(Arc::new(disk), station()).unwrap();
        let history: Vec<Event> = replay
            .map(|stored| stored.map(|stored| stored.event))
            .collect::<Result<_, RecordsError>>()
            .unwrap();
        let mut store = GatedStore {
            keeper: Keeper::start(journal).unwrap(),
            gate: Arc::clone(&gate),
        };
        let pem = std::fs::read_to_string(data.join("ca.pem")).unwrap();
        let place = Place {
            station: station(),
            boot: BootId::from_bytes([boot; 16]),
            program_version: "0.0.0-test".into(),
            bench_name: "test".into(),
            bench: Rc::new(GatedBench { bench, gate }),
            wall: WallClock::beginning_at(Clock::precise(), WALL_MS),
            session: SessionConfig {
                anchor: TrustAnchor::from_pem(&pem).unwrap(),
                ..SessionConfig::new(WALL_MS)
            },
            shift: Shift::default(),
        };
        let batch = Batch {
            program,
            serials: Serials {
                count: by_slot.len(),
                by_slot,
                rest: Vec::new(),
            },
            expected: None,
            only: None,
            entropy: Entropy::System,
            patience: Patience::default(),
            order: None,
            desk: None,
        };
        let summary = batch::run(place, batch, history, &mut store, &Cancel::default(), |_| {})
            .await
            .unwrap();
        let word = if summary.is_pass() { "pass" } else { "open" };
        say(&format!("over {word} {:?}", told(&summary.picture)));
    });
}

struct GatedStore {
    keeper: Keeper,
    gate: Arc<Gate>,
}

impl Store for GatedStore {
    fn submit(&mut self, events: Vec<Event>) {
        self.gate.note(&events);
        self.gate.stop("group", None);
        self.keeper.submit(events);
    }

    fn poll_receipt(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, Told>> {
        self.keeper.poll_receipt(cx)
    }
}

#[derive(Debug)]
struct GatedDisk {
    disk: Arc<RealDisk>,
    gate: Arc<Gate>,
}

impl GatedDisk {
    fn file(&self, name: &str, length: u64, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(GatedFile {
            name: name.to_owned(),
            length,
            file,
            gate: Arc::clone(&self.gate),
        })
    }
}

impl Disk for GatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk.read(name)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.create(name)?;
        say(&format!("durable {name} 0"));
        Ok(self.file(name, 0, file))
    }

    fn reopen(&self, name: &str, from: u64, tail: &[u8]) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.reopen(name, from, tail)?;
        let length = from + tail.len() as u64;
        say(&format!("ends {name} {length}"));
        Ok(self.file(name, length, file))
    }
}

#[derive(Debug)]
struct GatedFile {
    name: String,
    length: u64,
    file: Box<dyn DiskFile>,
    gate: Arc<Gate>,
}

impl DiskFile for GatedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        self.gate.stop("write", None);
        self.file.append(first)?;
        self.gate.stop("torn", None);
        self.file.append(rest)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.gate.stop("sync", None);
        self.file.sync()?;
        say(&format!("durable {} {}", self.name, self.length));
        self.gate.stop("synced", None);
        Ok(())
    }
}

struct GatedBench {
    bench: RemoteBench,
    gate: Arc<Gate>,
}

impl Bench for GatedBench {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        self.bench.list()
    }

    fn watch(&self) -> Watch {
        self.bench.watch()
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let leased = self.bench.lease(slot, holder);
        let gate = Arc::clone(&self.gate);
        async move {
            let board = leased.await?;
            Ok(Box::new(GatedBoard { board, gate }) as Box<dyn Board>)
        }
        .boxed_local()
    }
}

struct GatedBoard {
    board: Box<dyn Board>,
    gate: Arc<Gate>,
}

impl Board for GatedBoard {
    fn slot(&self) -> &SlotPath {
        self.board.slot()
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        Ok(Box::new(GatedWire {
            wire: self.board.open(port)?,
            slot: self.board.slot().clone(),
            gate: Arc::clone(&self.gate),
            output: Output::Fresh,
            is_asked: false,
        }))
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        self.gate.stop("line", Some(self.board.slot()));
        self.board.set_line(line, asserted)
    }
}

/// How far an output has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Fresh,
    /// Half of it was given to the wire in this turn.
    Given,
    /// The wire had a turn to carry it away.
    Gone,
}

struct GatedWire {
    wire: Box<dyn Wire>,
    slot: SlotPath,
    gate: Arc<Gate>,
    output: Output,
    /// Something was sent since something came.
    is_asked: bool,
}

impl Wire for GatedWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        let read = self.wire.poll_read(cx, into);
        if self.is_asked && matches!(read, Poll::Ready(Ok(count)) if count > 0) {
            self.is_asked = false;
            self.gate.stop("answer", Some(&self.slot));
        }
        read
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        match self.output {
            Output::Fresh if from.len() > 1 => {
                self.gate.stop("bytes", Some(&self.slot));
                self.is_asked = true;
                let given = self.wire.poll_write(cx, &from[..from.len() / 2]);
                if given.is_ready() {
                    self.output = Output::Given;
                }
                given
            }
            Output::Given => {
                self.output = Output::Gone;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Output::Fresh | Output::Gone => {
                self.gate.stop("half", Some(&self.slot));
                self.output = Output::Fresh;
                self.wire.poll_write(cx, from)
            }
        }
    }

    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.wire.configure(settings)
    }

    fn set_packet_boundary(&mut self, byte: Option<u8>) {
        self.wire.set_packet_boundary(byte);
    }

    fn health(&self) -> WireHealth {
        self.wire.health()
    }
}
