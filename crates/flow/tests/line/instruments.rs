//! Instruments that units share.

use lineside_flow::{Effect, Recipe, Work};
use lineside_terms::SlotPath;

use crate::floor::*;
use crate::line_kit::*;

fn with_instruments(instruments: &[&str]) -> Recipe {
    let mut recipe = recipe(
        5,
        vec![step("load", Work::Perform), step("measure", Work::Perform)],
    );
    recipe.steps[1].instruments = instruments.iter().map(|name| (*name).to_owned()).collect();
    recipe
}

fn pop(floor: &mut Floor, wanted: impl Fn(&Effect) -> bool) -> Option<Effect> {
    floor.sync();
    let index = floor.todo.iter().position(wanted)?;
    floor.todo.remove(index)
}

/// Everything is done but measuring.
fn settle_but_measuring(floor: &mut Floor) {
    while let Some(effect) = pop(floor, |effect| !is_perform(1)(effect)) {
        floor.carry_out(effect);
    }
}

fn measuring(floor: &Floor) -> Vec<SlotPath> {
    let slot = |effect: &Effect| match effect {
        Effect::Perform { slot, step: 1, .. } => Some(slot.clone()),
        _ => None,
    };
    floor.todo.iter().filter_map(slot).collect()
}

#[test]
fn an_instrument_goes_from_unit_to_unit_in_the_order_in_which_they_began() {
    let mut floor = Floor::new(with_instruments(&["analyser"]));
    for path in [3, 1, 2] {
        floor.plug(path, path);
        settle_but_measuring(&mut floor);
    }
    let mut order = Vec::new();
    while let Some(effect) = pop(&mut floor, is_perform(1)) {
        assert_eq!(
            floor.line.leased_instruments().into_iter().collect::<Vec<_>>(),
            ["analyser"]
        );
        let Effect::Perform { slot, .. } = &effect else {
            unreachable!()
        };
        order.push(slot.clone());
        floor.carry_out(effect);
        assert!(measuring(&floor).len() <= 1);
    }
    assert_eq!(order, [slot(3), slot(1), slot(2)]);
    floor.settle();
    assert_eq!(floor.line.picture().passed(), 3);
    assert!(floor.line.leased_instruments().is_empty());
}

#[test]
fn an_instrument_is_free_again_when_its_unit_is_unplugged() {
    let mut floor = Floor::new(with_instruments(&["analyser"]));
    floor.plug(1, 1);
    settle_but_measuring(&mut floor);
    floor.plug(2, 2);
    settle_but_measuring(&mut floor);
    assert_eq!(measuring(&floor), [slot(1)]);
    floor.unplug(1);
    floor.todo.clear();
    settle_but_measuring(&mut floor);
    assert_eq!(measuring(&floor), [slot(2)]);
    // Whoever comes back stands in line by when its run began, but takes nothing from anybody.
    floor.plug(1, 1);
    settle_but_measuring(&mut floor);
    assert_eq!(measuring(&floor), [slot(2)]);
    floor.settle();
    assert_eq!(floor.line.picture().passed(), 2);
}

#[test]
fn a_step_gets_all_its_instruments_or_none() {
    let mut recipe = recipe(
        6,
        vec![
            step("load", Work::Perform),
            step("first", Work::Perform),
            step("both", Work::Perform),
        ],
    );
    recipe.steps[1].needs = vec![0];
    recipe.steps[2].needs = vec![0];
    recipe.steps[1].instruments = vec!["meter".to_owned()];
    recipe.steps[2].instruments = vec!["meter".to_owned(), "analyser".to_owned()];
    let mut floor = Floor::new(recipe);
    for path in 1..=4 {
        floor.plug(path, path);
    }
    let mut busiest = 0;
    loop {
        floor.sync();
        let leased = floor.line.leased_instruments().len();
        busiest = busiest.max(leased);
        let users = floor.todo.iter().filter(|e| is_perform(1)(e) || is_perform(2)(e));
        assert!(users.count() <= 1, "the meter is one");
        let Some(effect) = floor.todo.pop_front() else {
            break;
        };
        floor.carry_out(effect);
    }
    assert_eq!(busiest, 2);
    assert_eq!(floor.line.picture().passed(), 4);
}

#[test]
fn independent_steps_go_on_while_an_instrument_is_taken() {
    let mut recipe = recipe(
        6,
        vec![
            step("load", Work::Perform),
            step("measure", Work::Perform),
            step("other", Work::Perform),
        ],
    );
    recipe.steps[2].needs = vec![0];
    recipe.steps[1].instruments = vec!["analyser".to_owned()];
    let mut floor = Floor::new(recipe);
    floor.plug(1, 1);
    settle_but_measuring(&mut floor);
    floor.plug(2, 2);
    settle_but_measuring(&mut floor);
    assert_eq!(measuring(&floor), [slot(1)]);
    assert!(
        floor.performed.contains(&(slot(2), 2, 1)),
        "{:?}",
        floor.performed
    );
    floor.settle();
    assert_eq!(floor.line.picture().passed(), 2);
}
