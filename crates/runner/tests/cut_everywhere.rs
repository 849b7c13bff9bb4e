//! One board, one whole run, cut off at every boundary of the journal and at every output to the device, then gone on
//! with from what the disk kept. The device is the judge: it counts what was asked of it.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use lineside_flow::interlock::Verdict;
use lineside_flow::{Body, Event};
use lineside_simulator::{DeviceTimes, WorldConfig};
use support::cut::{Boundary, Fate, Moment, Share};
use support::{End, Floor, judge};

/// How often a unit may have to be started again after a cut: once to find out, once more when the lock was disproved
/// and its run ended with that.
const MOST_STARTS: usize = 4;

/// What the cuts of one test were.
#[derive(Debug, Default)]
struct Tally {
    cuts: u64,
    /// While the step that locks ran.
    in_lock: u64,
    /// While an intent was durable and its outcome was not.
    in_act: u64,
    /// Of those: the device had been locked.
    applied: u64,
    /// Of those: it was seen later that nothing had happened.
    disproved: u64,
    /// Second cuts while the first was being mended.
    second: u64,
    starts: u64,
    /// What runs said when they ended without a pass.
    told: BTreeMap<String, u64>,
}

/// How long devices take: nothing at all, so that a request and its effect fall together, or as hardware, so that a cut
/// finds the device at work.
const TIMES: [DeviceTimes; 2] = [DeviceTimes::FAST, DeviceTimes::REAL];

fn floor(times: DeviceTimes) -> Floor {
    Floor::new(WorldConfig {
        boards: 1,
        times: Some(times),
        ..WorldConfig::default()
    })
}

/// How many outputs and submissions a run without a cut makes, each.
struct Reference {
    outputs: u64,
    submits: u64,
}

fn reference(times: DeviceTimes) -> Reference {
    let mut floor = floor(times);
    assert!(floor.start().summary().is_pass());
    let (outputs, submits) = floor.cutter.counts();
    Reference { outputs, submits }
}

/// What the journal says was under way: in the step that locks, with an act whose outcome is not known.
fn under_way(history: &[Event]) -> (bool, bool) {
    let (mut in_lock, mut in_act) = (false, false);
    for event in history {
        match &event.body {
            Body::StepStarted { step, .. } => in_lock = step.as_str() == "lock",
            Body::StepEnded { .. } | Body::RunInterrupted { .. } => in_lock = false,
            Body::Intended { .. } => in_act = true,
            Body::Decided { .. } => in_act = false,
            _ => {}
        }
    }
    (in_lock, in_act)
}

/// What one cut found.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    in_act: bool,
    /// How many outputs the start after it made: where second cuts may fall.
    outputs_after: u64,
}

/// Cuts a run at `first`, and the start after it at `second`, then lets it finish.
fn cut(times: DeviceTimes, first: Moment, second: Option<Moment>, seed: u64, tally: &mut Tally) -> Found {
    let context = format!("cut at {first:?}, then {second:?}, seed {seed}, {times:?}");
    let mut floor = floor(times);
    let mut found = Found::default();
    floor.cutter.at(first, Fate::Cut, seed);
    match floor.start() {
        End::Cut => {}
        // Beyond the last output of this run: how many there are depends on the lengths of signatures.
        End::Over(summary) => {
            assert!(summary.is_pass(), "{context}");
            return found;
        }
        End::NotBegun(code) => panic!("{context}: {code}"),
    }
    tally.cuts += 1;
    tally.starts += 1;
    judge::is_safe(&floor.truth(0), &context);
    // The PC is back at once, after a moment, or after a night.
    floor.pass(
        [
            Duration::ZERO,
            Duration::from_millis(30),
            Duration::from_secs(40_000),
        ][(seed % 3) as usize],
    );
    // What was synced is there; what was not is there or not, and only whole.
    let (in_lock, in_act) = under_way(&floor.history());
    found.in_act = in_act;
    tally.in_lock += u64::from(in_lock);
    if in_act {
        tally.in_act += 1;
        tally.applied += floor.truth(0).counters.irreversible_applied;
    }
    if let Some(second) = second {
        floor.cutter.at(second, Fate::Cut, seed + 1);
        tally.starts += 1;
        match floor.start() {
            End::Cut => tally.second += 1,
            End::Over(_) => {}
            End::NotBegun(code) => panic!("{context}: {code}"),
        }
        judge::is_safe(&floor.truth(0), &context);
    }
    let before = floor.start_until_pass(MOST_STARTS, &context);
    found.outputs_after = floor.cutter.counts().0;
    tally.starts += before.len() as u64 + 1;
    for summary in before {
        let error = summary.picture.slots[0].error.clone();
        let error = error.unwrap_or_else(|| panic!("{context}: nothing was told: {summary:#?}"));
        assert!(!error.help.is_empty(), "{context}");
        *tally.told.entry(error.code).or_default() += 1;
    }
    let truth = floor.truth(0);
    judge::is_safe(&truth, &context);
    judge::is_finished(&truth, &floor.program, &context);
    judge::records_agree(&floor, &context);
    let decided = floor.history().into_iter().filter_map(|event| match event.body {
        Body::Decided { verdict, .. } => Some(verdict),
        _ => None,
    });
    tally.disproved += decided.filter(|verdict| *verdict == Verdict::Disproved).count() as u64;
    found
}

#[test]
fn at_every_boundary_of_the_journal() {
    let mut tally = Tally::default();
    for times in TIMES {
        let submits = reference(times).submits;
        let before = tally.cuts;
        for nth in 1..=submits {
            for boundary in [Boundary::Before, Boundary::Synced] {
                cut(times, Moment::Submit { nth, boundary }, None, nth, &mut tally);
            }
            for dice in 0..4 {
                let moment = Moment::Submit {
                    nth,
                    boundary: Boundary::Unsynced,
                };
                cut(times, moment, None, nth * 7 + dice, &mut tally);
            }
        }
        assert_eq!(tally.cuts - before, submits * 6);
        println!("{submits} boundaries, each cut in 6 ways: {tally:?}");
    }
    assert!(tally.in_act >= 4 && tally.in_lock > tally.in_act);
}

#[test]
fn at_every_output() {
    let mut tally = Tally::default();
    for (times, shares) in TIMES
        .into_iter()
        .zip([&[Share::All, Share::Half, Share::Nothing][..], &[Share::All]])
    {
        let outputs = reference(times).outputs;
        let before = tally.cuts;
        for nth in 1..=outputs {
            for share in shares {
                cut(
                    times,
                    Moment::Output { nth, share: *share },
                    None,
                    nth,
                    &mut tally,
                );
            }
        }
        println!("{outputs} outputs, each cut in {} ways: {tally:?}", shares.len());
        assert!(
            tally.cuts - before + 12 >= outputs * shares.len() as u64,
            "{tally:?}"
        );
    }
    assert!(
        tally.in_act > 20 && tally.applied > 0 && tally.disproved > 0,
        "{tally:?}"
    );
}

#[test]
fn again_while_it_goes_on() {
    let mut tally = Tally::default();
    for times in TIMES {
        let reference = reference(times);
        // Where the act was under way, every output of what follows is cut as well; elsewhere a sample.
        let mut acts = Vec::new();
        for nth in reference.outputs * 3 / 4..=reference.outputs {
            let first = Moment::Output {
                nth,
                share: Share::All,
            };
            let found = cut(times, first, None, nth, &mut tally);
            if found.in_act {
                acts.push((first, found.outputs_after));
            }
        }
        assert!(!acts.is_empty());
        for (index, (first, outputs)) in acts.into_iter().enumerate() {
            // Each act from another start, so that together all of them are cut.
            for nth in (1 + index as u64 % 3..=outputs.min(120)).step_by(3) {
                let share = [Share::All, Share::Half, Share::Nothing][(nth / 3 % 3) as usize];
                cut(times, first, Some(Moment::Output { nth, share }), nth, &mut tally);
            }
            for nth in 1..=6 {
                let boundary = [Boundary::Before, Boundary::Unsynced, Boundary::Synced][index % 3];
                cut(
                    times,
                    first,
                    Some(Moment::Submit { nth, boundary }),
                    nth,
                    &mut tally,
                );
            }
        }
        for nth in (1..reference.outputs).step_by(17) {
            let first = Moment::Output {
                nth,
                share: Share::Half,
            };
            let second = Moment::Output {
                nth: 1 + nth * 31 % 90,
                share: Share::All,
            };
            cut(times, first, Some(second), nth, &mut tally);
        }
    }
    println!("cut twice: {tally:?}");
    assert!(
        tally.second > 200 && tally.disproved > 0 && tally.applied > 0,
        "{tally:?}"
    );
}
