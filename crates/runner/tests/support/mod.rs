//! A factory floor in simulated time: a world of boards, a disk that lies as real ones may, and starts of the program
//! that end by themselves or are cut off. One thread, one clock that is moved by hand.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod cut;
pub mod judge;
pub mod plans;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::executor::LocalPool;
use futures::future::{Either, select};
use futures::task::LocalSpawnExt as _;
use lineside_device::{Entropy, SessionConfig, TrustAnchor};
use lineside_flow::interlock::Protected;
use lineside_flow::{Event, Picture, Shift};
use lineside_image::TrustList;
use lineside_link::Bench as _;
use lineside_link::{Clock, Hands, run_simulated};
use lineside_records::{FakeDisk, Journal, RecordsError};
use lineside_runner::batch::{self, Patience};
use lineside_runner::gate::Gate;
use lineside_runner::manual::{self, Change, Door, ManualError};
use lineside_runner::policy::StateChange;
use lineside_runner::{
    Batch, Cancel, Keeper, Notice, Place, Program, RunnerError, Serials, Summary, WallClock,
};
use lineside_simulator::control::BoardTruth;
use lineside_simulator::{World, WorldConfig, WritesExpected};
use lineside_terms::{BootId, DeviceId, ManufacturingState, SlotPath, Stamp, StationName, UnitSerial};

use cut::{CutBench, CutStore, Cutter};

/// More moves of the clock than any test needs: a floor that wants more hangs.
const MOST_STEPS: u64 = 400_000;

/// 1 June 2026: after every build, within every certificate.
const WALL_MS: i64 = 1_780_272_000_000;

/// How one start of the program ended.
#[derive(Debug)]
pub enum End {
    /// By itself.
    Over(Summary),
    /// It was cut off, as by a loss of power.
    Cut,
    /// It could not begin.
    NotBegun(String),
}

impl End {
    /// The summary of a start that ended by itself.
    #[track_caller]
    pub fn summary(self) -> Summary {
        match self {
            Self::Over(summary) => summary,
            other => panic!("the start did not end by itself: {other:?}"),
        }
    }
}

/// A floor: boards that live on, a disk that stays, and a program that is started again and again.
pub struct Floor {
    pub world: World,
    pub clock: Clock,
    hands: Hands,
    pool: LocalPool,
    pub disk: FakeDisk,
    pub program: Rc<Program>,
    pub serials: BTreeMap<SlotPath, UnitSerial>,
    pub expected: Option<u32>,
    /// The only device that is meant.
    pub only: Option<DeviceId>,
    /// Starts change a state by hand, of the first board, under this policy.
    pub by_hand: Option<(StateChange, ManufacturingState)>,
    /// What the last such start came to.
    pub by_hand_end: Option<manual::End>,
    /// What boards go through in the next start.
    pub gate: Option<Gate>,
    /// What is to happen in the next start.
    pub cutter: Cutter,
    /// Asks the next start to stop.
    pub cancel: Cancel,
    /// What every start so far has shown, as text: pictures and durable events.
    pub shown: Rc<RefCell<Vec<String>>>,
    /// Keep `shown`.
    pub keeps_shown: bool,
    starts: u8,
}

/// The station that all floors are.
pub fn station() -> StationName {
    StationName::new("line-1").unwrap()
}

impl Floor {
    /// The sample plan in a world of so many boards.
    pub fn of(boards: usize) -> Self {
        Self::new(WorldConfig {
            boards,
            ..WorldConfig::default()
        })
    }

    /// The sample plan in such a world.
    pub fn new(config: WorldConfig) -> Self {
        let (program, _) = plans::sample(config.seed);
        Self::with_program(config, program)
    }

    /// Another program in such a world.
    pub fn with_program(config: WorldConfig, program: Rc<Program>) -> Self {
        let (clock, hands) = Clock::by_hand();
        let world = World::new(config, clock.clone()).unwrap();
        let pool = LocalPool::new();
        let run = world.run();
        pool.spawner()
            .spawn_local(async move { match run.await {} })
            .unwrap();
        let boards = world.board_count();
        let serials = (0..boards)
            .map(|board| {
                (
                    world.slot(board).unwrap().clone(),
                    format!("TH-{board:04}").parse().unwrap(),
                )
            })
            .collect();
        for board in 0..boards {
            let device = world.truth(board).unwrap().device_id;
            world.expect_writes(board, WritesExpected::Only(device)).unwrap();
        }
        Self {
            world,
            clock,
            hands,
            pool,
            disk: FakeDisk::new(),
            program,
            serials,
            expected: None,
            only: None,
            by_hand: None,
            by_hand_end: None,
            gate: None,
            cutter: Cutter::default(),
            cancel: Cancel::default(),
            shown: Rc::default(),
            keeps_shown: false,
            starts: 0,
        }
    }

    /// One start of the program, to its end or to where the cutter ends it. Whatever ends it, the devices live on.
    pub fn start(&mut self) -> End {
        let journal = Journal::open(Arc::new(self.disk.clone()), station());
        let (journal, replay) = match journal {
            Ok(opened) => opened,
            Err(error) => return End::NotBegun(lineside_terms::Explain::code(&error).to_owned()),
        };
        let history: Vec<Event> = replay
            .map(|stored| stored.map(|stored| stored.event))
            .collect::<Result<_, RecordsError>>()
            .unwrap();
        self.starts += 1;
        self.cutter.begin(self.disk.clone(), self.cancel.clone());
        let mut store = CutStore::new(Keeper::inline(journal), self.cutter.clone());
        let place = self.place();
        let serials = Serials {
            by_slot: self.serials.clone(),
            count: self.serials.len(),
            rest: Vec::new(),
        };
        let batch = Batch {
            program: Rc::clone(&self.program),
            serials,
            expected: self.expected,
            only: self.only,
            entropy: Entropy::Seeded(u64::from(self.starts)),
            patience: Patience::default(),
            order: None,
            desk: None,
        };
        let (shown, keeps) = (Rc::clone(&self.shown), self.keeps_shown);
        let notice = move |notice: Notice<'_>| {
            if keeps {
                shown.borrow_mut().push(text_of(&notice));
            }
        };
        let change = self.by_hand.clone().map(|by_hand| self.change(&by_hand));
        let by_hand_end = RefCell::new(None);
        let gate = self.gate.take();
        let ended = {
            let (store, cancel, by_hand_end) = (&mut store, &self.cancel, &by_hand_end);
            let run = async move {
                let Some(change) = change else {
                    return batch::run_behind(gate, place, batch, history, store, cancel, notice).await;
                };
                match manual::change(place, change, history, store, cancel, notice).await {
                    Ok(changed) => {
                        *by_hand_end.borrow_mut() = Some(changed.end);
                        Ok(changed.summary)
                    }
                    Err(ManualError::Runner(error)) => Err(error),
                    Err(error) => panic!("{error:?}"),
                }
            };
            let (run, fallen) = (pin!(run), pin!(self.cutter.fallen()));
            let both = select(run, fallen);
            let ended = run_simulated(&self.hands, &mut self.pool, MOST_STEPS, async {
                match both.await {
                    Either::Left((ended, _)) => Some(ended),
                    Either::Right(_) => None,
                }
            });
            ended.expect("everybody waits for ever")
        };
        self.by_hand_end = by_hand_end.into_inner();
        self.cancel = Cancel::default();
        self.cutter.leave_alone();
        drop(store);
        match ended {
            None => {
                self.disk.crash(self.cutter.seed());
                End::Cut
            }
            Some(Ok(summary)) => End::Over(summary),
            Some(Err(error @ RunnerError::History(_))) => panic!("{error:?}"),
            Some(Err(error)) => End::NotBegun(lineside_terms::Explain::code(&error).to_owned()),
        }
    }

    fn change(&mut self, (policy, to): &(StateChange, ManufacturingState)) -> Change {
        let listed = self.world.bench();
        let boards = run_simulated(&self.hands, &mut self.pool, MOST_STEPS, async move {
            listed.list().await
        });
        Change {
            door: Door::open(policy, *to, &TrustList::new(), None).unwrap(),
            board: boards.unwrap().unwrap().remove(0),
            device: self.truth(0).device_id,
            serial: None,
            protected: Protected::default(),
            entropy: Entropy::Seeded(u64::from(self.starts)),
        }
    }

    /// Starts until every board has passed, at most so often; what was said of boards that had not yet.
    #[track_caller]
    pub fn start_until_pass(&mut self, most: usize, context: &str) -> Vec<Summary> {
        let mut before = Vec::new();
        for _ in 0..most {
            let summary = self.start().summary();
            if summary.is_pass() {
                return before;
            }
            before.push(summary);
        }
        let told: Vec<String> = before
            .iter()
            .map(|summary| format!("\n  {}", told(&summary.picture)))
            .collect();
        panic!("{context}: no pass within {most} starts:{}", told.concat());
    }

    fn place(&self) -> Place {
        let wall = WallClock::beginning_at(self.clock.clone(), WALL_MS);
        let session = SessionConfig {
            anchor: TrustAnchor::from_pem(self.world.ca_pem()).unwrap(),
            entropy: Entropy::Seeded(1),
            ..SessionConfig::new(WALL_MS)
        };
        let mut boot = [0xB0; 16];
        boot[0] = self.starts;
        Place {
            station: station(),
            boot: BootId::from_bytes(boot),
            program_version: "0.0.0-test".into(),
            bench_name: "test".into(),
            bench: Rc::new(CutBench::new(self.world.bench(), self.cutter.clone())),
            wall,
            session,
            shift: Shift::default(),
        }
    }

    /// Lets simulated time pass without any program.
    pub fn pass(&mut self, duration: Duration) {
        let sleep = self.clock.sleep(duration);
        run_simulated(&self.hands, &mut self.pool, MOST_STEPS, sleep).expect("a sleep ends");
    }

    /// Does something to the world after a while, whatever the program does then.
    pub fn later(&self, after: Duration, hand: impl FnOnce(&World) + 'static) {
        let (sleep, world) = (self.clock.sleep(after), self.world.clone());
        let task = async move {
            sleep.await;
            hand(&world);
        };
        self.pool.spawner().spawn_local(task).unwrap();
    }

    /// Everything in the journal, read from the disk.
    pub fn history(&self) -> Vec<Event> {
        let replay =
            lineside_records::Replay::of(Arc::new(self.disk.clone()), lineside_records::Head::ORIGIN)
                .unwrap();
        replay.map(|stored| stored.unwrap().event).collect()
    }

    /// The truth about a board.
    pub fn truth(&self, board: usize) -> BoardTruth {
        self.world.truth(board).unwrap()
    }

    /// The slot of a board.
    pub fn slot(&self, board: usize) -> SlotPath {
        self.world.slot(board).unwrap().clone()
    }

    /// The state of a board's device.
    pub fn state(&self, board: usize) -> ManufacturingState {
        self.truth(board).state
    }

    /// A stamp of now.
    pub fn stamp(&self) -> Stamp {
        WallClock::beginning_at(self.clock.clone(), WALL_MS).stamp()
    }
}

/// Everything that somebody who looks on can see.
fn text_of(notice: &Notice<'_>) -> String {
    match notice {
        Notice::Durable(events) => {
            format!("{events:?} {}", serde_json::to_string(events).unwrap())
        }
        Notice::Picture(picture) => format!("{picture:?} {}", serde_json::to_string(picture).unwrap()),
        Notice::Progress(slot, progress) => format!("{slot} {progress:?}"),
        Notice::Gate(news) => format!("{news:?}"),
        Notice::Store(error) => format!("{error:?}"),
    }
}

/// What stands about every slot, in one line for each.
pub fn told(picture: &Picture) -> String {
    let line = |slot: &lineside_flow::line::SlotPicture| {
        let error = slot.error.as_ref().map_or(String::new(), |error| {
            format!("{}: {}", error.code, error.message)
        });
        format!(
            "{} {:?} {}/{:?} {error}",
            slot.slot, slot.standing, slot.steps_passed, slot.step
        )
    };
    picture.slots.iter().map(line).collect::<Vec<_>>().join("\n    ")
}

/// The code of what stands about a slot, for messages and comparisons.
pub fn code_at<'a>(picture: &'a Picture, slot: &SlotPath) -> &'a str {
    let slot = picture.slots.iter().find(|there| there.slot == *slot).unwrap();
    slot.error.as_ref().map_or("", |error| error.code.as_str())
}
