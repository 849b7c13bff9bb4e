//! One morning of a station: every kind of event, in an order that can happen.

use std::collections::BTreeMap;

use lineside_flow::interlock::{
    Check, CheckName, EpochCause, Expectation, Intent, Look, OnceKey, OsRelease, Verb, Verdict,
};
use lineside_flow::{Body, Event, Measurement, Recipe, RecipeStep, Work};
use lineside_terms::{
    BootId, ClockTrust, DeviceId, Digest, Effect, Epoch, Instant, ManufacturingState, Outcome, RunId,
    SecurityState, SlotPath, Told, UnitSerial,
};

use super::{device, told, with};

pub const PLAN: Digest = Digest::from_bytes([0xa1; 32]);
pub const RUN_LOCKED: RunId = RunId::from_bytes([0x0a; 16]);
pub const RUN_FAILED: RunId = RunId::from_bytes([0x0b; 16]);
pub const RUN_OPEN: RunId = RunId::from_bytes([0x0c; 16]);

struct Story {
    events: Vec<Event>,
    boot: BootId,
    slot: Option<SlotPath>,
    device: Option<DeviceId>,
    run: Option<RunId>,
}

impl Story {
    fn tell(&mut self, body: Body) {
        let mut event = with(self.events.len() as u64 + 1, body);
        event.boot = self.boot;
        event.operator = Some("op-17".into());
        event.shift = Some("early".into());
        event.work_order = Some("WO-4711".into());
        event.slot.clone_from(&self.slot);
        event.device = self.device;
        event.run = self.run;
        self.events.push(event);
    }

    fn of_station(&mut self, body: Body) {
        (self.slot, self.device, self.run) = (None, None, None);
        self.tell(body);
    }

    fn at(&mut self, slot: &str, device: Option<DeviceId>, run: Option<RunId>) -> &mut Self {
        (self.slot, self.device, self.run) = (Some(slot.parse().unwrap()), device, run);
        self
    }

    fn seen(&mut self, epoch: u64, cause: EpochCause) {
        (self.device, self.run) = (None, None);
        self.tell(Body::BoardSeen {
            epoch: Epoch(epoch),
            cause,
        });
    }

    fn identified(&mut self, epoch: u64, id: DeviceId, state: ManufacturingState) {
        self.device = Some(id);
        self.tell(Body::Identified {
            epoch: Epoch(epoch),
            state,
            security: SecurityState::Secure,
        });
    }

    fn run_started(&mut self, epoch: u64, run: RunId, serial: &str) {
        self.run = Some(run);
        self.tell(Body::RunStarted {
            serial: serial.parse().unwrap(),
            plan: PLAN,
            attempt: 1,
            predecessor: None,
            incoming: ManufacturingState::Module1Complete,
            epoch: Epoch(epoch),
        });
    }

    fn step_started(&mut self, epoch: u64, step: &str, attempt: u32) {
        self.tell(Body::StepStarted {
            step: step.parse().unwrap(),
            attempt,
            epoch: Epoch(epoch),
        });
    }

    fn step_ended(&mut self, step: &str, attempt: u32, outcome: Outcome, error: Option<Told>) {
        self.tell(Body::StepEnded {
            step: step.parse().unwrap(),
            attempt,
            outcome,
            measurements: Vec::new(),
            error,
            note: None,
        });
    }

    fn step(&mut self, epoch: u64, step: &str) {
        self.step_started(epoch, step, 1);
        self.step_ended(step, 1, Outcome::Pass, None);
    }

    /// Judged and intended; returns the act.
    fn intended(&mut self, epoch: u64) -> OnceKey {
        let (device, run) = (self.device.unwrap(), self.run.unwrap());
        self.step_started(epoch, "lock", 1);
        self.tell(Body::Judged {
            step: "lock".parse().unwrap(),
            checks: vec![
                check(
                    CheckName::ManufacturingState,
                    "Module1Complete",
                    "Module1Complete",
                ),
                check(CheckName::Wifi, "none", "none"),
            ],
            outcome: Outcome::Pass,
            facts: Digest::from_bytes([0xfa; 32]),
        });
        let key = OnceKey {
            verb: Verb::StateChange,
            device,
            target: ManufacturingState::DeviceComplete,
            generation: 1,
        };
        self.tell(Body::Intended {
            intent: Intent {
                key,
                run,
                plan: PLAN,
                epoch: Epoch(epoch),
                from: ManufacturingState::Module1Complete,
                proof: Digest::from_bytes([0xfa; 32]),
            },
            approvals: Vec::new(),
        });
        key
    }
}

fn check(name: CheckName, expected: &str, found: &str) -> Check {
    Check {
        name,
        outcome: Outcome::Pass,
        expected: expected.into(),
        found: found.into(),
        covered_by: None,
    }
}

fn recipe() -> Recipe {
    let step = |id: &str, label: &str, effect, work, needs: &[usize]| RecipeStep {
        id: id.parse().unwrap(),
        label: label.into(),
        effect,
        work,
        needs: needs.to_vec(),
        retries: 1,
        instruments: Vec::new(),
    };
    let act = Work::Act {
        verb: Verb::StateChange,
        target: ManufacturingState::DeviceComplete,
    };
    Recipe {
        plan: PLAN,
        product: "thermostat".into(),
        incoming: vec![ManufacturingState::Module1Complete],
        target: ManufacturingState::DeviceComplete,
        attempt_limit: 3,
        steps: vec![
            step("os", "check-os 24.06", Effect::Reads, Work::Perform, &[]),
            step(
                "functional",
                "dialogue tcp:7000",
                Effect::Repeatable,
                Work::Perform,
                &[0],
            ),
            step(
                "lock",
                "finalize DeviceComplete",
                Effect::Irreversible,
                act,
                &[0, 1],
            ),
        ],
        expectation: Expectation::bare(
            ManufacturingState::Module1Complete,
            vec!["24.06".into()],
            vec![OsRelease {
                name: "24.06".into(),
                pairs: Vec::new(),
            }],
        ),
        approvals: Default::default(),
    }
}

fn measured() -> Vec<Measurement> {
    vec![
        Measurement {
            name: "temperature".into(),
            value: Some(21.3),
            unit: "°C".into(),
            min: Some(15.0),
            max: Some(35.0),
            outcome: Outcome::Pass,
        },
        Measurement {
            name: "noise".into(),
            value: None,
            unit: "dB".into(),
            min: None,
            max: Some(0.1),
            outcome: Outcome::Skipped,
        },
    ]
}

/// The whole morning. Its events are those of the kept journal, so nothing in it may change.
pub fn story() -> Vec<Event> {
    let module = ManufacturingState::Module1Complete;
    let boot = BootId::from_bytes([0xb0; 16]);
    let mut story = Story {
        events: Vec::new(),
        boot,
        slot: None,
        device: None,
        run: None,
    };
    let station_started = || Body::StationStarted {
        program: "0.1.0".into(),
        bench: "sim:8".into(),
    };
    story.of_station(station_started());
    story.of_station(Body::PlanAdopted {
        recipe: Box::new(recipe()),
    });
    let serials: BTreeMap<SlotPath, UnitSerial> = [("1213", "TH-0001"), ("1214", "TH-0002")]
        .into_iter()
        .map(|(slot, serial)| (slot.parse().unwrap(), serial.parse().unwrap()))
        .collect();
    let batch_started = || Body::BatchStarted {
        plan: PLAN,
        serials: serials.clone(),
        expected: Some(2),
        only: None,
    };
    story.of_station(batch_started());

    // A unit that goes all the way, with a second try and an act whose answer was lost.
    story.at("1213", None, None).seen(1, EpochCause::Found);
    story.identified(1, device(1), module);
    story.run_started(1, RUN_LOCKED, "TH-0001");
    story.step(1, "os");
    story.step_started(1, "functional", 1);
    story.step_ended(
        "functional",
        1,
        Outcome::Error,
        Some(told("the test application did not answer")),
    );
    story.step_started(1, "functional", 2);
    story.tell(Body::StepEnded {
        step: "functional".parse().unwrap(),
        attempt: 2,
        outcome: Outcome::Pass,
        measurements: measured(),
        error: None,
        note: Some("after a restart of the application".into()),
    });
    let key = story.intended(1);
    story.tell(Body::ActUnclear {
        key,
        error: told("the link was lost"),
    });
    story.seen(2, EpochCause::Reset);
    story.identified(2, device(1), ManufacturingState::DeviceComplete);
    story.run = Some(RUN_LOCKED);
    story.tell(Body::Decided {
        key,
        verdict: Verdict::Confirmed,
        look: Look {
            device: device(1),
            epoch: Epoch(2),
            cause: EpochCause::Reset,
            state: ManufacturingState::DeviceComplete,
            taken_at: Instant::from_nanos(77),
        },
    });
    story.step_ended("lock", 1, Outcome::Pass, None);
    story.tell(Body::RunContinued {
        epoch: Epoch(2),
        step: "lock".parse().unwrap(),
    });
    story.tell(Body::RunEnded {
        outcome: Outcome::Pass,
        error: None,
    });

    // A unit that fails after its board was silent at first.
    story.at("1214", None, None).seen(3, EpochCause::Found);
    story.tell(Body::Unresponsive {
        epoch: Epoch(3),
        error: told("no answer at 115200 baud"),
    });
    story.tell(Body::BoardGone { epoch: Epoch(3) });
    story.seen(4, EpochCause::Attached);
    story.identified(4, device(2), module);
    story.run_started(4, RUN_FAILED, "TH-0002");
    story.step_started(4, "os", 1);
    story.step_ended("os", 1, Outcome::Fail, Some(told("OS 20.05 is not allowed")));
    story.tell(Body::RunEnded {
        outcome: Outcome::Fail,
        error: Some(told("OS 20.05 is not allowed")),
    });

    // A device that is not taken.
    story.at("1215", None, None).seen(5, EpochCause::Attached);
    story.identified(5, device(3), ManufacturingState::Blank);
    story.tell(Body::Held {
        epoch: Epoch(5),
        error: told("Blank is not an incoming state"),
    });
    story.of_station(Body::CancelAsked);

    // The program is started again. The first unit is known; another run is cut off right before it acts.
    story.boot = BootId::from_bytes([0xb1; 16]);
    story.of_station(station_started());
    story.of_station(batch_started());
    story.at("1213", None, None).seen(6, EpochCause::Found);
    story.identified(6, device(1), ManufacturingState::DeviceComplete);
    story.tell(Body::AlreadyComplete {
        epoch: Epoch(6),
        earlier: RUN_LOCKED,
        serial: "TH-0001".parse().unwrap(),
    });
    story.at("1214", None, None).seen(7, EpochCause::Found);
    story.identified(7, device(4), module);
    story.run_started(7, RUN_OPEN, "TH-0002");
    story.step(7, "os");
    story.tell(Body::RunInterrupted {
        error: told("the cable was pulled"),
    });
    story.seen(8, EpochCause::Attached);
    story.identified(8, device(4), module);
    story.run = Some(RUN_OPEN);
    story.tell(Body::RunContinued {
        epoch: Epoch(8),
        step: "functional".parse().unwrap(),
    });
    story.step(8, "functional");
    story.intended(8);
    story.events.last_mut().unwrap().at.trust = ClockTrust::Wrong;
    story.events
}
