//! Who may start, and when: what stands between a board that was plugged in and its run.
//!
//! A board waits here until it has told the same device id for a while, until its serial was scanned if that is how runs
//! start, and until whoever must be asked has said yes. Nothing is written to a device before. What is refused here is
//! taken to the engine all the same, which holds the device and keeps the reason.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::future::LocalBoxFuture;
use lineside_device::{Scope, SessionConfig};
use lineside_flow::interlock::EpochCause;
use lineside_flow::{Body, Event, Leave, Line};
use lineside_link::{Bench, BoardInfo, Clock};
use lineside_terms::{Blame, DeviceId, Explain, Outcome, RunId, SlotPath, Told, UnitSerial};

use crate::survey::{Survey, look};

/// How long a device must tell the same id before its run starts, unless somebody says otherwise: a plug that is pushed
/// in slowly makes contact more than once.
pub const STABLE: Duration = Duration::from_secs(2);

/// After how many failures in a row a slot takes no more boards, unless somebody says otherwise.
pub const FAILURES: u32 = 3;

/// What is asked before a run, and told after it.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// May the device in this slot start?
    MayStart {
        /// The slot.
        slot: SlotPath,
        /// The device.
        device: DeviceId,
        /// The unit, if it is known by now.
        serial: Option<UnitSerial>,
    },
    /// This is how a run ended.
    Result {
        /// The slot.
        slot: SlotPath,
        /// The device.
        device: DeviceId,
        /// The unit.
        serial: Option<UnitSerial>,
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
        /// The first thing that went wrong.
        error: Option<Told>,
    },
}

/// Somebody said yes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The unit that the device is built into, if he knows.
    pub serial: Option<UnitSerial>,
}

/// Somebody who must be asked before each run, and told after it.
pub trait Hook {
    /// Asks. It ends in bounded time; whatever is not a plain yes is an error.
    fn ask(&self, question: Question) -> LocalBoxFuture<'static, Result<Answer, Told>>;
}

/// How runs start.
pub struct Gate {
    /// How long a device must tell the same id; zero: it is asked once.
    pub stable: Duration,
    /// Lines that say which unit starts: `SERIAL` when one board waits, or `SLOT SERIAL`. `None`: no line is waited for.
    pub scans: Option<Pin<Box<dyn Stream<Item = String>>>>,
    /// Lines only say that boards start, as a key or a foot-switch does: all that wait, or the one in the slot that is
    /// named. Serials come as they do without lines.
    pub is_by_key: bool,
    /// Who must be asked.
    pub hook: Option<Rc<dyn Hook>>,
    /// After how many failures in a row a slot takes no more boards; `None`: never.
    pub give_up_after: Option<u32>,
    /// Goes on until somebody asks to stop, or the scans end.
    pub is_continuous: bool,
    /// The slots that are taken; `None`: all.
    pub known: Option<BTreeSet<SlotPath>>,
    /// What the fixture calls its slots, for scans.
    pub names: BTreeMap<String, SlotPath>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

/// Something that people must hear of and that is no event.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The device in this slot waits for a scan, or for the key.
    Waits {
        /// The slot.
        slot: SlotPath,
        /// For the key.
        is_for_key: bool,
    },
    /// A line that was scanned starts nothing.
    Scan {
        /// Why not.
        error: Told,
    },
    /// This slot takes no more boards.
    Stopped {
        /// The slot.
        slot: SlotPath,
        /// Why not.
        error: Told,
    },
}

/// What went through the gate by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Runs that passed.
    pub passed: usize,
    /// Runs that did not, and boards that were not taken.
    pub failed: usize,
    /// Results that whoever must be told did not take.
    pub untold: usize,
}

/// A board that goes through.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) slot: SlotPath,
    pub(crate) cause: EpochCause,
    pub(crate) leave: Leave,
    pub(crate) serial: Option<UnitSerial>,
}

enum Stage {
    Steadying(LocalBoxFuture<'static, Result<DeviceId, Told>>),
    Scanning(DeviceId),
    /// Whoever must be asked is asked; the serial that he was told.
    Asking(
        DeviceId,
        Option<UnitSerial>,
        LocalBoxFuture<'static, Result<Answer, Told>>,
    ),
    /// It went through, or the board is gone.
    Through,
}

struct Lane {
    cause: EpochCause,
    stage: Stage,
    failures: u32,
    /// Why it takes no more boards.
    stopped: Option<Told>,
}

/// The gate at work.
pub(crate) struct Keeper {
    gate: Gate,
    is_by_scan: bool,
    bench: Rc<dyn Bench>,
    clock: Clock,
    survey: Survey,
    lanes: BTreeMap<SlotPath, Lane>,
    /// What was said of slots that have not begun yet: with which serial they begin, if a line tells that.
    scanned: BTreeMap<SlotPath, Option<UnitSerial>>,
    by_slot: BTreeMap<SlotPath, UnitSerial>,
    rest: VecDeque<UnitSerial>,
    given: BTreeMap<DeviceId, UnitSerial>,
    results: Vec<(SlotPath, LocalBoxFuture<'static, Result<Answer, Told>>)>,
    passes: VecDeque<Pass>,
    news: VecDeque<News>,
    tally: Tally,
}

impl Keeper {
    pub(crate) fn new(
        gate: Gate,
        bench: Rc<dyn Bench>,
        clock: Clock,
        session: SessionConfig,
        patience: Duration,
        serials: (BTreeMap<SlotPath, UnitSerial>, Vec<UnitSerial>),
    ) -> Self {
        let survey = Survey {
            session,
            scope: Scope::OPEN,
            patience,
            holder: "lineside run".to_owned(),
        };
        Self {
            is_by_scan: gate.scans.is_some(),
            gate,
            bench,
            clock,
            survey,
            lanes: BTreeMap::new(),
            scanned: BTreeMap::new(),
            by_slot: serials.0,
            rest: serials.1.into(),
            given: BTreeMap::new(),
            results: Vec::new(),
            passes: VecDeque::new(),
            news: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) const fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn attached(&mut self, board: BoardInfo, cause: EpochCause) {
        let slot = board.slot.clone();
        let refused = match (
            &self.gate.known,
            self.lanes.get(&slot).and_then(|lane| lane.stopped.clone()),
        ) {
            (_, Some(stopped)) => Some(stopped),
            (Some(known), None) if !known.contains(&slot) => {
                Some(Told::of(&Closed::Unknown { slot: slot.clone() }))
            }
            _ => None,
        };
        let lane = self.lanes.entry(slot.clone()).or_insert_with(|| Lane {
            cause,
            stage: Stage::Through,
            failures: 0,
            stopped: None,
        });
        lane.cause = cause;
        lane.stage = match refused {
            Some(error) => {
                self.tally.failed += 1;
                let leave = Leave::Refused(error);
                self.passes.push_back(Pass {
                    slot,
                    cause,
                    leave,
                    serial: None,
                });
                Stage::Through
            }
            None => {
                let (bench, clock, survey) =
                    (Rc::clone(&self.bench), self.clock.clone(), self.survey.clone());
                Stage::Steadying(Box::pin(steady(bench, clock, survey, board, self.gate.stable)))
            }
        };
    }

    pub(crate) fn detached(&mut self, slot: &SlotPath) {
        self.scanned.remove(slot);
        if let Some(lane) = self.lanes.get_mut(slot) {
            lane.stage = Stage::Through;
        }
    }

    /// Nothing more is let through; what ended is still told.
    pub(crate) fn close(&mut self) {
        self.lanes
            .values_mut()
            .for_each(|lane| lane.stage = Stage::Through);
        self.gate.is_continuous = false;
        self.gate.scans = None;
    }

    /// Nothing more comes through by itself.
    pub(crate) fn is_idle(&self) -> bool {
        let is_under_way = |(slot, lane): (&SlotPath, &Lane)| match lane.stage {
            Stage::Through => false,
            Stage::Asking(..) => true,
            // Without a scan nothing follows any more.
            Stage::Steadying(_) | Stage::Scanning(_) => {
                !self.is_scanning_over() || self.scanned.contains_key(slot)
            }
        };
        let is_over = !self.gate.is_continuous || self.is_scanning_over();
        is_over && self.results.is_empty() && !self.lanes.iter().any(is_under_way)
    }

    /// Runs start by scans, and no more come.
    fn is_scanning_over(&self) -> bool {
        self.gate.is_continuous && self.is_scanned() && self.gate.scans.is_none()
    }

    /// Follows what became durable.
    pub(crate) fn durable(&mut self, event: &Event, line: &Line) {
        let Some(slot) = &event.slot else { return };
        match &event.body {
            Body::RunEnded { outcome, error } => {
                self.count(slot, outcome.is_good());
                if let (Some(hook), Some(device), Some(run)) = (&self.gate.hook, event.device, event.run) {
                    let question = Question::Result {
                        slot: slot.clone(),
                        device,
                        serial: line.serial_of_run(&run).cloned(),
                        run,
                        outcome: *outcome,
                        error: error.clone(),
                    };
                    self.results.push((slot.clone(), hook.ask(question)));
                }
            }
            Body::Unresponsive { .. } => self.count(slot, false),
            Body::AlreadyComplete { .. } => self.tally.passed += 1,
            Body::Held { .. } | Body::RunInterrupted { .. } => self.tally.failed += 1,
            Body::RunContinued { .. } => self.tally.failed = self.tally.failed.saturating_sub(1),
            _ => {}
        }
    }

    fn count(&mut self, slot: &SlotPath, is_good: bool) {
        let Some(lane) = self.lanes.get_mut(slot) else {
            return;
        };
        if is_good {
            self.tally.passed += 1;
            lane.failures = 0;
            return;
        }
        self.tally.failed += 1;
        lane.failures += 1;
        if self.gate.is_continuous && self.gate.give_up_after == Some(lane.failures) {
            let error = Told::of(&Closed::GaveUp {
                slot: slot.clone(),
                failures: lane.failures,
            });
            lane.stopped = Some(error.clone());
            self.news.push_back(News::Stopped {
                slot: slot.clone(),
                error,
            });
        }
    }

    pub(crate) fn next_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// The next board that goes through.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, line: &Line) -> Option<Pass> {
        self.follow_results(cx);
        self.follow_lanes(cx, line);
        self.follow_scans(cx);
        // A scan may have begun a question.
        self.follow_lanes(cx, line);
        self.passes.pop_front()
    }

    fn follow_results(&mut self, cx: &mut Context<'_>) {
        let mut told = Vec::new();
        self.results
            .retain_mut(|(slot, result)| match result.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(Ok(_)) => false,
                Poll::Ready(Err(error)) => {
                    told.push((slot.clone(), error));
                    false
                }
            });
        for (slot, error) in told {
            // Whoever must know of each run does not know of this one: no further one begins here.
            self.tally.untold += 1;
            if let Some(lane) = self.lanes.get_mut(&slot) {
                lane.stopped = Some(error.clone());
            }
            self.news.push_back(News::Stopped { slot, error });
        }
    }

    fn follow_lanes(&mut self, cx: &mut Context<'_>, line: &Line) {
        let slots: Vec<SlotPath> = self.lanes.keys().cloned().collect();
        for slot in slots {
            while self.follow(cx, &slot, line) {}
        }
    }

    /// One stage of one slot; true when the next may be over as well.
    fn follow(&mut self, cx: &mut Context<'_>, slot: &SlotPath, line: &Line) -> bool {
        let Some(lane) = self.lanes.get_mut(slot) else {
            return false;
        };
        let cause = lane.cause;
        let through = |leave, serial| Pass {
            slot: slot.clone(),
            cause,
            leave,
            serial,
        };
        match &mut lane.stage {
            Stage::Through => false,
            Stage::Steadying(steady) => match steady.as_mut().poll(cx) {
                Poll::Pending => false,
                Poll::Ready(Err(error)) => {
                    // The engine looks for itself, and tells that nobody answers; if somebody does now it holds him.
                    lane.stage = Stage::Through;
                    self.passes.push_back(through(Leave::Refused(error), None));
                    false
                }
                Poll::Ready(Ok(device)) => {
                    lane.stage = Stage::Scanning(device);
                    let must_scan = self.is_scanned() && !self.scanned.contains_key(slot);
                    if must_scan {
                        self.news.push_back(News::Waits {
                            slot: slot.clone(),
                            is_for_key: self.gate.is_by_key,
                        });
                    }
                    true
                }
            },
            Stage::Scanning(device) => {
                let device = *device;
                let said = self.scanned.remove(slot);
                if self.is_scanned() && said.is_none() {
                    return false;
                }
                let serial = said.flatten().or_else(|| self.serial(slot, device, line));
                if let Some(serial) = &serial {
                    self.given.insert(device, serial.clone());
                }
                let asking = self.gate.hook.as_ref().map(|hook| {
                    hook.ask(Question::MayStart {
                        slot: slot.clone(),
                        device,
                        serial: serial.clone(),
                    })
                });
                let Some(lane) = self.lanes.get_mut(slot) else {
                    return false;
                };
                match asking {
                    Some(asking) => lane.stage = Stage::Asking(device, serial, asking),
                    None => {
                        lane.stage = Stage::Through;
                        self.passes.push_back(through(Leave::Device(device), serial));
                    }
                }
                true
            }
            Stage::Asking(device, serial, asking) => match asking.as_mut().poll(cx) {
                Poll::Pending => false,
                Poll::Ready(answer) => {
                    let (device, serial) = (*device, serial.take());
                    lane.stage = Stage::Through;
                    let pass = match answer {
                        Ok(answer) => through(Leave::Device(device), answer.serial.or(serial)),
                        Err(error) => through(Leave::Refused(error), None),
                    };
                    self.passes.push_back(pass);
                    false
                }
            },
        }
    }

    const fn is_scanned(&self) -> bool {
        self.is_by_scan
    }

    /// The unit that a device is built into: the one that it had before, else that of its slot, else the next of the list
    /// that no other device has.
    fn serial(&mut self, slot: &SlotPath, device: DeviceId, line: &Line) -> Option<UnitSerial> {
        if let Some(serial) = line.serial_of(&device).or_else(|| self.given.get(&device)) {
            return Some(serial.clone());
        }
        let others: BTreeSet<&UnitSerial> = self.given.values().collect();
        let is_free =
            |serial: &UnitSerial| !others.contains(serial) && !line.is_serial_of_other(serial, &device);
        if let Some(own) = self.by_slot.get(slot)
            && (!self.gate.is_continuous || is_free(own))
        {
            return Some(own.clone());
        }
        while let Some(next) = self.rest.pop_front() {
            if is_free(&next) {
                return Some(next);
            }
        }
        None
    }

    fn follow_scans(&mut self, cx: &mut Context<'_>) {
        while let Some(scans) = &mut self.gate.scans {
            match scans.as_mut().poll_next(cx) {
                Poll::Pending => return,
                Poll::Ready(None) => self.gate.scans = None,
                Poll::Ready(Some(line)) => {
                    if let Err(error) = self.scan(&line) {
                        self.news.push_back(News::Scan { error });
                    }
                }
            }
        }
    }

    /// A line that was scanned.
    fn scan(&mut self, line: &str) -> Result<(), Told> {
        let is_by_key = self.gate.is_by_key;
        let refused = |why: &'static str| {
            let line: String = line.chars().take(60).collect();
            let line = line.escape_default().to_string();
            let closed = match is_by_key {
                true => Closed::Key { line, why },
                false => Closed::Scan { line, why },
            };
            Told::of(&closed)
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        if is_by_key {
            return self.key(&words).map_err(refused);
        }
        let (slot, serial) = match words.as_slice() {
            [] => return Ok(()),
            [serial] => (None, *serial),
            [slot, serial] => (Some(*slot), *serial),
            _ => return Err(refused("it is no serial, and no slot with a serial")),
        };
        let serial: UnitSerial = serial.parse().map_err(|_| refused("that is no serial"))?;
        let waiting = self.waiting();
        let slot = match (slot, waiting.as_slice()) {
            (Some(slot), _) => self.slot_called(slot).map_err(refused)?,
            (None, [only]) => only.clone(),
            (None, []) => return Err(refused("no board waits for a scan")),
            (None, _) => return Err(refused("several boards wait for a scan")),
        };
        self.scanned.insert(slot, Some(serial));
        Ok(())
    }

    /// A key was pressed: nothing was typed before it, or a slot.
    fn key(&mut self, words: &[&str]) -> Result<(), &'static str> {
        let slots = match words {
            [] => self.waiting(),
            [slot] => vec![self.slot_called(slot)?],
            _ => return Err("it is more than a slot"),
        };
        if slots.is_empty() {
            return Err("no board waits for it");
        }
        self.scanned.extend(slots.into_iter().map(|slot| (slot, None)));
        Ok(())
    }

    /// The slots whose device is ready and of which nothing was said.
    fn waiting(&self) -> Vec<SlotPath> {
        let lanes = self.lanes.iter();
        lanes
            .filter(|(slot, lane)| {
                matches!(lane.stage, Stage::Scanning(_)) && !self.scanned.contains_key(*slot)
            })
            .map(|(slot, _)| slot.clone())
            .collect()
    }

    fn slot_called(&self, text: &str) -> Result<SlotPath, &'static str> {
        match self.gate.names.get(text) {
            Some(slot) => Ok(slot.clone()),
            None => text.parse().map_err(|_| "there is no such slot"),
        }
    }
}

/// Until the device has told the same id for so long.
async fn steady(
    bench: Rc<dyn Bench>,
    clock: Clock,
    survey: Survey,
    board: BoardInfo,
    stable: Duration,
) -> Result<DeviceId, Told> {
    let mut before = None;
    loop {
        let mut found = look(&bench, &clock, vec![board.clone()], &survey).await;
        let device = found.remove(0).facts?.device;
        if stable.is_zero() || before == Some(device) {
            return Ok(device);
        }
        before = Some(device);
        clock.sleep(stable).await;
    }
}

/// Why a board does not go through, or a scan starts nothing.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("slot {slot} has no name, and this station takes boards only in slots that have one")]
    Unknown { slot: SlotPath },
    #[error("slot {slot} takes no more boards: {failures} in a row have failed")]
    GaveUp { slot: SlotPath, failures: u32 },
    #[error("`{line}` starts nothing: {why}")]
    Scan { line: String, why: &'static str },
    #[error("`{line}` starts nothing: {why}")]
    Key { line: String, why: &'static str },
}

impl Explain for Closed {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "slots.unknown",
            Self::GaveUp { .. } => "run.slot-stopped",
            Self::Scan { .. } => "run.scan",
            Self::Key { .. } => "run.key",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unknown { .. } => {
                "Name it with `lineside slots name`, or use another socket; `[slots] unknown` in station.toml says so."
            }
            Self::GaveUp { .. } => "Look after its socket, cable and fixture, then start the command again.",
            Self::Scan { .. } => {
                "Scan the serial of the unit when one board waits; write SLOT SERIAL when several do."
            }
            Self::Key { .. } => {
                "Press the key when a board waits: all that wait start. Type a slot before it to start that one."
            }
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        match self {
            Self::GaveUp { .. } => Blame::Board,
            Self::Unknown { .. } | Self::Scan { .. } | Self::Key { .. } => Blame::Station,
        }
    }
}
