//! A small floor that plays runner, journal and devices.

use std::collections::{BTreeMap, VecDeque};

use lineside_flow::interlock::{EpochCause, Look, OnceKey, Reading, Receipt, Verdict};
use lineside_flow::{Body, Effect, Event, Input, Line, Recipe, Refusal, Report, SlotPicture, Standing};
use lineside_terms::{
    DeviceId, Epoch, Instant, ManufacturingState, Outcome, RunId, SecurityState, SlotPath, UnitSerial,
};

use crate::line_kit::*;

/// What a device does when it is told to lock.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Lock {
    Confirms,
    Refuses,
    AppliesButTheAnswerIsLost,
    NeverHears,
}

pub(crate) struct Device {
    pub id: DeviceId,
    pub state: ManufacturingState,
    pub security: SecurityState,
    pub lock: VecDeque<Lock>,
    pub is_silent: bool,
    pub can_reset: bool,
    pub os: &'static str,
    /// How often it was told to lock, and how often it did.
    pub asked: u32,
    pub applied: u32,
}

/// Plays runner, journal and devices.
pub(crate) struct Floor {
    pub line: Line,
    pub boot: u8,
    pub now: u64,
    pub journal: Vec<Event>,
    pub durable: usize,
    pub todo: VecDeque<Effect>,
    pub devices: BTreeMap<u8, Device>,
    pub slots: BTreeMap<SlotPath, u8>,
    /// Reports that steps give instead of passing, by the step's place in the plan.
    pub reports: BTreeMap<usize, VecDeque<Report>>,
    pub performed: Vec<(SlotPath, usize, u32)>,
    pub released: Vec<SlotPath>,
    pub protected: String,
    pub recipe: Recipe,
    pub serials: BTreeMap<SlotPath, UnitSerial>,
}

impl Floor {
    pub(crate) fn new(recipe: Recipe) -> Self {
        Self::with(recipe, serials(4), "")
    }

    pub(crate) fn with(recipe: Recipe, serials: BTreeMap<SlotPath, UnitSerial>, protected: &str) -> Self {
        let mut floor = Self {
            line: resume(1, protected, NO_HISTORY).unwrap(),
            boot: 0,
            now: 1_000,
            journal: Vec::new(),
            durable: 0,
            todo: VecDeque::new(),
            devices: BTreeMap::new(),
            slots: BTreeMap::new(),
            reports: BTreeMap::new(),
            performed: Vec::new(),
            released: Vec::new(),
            protected: protected.to_owned(),
            recipe,
            serials,
        };
        floor.restart();
        floor
    }

    /// The program dies and starts again: only what is durable is left, and no effect that was under way.
    pub(crate) fn restart(&mut self) {
        self.journal.truncate(self.durable);
        self.todo.clear();
        self.boot += 1;
        self.line = resume(self.boot, &self.protected, &self.journal).unwrap();
        let events = self.line.start("0.1.0", "sim:4", stamp(self.now));
        self.journal.extend(events);
        self.begin();
        for slot in self.slots.keys().cloned().collect::<Vec<_>>() {
            let cause = EpochCause::Found;
            self.tell(Input::Seen { slot, cause });
        }
    }

    pub(crate) fn begin(&mut self) {
        let begin = Input::Begin {
            recipe: shared(self.recipe.clone()),
            serials: self.serials.clone(),
            expected: None,
            only: None,
        };
        self.tell(begin);
    }

    pub(crate) fn device(&mut self, n: u8) -> &mut Device {
        self.devices.entry(n).or_insert_with(|| Device {
            id: device(n),
            state: OLD,
            security: SecurityState::Secure,
            lock: VecDeque::new(),
            is_silent: false,
            can_reset: true,
            os: "24.06",
            asked: 0,
            applied: 0,
        })
    }

    pub(crate) fn plug(&mut self, path: u8, n: u8) {
        self.device(n);
        self.slots.insert(slot(path), n);
        let (slot, cause) = (slot(path), EpochCause::Attached);
        self.tell(Input::Seen { slot, cause });
    }

    pub(crate) fn unplug(&mut self, path: u8) {
        self.slots.remove(&slot(path));
        self.tell(Input::Gone { slot: slot(path) });
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.try_to_tell(input).unwrap();
    }

    pub(crate) fn try_to_tell(&mut self, input: Input) -> Result<(), Refusal> {
        self.now += 1_000;
        let events = self.line.take(input, stamp(self.now))?;
        self.journal.extend(events);
        Ok(())
    }

    /// The journal has synced everything.
    pub(crate) fn sync(&mut self) {
        self.durable = self.journal.len();
        let receipt = Receipt::issued_by_the_journal(self.durable as u64);
        self.todo
            .extend(self.line.react(&receipt, Instant::from_nanos(self.now)));
    }

    /// Everything that can happen happens.
    pub(crate) fn settle(&mut self) {
        self.settle_until(|_| false);
    }

    /// Everything happens up to an effect that is handed out instead of being carried out.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Effect) -> bool) -> Effect {
        self.settle_until(wanted).expect("it never comes to that")
    }

    pub(crate) fn settle_until(&mut self, wanted: impl Fn(&Effect) -> bool) -> Option<Effect> {
        for _ in 0..10_000 {
            self.sync();
            let effect = self.todo.pop_front()?;
            if wanted(&effect) {
                return Some(effect);
            }
            self.carry_out(effect);
        }
        panic!("it goes on for ever");
    }

    pub(crate) fn carry_out(&mut self, effect: Effect) {
        if let Some(input) = self.result_of(effect) {
            // Late replies are none of our concern here.
            let _ = self.try_to_tell(input);
        }
    }

    pub(crate) fn result_of(&mut self, effect: Effect) -> Option<Input> {
        let now = Instant::from_nanos(self.now);
        Some(match effect {
            Effect::Identify { slot, epoch, .. } => match self.at(&slot).filter(|d| !d.is_silent) {
                Some(device) => Input::Identified {
                    device: device.id,
                    state: device.state,
                    security: device.security,
                    read_at: now,
                    slot,
                    epoch,
                },
                None => unresponsive(slot, epoch),
            },
            Effect::Reset { slot, epoch } => match self.at(&slot).filter(|d| d.can_reset) {
                Some(_) => Input::Seen {
                    slot,
                    cause: EpochCause::Reset,
                },
                None => unresponsive(slot, epoch),
            },
            Effect::Perform {
                slot,
                epoch,
                run,
                device,
                step,
                attempt,
                is_again,
            } => {
                assert_eq!(is_again, attempt > 1);
                self.performed.push((slot.clone(), step, attempt));
                let report = match self.at(&slot) {
                    Some(there) if there.id == device => self.reports.entry(step).or_default().pop_front(),
                    _ => Some(Report::failed(Outcome::Error, told("link.lost"), true)),
                };
                Input::Performed {
                    slot,
                    epoch,
                    run,
                    report: report.unwrap_or_else(Report::passed),
                }
            }
            Effect::ReadFacts { slot, epoch, run } => match self.at(&slot) {
                Some(device) => {
                    let mut facts = facts(device.id, epoch, device.state, now);
                    facts.os_version = Reading::Read(device.os.to_owned());
                    Input::Read {
                        slot,
                        run,
                        facts: Box::new(facts),
                    }
                }
                None => Input::Performed {
                    slot,
                    epoch,
                    run,
                    report: Report::failed(Outcome::Error, told("link.lost"), true),
                },
            },
            Effect::Act { slot, run, permit } => {
                let (key, epoch) = (*permit.key(), permit.epoch());
                let Some(device) = self.at(&slot) else {
                    return Some(acted(slot, run, key, None));
                };
                assert_eq!(*permit.device(), device.id);
                device.asked += 1;
                let way = device.lock.pop_front().unwrap_or(Lock::Confirms);
                if matches!(way, Lock::Confirms | Lock::AppliesButTheAnswerIsLost) {
                    device.applied += 1;
                    device.state = permit.target();
                }
                let look = match way {
                    Lock::Confirms | Lock::Refuses => Some(Look {
                        device: device.id,
                        epoch,
                        cause: EpochCause::Attached,
                        state: device.state,
                        taken_at: now,
                    }),
                    Lock::AppliesButTheAnswerIsLost | Lock::NeverHears => None,
                };
                acted(slot, run, key, look)
            }
            Effect::NotActed { slot, run, key, .. } => acted(slot, run, key, None),
            Effect::Stop { .. } => return None,
            Effect::Release { slot } => {
                self.released.push(slot);
                return None;
            }
        })
    }

    pub(crate) fn at(&mut self, slot: &SlotPath) -> Option<&mut Device> {
        self.devices.get_mut(self.slots.get(slot)?)
    }

    pub(crate) fn picture(&self, path: u8) -> SlotPicture {
        self.line.picture_of(&slot(path)).expect("that socket was seen")
    }

    pub(crate) fn standing(&self, path: u8) -> Standing {
        self.picture(path).standing
    }

    /// The code of the error that is shown.
    pub(crate) fn code(&self, path: u8) -> String {
        self.picture(path).error.expect("an error is shown").code
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.journal
            .iter()
            .filter(|event| event.body.kind() == kind)
            .count()
    }

    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |event: &Event| match &event.body {
            Body::Decided { verdict, .. } => Some(*verdict),
            _ => None,
        };
        self.journal.iter().filter_map(verdict).collect()
    }

    /// A unit that passed in an earlier start of the program.
    pub(crate) fn passed_before(n: u8) -> (Self, RunId) {
        let mut floor = Self::new(six_steps());
        floor.plug(n, n);
        floor.settle();
        let run = floor.picture(n).run.unwrap();
        floor.slots.clear();
        floor.restart();
        floor.settle();
        (floor, run)
    }
}

pub(crate) fn unresponsive(slot: SlotPath, epoch: Epoch) -> Input {
    let error = told("board.silent");
    Input::Unresponsive { slot, epoch, error }
}

pub(crate) fn acted(slot: SlotPath, run: RunId, key: OnceKey, look: Option<Look>) -> Input {
    let error = Some(told("device.no-answer"));
    Input::Acted {
        slot,
        run,
        key,
        look,
        error,
    }
}

pub(crate) fn is_perform(step: usize) -> impl Fn(&Effect) -> bool {
    move |effect| matches!(effect, Effect::Perform { step: there, .. } if *there == step)
}

pub(crate) fn is_act(effect: &Effect) -> bool {
    matches!(effect, Effect::Act { .. })
}

pub(crate) const PASSED: Standing = Standing::Ended(Outcome::Pass);
pub(crate) const ERROR: Standing = Standing::Ended(Outcome::Error);

/// A report that is no pass, with the link in order.
pub(crate) fn failed(outcome: Outcome) -> Report {
    Report::failed(outcome, told("test.failed"), false)
}
