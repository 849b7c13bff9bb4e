//! A bench in which nothing happens by chance: every choice is named, so that every order of choices can be tried.
//!
//! The chips are the judges. What the engine says is turned into [`Order`]s, which can be copied: a planted bug may
//! repeat or alter them, and the product's own permits stay what they are.

mod boards;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash as _, Hasher as _};
use std::rc::Rc;

use lineside_flow::interlock::{
    EpochCause, Facts, Grant, Look, OnceKey, Reading, Receipt, Requirement, SessionTag, Verdict,
};
use lineside_flow::{Body, Effect, Event, Input, Line, Recipe, Report, Work};
use lineside_terms::{DeviceId, Epoch, Instant, ManufacturingState, Outcome, RunId, SecurityState};

use crate::Bounds;
use crate::bugs::Bug;
use crate::line_kit::{
    LOCK, NEW, NO_HISTORY, OLD, device, facts, recipe, resume, serials, shared, slot, stamp, step, told,
};

/// The approval that is given.
const GRANT: &str = "a";

fn quality() -> Requirement {
    Requirement {
        role: "quality".to_owned(),
        people: 1,
    }
}

/// Time stands still: nothing here depends on it.
const NOW: u64 = 1_000_000_000;

/// One thing that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Everything written so far becomes durable and the engine hears of it.
    Sync,
    /// The runner does what is next on this socket, and tells.
    Work(u8),
    /// It does so, and something goes wrong.
    Mishap(u8, Fault),
    /// A request that lay on the way is followed.
    Late(u8),
    /// The boards of two sockets change places.
    Swap(u8, u8),
    /// The program dies; so many events more than promised are on the disk.
    Crash(u8),
    /// The runner does what is next on this socket, and the program dies before it is told.
    CrashAtWork(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody answers.
    Silent,
    /// The step fails, which says something about the device.
    Fails,
    /// The step cannot be done: the link is lost.
    LinkLost,
    /// The act is refused.
    Refused,
    /// The act is done and its answer is lost.
    AnswerLost,
    /// The request arrives, and may be followed later.
    Lingers,
    /// Something is left over on the device.
    LeftOver,
    /// The board is taken out and put back before the runner tells what it did.
    Replugged,
}

/// What the engine asked for.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    Identify(Epoch),
    Reset(Epoch),
    Perform {
        epoch: Epoch,
        run: RunId,
        device: DeviceId,
        step: usize,
        attempt: u32,
    },
    ReadFacts(Epoch, RunId),
    Act(Act),
    NotActed(RunId, OnceKey),
    Release,
}

/// What a permit says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pub run: RunId,
    pub key: OnceKey,
    pub device: DeviceId,
    pub from: ManufacturingState,
    pub epoch: Epoch,
    pub session: SessionTag,
    pub writes: u64,
}

/// An answer that can be altered before the engine hears it.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Seen(EpochCause),
    Gone,
    Identified(Epoch, DeviceId, ManufacturingState),
    Unresponsive(Epoch),
    Performed(Epoch, RunId, Outcome, bool),
    Read(RunId, Box<Facts>),
    Acted(RunId, OnceKey, Option<Look>),
}

#[derive(Debug, Clone, Hash)]
struct Chip {
    number: u8,
    state: ManufacturingState,
    applied: u8,
    pending: bool,
    /// Something is left over on it that must not be there.
    is_dirty: bool,
    connection: u64,
}

impl Chip {
    fn restart(&mut self) {
        self.pending = false;
        self.connection += 1;
    }
}

/// A verified connection to one chip.
#[derive(Debug, Clone, Copy)]
struct Link {
    chip: usize,
    connection: u64,
    epoch: Epoch,
    tag: u64,
    writes: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Socket {
    pub orders: VecDeque<Order>,
    link: Option<Link>,
    /// Everything that was written about this socket, epochs and numbers left out.
    history: u64,
    written: usize,
    /// The chip in it.
    chip: usize,
}

/// What the disk has promised to keep.
#[derive(Debug, Clone, Default)]
struct Promised {
    count: usize,
    started: BTreeMap<(RunId, usize), u32>,
    passed: BTreeSet<RunId>,
    intended: BTreeSet<OnceKey>,
    disproved: BTreeSet<OnceKey>,
}

#[cfg_attr(feature = "copies", derive(Clone))]
pub(crate) struct World {
    pub line: Line,
    pub recipe: Rc<Recipe>,
    pub sockets: Vec<Socket>,
    chips: Vec<Chip>,
    pub journal: Vec<Rc<Event>>,
    durable: usize,
    promised: Promised,
    answered: BTreeMap<Epoch, DeviceId>,
    /// The steps that devices truly went through, and those they failed, by run.
    done: BTreeSet<(RunId, usize)>,
    failed: BTreeSet<RunId>,
    /// Acts that the engine asked for.
    pub acts: Vec<OnceKey>,
    pub boot: u8,
    tags: u64,
    pub faults: u8,
    pub crashes: u8,
    /// For how many units somebody gives leave, where the plan asks for it.
    approved: Option<u32>,
    /// The first promise that was broken.
    pub violation: Option<String>,
    pub bug: Option<Bug>,
    pub memory: crate::bugs::Memory,
}

impl World {
    pub(crate) fn new(bounds: Bounds, bug: Option<Bug>) -> Self {
        let Bounds {
            slots,
            faults,
            crashes,
            approved,
            ..
        } = bounds;
        let mut recipe = recipe(1, vec![step("load", Work::Perform), step("lock", LOCK)]);
        for step in &mut recipe.steps {
            step.retries = 1;
        }
        if approved.is_some() {
            recipe.approvals.insert("lock".parse().unwrap(), quality());
        }
        let mut world = Self {
            line: resume(1, "", NO_HISTORY).unwrap(),
            recipe: shared(recipe),
            sockets: Vec::new(),
            chips: Vec::new(),
            journal: Vec::new(),
            durable: 0,
            promised: Promised::default(),
            answered: BTreeMap::new(),
            done: BTreeSet::new(),
            failed: BTreeSet::new(),
            acts: Vec::new(),
            boot: 0,
            tags: 0,
            faults,
            crashes,
            approved,
            violation: None,
            bug,
            memory: crate::bugs::Memory::default(),
        };
        for n in 0..slots {
            world.chips.push(Chip {
                number: n + 1,
                state: OLD,
                applied: 0,
                pending: false,
                is_dirty: false,
                connection: 0,
            });
            world.sockets.push(Socket {
                chip: usize::from(n),
                ..Socket::default()
            });
        }
        world.start();
        world
    }

    fn blame(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert(what.into());
    }

    fn require(&mut self, is_so: bool, what: &str) {
        if !is_so {
            self.blame(what);
        }
    }

    fn start(&mut self) {
        self.boot += 1;
        for socket in &mut self.sockets {
            socket.orders.clear();
            socket.link = None;
        }
        self.alter_history();
        if self.journal.len() < self.durable {
            self.blame("something acknowledged is lost");
            self.durable = self.journal.len();
        }
        match resume(self.boot, "", self.journal.iter().map(Rc::as_ref)) {
            Ok(line) => self.line = line,
            Err(error) => return self.blame(format!("the history is not legal: {error}")),
        }
        let events = self.line.start("0.1.0", "explored", stamp(NOW));
        self.write(events);
        let begin = Input::Begin {
            recipe: Rc::clone(&self.recipe),
            serials: serials(u8::try_from(self.sockets.len()).unwrap()),
            expected: None,
            only: None,
        };
        let events = self.line.take(begin, stamp(NOW)).unwrap();
        self.write(events);
        if let Some(units) = self.approved
            && !self.line.approvals().knows(GRANT)
        {
            let grant = Input::Approve {
                grant: self.grant(GRANT, units),
                proof: String::new(),
            };
            let events = self.line.take(grant, stamp(NOW)).unwrap();
            self.write(events);
        }
        for n in 0..self.sockets.len() {
            self.tell(n, Reply::Seen(EpochCause::Found));
        }
        self.orders_after_start();
    }

    pub(crate) fn grant(&self, id: &str, units: u32) -> Grant {
        Grant {
            id: id.to_owned(),
            station: "station-1".parse().unwrap(),
            plan: self.recipe.plan,
            step: "lock".parse().unwrap(),
            role: quality().role,
            by: "qa-1".to_owned(),
            units,
            until_ms: i64::MAX,
            made_ms: None,
            why: "explored".to_owned(),
        }
    }

    fn write(&mut self, events: Vec<Event>) {
        for event in self.alter_events(events) {
            for (n, socket) in (1..).zip(&mut self.sockets) {
                if event.slot.as_ref().is_none_or(|path| *path == slot(n)) {
                    socket.history = chained(socket.history, &event);
                    socket.written += 1;
                }
            }
            self.journal.push(Rc::new(event));
        }
    }

    // What can happen

    pub(crate) fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        let sockets = || (0_u8..).zip(&self.sockets);
        for (n, socket) in sockets() {
            if !socket.orders.is_empty() {
                choices.push(Choice::Work(n));
            }
            if self.chips[socket.chip].pending {
                choices.push(Choice::Late(n));
            }
        }
        let unsynced = self.journal.len() - self.durable;
        if unsynced > 0 {
            choices.push(Choice::Sync);
        }
        if self.faults > 0 {
            for (n, socket) in sockets() {
                let of_order: &[Fault] = match socket.orders.front() {
                    Some(Order::Identify(_)) => &[Fault::Silent, Fault::Replugged],
                    Some(Order::Reset(_)) => &[Fault::Silent],
                    Some(Order::Perform { .. }) => &[Fault::Fails, Fault::LinkLost, Fault::Replugged],
                    Some(Order::ReadFacts(..)) => &[Fault::LeftOver, Fault::LinkLost, Fault::Replugged],
                    Some(Order::Act(_)) => &[
                        Fault::Refused,
                        Fault::AnswerLost,
                        Fault::Lingers,
                        Fault::Replugged,
                    ],
                    Some(Order::NotActed(..) | Order::Release) | None => &[],
                };
                choices.extend(of_order.iter().map(|fault| Choice::Mishap(n, *fault)));
                choices.extend((0..n).map(|other| Choice::Swap(other, n)));
            }
        }
        if self.crashes > 0 {
            choices.extend((0..=unsynced).map(|kept| Choice::Crash(u8::try_from(kept).unwrap())));
            for (n, socket) in sockets() {
                if matches!(socket.orders.front(), Some(Order::Perform { .. } | Order::Act(_))) {
                    choices.push(Choice::CrashAtWork(n));
                }
            }
        }
        choices
    }

    /// True when nothing more happens by itself.
    pub(crate) fn is_quiet(&self) -> bool {
        self.durable == self.journal.len() && self.sockets.iter().all(|socket| socket.orders.is_empty())
    }

    pub(crate) fn happen(&mut self, choice: Choice) {
        match choice {
            Choice::Sync => self.sync(),
            Choice::Work(n) => self.work(usize::from(n), None),
            Choice::Mishap(n, fault) => {
                self.faults -= 1;
                self.work(usize::from(n), Some(fault));
            }
            Choice::Late(n) => {
                let chip = &mut self.chips[self.sockets[usize::from(n)].chip];
                chip.pending = false;
                chip.state = NEW;
                chip.applied += 1;
            }
            Choice::Swap(one, other) => {
                self.faults -= 1;
                let (one, other) = (usize::from(one), usize::from(other));
                self.unplug(one);
                self.unplug(other);
                let there = self.sockets[one].chip;
                self.sockets[one].chip = self.sockets[other].chip;
                self.sockets[other].chip = there;
                self.tell(one, Reply::Seen(EpochCause::Attached));
                self.tell(other, Reply::Seen(EpochCause::Attached));
            }
            Choice::Crash(kept) => self.crash(usize::from(kept)),
            Choice::CrashAtWork(n) => {
                if let Some(order) = self.sockets[usize::from(n)].orders.pop_front() {
                    let _ = self.carry_out(usize::from(n), order, Some(Fault::AnswerLost));
                }
                self.crash(0);
            }
        }
    }

    fn unplug(&mut self, n: usize) {
        let chip = self.sockets[n].chip;
        self.chips[chip].restart();
        self.tell(n, Reply::Gone);
    }

    fn crash(&mut self, kept: usize) {
        self.crashes -= 1;
        self.journal.truncate(self.durable + kept);
        self.promise();
        // A failure that was not written down yet is not known any more: the step is done again, and counts anew.
        let journal = &self.journal;
        self.failed.retain(|run| {
            let fails = |event: &Event| {
                event.run == Some(*run)
                    && matches!(
                        event.body,
                        Body::StepEnded {
                            outcome: Outcome::Fail,
                            ..
                        }
                    )
            };
            journal.iter().any(|event| fails(event))
        });
        for (n, socket) in (1..).zip(&mut self.sockets) {
            let its = |event: &&Rc<Event>| event.slot.as_ref().is_none_or(|path| *path == slot(n));
            socket.history = self
                .journal
                .iter()
                .filter(its)
                .fold(0, |before, event| chained(before, event));
            socket.written = self.journal.iter().filter(its).count();
        }
        self.start();
    }

    fn promise(&mut self) {
        self.durable = self.journal.len();
        let Promised {
            count,
            started,
            passed,
            intended,
            disproved,
        } = &mut self.promised;
        for event in &self.journal[(*count).min(self.durable)..] {
            match (&event.body, event.run) {
                (Body::StepStarted { step, attempt, .. }, Some(run)) => {
                    let index = self.recipe.steps.iter().position(|known| known.id == *step);
                    started.insert((run, index.unwrap()), *attempt);
                }
                (Body::RunEnded { outcome, .. }, Some(run)) if outcome.is_good() => drop(passed.insert(run)),
                (Body::Intended { intent, .. }, _) => drop(intended.insert(intent.key)),
                (
                    Body::Decided {
                        key,
                        verdict: Verdict::Disproved,
                        ..
                    },
                    _,
                ) => drop(disproved.insert(*key)),
                _ => {}
            }
        }
        *count = self.durable;
    }

    fn sync(&mut self) {
        self.promise();
        self.receipt(self.durable);
    }

    pub(crate) fn receipt(&mut self, through: usize) {
        let receipt = Receipt::issued_by_the_journal(through as u64);
        for effect in self.line.react(&receipt, Instant::from_nanos(NOW)) {
            let (path, order) = match effect {
                Effect::Identify { slot, epoch, .. } => (slot, Order::Identify(epoch)),
                Effect::Reset { slot, epoch } => (slot, Order::Reset(epoch)),
                Effect::Perform {
                    slot,
                    epoch,
                    run,
                    device,
                    step,
                    attempt,
                    ..
                } => (
                    slot,
                    Order::Perform {
                        epoch,
                        run,
                        device,
                        step,
                        attempt,
                    },
                ),
                Effect::ReadFacts { slot, epoch, run } => (slot, Order::ReadFacts(epoch, run)),
                Effect::Act { slot, run, permit } => {
                    let act = Act {
                        run,
                        key: *permit.key(),
                        device: *permit.device(),
                        from: permit.from(),
                        epoch: permit.epoch(),
                        session: permit.session(),
                        writes: permit.writes(),
                    };
                    (slot, Order::Act(act))
                }
                Effect::NotActed { slot, run, key, .. } => (slot, Order::NotActed(run, key)),
                Effect::Release { slot } => (slot, Order::Release),
                Effect::Stop { .. } => continue,
            };
            let n = (0..self.sockets.len())
                .find(|n| slot(u8::try_from(n + 1).unwrap()) == path)
                .unwrap();
            for (n, order) in self.alter_order(n, order) {
                self.order(n, order);
            }
        }
    }

    /// Every order is judged by what the disk has promised, then given to the runner.
    pub(crate) fn order(&mut self, n: usize, order: Order) {
        let current = self.line.epoch(&slot(u8::try_from(n + 1).unwrap()));
        match &order {
            Order::Identify(epoch) | Order::Reset(epoch) | Order::ReadFacts(epoch, _) => {
                self.require(current == Some(*epoch), "an effect of another epoch");
            }
            Order::Perform {
                epoch,
                run,
                device,
                step,
                attempt,
            } => {
                self.require(current == Some(*epoch), "a step of another epoch");
                let started = self.promised.started.get(&(*run, *step)) == Some(attempt);
                self.require(started, "a step is done whose start is not durable");
                let is_answer = self.answered.get(epoch) == Some(device);
                self.require(is_answer, "a step for a device that did not answer there");
            }
            Order::Act(act) => {
                let key = act.key;
                self.require(
                    self.promised.intended.contains(&key),
                    "an act without a durable intent",
                );
                self.require(!self.acts.contains(&key), "one permit is used twice");
                for generation in 1..key.generation {
                    let earlier = OnceKey { generation, ..key };
                    let is_over = self.promised.disproved.contains(&earlier);
                    self.require(is_over, "an act before the earlier one is disproved");
                }
                let is_answer = self.answered.get(&act.epoch) == Some(&act.device);
                self.require(
                    is_answer && key.device == act.device,
                    "an act on a foreign device",
                );
                self.acts.push(key);
            }
            Order::NotActed(..) | Order::Release => {}
        }
        self.sockets[n].orders.push_back(order);
    }

    // What must be so

    pub(crate) fn check(&mut self) {
        let picture = self.line.picture();
        for there in &picture.slots {
            if !self.shows_pass(there) {
                continue;
            }
            let is_kept = there.run.is_some_and(|run| self.promised.passed.contains(&run));
            self.require(is_kept, "a pass is shown that is not recorded");
            let chip = self
                .chips
                .iter()
                .find(|chip| Some(device(chip.number)) == there.device);
            if let Some(chip) = chip {
                let is_locked = (chip.state, chip.applied) == (NEW, 1);
                self.require(is_locked, "a pass for a device that is not locked");
            }
        }
        if self.is_quiet() && !picture.is_settled() {
            self.blame("it hangs");
        }
        for chip in 0..self.chips.len() {
            self.require(self.chips[chip].applied <= 1, "it was applied twice");
        }
        if let Some(units) = self.approved {
            let left: u32 = self.line.approvals().open().map(|(_, left)| left).sum();
            let acting = |event: &Rc<Event>| {
                let is_intent = matches!(event.body, Body::Intended { .. });
                event.run.filter(|_| is_intent)
            };
            let spent: BTreeSet<RunId> = self.journal.iter().filter_map(acting).collect();
            let spent = u32::try_from(spent.len()).unwrap();
            self.require(left + spent == units, "leave is lost, or spent twice");
            let acted: BTreeSet<DeviceId> = self.acts.iter().map(|key| key.device).collect();
            let is_within = acted.len() <= usize::try_from(units).unwrap();
            self.require(is_within, "more units are acted on than there was leave for");
        }
    }

    /// What tells one state from another. Histories that differ only in how the events of different sockets lie
    /// between each other are one state; so are, while boards are where they began, sockets that changed their roles.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut is_home = true;
        let mut parts: Vec<u64> = Vec::new();
        for (n, socket) in self.sockets.iter().enumerate() {
            is_home &= socket.chip == n;
            let chip = &self.chips[socket.chip];
            let link = socket
                .link
                .filter(|link| self.chips[link.chip].connection == link.connection);
            let path = slot(u8::try_from(n + 1).unwrap());
            let durable = self.journal[..self.durable]
                .iter()
                .filter(|event| event.slot.as_ref() == Some(&path));
            let mut hasher = DefaultHasher::new();
            (
                socket.history,
                socket.written,
                durable.count(),
                socket.orders.len(),
            )
                .hash(&mut hasher);
            (chip.state, chip.applied, chip.pending, chip.is_dirty).hash(&mut hasher);
            let is_of_now = link.map(|link| (Some(link.epoch) == self.line.epoch(&path), link.writes));
            is_of_now.hash(&mut hasher);
            for order in &socket.orders {
                std::mem::discriminant(order).hash(&mut hasher);
            }
            parts.push(hasher.finish());
        }
        if is_home && self.bug.is_none() {
            parts.sort_unstable();
        } else {
            self.sockets
                .iter()
                .for_each(|socket| parts.push(socket.chip as u64));
        }
        let mut hasher = DefaultHasher::new();
        (
            parts,
            self.faults,
            self.crashes,
            self.durable == self.journal.len(),
            // What devices went through and nobody was told of: the judges know it.
            (self.done.len(), self.failed.len()),
        )
            .hash(&mut hasher);
        hasher.finish()
    }
}

fn chained(before: u64, event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    before.hash(&mut hasher);
    event.body.kind().hash(&mut hasher);
    match &event.body {
        Body::BoardSeen { cause, .. } => (*cause as u8).hash(&mut hasher),
        Body::Identified { state, .. } => (event.device, state).hash(&mut hasher),
        Body::StepStarted { step, attempt, .. } => (step, attempt).hash(&mut hasher),
        Body::StepEnded {
            step,
            attempt,
            outcome,
            ..
        } => (step, attempt, outcome).hash(&mut hasher),
        Body::Judged { outcome, .. } | Body::RunEnded { outcome, .. } => outcome.hash(&mut hasher),
        Body::Intended { intent, .. } => intent.key.generation.hash(&mut hasher),
        Body::Decided { key, verdict, .. } => (key.generation, *verdict as u8).hash(&mut hasher),
        Body::Held { error, .. } | Body::RunInterrupted { error } => error.code.hash(&mut hasher),
        Body::RunStarted { attempt, .. } => (event.device, attempt).hash(&mut hasher),
        _ => {}
    }
    hasher.finish()
}
