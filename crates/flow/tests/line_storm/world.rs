//! Devices, sockets, a runner and a journal, all of them as unkind as they can be.
//!
//! The devices are the judges: they know what was asked of them and what they did.

mod weather;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use lineside_flow::interlock::{
    EpochCause, Facts, Look, OnceKey, Permit, Reading, Receipt, SessionTag, Verdict,
};
use lineside_flow::{Body, Effect, Event, Input, Line, Recipe, Report, Standing, Work};
use lineside_terms::{DeviceId, Epoch, Instant, ManufacturingState, Outcome, RunId, SecurityState, SlotPath};

use crate::dice::Dice;
use crate::line_kit::{
    LOCK, NEW, NO_HISTORY, OLD, device, recipe, resume, resume_kept, serials, shared, slot, stamp, step, told,
};

pub(crate) const SLOTS: u8 = 3;

/// One chip, and the truth about it.
struct Chip {
    id: DeviceId,
    state: ManufacturingState,
    /// How often it was asked to lock, and how often it did.
    asked: u32,
    applied: u32,
    /// A request that it has received and may still follow, until it loses power or is reset.
    pending: Option<ManufacturingState>,
    /// Grows with everything that ends a connection.
    connection: u64,
    boots: u64,
    socket: Option<u8>,
}

impl Chip {
    fn apply(&mut self, target: ManufacturingState) {
        self.state = target;
        self.applied += 1;
        assert!(self.applied <= 1, "it was applied twice");
    }

    fn restart(&mut self) {
        self.pending = None;
        self.boots += 1;
        self.connection += 1;
    }
}

/// A verified connection: it is to one chip, and dies with every restart or lost link.
#[derive(Clone)]
struct Link {
    chip: usize,
    connection: u64,
    epoch: Epoch,
    tag: u64,
    writes: u64,
}

/// What the runner does with one socket: one thing at a time.
#[derive(Default)]
struct Worker {
    orders: VecDeque<Effect>,
    reply: Option<Reply>,
    link: Option<Link>,
    is_stopped: bool,
}

/// An input that can be told again.
#[derive(Debug, Clone)]
enum Reply {
    Seen(SlotPath, EpochCause),
    Gone(SlotPath),
    Identified(SlotPath, Epoch, DeviceId, ManufacturingState, Instant),
    Unresponsive(SlotPath, Epoch),
    Performed(SlotPath, Epoch, RunId, Outcome, bool),
    Read(SlotPath, RunId, Box<Facts>),
    Acted(SlotPath, RunId, OnceKey, Option<Look>),
}

impl Reply {
    fn input(self) -> Input {
        match self {
            Self::Seen(slot, cause) => Input::Seen { slot, cause },
            Self::Gone(slot) => Input::Gone { slot },
            Self::Identified(slot, epoch, device, state, read_at) => Input::Identified {
                slot,
                epoch,
                device,
                state,
                security: SecurityState::Secure,
                read_at,
            },
            Self::Unresponsive(slot, epoch) => Input::Unresponsive {
                slot,
                epoch,
                error: told("board.silent"),
            },
            Self::Performed(slot, epoch, run, outcome, is_link_over) => Input::Performed {
                slot,
                epoch,
                run,
                report: match outcome {
                    Outcome::Pass => Report {
                        is_link_over,
                        ..Report::passed()
                    },
                    _ => Report::failed(outcome, told("step.failed"), is_link_over),
                },
            },
            Self::Read(slot, run, facts) => Input::Read { slot, run, facts },
            Self::Acted(slot, run, key, look) => Input::Acted {
                slot,
                run,
                key,
                look,
                error: Some(told("device.no-answer")),
            },
        }
    }
}

/// What the journal has promised to keep; judged against.
#[derive(Default)]
struct Promised {
    /// How many events this was made from.
    count: usize,
    devices: BTreeMap<RunId, DeviceId>,
    started: BTreeMap<(RunId, usize), u32>,
    /// Runs that can only end: a step has failed for good.
    failed: BTreeSet<RunId>,
    passed: BTreeSet<RunId>,
    intended: BTreeSet<OnceKey>,
    disproved: BTreeSet<OnceKey>,
}

impl Promised {
    fn note(&mut self, event: &Event, recipe: &Recipe) {
        self.count += 1;
        let Some(run) = event.run else { return };
        match &event.body {
            Body::RunStarted { .. } => {
                self.devices
                    .insert(run, event.device.expect("a run has a device"));
            }
            Body::StepStarted { step, attempt, .. } => {
                let index = recipe.steps.iter().position(|known| known.id == *step);
                self.started
                    .insert((run, index.expect("a step of the plan")), *attempt);
            }
            Body::StepEnded {
                outcome: Outcome::Fail,
                ..
            } => {
                self.failed.insert(run);
            }
            Body::RunEnded { outcome, .. } => {
                if outcome.is_good() {
                    self.passed.insert(run);
                } else {
                    self.failed.insert(run);
                }
            }
            Body::Intended { intent, .. } => {
                self.intended.insert(intent.key);
            }
            Body::Decided { key, verdict, .. } if *verdict == Verdict::Disproved => {
                self.disproved.insert(*key);
            }
            _ => {}
        }
    }
}

pub(crate) struct World {
    pub dice: Dice,
    pub line: Line,
    recipe: Rc<Recipe>,
    boot: u8,
    now: u64,
    tags: u64,
    chips: Vec<Chip>,
    workers: BTreeMap<SlotPath, Worker>,
    /// What the bench will tell, in this order.
    news: VecDeque<Reply>,
    /// Replies that were told before.
    told: Vec<Reply>,
    pub journal: Vec<Event>,
    /// How much of it is on the disk.
    durable: usize,
    /// How much of that the engine was told.
    receipt: usize,
    promised: Promised,
    /// Who answered on a socket under an epoch, as the engine was told.
    answered: BTreeMap<Epoch, DeviceId>,
    is_store_down: bool,
    is_clone_about: bool,
    /// How many of a hundred chances for a mishap are taken.
    roughness: u64,
    /// How many mishaps there were.
    pub mishaps: u64,
    /// No more bad luck.
    is_calm: bool,
    /// Everything is told as it happens.
    pub is_loud: bool,
}

/// Long and short plans; the shorter, the more of the storm falls on the act.
fn storm_recipe(dice: &mut Dice) -> Recipe {
    let mut steps = vec![
        step("load", Work::Perform),
        step("measure", Work::Perform),
        step("other", Work::Perform),
        step("ready", Work::Prove),
        step("lock", LOCK),
        step("final-look", Work::Perform),
    ];
    match dice.below(4) {
        0 => {}
        1 => drop(steps.remove(3)),
        2 => drop(steps.drain(1..3)),
        _ => drop(steps.drain(..4)),
    }
    let mut recipe = recipe(1, steps);
    for step in &mut recipe.steps {
        step.retries = u32::try_from(dice.below(4)).expect("it is small");
    }
    let measure = recipe.steps.iter().position(|step| step.label == "measure");
    if let Some(measure) = measure {
        recipe.steps[measure].instruments = vec!["analyser".to_owned()];
        recipe.steps[measure + 1].needs = vec![measure - 1];
    }
    recipe.attempt_limit = 4;
    recipe
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let recipe = shared(storm_recipe(&mut dice));
        let chip = |n: u8| Chip {
            id: device(n),
            state: OLD,
            asked: 0,
            applied: 0,
            pending: None,
            connection: 0,
            boots: 0,
            socket: None,
        };
        let mut chips: Vec<Chip> = (1..=SLOTS + 1).map(chip).collect();
        if dice.percent(15) {
            chips.push(chip(1));
        }
        let mut world = Self {
            line: resume(1, "", NO_HISTORY).unwrap(),
            recipe,
            boot: 0,
            now: 1_000,
            tags: 0,
            chips,
            workers: BTreeMap::new(),
            news: VecDeque::new(),
            told: Vec::new(),
            journal: Vec::new(),
            durable: 0,
            receipt: 0,
            promised: Promised::default(),
            answered: BTreeMap::new(),
            is_store_down: false,
            is_clone_about: false,
            roughness: dice.next() % 60,
            mishaps: 0,
            is_calm: false,
            is_loud: false,
            dice,
        };
        for n in 1..=SLOTS {
            world.insert(usize::from(n - 1), n);
        }
        world.start();
        world
    }

    /// The program starts on what the disk has kept.
    fn start(&mut self) {
        self.boot += 1;
        self.workers.clear();
        self.news.clear();
        self.told.clear();
        self.is_store_down = false;
        // Every other start goes on from what an earlier one kept.
        let resumed = if self.boot.is_multiple_of(2) {
            resume_kept(self.boot, &self.journal, self.journal.len() / 2)
        } else {
            resume(self.boot, "", &self.journal)
        };
        self.line = resumed.expect("what the engine wrote is a legal history, cut where it may be");
        let events = self.line.start("0.1.0", "storm", stamp(self.now));
        self.journal.extend(events);
        self.begin();
        for n in 1..=SLOTS {
            if self.chip_at(n).is_some() {
                self.tell(Reply::Seen(slot(n), EpochCause::Found));
            }
        }
    }

    fn begin(&mut self) {
        let begin = Input::Begin {
            recipe: Rc::clone(&self.recipe),
            serials: serials(SLOTS),
            expected: None,
            only: None,
        };
        let events = self.line.take(begin, stamp(self.now)).unwrap();
        self.journal.extend(events);
    }

    /// The program dies at once. The disk keeps what it has promised, and may have kept more.
    pub(crate) fn crash(&mut self) {
        let luck = self.dice.below(self.journal.len() - self.durable + 1);
        self.journal.truncate(self.durable + luck);
        self.say(|| format!("== crash, {} events are left", self.journal.len()));
        self.promise(self.journal.len());
        self.receipt = self.durable;
        for worker in self.workers.values_mut() {
            worker.link = None;
        }
        self.start();
    }

    fn promise(&mut self, count: usize) {
        self.durable = count;
        for event in &self.journal[self.promised.count..count] {
            self.promised.note(event, &self.recipe);
        }
    }

    fn say(&self, line: impl FnOnce() -> String) {
        if self.is_loud {
            let mut line = line();
            for chip in &self.chips {
                line = line.replace(&chip.id.to_string(), &format!("chip {}", chip.id.as_bytes()[0]));
            }
            println!("{line}");
        }
    }

    fn tell(&mut self, reply: Reply) {
        self.now += 1 + self.dice.next() % 1_000_000;
        let again = self.dice.percent(25).then(|| reply.clone());
        self.say(|| format!("-> {reply:?}"));
        let answered = match &reply {
            Reply::Identified(_, epoch, device, ..) => Some((*epoch, *device)),
            _ => None,
        };
        if let Ok(events) = self.line.take(reply.input(), stamp(self.now)) {
            self.answered.extend(answered);
            for event in &events {
                self.say(|| format!("     {} {:?} {:?}", event.sequence, event.slot, event.body));
            }
            self.journal.extend(events);
        }
        self.told.extend(again);
    }

    /// Something old is told once more, as a confused runner might.
    fn tell_again(&mut self) {
        if self.told.is_empty() {
            return;
        }
        let index = self.dice.below(self.told.len());
        let reply = self.told[index].clone();
        let may_be = match &reply {
            // A runner that invents boards, resets or results of the running step cannot be seen through.
            Reply::Seen(..) | Reply::Gone(_) => false,
            Reply::Performed(slot, epoch, ..) => self.line.epoch(slot) != Some(*epoch),
            _ => true,
        };
        if may_be {
            self.tell(reply);
        }
    }

    // The journal

    fn sync(&mut self) {
        let more = self.dice.below(self.journal.len() - self.durable + 1);
        let count = if self.is_calm {
            self.journal.len()
        } else {
            self.durable + more
        };
        if !self.is_store_down {
            self.promise(count);
        }
    }

    fn tell_receipt(&mut self) {
        if self.is_store_down {
            return;
        }
        self.receipt = self.durable;
        let receipt = Receipt::issued_by_the_journal(self.durable as u64);
        for effect in self.line.react(&receipt, Instant::from_nanos(self.now)) {
            self.order(effect);
        }
    }

    /// Every effect is judged by what the journal has promised, then given to the runner.
    fn order(&mut self, effect: Effect) {
        self.say(|| format!("  <- {effect:?}"));
        if let Effect::Identify { slot, epoch, .. }
        | Effect::Reset { slot, epoch }
        | Effect::Perform { slot, epoch, .. }
        | Effect::ReadFacts { slot, epoch, .. } = &effect
        {
            assert_eq!(
                self.line.epoch(slot),
                Some(*epoch),
                "an effect of an epoch that is over"
            );
        }
        let path = match &effect {
            Effect::Perform {
                slot,
                epoch,
                run,
                device,
                step,
                attempt,
                ..
            } => {
                let started = self.promised.started.get(&(*run, *step));
                assert_eq!(
                    started,
                    Some(attempt),
                    "a step is done whose start is not durable"
                );
                assert_eq!(
                    self.promised.devices.get(run),
                    Some(device),
                    "a step for a foreign device"
                );
                assert_eq!(
                    self.answered.get(epoch),
                    Some(device),
                    "another device answered there"
                );
                assert!(
                    !self.promised.failed.contains(run),
                    "a step is done after the run has failed"
                );
                slot.clone()
            }
            Effect::Act { slot, run, permit } => {
                let key = permit.key();
                assert!(
                    self.promised.intended.contains(key),
                    "an act without a durable intent"
                );
                let earlier = (1..key.generation).map(|generation| OnceKey { generation, ..*key });
                for earlier in earlier {
                    assert!(
                        self.promised.disproved.contains(&earlier),
                        "an act before {earlier} is disproved"
                    );
                }
                assert_eq!(
                    self.promised.devices.get(run),
                    Some(permit.device()),
                    "an act on a foreign device"
                );
                assert_eq!(self.answered.get(&permit.epoch()), Some(permit.device()));
                slot.clone()
            }
            Effect::Stop { slot } => {
                self.workers.entry(slot.clone()).or_default().is_stopped = true;
                return;
            }
            Effect::Identify { slot, .. }
            | Effect::Reset { slot, .. }
            | Effect::ReadFacts { slot, .. }
            | Effect::NotActed { slot, .. }
            | Effect::Release { slot } => slot.clone(),
        };
        self.workers.entry(path).or_default().orders.push_back(effect);
    }

    // The boards

    fn chip_at(&self, socket: u8) -> Option<usize> {
        self.chips.iter().position(|chip| chip.socket == Some(socket))
    }

    fn insert(&mut self, chip: usize, socket: u8) {
        let is_clone = chip > usize::from(SLOTS);
        self.is_clone_about |= is_clone;
        let chip = &mut self.chips[chip];
        chip.restart();
        chip.socket = Some(socket);
    }

    fn plug(&mut self) {
        let socket = 1 + u8::try_from(self.dice.below(usize::from(SLOTS))).expect("it is small");
        let loose: Vec<usize> = (0..self.chips.len())
            .filter(|chip| self.chips[*chip].socket.is_none())
            .collect();
        if self.chip_at(socket).is_none() && !loose.is_empty() {
            let chip = loose[self.dice.below(loose.len())];
            self.insert(chip, socket);
            self.news
                .push_back(Reply::Seen(slot(socket), EpochCause::Attached));
        }
    }

    fn unplug(&mut self) {
        let chip = self.dice.below(self.chips.len());
        let chip = &mut self.chips[chip];
        if let Some(socket) = chip.socket.take() {
            chip.restart();
            self.news.push_back(Reply::Gone(slot(socket)));
        }
    }

    fn bench_news(&mut self) {
        if let Some(news) = self.news.pop_front() {
            self.tell(news);
        }
    }

    /// A request that lay somewhere on the way is followed now.
    fn late_apply(&mut self) {
        let chip = self.dice.below(self.chips.len());
        let chip = &mut self.chips[chip];
        if let Some(target) = chip.pending.take() {
            chip.apply(target);
        }
    }

    // The runner

    fn some_worker(&mut self) -> Option<SlotPath> {
        let count = self.workers.len();
        if count == 0 {
            return None;
        }
        let index = self.dice.below(count);
        self.workers.keys().nth(index).cloned()
    }

    fn deliver(&mut self, path: &SlotPath) -> bool {
        let reply = self.workers.get_mut(path).and_then(|worker| worker.reply.take());
        let is_some = reply.is_some();
        if let Some(reply) = reply {
            self.tell(reply);
        }
        is_some
    }

    fn work(&mut self, path: &SlotPath) -> bool {
        let Some(worker) = self.workers.get_mut(path) else {
            return false;
        };
        if worker.reply.is_some() {
            return false;
        }
        let Some(effect) = worker.orders.pop_front() else {
            return false;
        };
        let reply = self.carry_out(path, effect);
        self.workers.get_mut(path).expect("it was there just now").reply = reply;
        true
    }

    /// The connection of a socket, if it is alive.
    fn alive(&self, path: &SlotPath) -> Option<Link> {
        let link = self.workers.get(path)?.link.clone()?;
        let chip = &self.chips[link.chip];
        (chip.connection == link.connection).then_some(link)
    }

    fn set_link(&mut self, path: &SlotPath, link: Option<Link>) {
        self.workers.entry(path.clone()).or_default().link = link;
    }

    fn luck(&mut self, percent: u64) -> bool {
        self.is_calm || self.dice.percent(percent)
    }

    fn carry_out(&mut self, path: &SlotPath, effect: Effect) -> Option<Reply> {
        let socket = (1..=SLOTS)
            .find(|n| slot(*n) == *path)
            .expect("a socket of this bench");
        let here = self.chip_at(socket);
        let is_stopped = self.workers.get(path).is_some_and(|worker| worker.is_stopped);
        let now = Instant::from_nanos(self.now);
        Some(match effect {
            Effect::Identify { slot, epoch, .. } => {
                let answers = here.filter(|_| self.luck(if is_stopped { 40 } else { 92 }));
                let link = answers.map(|chip| {
                    self.tags += 1;
                    Link {
                        chip,
                        connection: self.chips[chip].connection,
                        epoch,
                        tag: self.tags,
                        writes: 0,
                    }
                });
                self.set_link(path, link);
                match answers {
                    Some(chip) => {
                        Reply::Identified(slot, epoch, self.chips[chip].id, self.chips[chip].state, now)
                    }
                    None => Reply::Unresponsive(slot, epoch),
                }
            }
            Effect::Reset { slot, epoch } => {
                self.set_link(path, None);
                match here.filter(|_| self.luck(85)) {
                    Some(chip) => {
                        self.chips[chip].restart();
                        Reply::Seen(slot, EpochCause::Reset)
                    }
                    None => Reply::Unresponsive(slot, epoch),
                }
            }
            Effect::Perform {
                slot,
                epoch,
                run,
                device,
                ..
            } => {
                let link = self.alive(path).filter(|link| self.chips[link.chip].id == device);
                let Some(mut link) = link else {
                    return Some(Reply::Performed(slot, epoch, run, Outcome::Error, true));
                };
                link.writes += 1;
                let chip = link.chip;
                self.set_link(path, Some(link));
                let roll = if self.is_calm { 99 } else { self.dice.below(100) };
                let (outcome, is_over) = match roll {
                    0..2 => (Outcome::Fail, false),
                    2..5 => (Outcome::Error, false),
                    5..9 => (Outcome::Error, true),
                    9..11 => (Outcome::Unknown, false),
                    11..18 => (Outcome::Pass, true),
                    _ => (Outcome::Pass, false),
                };
                if is_over {
                    self.chips[chip].restart();
                }
                Reply::Performed(slot, epoch, run, outcome, is_over)
            }
            Effect::ReadFacts { slot, epoch, run } => match self.alive(path) {
                Some(link) => {
                    let chip = &self.chips[link.chip];
                    let mut facts = crate::line_kit::facts(chip.id, epoch, chip.state, now);
                    facts.session = SessionTag::from_bytes(u128::from(link.tag).to_le_bytes());
                    facts.writes = link.writes;
                    facts.uptime_first_s = chip.boots;
                    facts.uptime_last_s = chip.boots;
                    if !self.luck(97) {
                        facts.wifi = Reading::Read(vec!["left over".to_owned()]);
                    }
                    Reply::Read(slot, run, Box::new(facts))
                }
                None => Reply::Performed(slot, epoch, run, Outcome::Error, true),
            },
            Effect::Act { slot, run, permit } => {
                let key = *permit.key();
                let look = self.act(path, permit);
                Reply::Acted(slot, run, key, look)
            }
            Effect::NotActed { slot, run, key, .. } => Reply::Acted(slot, run, key, None),
            Effect::Stop { .. } => return None,
            Effect::Release { .. } => {
                self.set_link(path, None);
                return None;
            }
        })
    }
}
