//! Another manufacturing state by hand: the one door, and the same as a plan's (design 6).
//!
//! What the station's policy allows is one run of one device, through the plan that the policy names or, under `vendor`,
//! through a plan that has no other step: the intent is written down, the ledger gives one permit, the device is asked
//! once and looked at, and all of it is kept with who did it and why. Whoever is killed in the middle leaves an open
//! intent, and the next run of any command looks at that device before anything else is done to it.

use std::rc::Rc;

use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use lineside_device::Entropy;
use lineside_flow::interlock::{Expectation, Protected, ProtectedId, Verb, Verdict};
use lineside_flow::{Body, Recipe, RecipeStep, Shift, Work, plan};
use lineside_image::TrustList;
use lineside_link::{Bench, BenchEvent, Board, BoardInfo, LinkError, Watch};
use lineside_terms::{Blame, DeviceId, Effect, Explain, ManufacturingState, SlotPath, Told, UnitSerial};

use crate::batch::{self, Batch, Cancel, Notice, Patience, Summary};
use crate::error::RunnerError;
use crate::history::History;
use crate::place::Place;
use crate::policy::StateChange;
use crate::program::{Program, Serials, Supplies, digest_of};
use crate::store::Store;

/// How many digits of the id have to be typed.
pub const DIGITS: usize = 8;

/// Which product is recorded where no plan names one.
const PRODUCT: &str = "by hand";

/// Why a device is not brought to another state by hand. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    /// The policy does not allow it.
    #[error("this station does not bring devices to another manufacturing state by hand")]
    Refused,
    /// No device is brought there.
    #[error("no device is brought to {0}")]
    NoTarget(ManufacturingState),
    /// The policy's plan leads elsewhere.
    #[error("the plan that the policy names ends in {ends_in}, not in {wanted}")]
    ProfileState {
        /// Where it leads.
        ends_in: ManufacturingState,
        /// What is wanted.
        wanted: ManufacturingState,
    },
    /// Other digits were typed than those of the device. The right ones are not told: they are to be read off the device
    /// that is meant.
    #[error("the id of the device at slot {slot} does not end with the digits that were typed")]
    NotConfirmed {
        /// Where it is.
        slot: SlotPath,
    },
    /// Nobody may write to the device.
    #[error(transparent)]
    Protected(#[from] ProtectedId),
    /// The policy's plan cannot be used, or not on this bench or after this history.
    #[error(transparent)]
    Runner(#[from] RunnerError),
}

impl Explain for ManualError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused => "device.manual-refused",
            Self::NoTarget(_) => "device.parameter",
            Self::ProfileState { .. } => "device.profile-state",
            Self::NotConfirmed { .. } => "device.not-confirmed",
            Self::Protected(error) => error.code(),
            Self::Runner(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Refused => {
                "Let a plan do it: it proves the device first and keeps the proof. The station's policy in station.toml can \
                 allow it by hand."
            }
            Self::NoTarget(_) => "Take Module1Complete or DeviceComplete; nothing was sent.",
            Self::ProfileState { .. } => "Name that state, or correct `profile` in station.toml.",
            Self::NotConfirmed { .. } => {
                "Make sure that this is the device you mean, and give the last 8 digits of its id. Nothing was sent."
            }
            Self::Protected(error) => return error.help(),
            Self::Runner(error) => return error.help(),
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Protected(error) => error.blame(),
            Self::Runner(error) => error.blame(),
            _ => Blame::Station,
        }
    }
}

/// True when the typed text is the end of the device's id.
///
/// # Errors
/// When it is not, or is too short to mean one device.
pub fn confirm(device: &DeviceId, slot: &SlotPath, typed: &str) -> Result<(), ManualError> {
    let typed = typed.trim().to_ascii_lowercase();
    if typed.len() == DIGITS && device.to_string().ends_with(&typed) {
        return Ok(());
    }
    Err(ManualError::NotConfirmed { slot: slot.clone() })
}

/// What the policy leaves open.
#[derive(Debug)]
pub struct Door {
    program: Rc<Program>,
    to: ManufacturingState,
    is_unproven: bool,
}

impl Door {
    /// The way to that state, if there is one.
    ///
    /// # Errors
    /// When the policy refuses, devices are not brought to that state, or the policy's plan cannot be used for it.
    pub fn open(
        policy: &StateChange,
        to: ManufacturingState,
        trust: &TrustList,
        supplies: Option<&Supplies>,
    ) -> Result<Self, ManualError> {
        allowed(policy, to)?;
        let program = match policy {
            StateChange::Refuse => return Err(ManualError::Refused),
            StateChange::Vendor => unproven(to),
            StateChange::ReadyCheck(profile) => {
                let program = Program::load(profile, trust, supplies)?;
                let ends_in = program.plan().final_state;
                if ends_in != to {
                    return Err(ManualError::ProfileState { ends_in, wanted: to });
                }
                program
            }
        };
        Ok(Self {
            program: Rc::new(program),
            to,
            is_unproven: *policy == StateChange::Vendor,
        })
    }

    /// True where nobody looks whether the device is ready.
    pub const fn is_unproven(&self) -> bool {
        self.is_unproven
    }

    /// True where the policy's plan has steps that wait for approvals.
    pub fn needs_approval(&self) -> bool {
        !self.program.recipe().approvals.is_empty()
    }

    /// What people must have read before it is done.
    pub fn banner(&self, slot: &SlotPath, device: &DeviceId, who: &str, why: &str) -> String {
        let (device, to) = (device.short(), self.to);
        let plainly = format!("{slot} of device {device} is brought to {to} by hand, by {who}: {why}");
        if !self.is_unproven {
            return plainly;
        }
        format!(
            "** {plainly}\n** NO READY CHECK: this station's policy is `vendor`. It cannot be undone, and is in the records."
        )
    }
}

/// True when a policy leaves a way to a state: before any board is looked for.
///
/// # Errors
/// When it does not.
pub fn allowed(policy: &StateChange, to: ManufacturingState) -> Result<(), ManualError> {
    use ManufacturingState::{DeviceComplete, Module1Complete};
    if !matches!(to, Module1Complete | DeviceComplete) {
        return Err(ManualError::NoTarget(to));
    }
    match policy {
        StateChange::Refuse => Err(ManualError::Refused),
        StateChange::ReadyCheck(_) | StateChange::Vendor => Ok(()),
    }
}

/// Who works, as the records show it.
pub fn shift(who: &str, why: &str) -> Shift {
    Shift {
        operator: Some(who.to_owned()),
        shift: None,
        work_order: Some(format!("by hand: {why}")),
    }
}

/// The plan that has one step.
fn unproven(to: ManufacturingState) -> Program {
    let incoming: Vec<ManufacturingState> = [ManufacturingState::Blank, ManufacturingState::Module1Complete]
        .into_iter()
        .filter(|state| *state < to)
        .collect();
    let kind = match to {
        ManufacturingState::DeviceComplete => "device",
        _ => "module",
    };
    let states: Vec<String> = incoming.iter().map(|state| format!("'{state}'")).collect();
    let text = format!(
        "version = 1
product = '{PRODUCT}'
kind = '{kind}'
incoming = [{}]
final = '{to}'
rf = {{ policy = 'none', because = 'by hand' }}
os = {{ list = 'none', versions = [] }}
[[steps]]
id = 'set-state'
do = 'set-state'
to = '{to}'
",
        states.join(", ")
    );
    let plan = plan::parse(&text).expect("it is written here, for two states");
    let step = &plan.steps[0];
    let recipe = Recipe {
        plan: digest_of(text.as_bytes()),
        product: PRODUCT.to_owned(),
        incoming,
        target: to,
        attempt_limit: u32::MAX,
        steps: vec![RecipeStep {
            id: step.id.clone(),
            label: format!("set {to}, without a ready check"),
            effect: Effect::Irreversible,
            work: Work::Act {
                verb: Verb::StateChange,
                target: to,
            },
            needs: Vec::new(),
            retries: 0,
            instruments: Vec::new(),
        }],
        // Each device is judged in the state in which it arrives.
        expectation: Expectation::state_alone(to),
        approvals: Default::default(),
    };
    Program::of_recipe(plan, recipe)
}

/// One device that is brought to another state.
#[derive(Debug)]
pub struct Change {
    /// The way.
    pub door: Door,
    /// The board.
    pub board: BoardInfo,
    /// The device that was confirmed: no other is touched, whatever answers there.
    pub device: DeviceId,
    /// The unit that holds it. A plan wants one; without a plan the device's own id stands for it.
    pub serial: Option<UnitSerial>,
    /// Devices that nobody may write to.
    pub protected: Protected,
    /// Where randomness comes from.
    pub entropy: Entropy,
}

/// How it ended.
#[derive(Debug)]
pub struct Changed {
    /// What became of the device.
    pub end: End,
    /// As of any batch.
    pub summary: Summary,
}

/// What became of the device.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// It was seen in the new state.
    Brought,
    /// It had been there before; nothing was sent.
    Already,
    /// Not so, or nobody can say.
    Not(Told),
}

impl End {
    /// True when the device is in the state that is wanted.
    pub const fn is_good(&self) -> bool {
        !matches!(self, Self::Not(_))
    }
}

/// Takes one device through the door. `history` is what the journal holds; `store` takes what follows it.
///
/// # Errors
/// As [`batch::run`], and when the device is protected.
pub async fn change(
    mut place: Place,
    change: Change,
    history: impl Into<History>,
    store: &mut dyn Store,
    cancel: &Cancel,
    mut notice: impl FnMut(Notice<'_>),
) -> Result<Changed, ManualError> {
    let Change {
        door,
        board,
        device,
        serial,
        protected,
        entropy,
    } = change;
    protected.check(&device)?;
    let serial = serial.or_else(|| door.is_unproven.then(|| stand_in(&device)));
    let slot = board.slot.clone();
    let serials = Serials {
        by_slot: serial.into_iter().map(|serial| (slot.clone(), serial)).collect(),
        count: 1,
        rest: Vec::new(),
    };
    let batch = Batch {
        program: Rc::clone(&door.program),
        serials,
        expected: Some(1),
        only: Some(device),
        entropy,
        patience: Patience::default(),
        // What a person does by hand is no batch that could be gone on with: the device is looked at all the same.
        order: None,
        desk: None,
    };
    place.bench = Rc::new(OneBoard {
        bench: Rc::clone(&place.bench),
        slot,
        attachment: board.attachment,
    });
    let mut seen = None;
    let mut is_confirmed = false;
    let summary = batch::run(place, batch, history, store, cancel, |news| {
        if let Notice::Durable(events) = &news {
            for event in events.iter().filter(|event| event.device == Some(device)) {
                match &event.body {
                    Body::Identified { state, .. } => seen = Some(*state),
                    Body::Decided {
                        key,
                        verdict: Verdict::Confirmed,
                        ..
                    } => is_confirmed |= key.target == door.to,
                    _ => {}
                }
            }
        }
        notice(news);
    })
    .await?;
    let error = summary.store_error.clone().or_else(|| {
        let mut slots = summary.picture.slots.iter();
        slots.find_map(|slot| slot.error.clone())
    });
    let end = if summary.store_error.is_none() && (is_confirmed && door.is_unproven || summary.is_pass()) {
        if is_confirmed { End::Brought } else { End::Already }
    } else if door.is_unproven && summary.store_error.is_none() && seen.is_some_and(|state| state >= door.to)
    {
        End::Already
    } else {
        End::Not(error.unwrap_or_else(|| {
            Told {
                code: "run.not-brought".to_owned(),
                message: format!("the device was not seen in {}", door.to),
                help:
                    "Attach it and run the same command again: the device is asked before anything is sent."
                        .to_owned(),
                blame: Blame::Device,
            }
        }))
    };
    Ok(Changed { end, summary })
}

/// What stands for the unit where nobody names one.
fn stand_in(device: &DeviceId) -> UnitSerial {
    let id = device.to_string();
    format!("by-hand-{}", &id[id.len() - DIGITS..])
        .parse()
        .expect("letters, digits and dashes make a serial")
}

/// A bench of which one board is seen and no other can be reached: the one whose device was confirmed. Once it was
/// unplugged it is another one, whatever sits in its slot.
struct OneBoard {
    bench: Rc<dyn Bench>,
    slot: SlotPath,
    attachment: u64,
}

impl OneBoard {
    fn is_it(&self, board: &BoardInfo) -> bool {
        (&board.slot, board.attachment) == (&self.slot, self.attachment)
    }
}

impl Bench for OneBoard {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async {
            let mut boards = self.bench.list().await?;
            boards.retain(|board| self.is_it(board));
            Ok(boards)
        })
    }

    fn watch(&self) -> Watch {
        let (slot, attachment) = (self.slot.clone(), self.attachment);
        Box::pin(self.bench.watch().filter(move |change| {
            std::future::ready(match change {
                BenchEvent::Attached(board) => (&board.slot, board.attachment) == (&slot, attachment),
                BenchEvent::Detached(of) => *of == slot,
            })
        }))
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let (slot, holder) = (slot.clone(), holder.to_owned());
        Box::pin(async move {
            if self.list().await?.iter().any(|board| board.slot == slot) {
                self.bench.lease(&slot, &holder).await
            } else {
                Err(LinkError::NoBoard { slot })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Two boards, of which the first is unplugged and plugged in again now and then.
    #[derive(Default)]
    struct Fake(Cell<u64>);

    impl Bench for Fake {
        fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
            let board = |slot: &str, attachment| BoardInfo {
                slot: SlotPath::new(slot).unwrap(),
                attachment,
                board_serial: None,
                leased_by: None,
                trouble: None,
                device: None,
            };
            Box::pin(std::future::ready(Ok(vec![
                board("113", self.0.get()),
                board("123", 0),
            ])))
        }

        fn watch(&self) -> Watch {
            Box::pin(futures::stream::empty())
        }

        fn lease(&self, _: &SlotPath, _: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
            Box::pin(std::future::ready(Err(LinkError::Departed)))
        }
    }

    #[test]
    fn only_the_confirmed_board_is_reached_and_only_until_it_is_unplugged() {
        let fake = Rc::new(Fake::default());
        let slot = SlotPath::new("113").unwrap();
        let bench = OneBoard {
            bench: Rc::clone(&fake) as Rc<dyn Bench>,
            slot: slot.clone(),
            attachment: 0,
        };
        let lease = |slot: &SlotPath| futures::executor::block_on(bench.lease(slot, "test")).map(drop);
        assert_eq!(
            lease(&slot),
            Err(LinkError::Departed),
            "the bench itself was asked"
        );
        let other = SlotPath::new("123").unwrap();
        assert_eq!(lease(&other), Err(LinkError::NoBoard { slot: other.clone() }));
        fake.0.set(1);
        assert_eq!(lease(&slot), Err(LinkError::NoBoard { slot: slot.clone() }));
        assert_eq!(futures::executor::block_on(bench.list()), Ok(vec![]));
    }
}
