//! What screens show: a whole picture at any moment, so that a late viewer misses nothing.

use std::time::Duration;

use lineside_terms::{DeviceId, Epoch, Explain as _, Outcome, RunId, SlotPath, Told, UnitSerial};
use serde::Serialize;

use super::Line;
use super::admit::Hold;
use super::state::{Moment, Phase, RunStanding, Slot};

/// The whole line at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    /// Every socket, in order.
    pub slots: Vec<SlotPicture>,
    /// False when the journal cannot be written: what was done since is not recorded.
    pub is_store_up: bool,
    /// How many units must pass, if the caller said so.
    pub expected: Option<u32>,
    /// How many units have passed since the batch began, in it or in an earlier run, on record. Boards that have made
    /// room for others count on.
    pub passed_units: usize,
}

/// One socket.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlotPicture {
    /// The socket.
    pub slot: SlotPath,
    /// Its epoch.
    pub epoch: Epoch,
    /// False when the board has left; the rest tells what became of its unit.
    pub is_present: bool,
    /// Who answered.
    pub device: Option<DeviceId>,
    /// The unit.
    pub serial: Option<UnitSerial>,
    /// The run.
    pub run: Option<RunId>,
    /// First, second… run of this device.
    pub attempt: u32,
    /// What stands about it.
    pub standing: Standing,
    /// The step that runs: its label, place (from 1) and how many there are.
    pub step: Option<(String, usize, usize)>,
    /// How many steps have passed.
    pub steps_passed: usize,
    /// What went wrong and what to do.
    pub error: Option<Told>,
    /// How long the run took.
    pub took: Option<Duration>,
}

/// What stands about a socket. Only what is durable is shown as final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A board is there and has not answered yet.
    Waiting,
    /// Work goes on.
    Working,
    /// Decided, but not recorded yet: amber.
    NotRecorded,
    /// The run ended so.
    Ended(Outcome),
    /// Finished by an earlier run.
    Complete,
    /// Not taken.
    Held,
    /// Nobody answers.
    Unresponsive,
    /// Stopped before it was done, or before it began; goes on later.
    Interrupted,
    /// The board left before anything was decided about its unit.
    Gone,
}

impl SlotPicture {
    /// True when the unit waits for the leave of somebody.
    pub fn waits_for_leave(&self) -> bool {
        let code = self.error.as_ref().map(|error| error.code.as_str());
        code == Some(super::admit::NOT_APPROVED)
    }
}

impl Standing {
    /// True when nothing more will happen by itself.
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Waiting | Self::Working | Self::NotRecorded)
    }

    /// True when the unit in this socket counts as passed.
    pub const fn is_pass(self) -> bool {
        match self {
            Self::Ended(outcome) => outcome.is_good(),
            Self::Complete => true,
            _ => false,
        }
    }
}

impl Picture {
    /// True when nothing more will happen by itself.
    pub fn is_settled(&self) -> bool {
        self.slots.iter().all(|slot| slot.standing.is_settled())
    }

    /// How many units passed, in this run or an earlier one: [`Self::passed_units`].
    pub const fn passed(&self) -> usize {
        self.passed_units
    }
}

impl Line {
    /// The whole picture.
    pub fn picture(&self) -> Picture {
        Picture {
            slots: self
                .state
                .slots
                .iter()
                .map(|(path, slot)| self.slot_picture(path, slot))
                .collect(),
            is_store_up: !self.live.is_store_down && !self.live.waits_for_store,
            expected: self.state.batch.as_ref().and_then(|batch| batch.expected),
            passed_units: self.state.batch.as_ref().map_or(0, |batch| {
                let recorded = |sequence: &&u64| **sequence <= self.live.durable;
                batch.passed.values().filter(recorded).count()
            }),
        }
    }

    /// One socket of it.
    pub fn picture_of(&self, path: &SlotPath) -> Option<SlotPicture> {
        self.state
            .slots
            .get(path)
            .map(|slot| self.slot_picture(path, slot))
    }

    fn slot_picture(&self, path: &SlotPath, slot: &Slot) -> SlotPicture {
        let is_durable = slot.sequence <= self.live.durable;
        let final_or_amber = |standing| {
            if is_durable {
                standing
            } else {
                Standing::NotRecorded
            }
        };
        let mut picture = SlotPicture {
            slot: path.clone(),
            epoch: slot.epoch,
            is_present: slot.is_present,
            device: slot.identity.map(|identity| identity.device),
            serial: None,
            run: None,
            attempt: 0,
            standing: Standing::Waiting,
            step: None,
            steps_passed: 0,
            error: None,
            took: None,
        };
        let waiting = self.state.run_at(path, slot);
        let run = match &slot.phase {
            Phase::Waiting | Phase::Clearing => {
                // A run whose device restarts is still at work for whoever looks on.
                if waiting.is_some() {
                    picture.standing = Standing::Working;
                }
                waiting
            }
            Phase::Running(run) => {
                picture.standing = Standing::Working;
                self.state.runs.get_key_value(run)
            }
            Phase::Interrupted(run, error) => {
                picture.standing = final_or_amber(Standing::Interrupted);
                picture.error = Some(error.clone());
                self.state.runs.get_key_value(run)
            }
            Phase::Ended(run) => self.state.runs.get_key_value(run),
            Phase::Unresponsive(error) => {
                picture.standing = final_or_amber(unless_stopped(error, Standing::Unresponsive));
                picture.error = Some(error.clone());
                waiting
            }
            Phase::Held(error) => {
                picture.standing = final_or_amber(unless_stopped(error, Standing::Held));
                picture.error = Some(error.clone());
                None
            }
            Phase::Complete { earlier, serial } => {
                picture.standing = final_or_amber(Standing::Complete);
                picture.serial = Some(serial.clone());
                picture.run = Some(*earlier);
                None
            }
            Phase::Gone => {
                picture.standing = final_or_amber(Standing::Gone);
                picture.error = waiting.map(|_| Told::of(&Hold::Unplugged));
                waiting
            }
        };
        if let Some((id, run)) = run {
            picture.run = Some(*id);
            picture.serial = Some(run.serial.clone());
            picture.device = Some(run.device);
            picture.attempt = run.attempt;
            picture.steps_passed = run.steps.iter().filter(|step| step.is_good()).count();
            let total = run.steps.len();
            picture.step = run
                .running
                .map(|index| (self.state.step_of(run, index).label.clone(), index + 1, total));
            if let RunStanding::Ended(outcome) = run.standing {
                picture.standing = final_or_amber(Standing::Ended(outcome));
                picture.error.clone_from(&run.error);
            }
            picture.took = run.ended.map(|ended| between(&run.began, &ended));
        }
        let latest = self.live.latest.get(path);
        if self.live.waits_for_store
            && picture.standing == Standing::Working
            && latest.is_some_and(|latest| *latest > self.live.durable)
        {
            // Its last step came to its end, and the next one does not begin before that is recorded.
            picture.standing = Standing::NotRecorded;
        }
        picture
    }
}

/// What nobody waited for any longer, because somebody asked to stop, is not the board's fault.
fn unless_stopped(error: &Told, standing: Standing) -> Standing {
    if error.code == Hold::Cancelled.code() {
        Standing::Interrupted
    } else {
        standing
    }
}

/// Monotonic clocks can be compared within one start of the program; beyond that there is only the wall clock.
fn between(began: &Moment, ended: &Moment) -> Duration {
    if began.boot == ended.boot {
        ended.at.mono - began.at.mono
    } else {
        let passed = ended.at.wall_ms.saturating_sub(began.at.wall_ms);
        Duration::from_millis(u64::try_from(passed).unwrap_or(0))
    }
}
