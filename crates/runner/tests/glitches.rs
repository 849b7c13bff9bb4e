//! The supply of a board fails, its plug is pulled and put back, or two boards are swapped, at any output of a run. Each
//! unit is finished in the end, and nothing irreversible is asked again unless a look has shown that it did not happen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "how much was tried is worth knowing")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use lineside_flow::Body;
use lineside_flow::interlock::Verdict;
use lineside_simulator::{DeviceTimes, World, WorldConfig, WritesExpected};
use support::cut::{Moment, Share};
use support::{Floor, judge};

/// What somebody does to the boards. It is done at once; what follows later is done by [`then`].
#[derive(Debug, Clone, Copy)]
enum Glitch {
    /// The chip restarts.
    BrownOut,
    /// The plug is pulled, and put back 300 ms later.
    Replug,
    /// Two boards change places.
    Swap,
}

fn suffer(glitch: Glitch, world: &World) {
    match glitch {
        Glitch::BrownOut => world.reset(0).unwrap(),
        Glitch::Replug => world.unplug(0).unwrap(),
        Glitch::Swap => world.swap(0, 1).unwrap(),
    }
}

/// How many runs may be needed: one that the glitch has spoiled, one that finds out, one that passes.
const MOST_STARTS: usize = 4;

fn glitch_at(glitch: Glitch, nth: u64, times: DeviceTimes, told: &mut BTreeMap<String, u64>) {
    let context = format!("{glitch:?} at output {nth}, {times:?}");
    let boards = if matches!(glitch, Glitch::Swap) { 2 } else { 1 };
    let mut floor = Floor::new(WorldConfig {
        boards,
        times: Some(times),
        ..WorldConfig::default()
    });
    if boards > 1 {
        for board in 0..boards {
            floor
                .world
                .expect_writes(board, WritesExpected::Anywhere)
                .unwrap();
        }
    }
    let device = floor.truth(0).device_id;
    let world = floor.world.clone();
    let moment = Moment::Output {
        nth,
        share: Share::All,
    };
    floor.cutter.hand(moment, move || suffer(glitch, &world));
    let mut is_pass = false;
    for _ in 0..MOST_STARTS {
        let summary = floor.start().summary();
        floor.pass(Duration::from_millis(300));
        for board in 0..boards {
            // No effect where it is in.
            floor.world.plug(board).unwrap();
        }
        if floor.truth(0).device_id != device {
            // Whoever swapped them hears of it and puts them back.
            floor.world.swap(0, 1).unwrap();
        }
        for slot in &summary.picture.slots {
            if let Some(error) = &slot.error {
                assert!(!error.help.is_empty(), "{context}");
                *told.entry(error.code.clone()).or_default() += 1;
            }
        }
        is_pass = (0..boards).all(|board| {
            let device = floor.truth(board).device_id;
            let slots = &summary.picture.slots;
            slots
                .iter()
                .any(|slot| slot.device == Some(device) && slot.standing.is_pass())
        });
        if is_pass {
            break;
        }
    }
    assert!(
        is_pass,
        "{context}: {}",
        support::told(&floor.start().summary().picture)
    );
    let history = floor.history();
    for board in 0..boards {
        let truth = floor.truth(board);
        judge::is_finished(&truth, &floor.program, &context);
        let disproved = history.iter().filter(|event| {
            let verdict = matches!(
                &event.body,
                Body::Decided {
                    verdict: Verdict::Disproved,
                    ..
                }
            );
            verdict && event.device == Some(truth.device_id)
        });
        let asked = truth.counters.irreversible_asked;
        assert!(
            asked <= 1 + disproved.count() as u64,
            "{context}: asked {asked} times"
        );
        assert_eq!(truth.counters.irreversible_applied, 1, "{context}");
    }
    judge::records_agree(&floor, &context);
}

fn everywhere(glitch: Glitch, boards: usize, stride: usize) {
    let mut told = BTreeMap::new();
    let mut glitches = 0;
    for times in [DeviceTimes::FAST, DeviceTimes::REAL] {
        let mut floor = Floor::new(WorldConfig {
            boards,
            times: Some(times),
            ..WorldConfig::default()
        });
        assert!(floor.start().summary().is_pass());
        let (outputs, _) = floor.cutter.counts();
        // All of them where it matters most: from before the lock to the end.
        let early = (1..outputs * 3 / 4).step_by(stride);
        let late = (outputs * 3 / 4..=outputs).step_by(stride.div_ceil(4));
        for nth in early.chain(late) {
            glitch_at(glitch, nth, times, &mut told);
            glitches += 1;
        }
    }
    println!("{glitch:?}: {glitches} times; told on the way: {told:?}");
}

#[test]
fn the_supply_fails() {
    everywhere(Glitch::BrownOut, 1, 4);
}

#[test]
fn the_plug_is_pulled_and_put_back() {
    everywhere(Glitch::Replug, 1, 5);
}

#[test]
fn two_boards_are_swapped() {
    everywhere(Glitch::Swap, 2, 12);
}
