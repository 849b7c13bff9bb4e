//! The engine: one machine for the whole station.
//!
//! State is a fold over events, live and on resume alike. An input is turned into events by deciding, which changes
//! nothing; the events are folded in by the one `apply`; and what is to be done because of them comes out of
//! [`Line::react`] only when the journal says that they are durable. Shared instruments are inside, because they are
//! shared. The engine knows no clock, no wire and no path.
//!
//! | file | job |
//! |---|---|
//! | `state.rs` | what is known |
//! | `apply.rs` | `apply`, the only mutator |
//! | `decide.rs` | input → facts to write down |
//! | `act.rs` | judging, intending, and what became of it |
//! | `advance.rs` | what follows by itself: next steps, instruments, ends of runs |
//! | `admit.rs` | whether a device is taken |
//! | `react.rs` | durable facts → effects |
//! | `picture.rs` | what screens show |
//! | `past.rs` | what a history comes to: what a line begins with |
//! | `found.rs` | what is open, before anything is done |
//! | `copies.rs` | copies of an engine, for searches alone |

mod act;
mod admit;
mod advance;
mod apply;
#[cfg(feature = "copies")]
mod copies;
mod decide;
mod found;
mod past;
mod picture;
mod react;
mod state;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use lineside_interlock::{
    EpochCause, Facts, Grant, Look, OnceKey, Permit, Protected, Refusal as ActRefusal,
    Standing as ActStanding, Verdict,
};
use lineside_terms::{
    Blame, BootId, DeviceId, Digest, Epoch, Explain, Instant, ManufacturingState, Outcome, RunId,
    SecurityState, SlotPath, Stamp, StationName, Told, UnitSerial,
};

use crate::event::{Body, Event, Measurement, RecoveryOutcome, Shift, VERSION};
use crate::order::Order;
use crate::recipe::{Recipe, Work};

pub use apply::IllegalHistory;
pub use found::{OpenRun, Reached};
pub use past::Past;
pub use picture::{Picture, SlotPicture, Standing};

use decide::Fact;
use react::Due;
use state::State;

/// Something that the runner tells the engine.
#[derive(Debug)]
pub enum Input {
    /// A plan and a tray: what to do with the boards that are seen from now on.
    Begin {
        /// The plan.
        recipe: Rc<Recipe>,
        /// Which unit serial belongs to which socket.
        serials: BTreeMap<SlotPath, UnitSerial>,
        /// How many units must pass, if the caller said so.
        expected: Option<u32>,
        /// The only device that is meant, if somebody named one: every other is held.
        only: Option<DeviceId>,
    },
    /// A board is there, was reset, or its link was lost and a new look is due.
    Seen {
        /// The socket.
        slot: SlotPath,
        /// Why the epoch begins.
        cause: EpochCause,
    },
    /// The board left.
    Gone {
        /// The socket.
        slot: SlotPath,
    },
    /// A device answered on a verified connection.
    Identified {
        /// The socket.
        slot: SlotPath,
        /// Under which epoch it was asked.
        epoch: Epoch,
        /// Who it is.
        device: DeviceId,
        /// What it says of its state.
        state: ManufacturingState,
        /// What it says of its security.
        security: SecurityState,
        /// When the state was read.
        read_at: Instant,
    },
    /// Nothing sensible answered, or the board could not be leased or reset.
    Unresponsive {
        /// The socket.
        slot: SlotPath,
        /// Under which epoch.
        epoch: Epoch,
        /// What was seen.
        error: Told,
    },
    /// A step that the runner performed came to an end.
    Performed {
        /// The socket.
        slot: SlotPath,
        /// Under which epoch it was started.
        epoch: Epoch,
        /// The run.
        run: RunId,
        /// How it went.
        report: Report,
    },
    /// Facts were read for a step that proves or acts.
    Read {
        /// The socket.
        slot: SlotPath,
        /// The run.
        run: RunId,
        /// What was read.
        facts: Box<Facts>,
    },
    /// An act was sent, or not; what the device said afterwards, if it said anything.
    Acted {
        /// The socket.
        slot: SlotPath,
        /// The run.
        run: RunId,
        /// The act.
        key: OnceKey,
        /// A look on the same connection after the act.
        look: Option<Look>,
        /// What went wrong.
        error: Option<Told>,
    },
    /// A device announced itself in recovery and may be erased once this is durable.
    RecoveryBegun {
        /// The socket.
        slot: SlotPath,
        /// The device.
        device: DeviceId,
        /// The recovery set.
        set: Digest,
        /// The OS that it holds, if a list says so.
        os: Option<String>,
    },
    /// A recovery that was begun came to its end.
    RecoveryEnded {
        /// The socket.
        slot: SlotPath,
        /// The device.
        device: DeviceId,
        /// How it is left.
        outcome: RecoveryOutcome,
        /// The OS that it said it runs.
        os: Option<String>,
        /// What went wrong.
        error: Option<Told>,
    },
    /// Somebody gives leave for a number of units. Who that is was checked before.
    Approve {
        /// The leave.
        grant: Grant,
        /// What was signed.
        proof: String,
    },
    /// The journal was put back from a backup that ended with this event.
    Restored {
        /// Its number.
        sequence: u64,
        /// Its hash.
        hash: Digest,
    },
    /// Somebody wants everything to stop in a told state.
    Cancel,
    /// The journal cannot be written any more: nothing new starts.
    StoreFailed,
}

/// How a performed step went.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The outcome.
    pub outcome: Outcome,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// What went wrong.
    pub error: Option<Told>,
    /// What is worth knowing, for people.
    pub note: Option<String>,
    /// True when the connection is gone, because the device restarted or the link was lost: a new epoch begins.
    pub is_link_over: bool,
}

impl Report {
    /// A step that passed without more to say.
    pub const fn passed() -> Self {
        Self {
            outcome: Outcome::Pass,
            measurements: Vec::new(),
            error: None,
            note: None,
            is_link_over: false,
        }
    }

    /// A step that could not be done.
    pub const fn failed(outcome: Outcome, error: Told, is_link_over: bool) -> Self {
        Self {
            outcome,
            measurements: Vec::new(),
            error: Some(error),
            note: None,
            is_link_over,
        }
    }
}

/// Something that the runner must do. It exists only after the facts that call for it are durable.
#[derive(Debug)]
#[must_use = "an effect that is not carried out leaves the line waiting for ever"]
pub enum Effect {
    /// Lease the board if need be, connect, read who it is and in which state. Reads.
    Identify {
        /// The socket.
        slot: SlotPath,
        /// The epoch to report under.
        epoch: Epoch,
        /// Why it began.
        cause: EpochCause,
    },
    /// Reset the chip by its line, then tell that the board is seen with [`EpochCause::Reset`].
    Reset {
        /// The socket.
        slot: SlotPath,
        /// The epoch that ends with it.
        epoch: Epoch,
    },
    /// Do what the plan says at this place.
    Perform {
        /// The socket.
        slot: SlotPath,
        /// The epoch to report under.
        epoch: Epoch,
        /// The run.
        run: RunId,
        /// The device that it must be done to.
        device: DeviceId,
        /// Place in the plan.
        step: usize,
        /// First, second… try in this run.
        attempt: u32,
        /// True when it may have been done already, wholly or in part.
        is_again: bool,
    },
    /// Read all facts that readiness is judged by. Reads.
    ReadFacts {
        /// The socket.
        slot: SlotPath,
        /// The epoch to read under.
        epoch: Epoch,
        /// The run.
        run: RunId,
    },
    /// Do what the permit allows, once.
    Act {
        /// The socket.
        slot: SlotPath,
        /// The run.
        run: RunId,
        /// The leave to do it.
        permit: Permit,
    },
    /// An intent became durable but no permit was given: report it as [`Input::Acted`] without a look.
    NotActed {
        /// The socket.
        slot: SlotPath,
        /// The run.
        run: RunId,
        /// The act.
        key: OnceKey,
        /// Why not.
        refusal: ActRefusal,
    },
    /// Finish or abandon what is under way on this board and report; never leave an act half told.
    Stop {
        /// The socket.
        slot: SlotPath,
    },
    /// Nothing more is to be done with this board: let go of it.
    Release {
        /// The socket.
        slot: SlotPath,
    },
}

/// Why an input changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It speaks of an epoch that is over, or of a board that is gone.
    #[error("it speaks of a board that is gone or was reset since")]
    Stale,
    /// It answers a question that nobody asked.
    #[error("nobody asked for it")]
    NotAsked,
    /// That grant was counted before.
    #[error("this approval was used before")]
    Replayed,
    /// It may have been used in what a restore of the journal lost.
    #[error("this approval was made before the records were restored from a backup, or does not say when")]
    BeforeRestore,
    /// The journal cannot be written.
    #[error("the journal cannot be written")]
    StoreDown,
}

impl Explain for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Stale => "line.stale",
            Self::NotAsked => "line.not-asked",
            Self::Replayed => "approval.replayed",
            Self::BeforeRestore => "approval.before-restore",
            Self::StoreDown => "line.store-down",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Stale | Self::NotAsked => "Nothing is to be done: the line goes on without it.",
            Self::Replayed => "Make a new approval: each counts once, for as many units as it names.",
            Self::BeforeRestore => {
                "Make a new approval: the backup does not tell whether this one was used since. If it is new, check the clocks of \
                 both computers."
            }
            Self::StoreDown => "Mend the disk, then run the same command again: units go on where they were.",
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        Blame::Station
    }
}

/// What the engine knows besides the fold: gone after a restart.
#[derive(Debug, Default)]
#[cfg_attr(feature = "copies", derive(Clone))]
struct Live {
    /// The last event that is durable.
    durable: u64,
    is_store_down: bool,
    /// The journal cannot be written for now: what was done waits to be recorded, and nothing new starts.
    waits_for_store: bool,
    /// The last event of each socket.
    latest: BTreeMap<SlotPath, u64>,
    /// What will be done when the event with this sequence number is durable.
    due: VecDeque<(u64, Due)>,
    /// Facts that were just read, by run.
    held: BTreeMap<RunId, Facts>,
    /// Devices that nobody may write to.
    protected: Protected,
    shift: Shift,
    /// What was said about the board that sits in a socket now.
    leaves: BTreeMap<SlotPath, Leave>,
}

/// What somebody who was asked said about a board before it is taken. Not recorded by itself: what follows of it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Leave {
    /// This device may be taken; another one in its place is held.
    Device(DeviceId),
    /// Whatever answers there is held, for this reason.
    Refused(Told),
}

/// The engine of a station.
#[derive(Debug)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub struct Line {
    station: StationName,
    boot: BootId,
    state: State,
    live: Live,
}

impl Line {
    /// Folds the whole history of a station and begins a new start of the program. No effect comes of the past: runs
    /// that were under way wait until their devices are seen again, then the devices are asked.
    ///
    /// # Errors
    /// When the history cannot have happened.
    pub fn resume(
        station: StationName,
        boot: BootId,
        protected: Protected,
        shift: Shift,
        history: impl IntoIterator<Item = impl Borrow<Event>>,
    ) -> Result<Self, IllegalHistory> {
        Ok(Self::after(station, boot, protected, shift, Past::of(history)?))
    }

    /// [`Line::resume`] from a history that was folded already.
    pub fn after(station: StationName, boot: BootId, protected: Protected, shift: Shift, past: Past) -> Self {
        let Past { state } = past;
        let durable = state.last_sequence();
        Self {
            station,
            boot,
            state,
            live: Live {
                durable,
                protected,
                shift,
                ..Live::default()
            },
        }
    }

    /// The runs that are open, in the order in which they began.
    pub fn open_runs(&self) -> Vec<OpenRun> {
        self.state.open_runs()
    }

    /// The first events of this start of the program, to be written like those of [`Self::take`].
    pub fn start(&mut self, program: &str, bench: &str, stamp: Stamp) -> Vec<Event> {
        let body = Body::StationStarted {
            program: program.to_owned(),
            bench: bench.to_owned(),
        };
        self.fold(vec![Fact::of_station(body)], stamp)
    }

    /// The journal cannot be written for now, or can be again. Nothing new starts meanwhile, as always: effects come of
    /// what is durable. It only shows.
    pub fn waits_for_store(&mut self, waits: bool) {
        self.live.waits_for_store = waits;
    }

    /// Writes down what was ordered, for who goes on with it later.
    pub fn order(&mut self, order: Order, stamp: Stamp) -> Vec<Event> {
        let order = Box::new(order);
        self.fold(vec![Fact::of_station(Body::Ordered { order })], stamp)
    }

    /// What is left of approvals.
    pub fn approvals(&self) -> &lineside_interlock::Approvals {
        &self.state.approvals
    }

    /// Decides what an input means, folds the facts in and returns them to be written, in order. They take effect
    /// through [`Self::react`] when they are durable.
    ///
    /// # Errors
    /// When the input changes nothing; nothing was changed then.
    pub fn take(&mut self, input: Input, stamp: Stamp) -> Result<Vec<Event>, Refusal> {
        if self.live.is_store_down {
            return Err(Refusal::StoreDown);
        }
        if matches!(input, Input::StoreFailed) {
            self.live.is_store_down = true;
            self.live.due.clear();
            return Ok(Vec::new());
        }
        let facts = self.decide(&input, stamp)?;
        if let Input::Read { run, facts: read, .. } = input {
            self.live.held.insert(run, *read);
        }
        let mut events = self.fold(facts, stamp);
        // What became possible by it: next steps, instruments that are free again, the end of runs.
        loop {
            let next = self.advance(stamp);
            if next.is_empty() {
                return Ok(events);
            }
            events.extend(self.fold(next, stamp));
        }
    }

    /// Gives each fact its envelope and folds it in.
    fn fold(&mut self, facts: Vec<Fact>, stamp: Stamp) -> Vec<Event> {
        let mut events = Vec::with_capacity(facts.len());
        for fact in facts {
            let event = Event {
                version: VERSION,
                sequence: self.state.last_sequence() + 1,
                station: self.station.clone(),
                boot: self.boot,
                at: stamp,
                operator: self.live.shift.operator.clone(),
                shift: self.live.shift.shift.clone(),
                work_order: self.live.shift.work_order.clone(),
                slot: fact.slot,
                device: fact.device,
                run: fact.run,
                body: fact.body,
            };
            self.state.apply(&event, Some(event.sequence)).expect(
                "deciding reads the same state that applying changes, and never decides the impossible",
            );
            if let Some(slot) = &event.slot {
                match self.live.latest.get_mut(slot) {
                    Some(latest) => *latest = event.sequence,
                    None => _ = self.live.latest.insert(slot.clone(), event.sequence),
                }
            }
            if let Body::StepStarted { .. } = event.body
                && let Some(run) = event.run.filter(|run| self.is_performing(run))
            {
                // Whatever is done to the device now voids what was read of it before.
                self.live.held.remove(&run);
            }
            events.push(event);
        }
        debug_assert_eq!(self.state.unsound(), None);
        let due = self.due_of(&events);
        self.live.due.extend(due);
        self.forget();
        events
    }

    fn is_performing(&self, run: &RunId) -> bool {
        let run = self.state.runs.get(run);
        let step = run.and_then(|run| Some(self.state.step_of(run, run.running?)));
        step.is_some_and(|step| step.work == Work::Perform)
    }

    /// Lets go of facts that no step can use any more.
    fn forget(&mut self) {
        let state = &self.state;
        self.live.held.retain(|run, facts| {
            state
                .runs
                .get(run)
                .is_some_and(|run| run.is_going() && state.epoch_of(&run.slot) == Some(facts.epoch))
        });
    }

    /// Says what holds for the board that is seen next in a socket, in place of what was said before.
    pub fn leave(&mut self, slot: SlotPath, leave: Leave) {
        self.live.leaves.insert(slot, leave);
    }

    /// The unit that a device is built into: that of its open run, or of the one that it passed.
    pub fn serial_of(&self, device: &DeviceId) -> Option<&UnitSerial> {
        let passed = || self.state.devices.get(device)?.passed.as_ref();
        let open = self.state.open_run(device).map(|(_, run)| &run.serial);
        open.or_else(|| passed().map(|passed| &passed.serial))
    }

    /// The unit of a run.
    pub fn serial_of_run(&self, run: &RunId) -> Option<&UnitSerial> {
        self.state.runs.get(run).map(|run| &run.serial)
    }

    /// True when a serial belongs to another device than this one.
    pub fn is_serial_of_other(&self, serial: &UnitSerial, device: &DeviceId) -> bool {
        self.state
            .serials
            .get(serial)
            .is_some_and(|owner| owner != device)
    }

    /// The epoch that a socket is in, while a board is in it.
    pub fn epoch(&self, slot: &SlotPath) -> Option<Epoch> {
        self.state.epoch_of(slot)
    }

    /// The recipe that a run follows.
    pub fn recipe(&self, run: &RunId) -> Option<&Rc<Recipe>> {
        self.state.recipes.get(&self.state.runs.get(run)?.plan)
    }

    /// Runs that are open and whose device is not being worked on: they go on when it is seen again.
    pub fn interrupted(&self) -> impl Iterator<Item = (&RunId, &DeviceId, &UnitSerial)> {
        self.state
            .runs
            .iter()
            .filter(|(_, run)| run.is_interrupted())
            .map(|(id, run)| (id, &run.device, &run.serial))
    }

    /// The intents that nobody has resolved yet.
    pub fn unresolved(&self) -> impl Iterator<Item = &lineside_interlock::Intent> {
        self.state.ledger.unresolved().map(|(intent, _)| intent)
    }

    /// The instruments that are leased at this moment.
    pub fn leased_instruments(&self) -> BTreeSet<&str> {
        self.state.leased()
    }

    /// The recovery set with which a device was erased, or may have been, if it works again only after a recovery.
    pub fn needs_recovery(&self, device: &DeviceId) -> Option<Digest> {
        self.state.devices.get(device)?.needs_recovery
    }

    /// Every device that works again only after a recovery.
    pub fn needing_recovery(&self) -> impl Iterator<Item = &DeviceId> {
        self.state.needing_recovery()
    }

    /// True when a device said that it is complete, or an act that made it so was confirmed.
    pub fn is_known_complete(&self, device: &DeviceId) -> bool {
        let complete = ManufacturingState::DeviceComplete;
        let said = self
            .state
            .devices
            .get(device)
            .is_some_and(|known| known.is_complete);
        let confirmed = ActStanding::Decided(Verdict::Confirmed);
        said || self
            .state
            .ledger
            .of(device)
            .any(|(intent, standing)| intent.key.target == complete && standing == confirmed)
    }

    /// The run of this station that proved a device ready, if there is one and nothing undid it since.
    pub fn proven(&self, device: &DeviceId) -> Option<RunId> {
        self.state
            .devices
            .get(device)
            .and_then(|known| known.standing_pass())
            .map(|passed| passed.run)
    }
}
