//! Any event that can be written is read back as it was.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use lineside_flow::interlock::{Check, CheckName, EpochCause};
use lineside_flow::{Body, Event, Measurement, RecoveryOutcome};
use lineside_records::FakeDisk;
use lineside_terms::{
    Blame, ClockTrust, DeviceId, Digest, Epoch, Instant, ManufacturingState, Outcome, RunId, Told,
};
use proptest::prelude::*;
use support::{all, open_small, read_all, with};

fn outcome() -> impl Strategy<Value = Outcome> {
    proptest::sample::select(vec![
        Outcome::Pass,
        Outcome::Marginal,
        Outcome::Fail,
        Outcome::Unknown,
    ])
}

fn told() -> impl Strategy<Value = Told> {
    (".{0,20}", ".{0,60}", ".{0,40}").prop_map(|(code, message, help)| Told {
        code,
        message,
        help,
        blame: Blame::Instrument,
    })
}

fn finite() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(any::<f64>().prop_filter("finite", |value| value.is_finite()))
}

fn measurement() -> impl Strategy<Value = Measurement> {
    (".{0,12}", finite(), ".{0,4}", finite(), finite(), outcome()).prop_map(
        |(name, value, unit, min, max, outcome)| Measurement {
            name,
            value,
            unit,
            min,
            max,
            outcome,
        },
    )
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        (".{0,9}", ".{0,9}").prop_map(|(program, bench)| Body::StationStarted { program, bench }),
        any::<u64>().prop_map(|epoch| Body::BoardSeen {
            epoch: Epoch(epoch),
            cause: EpochCause::LinkLost
        }),
        (any::<u64>(), told()).prop_map(|(epoch, error)| Body::Held {
            epoch: Epoch(epoch),
            error
        }),
        (
            "[a-z.:_-]{1,40}",
            any::<u32>(),
            outcome(),
            proptest::collection::vec(measurement(), 0..4),
            proptest::option::of(told()),
            proptest::option::of(".{0,30}")
        )
            .prop_map(
                |(step, attempt, outcome, measurements, error, note)| Body::StepEnded {
                    step: step.parse().unwrap(),
                    attempt,
                    outcome,
                    measurements,
                    error,
                    note
                }
            ),
        (".{0,30}", ".{0,30}", outcome(), any::<[u8; 32]>()).prop_map(|(expected, found, outcome, facts)| {
            Body::Judged {
                step: "prove".parse().unwrap(),
                checks: vec![Check {
                    name: CheckName::Wifi,
                    outcome,
                    expected,
                    found,
                    covered_by: Some(RunId::from_bytes([1; 16])),
                }],
                outcome,
                facts: Digest::from_bytes(facts),
            }
        }),
        (any::<[u8; 32]>(), proptest::option::of(".{0,12}")).prop_map(|(set, os)| Body::RecoveryBegun {
            set: Digest::from_bytes(set),
            os,
        }),
        (proptest::option::of(".{0,12}"), proptest::option::of(told())).prop_map(|(os, error)| {
            Body::RecoveryEnded {
                outcome: RecoveryOutcome::NeedsRecovery,
                os,
                error,
            }
        }),
        Just(Body::CancelAsked),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let circumstances = (
        any::<u64>(),
        any::<i64>(),
        proptest::option::of(".{0,12}"),
        proptest::option::of(any::<u8>()),
        proptest::option::of("[0-9]{1,6}"),
    );
    proptest::collection::vec((body(), circumstances), 0..12).prop_map(|parts| {
        let tell = |(index, (body, (mono, wall_ms, operator, id, slot))): (usize, (Body, _))| {
            let mut event = with(index as u64 + 1, body);
            event.at.mono = Instant::from_nanos(mono);
            event.at.wall_ms = wall_ms;
            event.at.trust = ClockTrust::Wrong;
            let slot: Option<String> = slot;
            event.operator = operator;
            let id: Option<u8> = id;
            event.device = id.map(|id| DeviceId::from_bytes([id; 64]));
            event.run = id.map(|id| RunId::from_bytes([id; 16]));
            event.slot = slot.map(|slot| slot.parse().unwrap());
            event
        };
        parts.into_iter().enumerate().map(tell).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn events_are_read_back_as_they_were(events in events(), group in 1usize..5) {
        let disk = FakeDisk::new();
        let (mut journal, _) = open_small(&disk).unwrap();
        for group in events.chunks(group) {
            journal.append(group).unwrap();
            journal.commit().unwrap();
        }
        prop_assert_eq!(&read_all(&disk).unwrap(), &events);
        disk.crash_keeping(0);
        let (_, replay) = open_small(&disk).unwrap();
        prop_assert_eq!(&all(replay).unwrap(), &events);
    }

    #[test]
    fn any_files_in_the_folder_are_answered(
        files in proptest::collection::vec((0u64..4, proptest::collection::vec(any::<u8>(), 0..200)), 0..3),
        is_header in any::<bool>(),
    ) {
        let disk = FakeDisk::new();
        if is_header {
            drop(open_small(&disk).unwrap());
        }
        for (number, bytes) in files {
            disk.meddle(&format!("{number:012}.journal"), |file| file.extend_from_slice(&bytes));
        }
        let _ = read_all(&disk);
        let _ = lineside_records::verify(&disk, None);
        if let Ok((mut journal, replay)) = open_small(&disk)
            && all(replay).is_ok()
        {
            support::write(&mut journal, &[1]);
        }
    }
}

#[test]
fn a_manufacturing_state_keeps_its_word() {
    let event = with(
        1,
        Body::Identified {
            epoch: Epoch(1),
            state: ManufacturingState::Module1Complete,
            security: lineside_terms::SecurityState::Secure,
        },
    );
    let text = serde_json::to_string(&event).unwrap();
    assert!(
        text.contains("\"Module1Complete\"") && text.contains("\"SECURE\""),
        "{text}"
    );
}
