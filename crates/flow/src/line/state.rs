//! What is known: boards, devices, runs, intents. It is changed by `apply.rs` alone.
//!
//! One rule ties the parts together: a run is *going* exactly while a socket is in [`Phase::Running`] with it, and
//! its device is the one that answered there last.
//!
//! All of it can be kept and read back (`past.rs`): a field that is added here is kept as well, and [`LAYOUT`] grows.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use lineside_interlock::{Approvals, EpochCause, Intent, Ledger, OnceKey, Standing, Verdict};
use lineside_terms::{
    BootId, DeviceId, Digest, Epoch, ManufacturingState, Outcome, RunId, SecurityState, SlotPath, Stamp,
    Told, UnitSerial,
};

use serde::{Deserialize, Serialize};

use crate::recipe::{Recipe, RecipeStep};

/// Which form of what is kept this is. It grows with every change of these types, or of what `apply.rs` makes of events:
/// what was kept in another form is folded anew.
pub(super) const LAYOUT: u32 = 2;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(super) struct State {
    pub(super) last_sequence: u64,
    pub(super) last_epoch: u64,
    #[serde(with = "by_plan")]
    pub(super) recipes: BTreeMap<Digest, Rc<Recipe>>,
    pub(super) batch: Option<Batch>,
    pub(super) slots: BTreeMap<SlotPath, Slot>,
    /// On which sockets a device answered in their present epochs: more than one is trouble.
    pub(super) answering: BTreeMap<DeviceId, BTreeSet<SlotPath>>,
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) devices: BTreeMap<DeviceId, Known>,
    /// Whose unit serial is whose: bound while a run is open and for good when it passed.
    pub(super) serials: BTreeMap<UnitSerial, DeviceId>,
    pub(super) ledger: Ledger,
    pub(super) approvals: Approvals,
    pub(super) is_cancelled: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(super) struct Batch {
    pub(super) plan: Digest,
    pub(super) serials: BTreeMap<SlotPath, UnitSerial>,
    pub(super) expected: Option<u32>,
    /// The only device that is meant, if somebody named one.
    pub(super) only: Option<DeviceId>,
    /// The devices that passed since it began, each with the event that says so.
    pub(super) passed: BTreeMap<DeviceId, u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(super) struct Slot {
    pub(super) epoch: Epoch,
    pub(super) cause: EpochCause,
    /// False once the board has left; what became of its unit stays on show.
    pub(super) is_present: bool,
    pub(super) identity: Option<Identity>,
    pub(super) phase: Phase,
    /// The run that this board was last in: it survives resets and lost links, not another board.
    pub(super) run: Option<RunId>,
    /// The event that brought the phase.
    pub(super) sequence: u64,
}

/// Who answered on a socket in its present epoch.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) device: DeviceId,
    pub(super) state: ManufacturingState,
    pub(super) security: SecurityState,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// A board is there; nobody has answered yet.
    Waiting,
    /// The device is known and in a run.
    Running(RunId),
    /// The device is known; whether it is taken is decided next, once nothing is unresolved about it.
    Clearing,
    Unresponsive(Told),
    Held(Told),
    Complete {
        earlier: RunId,
        serial: UnitSerial,
    },
    Interrupted(RunId, Told),
    Ended(RunId),
    /// The board left before anything was decided about its unit.
    Gone,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(super) struct Known {
    pub(super) attempts: u32,
    pub(super) failed: u32,
    pub(super) last_run: Option<RunId>,
    pub(super) passed: Option<Passed>,
    /// It said that it is complete, once: states never go back.
    pub(super) is_complete: bool,
    /// Its OS was to be written anew, and no end of that is known after which it would work.
    pub(super) needs_recovery: Option<Digest>,
    /// The event with which its OS was last to be written anew.
    pub(super) recovery_began: Option<u64>,
}

impl Known {
    /// Its OS is to be written anew: what it passed before counts no more, unless nothing was erased after all.
    pub(super) fn begin_recovery(&mut self, set: Digest, sequence: u64) {
        self.needs_recovery = Some(set);
        self.recovery_began = Some(sequence);
        if let Some(passed) = &mut self.passed {
            passed.undone.get_or_insert(sequence);
        }
    }

    /// That recovery erased nothing: what it took away is as it was. What an earlier one took away is not.
    pub(super) fn recovery_left_it_alone(&mut self) {
        if let Some(passed) = self
            .passed
            .as_mut()
            .filter(|passed| passed.undone == self.recovery_began)
        {
            passed.undone = None;
        }
    }

    /// The pass whose software and settings are still what they were, as far as this station knows.
    pub(super) fn standing_pass(&self) -> Option<&Passed> {
        self.passed.as_ref().filter(|passed| passed.undone.is_none())
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(super) struct Passed {
    pub(super) run: RunId,
    pub(super) serial: UnitSerial,
    pub(super) product: String,
    /// The state in which the device left.
    pub(super) target: ManufacturingState,
    /// The event by which its software and settings were lost afterwards.
    pub(super) undone: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(super) struct Run {
    /// Where its device was seen last.
    pub(super) slot: SlotPath,
    pub(super) device: DeviceId,
    pub(super) serial: UnitSerial,
    pub(super) plan: Digest,
    pub(super) attempt: u32,
    /// The state that its device has come to: the one it arrived in, or the one a confirmed act brought it to.
    pub(super) reached: ManufacturingState,
    pub(super) steps: Vec<StepState>,
    /// The step that runs: never one without [`RunStanding::Going`].
    pub(super) running: Option<usize>,
    pub(super) standing: RunStanding,
    pub(super) error: Option<Told>,
    /// The event with which it began: runs are served in this order.
    pub(super) began_as: u64,
    pub(super) began: Moment,
    pub(super) ended: Option<Moment>,
}

/// When something was, and on the clock of which start of the program.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moment {
    pub(super) boot: BootId,
    pub(super) at: Stamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RunStanding {
    Going,
    /// Its device is away or not answering; it goes on when it is seen again.
    Interrupted,
    Ended(Outcome),
}

impl Run {
    pub(super) fn is_going(&self) -> bool {
        self.standing == RunStanding::Going
    }
    pub(super) fn is_interrupted(&self) -> bool {
        self.standing == RunStanding::Interrupted
    }
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.standing, RunStanding::Ended(_))
    }
    /// True when every step has passed: all that is left is to say so.
    pub(super) fn is_done(&self) -> bool {
        self.steps.iter().all(StepState::is_good)
    }
    /// True when an irreversible act of this run was confirmed: its device can begin no other run.
    pub(super) fn has_acted(&self) -> bool {
        self.steps.iter().any(|step| step.key.is_some() && step.is_good())
    }
    /// Its device lost its software, and with it all that steps had reached. What was irreversible stays.
    pub(super) fn void(&mut self) {
        for step in self.steps.iter_mut().filter(|step| step.key.is_none()) {
            step.outcome = None;
        }
    }
    /// It waits for its device from now on.
    pub(super) fn interrupt(&mut self) {
        if self.is_open() {
            self.standing = RunStanding::Interrupted;
        }
        self.running = None;
    }
    /// True when every step that this one needs has passed.
    pub(super) fn has_what_it_needs(&self, step: &RecipeStep) -> bool {
        step.needs
            .iter()
            .all(|need| self.steps.get(*need).is_some_and(StepState::is_good))
    }
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepState {
    pub(super) tries: u32,
    pub(super) errors: u32,
    pub(super) outcome: Option<Outcome>,
    /// The act that this step has intended last.
    pub(super) key: Option<OnceKey>,
}

impl StepState {
    pub(super) fn is_good(&self) -> bool {
        self.outcome.is_some_and(Outcome::is_good)
    }
}

impl State {
    pub(super) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    pub(super) fn next_epoch(&self) -> Epoch {
        Epoch(self.last_epoch + 1)
    }

    /// The epoch of a socket while a board is in it.
    pub(super) fn epoch_of(&self, slot: &SlotPath) -> Option<Epoch> {
        self.slots
            .get(slot)
            .filter(|slot| slot.is_present)
            .map(|slot| slot.epoch)
    }

    pub(super) fn current(&self) -> Option<&Rc<Recipe>> {
        self.recipes.get(&self.batch.as_ref()?.plan)
    }

    pub(super) fn recipe_of(&self, run: &Run) -> &Rc<Recipe> {
        self.recipes
            .get(&run.plan)
            .expect("a run starts only with a plan that was adopted")
    }

    pub(super) fn step_of(&self, run: &Run, index: usize) -> &RecipeStep {
        &self.recipe_of(run).steps[index]
    }

    /// The open run of a device.
    pub(super) fn open_run(&self, device: &DeviceId) -> Option<(&RunId, &Run)> {
        let id = self.devices.get(device)?.last_run?;
        self.runs.get_key_value(&id).filter(|(_, run)| run.is_open())
    }

    /// Intents about a device whose outcome is not known: nothing else may be done with it before it was looked at.
    pub(super) fn open_intents(&self, device: &DeviceId) -> impl Iterator<Item = &Intent> {
        self.ledger
            .of(device)
            .filter(|(_, standing)| *standing == Standing::Open)
            .map(|(intent, _)| intent)
    }

    /// Intents about a device of which a look may still say something: open or unclear.
    pub(super) fn unresolved_intents(&self, device: &DeviceId) -> impl Iterator<Item = &Intent> {
        self.ledger
            .of(device)
            .filter(|(_, standing)| matches!(standing, Standing::Open | Standing::Decided(Verdict::Unclear)))
            .map(|(intent, _)| intent)
    }

    pub(super) fn is_open(&self, key: &OnceKey) -> bool {
        self.open_intents(&key.device).any(|intent| intent.key == *key)
    }

    /// Every device that works again only after a recovery.
    pub(super) fn needing_recovery(&self) -> impl Iterator<Item = &DeviceId> {
        let known = self.devices.iter();
        known
            .filter(|(_, known)| known.needs_recovery.is_some())
            .map(|(device, _)| device)
    }

    /// True while the running step of a run has intended an act and its outcome is not known.
    pub(super) fn is_acting(&self, run: &Run) -> bool {
        run.running
            .and_then(|index| run.steps[index].key)
            .is_some_and(|key| self.is_open(&key))
    }

    /// Instruments that running steps hold.
    pub(super) fn leased(&self) -> BTreeSet<&str> {
        let running = self.slots.values().filter_map(|slot| match &slot.phase {
            Phase::Running(run) => self.runs.get(run),
            _ => None,
        });
        running
            .filter_map(|run| Some((run, run.running?)))
            .flat_map(|(run, index)| self.step_of(run, index).instruments.iter().map(String::as_str))
            .collect()
    }

    /// Another socket than this one on which the same device answers.
    pub(super) fn is_elsewhere(&self, device: &DeviceId, path: &SlotPath) -> Option<&SlotPath> {
        self.answering.get(device)?.iter().find(|other| *other != path)
    }

    /// The open run that a socket works on, or waits with, as far as it is still its own.
    pub(super) fn run_at<'a>(&'a self, path: &SlotPath, slot: &'a Slot) -> Option<(&'a RunId, &'a Run)> {
        if let (Phase::Clearing, Some(identity)) = (&slot.phase, &slot.identity) {
            return self.open_run(&identity.device);
        }
        let known = slot.run.as_ref().and_then(|id| self.runs.get_key_value(id));
        known.filter(|(_, run)| run.is_open() && run.slot == *path)
    }

    /// What speaks of something that is not there, which no fold leaves behind: for what was read back.
    pub(super) fn dangling(&self) -> Option<String> {
        if self.last_sequence.max(self.last_epoch) > u64::MAX / 2 {
            return Some("nobody lives to count so far".to_owned());
        }
        if let Some(batch) = &self.batch
            && !self.recipes.contains_key(&batch.plan)
        {
            return Some("the batch follows a plan that is not here".to_owned());
        }
        for (id, run) in &self.runs {
            let recipe = self.recipes.get(&run.plan);
            if recipe.is_none_or(|recipe| recipe.steps.len() != run.steps.len()) {
                return Some(format!("run {id} follows a plan that is not here"));
            }
            if run.running.is_some_and(|index| index >= run.steps.len()) {
                return Some(format!("run {id} runs a step that its plan does not have"));
            }
            if !self.devices.contains_key(&run.device) {
                return Some(format!("run {id} is of a device that is not here"));
            }
        }
        None
    }

    /// What of the rules at the top of this file does not hold, for checks in tests and debug builds, and for what was
    /// read back.
    pub(super) fn unsound(&self) -> Option<String> {
        for (path, slot) in &self.slots {
            let answers = |device| self.answering.get(device).is_some_and(|at| at.contains(path));
            if let Some(identity) = slot.identity.filter(|_| slot.is_present)
                && !answers(&identity.device)
            {
                return Some(format!("{path} is not listed as answering"));
            }
            if let Phase::Running(id) = &slot.phase {
                let device = slot.identity.map(|identity| identity.device);
                let fits = |run: &Run| run.is_going() && run.slot == *path && Some(run.device) == device;
                if !slot.is_present || !self.runs.get(id).is_some_and(fits) {
                    return Some(format!("{path} runs a run that is not going there"));
                }
            }
        }
        for (id, run) in &self.runs {
            let here = self.slots.get(&run.slot).map(|slot| &slot.phase);
            if run.is_going() && here != Some(&Phase::Running(*id)) {
                return Some(format!("run {id} goes on nowhere"));
            }
            if run.running.is_some() && !run.is_going() {
                return Some(format!("run {id} has a running step and is not going"));
            }
        }
        let open = self
            .ledger
            .unresolved()
            .filter(|(_, standing)| *standing == Standing::Open);
        for (intent, _) in open {
            if !self.runs.get(&intent.run).is_some_and(Run::is_open) {
                return Some(format!("the run of {} ended with its act open", intent.key));
            }
        }
        None
    }
}

/// The map of recipes as a list: a key is a part of what it stands for.
mod by_plan {
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use lineside_terms::Digest;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::recipe::Recipe;

    type Recipes = BTreeMap<Digest, Rc<Recipe>>;

    pub(super) fn serialize<S: Serializer>(recipes: &Recipes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(recipes.values().map(|recipe| &**recipe))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Recipes, D::Error> {
        let recipes = Vec::<Recipe>::deserialize(deserializer)?;
        Ok(recipes
            .into_iter()
            .map(|recipe| (recipe.plan, Rc::new(recipe)))
            .collect())
    }
}
