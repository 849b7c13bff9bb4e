//! A state change by hand without a ready check: it goes through the same intents, permits and looks as a plan's, and a cut
//! anywhere in it is found out by the next run of any command. The device is the judge.

mod support;

use lineside_flow::Body;
use lineside_flow::interlock::Verdict;
use lineside_runner::manual::End as Came;
use lineside_runner::policy::StateChange;
use lineside_simulator::WorldConfig;
use lineside_terms::{ManufacturingState, Outcome};
use support::cut::{Boundary, DiskFault, Fate, Moment, Share};
use support::{End, Floor, code_at, judge};

const TO: ManufacturingState = ManufacturingState::DeviceComplete;

fn floor() -> Floor {
    let mut floor = Floor::new(WorldConfig {
        boards: 1,
        ..WorldConfig::default()
    });
    floor.by_hand = Some((StateChange::Vendor, TO));
    floor
}

fn code(came: Option<&Came>) -> String {
    match came {
        Some(Came::Not(error)) => error.code.clone(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_device_is_brought_once_and_is_not_called_ready() {
    let mut floor = floor();
    let summary = floor.start().summary();
    assert_eq!(floor.by_hand_end, Some(Came::Brought));
    assert!(!summary.is_pass(), "nobody looked whether it is ready");
    let truth = floor.truth(0);
    judge::is_safe(&truth, "by hand");
    assert_eq!((truth.state, truth.counters.irreversible_applied), (TO, 1));
    assert_eq!(truth.counters.writes, 1, "nothing else was written");
    let history = floor.history();
    let intended = |event: &&lineside_flow::Event| matches!(event.body, Body::Intended { .. });
    assert_eq!(history.iter().filter(intended).count(), 1);
    assert!(history.iter().any(|event| matches!(
        event.body,
        Body::RunEnded {
            outcome: Outcome::Skipped,
            ..
        }
    )));

    floor.start().summary();
    assert_eq!(floor.by_hand_end, Some(Came::Already));
    // A plan does not take it for a unit that passed.
    floor.by_hand = None;
    let summary = floor.start().summary();
    assert_eq!(
        code_at(&summary.picture, &floor.slot(0)),
        "unit.complete-not-passed"
    );
    assert_eq!(floor.truth(0).counters.writes, 1);
}

#[test]
fn after_a_cut_anywhere_the_next_run_looks_first_and_it_is_asked_at_most_once() {
    let mut reference = floor();
    reference.start().summary();
    let (outputs, submits) = reference.cutter.counts();
    assert!(outputs > 10 && submits > 4, "{outputs} {submits}");
    let mut moments = Vec::new();
    for nth in 1..=outputs {
        moments.extend([Share::Nothing, Share::Half, Share::All].map(|share| Moment::Output { nth, share }));
    }
    for nth in 1..=submits {
        let all = [Boundary::Before, Boundary::Unsynced, Boundary::Synced];
        moments.extend(all.map(|boundary| Moment::Submit { nth, boundary }));
    }
    let (mut in_act, mut was_done, mut was_not, mut by_plan) = (0, 0, 0, 0);
    for (number, moment) in moments.into_iter().enumerate() {
        let context = format!("{moment:?}");
        let mut floor = floor();
        floor.cutter.at(moment, Fate::Cut, number as u64);
        if !matches!(floor.start(), End::Cut) {
            continue;
        }
        let applied = floor.truth(0).counters.irreversible_applied;
        let open = floor
            .history()
            .iter()
            .fold(false, |open, event| match &event.body {
                Body::Intended { .. } => true,
                Body::Decided { .. } => false,
                _ => open,
            });
        in_act += u32::from(open);
        if open && number % 2 == 0 {
            // Somebody else runs a plan instead: it looks, too, before anything is done.
            by_plan += 1;
            floor.by_hand = None;
            floor.start().summary();
            let verdict = floor.history().iter().find_map(|event| match &event.body {
                Body::Decided { verdict, .. } => Some(*verdict),
                _ => None,
            });
            let truly = if applied == 1 {
                Verdict::Confirmed
            } else {
                Verdict::Disproved
            };
            assert_eq!(verdict, Some(truly), "{context}");
        } else {
            floor.start().summary();
            // What was cut off before it was sent may have to be asked for once more.
            if !floor.by_hand_end.as_ref().is_some_and(Came::is_good) {
                floor.start().summary();
            }
            assert!(
                floor.by_hand_end.as_ref().is_some_and(Came::is_good),
                "{context}: {}",
                code(floor.by_hand_end.as_ref())
            );
            assert_eq!(floor.state(0), TO, "{context}");
        }
        if open {
            was_done += applied;
            was_not += 1 - applied;
        }
        let truth = floor.truth(0);
        judge::is_safe(&truth, &context);
        assert!(truth.counters.irreversible_applied <= 1, "{context}");
    }
    assert!(
        in_act > 5 && was_done > 0 && was_not > 0 && by_plan > 1,
        "{in_act} {was_done} {was_not} {by_plan}"
    );
}

#[test]
fn nothing_is_sent_before_the_intent_is_durable() {
    let mut reference = floor();
    reference.start().summary();
    let (_, submits) = reference.cutter.counts();
    let mut kept = 0;
    for nth in 1..=submits {
        let mut floor = floor();
        let boundary = Boundary::Before;
        floor.cutter.at(
            Moment::Submit { nth, boundary },
            Fate::Disk(DiskFault::ReadOnly),
            nth,
        );
        let ended = floor.start();
        let is_intended = |event: &lineside_flow::Event| matches!(event.body, Body::Intended { .. });
        if !floor.history().iter().any(is_intended) {
            kept += 1;
            assert_eq!(floor.truth(0).counters.writes, 0, "{nth}: {ended:?}");
        }
        // Even where the device is in its state: what is not in the records was not done well.
        assert!(
            !floor.by_hand_end.as_ref().is_some_and(Came::is_good),
            "{nth}: {:?}",
            floor.by_hand_end
        );
    }
    assert!(kept > 1, "{kept} of {submits}");
}
