//! One board, one whole run, cut off at every boundary of the journal and at every output to the device, then gone on
//! with from what the disk kept. The device is the judge: it counts what was asked of it.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use lineside_flow::{Body, Event};
use lineside_simulator::WorldConfig;
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

fn floor() -> Floor {
    Floor::new(WorldConfig { boards: 1, ..WorldConfig::default() })
}

/// How many outputs and submissions a run without a cut makes.
fn reference() -> (u64, u64) {
    let mut floor = floor();
    assert!(floor.start().summary().is_pass());
    floor.cutter.counts()
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

/// Cuts a run at `first`, and the start after it at `second`, then lets it finish.
fn cut(first: Moment, second: Option<Moment>, seed: u64, tally: &mut Tally) {
    let context = format!("cut at {first:?}, then {second:?}, seed {seed}");
    let mut floor = floor();
    floor.cutter.at(first, Fate::Cut, seed);
    match floor.start() {
        End::Cut => {}
        // Beyond the last output of this run: how many there are depends on the lengths of signatures.
        End::Over(summary) => return assert!(summary.is_pass(), "{context}"),
        End::NotBegun(code) => panic!("{context}: {code}"),
    }
    tally.cuts += 1;
    tally.starts += 1;
    judge::is_safe(&floor.truth(0), &context);
    // The PC is back at once, after a moment, or after a night.
    floor.pass([Duration::ZERO, Duration::from_millis(30), Duration::from_secs(40_000)][(seed % 3) as usize]);
    // What was synced is there; what was not is there or not, and only whole.
    let history = floor.history();
    let (in_lock, in_act) = under_way(&history);
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
    let disproved = floor.history().into_iter().filter(|event| {
        matches!(event.body, Body::Decided { verdict: lineside_flow::interlock::Verdict::Disproved, .. })
    });
    tally.disproved += disproved.count() as u64;
}

#[test]
fn at_every_boundary_of_the_journal() {
    let (_, submits) = reference();
    let mut tally = Tally::default();
    for nth in 1..=submits {
        for boundary in [Boundary::Before, Boundary::Synced] {
            cut(Moment::Submit { nth, boundary }, None, nth, &mut tally);
        }
        for dice in 0..3 {
            cut(Moment::Submit { nth, boundary: Boundary::Unsynced }, None, nth * 7 + dice, &mut tally);
        }
    }
    println!("{submits} boundaries: {tally:?}");
    assert_eq!(tally.cuts, submits * 5);
    assert!(tally.in_act >= 2 && tally.in_lock > tally.in_act);
}

#[test]
fn at_every_output() {
    let (outputs, _) = reference();
    let mut tally = Tally::default();
    for nth in 1..=outputs {
        let share = [Share::All, Share::Half, Share::Nothing][(nth % 3) as usize];
        cut(Moment::Output { nth, share }, None, nth, &mut tally);
    }
    println!("{outputs} outputs: {tally:?}");
    assert!(tally.cuts + 3 >= outputs, "{tally:?}");
    assert!(tally.in_act > 0 && tally.applied > 0 && tally.disproved > 0, "{tally:?}");
}
