//! The engine explored, not sampled: from the start on, everything that can happen is tried in every order, breadth
//! first, until no state is new. The devices judge every state.
//!
//! An engine cannot be copied, and this is on purpose; so every state is reached anew from the start. Long searches take
//! `--features copies`, with which it can: `.ci/storm explore` runs them.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]
#![expect(clippy::print_stdout, reason = "how far a search went is told")]
#![expect(
    clippy::disallowed_methods,
    reason = "how long a search takes is told; the engine knows no clock"
)]

#[path = "../line_kit/mod.rs"]
mod line_kit;

mod bugs;
mod world;

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use bugs::{ALL, Bug};
use world::{Choice, World};

/// How far a search goes.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    slots: u8,
    faults: u8,
    crashes: u8,
    /// For how many units somebody gives leave, if the plan asks for it.
    approved: Option<u32>,
    /// No more states than these; a search that stops here says so.
    states: usize,
}

#[derive(Debug)]
struct Found {
    states: usize,
    transitions: usize,
    depth: usize,
    is_whole: bool,
    /// What was broken, and the way there.
    violation: Option<(String, Vec<Choice>)>,
}

/// A state, as the step that leads to it from an earlier one.
type Node = (u32, Option<Choice>);

fn way_to(nodes: &[Node], mut at: usize) -> Vec<Choice> {
    let mut way = Vec::new();
    while let (before, Some(choice)) = nodes[at] {
        way.push(choice);
        at = before as usize;
    }
    way.reverse();
    way
}

/// Worlds that wait to be gone on from, in memory: a few kilobytes each. The others are reached anew.
const KEPT: usize = 500_000;
/// How often a long search tells how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(20);

#[cfg(feature = "copies")]
fn copy_of(world: &World) -> Option<World> {
    Some(world.clone())
}

#[cfg(not(feature = "copies"))]
fn copy_of(_: &World) -> Option<World> {
    None
}

fn explore(bounds: Bounds, bug: Option<Bug>) -> Found {
    let reach = |way: &[Choice]| {
        let mut world = World::new(bounds, bug);
        for choice in way {
            world.happen(*choice);
        }
        world
    };
    let root = reach(&[]);
    let mut known = HashSet::from([root.fingerprint()]);
    let mut nodes: Vec<Node> = vec![(0, None)];
    let mut found = Found {
        states: 1,
        transitions: 0,
        depth: 0,
        is_whole: true,
        violation: None,
    };
    let began = Instant::now();
    let mut told = began;
    // The worlds of the nodes that are still to be gone on from, as far as they are kept.
    let mut waiting = VecDeque::from([Some(root)]);
    let mut kept = 1;
    let mut next = 0;
    while next < nodes.len() {
        let way = way_to(&nodes, next);
        if told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            println!(
                "  {} states, {} transitions, {} of them waiting, all within {} choices, {:.0} s",
                found.states,
                found.transitions,
                nodes.len() - next,
                way.len(),
                began.elapsed().as_secs_f64(),
            );
        }
        found.depth = way.len();
        let here = waiting.pop_front().flatten();
        kept -= usize::from(here.is_some());
        let mut here = Some(here.unwrap_or_else(|| reach(&way)));
        let mut choices = here.as_ref().map(World::choices).unwrap_or_default();
        choices.reverse();
        while let Some(choice) = choices.pop() {
            // The last way on is gone from here itself, the others from a copy, or from the start.
            let there = match &here {
                Some(here) if !choices.is_empty() => copy_of(here),
                _ => here.take(),
            };
            let mut world = there.unwrap_or_else(|| reach(&way));
            world.happen(choice);
            // What lies on the way was checked when it was found.
            world.check();
            found.transitions += 1;
            if let Some(what) = world.violation {
                let mut way = way;
                way.push(choice);
                found.violation = Some((what, way));
                return found;
            }
            if known.insert(world.fingerprint()) {
                nodes.push((u32::try_from(next).unwrap(), Some(choice)));
                found.states += 1;
                let is_kept = cfg!(feature = "copies") && kept < KEPT;
                kept += usize::from(is_kept);
                waiting.push_back(is_kept.then_some(world));
            }
        }
        next += 1;
        if nodes.len() >= bounds.states {
            found.is_whole = false;
            return found;
        }
    }
    found
}

/// The same states in another order, each way to its end before the next: only the worlds of one way are in memory, so
/// that nothing but time limits how much can be searched. Ways are not the shortest ones then, and depth is that of the
/// longest way that was taken.
#[cfg(feature = "copies")]
fn explore_deep(bounds: Bounds) -> Found {
    /// A world of the way, by which choice it was reached, and which choices are left there.
    struct Stop {
        world: Option<World>,
        by: Option<Choice>,
        left: Vec<Choice>,
    }
    let stop = |world: World, by: Option<Choice>| Stop {
        left: world.choices(),
        world: Some(world),
        by,
    };
    let root = World::new(bounds, None);
    let mut known = HashSet::from([root.fingerprint()]);
    let mut way = vec![stop(root, None)];
    let mut found = Found {
        states: 1,
        transitions: 0,
        depth: 0,
        is_whole: true,
        violation: None,
    };
    let began = Instant::now();
    let mut told = began;
    while let Some(here) = way.last_mut() {
        let Some(choice) = here.left.pop() else {
            way.pop();
            continue;
        };
        // The last way on is gone from here itself, the others from a copy.
        let there = match here.left.is_empty() {
            true => here.world.take(),
            false => here.world.clone(),
        };
        let mut world = there.unwrap();
        world.happen(choice);
        world.check();
        found.transitions += 1;
        if let Some(what) = world.violation {
            let way = way.iter().filter_map(|stop| stop.by).chain([choice]).collect();
            found.violation = Some((what, way));
            return found;
        }
        if known.insert(world.fingerprint()) {
            found.states += 1;
            way.push(stop(world, Some(choice)));
            found.depth = found.depth.max(way.len() - 1);
        }
        if told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            let open: usize = way.iter().map(|stop| stop.left.len()).sum();
            println!(
                "  {} states, {} transitions, {open} choices open on a way of {}, {:.0} s",
                found.states,
                found.transitions,
                way.len(),
                began.elapsed().as_secs_f64(),
            );
        }
    }
    found
}

fn is_clean(bounds: Bounds) -> Found {
    tell(bounds, explore(bounds, None))
}

/// Prints how far it went; panics when something was broken.
fn tell(bounds: Bounds, found: Found) -> Found {
    println!(
        "{} slots, {} faults, {} crashes{}: {} states, {} transitions, {} choices deep, {}",
        bounds.slots,
        bounds.faults,
        bounds.crashes,
        if bounds.approved.is_some() {
            ", with approvals"
        } else {
            ""
        },
        found.states,
        found.transitions,
        found.depth,
        if found.is_whole {
            "all"
        } else {
            "stopped at the bound: states of that depth are all there, no deeper ones are promised"
        },
    );
    if let Some((what, way)) = &found.violation {
        panic!("{what}, by {way:?}");
    }
    found
}

#[test]
fn one_slot_one_fault_one_crash_all_states() {
    let found = is_clean(Bounds {
        slots: 1,
        faults: 1,
        crashes: 1,
        approved: None,
        states: usize::MAX,
    });
    assert!(found.is_whole && found.states > 1_000, "{found:?}");
}

#[test]
#[ignore = "long: run it with --release"]
fn one_slot_two_faults_one_crash_all_states() {
    let found = is_clean(Bounds {
        slots: 1,
        faults: 2,
        crashes: 1,
        approved: None,
        states: usize::MAX,
    });
    assert!(found.is_whole && found.states > 1_000, "{found:?}");
}

#[test]
fn two_slots_one_fault_all_states() {
    let found = is_clean(Bounds {
        slots: 2,
        faults: 1,
        crashes: 0,
        approved: None,
        states: usize::MAX,
    });
    assert!(found.is_whole && found.states > 1_000, "{found:?}");
}

/// Leave for one unit, wherever the program ends: it is neither lost nor spent twice.
#[test]
fn leave_for_one_unit_all_states() {
    let found = is_clean(Bounds {
        slots: 1,
        faults: 1,
        crashes: 1,
        approved: Some(1),
        states: usize::MAX,
    });
    assert!(found.is_whole && found.states > 1_000, "{found:?}");
}

/// Two units, and leave for one of them.
#[test]
#[ignore = "half a minute: run it with --release"]
fn long_0_leave_for_one_of_two_units() {
    let found = is_clean(Bounds {
        slots: 2,
        faults: 0,
        crashes: 1,
        approved: Some(1),
        states: MANY,
    });
    assert!(found.is_whole && found.states > 1_000, "{found:?}");
}

/// What a long search stops at, so that it ends in any case.
const MANY: usize = 30_000_000;

#[test]
#[ignore = "long: run it with --release"]
fn long_1_three_slots_one_fault() {
    let found = is_clean(Bounds {
        slots: 3,
        faults: 1,
        crashes: 0,
        approved: None,
        states: MANY,
    });
    assert!(found.is_whole && found.states > 100_000, "{found:?}");
}

#[test]
#[ignore = "long: run it with --release"]
fn long_2_two_slots_one_fault_one_crash() {
    is_clean(Bounds {
        slots: 2,
        faults: 1,
        crashes: 1,
        approved: None,
        states: MANY,
    });
}

#[cfg(feature = "copies")]
#[test]
#[ignore = "long: run it with --release"]
fn long_3_two_slots_two_faults_one_crash() {
    let bounds = Bounds {
        slots: 2,
        faults: 2,
        crashes: 1,
        approved: None,
        states: usize::MAX,
    };
    tell(bounds, explore_deep(bounds));
}

#[cfg(feature = "copies")]
#[test]
#[ignore = "long: run it with --release"]
fn long_4_three_slots_one_fault_one_crash() {
    let bounds = Bounds {
        slots: 3,
        faults: 1,
        crashes: 1,
        approved: None,
        states: usize::MAX,
    };
    tell(bounds, explore_deep(bounds));
}

/// Both orders of search find the same states.
#[cfg(feature = "copies")]
#[test]
#[ignore = "long: run it with --release"]
fn depth_first_finds_what_breadth_first_finds() {
    for (slots, faults, crashes) in [(1, 1, 1), (1, 2, 1), (2, 1, 0)] {
        let bounds = Bounds {
            slots,
            faults,
            crashes,
            approved: None,
            states: usize::MAX,
        };
        let (wide, deep) = (explore(bounds, None), explore_deep(bounds));
        assert_eq!(
            (wide.states, wide.transitions),
            (deep.states, deep.transitions),
            "{bounds:?}"
        );
    }
}

/// Most bugs show with one board; some need a neighbour.
fn where_it_shows(bug: Bug) -> Bounds {
    let (slots, faults, crashes) = match bug {
        Bug::WrongSocket | Bug::SwapUnnoticed => (2, 1, 0),
        _ => (1, 1, 1),
    };
    let is_of_leave = matches!(bug, Bug::SpentTwice | Bug::ApprovedTwice);
    Bounds {
        slots,
        faults,
        crashes,
        approved: is_of_leave.then_some(1),
        states: 200_000,
    }
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for bug in ALL {
        let found = explore(where_it_shows(bug), Some(bug));
        match found.violation {
            Some((what, way)) => {
                println!("{bug:?}: {what}, after {} states, by {way:?}", found.states);
            }
            None => {
                println!("{bug:?}: NOT FOUND in {} states", found.states);
                missed.push(bug);
            }
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
