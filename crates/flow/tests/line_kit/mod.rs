//! What all tests of the engine share: names, a recipe, the facts of a device that is ready.
#![allow(dead_code, reason = "each test program uses its part")]

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::rc::Rc;

use lineside_flow::interlock::{Expectation, Facts, ImageFacts, Protected, Reading, SessionTag, Verb};
use lineside_flow::{Event, IllegalHistory, Line, Past, Recipe, RecipeStep, Shift, Work};
use lineside_terms::{
    Blame, BootId, Capability, ClockTrust, DeviceId, Digest, Effect as StepEffect, Epoch, Instant,
    ManufacturingState, SecurityState, SlotPath, Stamp, StationName, StepId, Told, UnitSerial,
};

pub(crate) const OLD: ManufacturingState = ManufacturingState::Module1Complete;
pub(crate) const NEW: ManufacturingState = ManufacturingState::DeviceComplete;

pub(crate) fn device(n: u8) -> DeviceId {
    DeviceId::from_bytes([n; 64])
}

pub(crate) fn slot(n: u8) -> SlotPath {
    SlotPath::new(format!("1.{n}")).unwrap()
}

pub(crate) fn serial(n: u8) -> UnitSerial {
    UnitSerial::new(format!("unit-{n}")).unwrap()
}

pub(crate) fn told(code: &str) -> Told {
    Told {
        code: code.to_owned(),
        message: "as the test says".to_owned(),
        help: "none".to_owned(),
        blame: Blame::Device,
    }
}

pub(crate) fn stamp(nanos: u64) -> Stamp {
    Stamp {
        mono: Instant::from_nanos(nanos),
        wall_ms: i64::try_from(nanos / 1_000_000).unwrap(),
        trust: ClockTrust::Synchronised,
    }
}

pub(crate) fn step(id: &str, work: Work) -> RecipeStep {
    let effect = match work {
        Work::Perform => StepEffect::LookFirst,
        Work::Prove => StepEffect::Reads,
        Work::Act { .. } => StepEffect::Irreversible,
    };
    RecipeStep {
        id: StepId::new(id).unwrap(),
        label: id.to_owned(),
        effect,
        work,
        needs: Vec::new(),
        retries: 0,
        instruments: Vec::new(),
    }
}

pub(crate) const LOCK: Work = Work::Act {
    verb: Verb::StateChange,
    target: NEW,
};

/// A recipe of steps that follow each other.
pub(crate) fn recipe(plan: u8, steps: Vec<RecipeStep>) -> Recipe {
    let mut steps = steps;
    for (index, step) in steps.iter_mut().enumerate().skip(1) {
        step.needs = vec![index - 1];
    }
    Recipe {
        plan: Digest::from_bytes([plan; 32]),
        product: "thermostat".to_owned(),
        incoming: vec![OLD],
        target: NEW,
        attempt_limit: 2,
        steps,
        expectation: Expectation::bare(OLD, vec!["24.06".to_owned()], Vec::new()),
        approvals: Default::default(),
    }
}

/// Six steps: look at the OS, load two things, prove, lock, look again.
pub(crate) fn six_steps() -> Recipe {
    recipe(
        1,
        vec![
            step("os", Work::Perform),
            step("board-config", Work::Perform),
            step("application", Work::Perform),
            step("ready", Work::Prove),
            step("lock", LOCK),
            step("final-look", Work::Perform),
        ],
    )
}

pub(crate) fn facts(device: DeviceId, epoch: Epoch, state: ManufacturingState, taken_at: Instant) -> Facts {
    let capabilities = match state {
        ManufacturingState::Blank => vec![Capability::RF_TEST_MODE],
        _ => Vec::new(),
    };
    Facts {
        device,
        epoch,
        session: SessionTag::from_bytes([7; 16]),
        writes: 0,
        uptime_first_s: 5,
        uptime_last_s: 5,
        security: Reading::Read(SecurityState::Secure),
        state: Reading::Read(state),
        capabilities: Reading::Read(capabilities),
        os_version: Reading::Read("24.06".to_owned()),
        images: Reading::Read(ImageFacts {
            components: Vec::new(),
            is_update_in_progress: false,
            has_staged_updates: false,
            is_restart_required: false,
        }),
        wifi: Reading::Read(Vec::new()),
        certificates: Reading::Read(Vec::new()),
        proxy: Reading::Read(None),
        taken_at,
    }
}

/// One serial for each of the first sockets, of the same number.
pub(crate) fn serials(count: u8) -> BTreeMap<SlotPath, UnitSerial> {
    (1..=count).map(|n| (slot(n), serial(n))).collect()
}

/// A station that has not seen anything yet.
pub(crate) const NO_HISTORY: [Event; 0] = [];

/// A line that follows `history` in start number `boot` of its program.
pub(crate) fn resume(
    boot: u8,
    protected: &str,
    history: impl IntoIterator<Item = impl Borrow<Event>>,
) -> Result<Line, IllegalHistory> {
    Line::resume(
        StationName::new("station-1").unwrap(),
        BootId::from_bytes([boot; 16]),
        Protected::parse(protected).unwrap(),
        Shift::default(),
        history,
    )
}

/// As [`resume`], where the first `kept` events were folded once, and kept, and only the others are folded now.
pub(crate) fn resume_kept(boot: u8, history: &[Event], kept: usize) -> Result<Line, IllegalHistory> {
    let (earlier, later) = history.split_at(kept);
    let text = serde_json::to_vec(&Past::of(earlier)?).unwrap();
    let mut past: Past = serde_json::from_slice(&text).expect("what a fold leaves can be read back");
    for event in later {
        past.take(event)?;
    }
    Ok(Line::after(
        StationName::new("station-1").unwrap(),
        BootId::from_bytes([boot; 16]),
        Protected::default(),
        Shift::default(),
        past,
    ))
}

pub(crate) fn shared(recipe: Recipe) -> Rc<Recipe> {
    Rc::new(recipe)
}
