//! The engine explored, not sampled: from the start on, everything that can happen is tried in every order, breadth
//! first, until no state is new. The devices judge every state.
//!
//! An engine cannot be copied, and this is on purpose; so every state is reached anew from the start.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]
#![expect(clippy::print_stdout, reason = "how far a search went is told")]

#[path = "../line_kit/mod.rs"]
mod line_kit;

mod bugs;
mod world;

use std::collections::HashSet;

use bugs::{ALL, Bug};
use world::{Choice, World};

/// How far a search goes.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    slots: u8,
    faults: u8,
    crashes: u8,
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

fn explore(bounds: Bounds, bug: Option<Bug>) -> Found {
    let reach = |way: &[Choice]| {
        let mut world = World::new(bounds.slots, bounds.faults, bounds.crashes, bug);
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
    let mut next = 0;
    while next < nodes.len() {
        let way = way_to(&nodes, next);
        found.depth = way.len();
        let mut world = Some(reach(&way));
        let choices = world.as_ref().unwrap().choices();
        for choice in choices {
            // The first way on is gone from here, the others from the start.
            let mut world = world.take().unwrap_or_else(|| reach(&way));
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

fn is_clean(bounds: Bounds) -> Found {
    let found = explore(bounds, None);
    println!(
        "{} slots, {} faults, {} crashes: {} states, {} transitions, {} choices deep, {}",
        bounds.slots,
        bounds.faults,
        bounds.crashes,
        found.states,
        found.transitions,
        found.depth,
        if found.is_whole {
            "all"
        } else {
            "stopped at the bound"
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
        states: usize::MAX,
    });
    assert!(found.is_whole && found.states > 1_000, "{found:?}");
}

#[test]
#[ignore = "long: run it with --release"]
fn two_slots_two_faults_one_crash_all_states() {
    let found = is_clean(Bounds {
        slots: 2,
        faults: 2,
        crashes: 1,
        states: usize::MAX,
    });
    assert!(found.is_whole, "{found:?}");
}

#[test]
#[ignore = "long: run it with --release"]
fn three_slots_one_fault_under_a_bound() {
    is_clean(Bounds {
        slots: 3,
        faults: 1,
        crashes: 1,
        states: 1_000_000,
    });
}

/// Most bugs show with one board; some need a neighbour.
fn where_it_shows(bug: Bug) -> Bounds {
    let (slots, faults, crashes) = match bug {
        Bug::WrongSocket | Bug::SwapUnnoticed => (2, 1, 0),
        _ => (1, 1, 1),
    };
    Bounds {
        slots,
        faults,
        crashes,
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
