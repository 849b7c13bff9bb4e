//! What is open when a program finds a journal, and what is left unsaid in one that ends in mid-sentence.

use lineside_flow::line::Reached;
use lineside_flow::{Body, Event, Past, Recipe, Standing, Work};
use lineside_terms::{Effect as StepEffect, ManufacturingState, Outcome, StepId};

use crate::floor::*;
use crate::line_kit::*;

fn id(step: &str) -> StepId {
    StepId::new(step).unwrap()
}

/// How far the only open run came by these events; nothing when none is open.
fn reached(events: &[Event]) -> Option<Reached> {
    let mut open = Past::of(events).unwrap().open_runs();
    assert!(open.len() <= 1);
    let run = open.pop()?;
    assert_eq!(
        (run.device, run.serial, run.slot),
        (device(1), serial(1), slot(1))
    );
    Some(run.at)
}

/// How many events there are up to the first that is meant.
fn up_to(events: &[Event], is_meant: impl Fn(&Body) -> bool) -> usize {
    1 + events.iter().position(|event| is_meant(&event.body)).unwrap()
}

fn is_end_of<'a>(step: &'a str) -> impl Fn(&Body) -> bool + 'a {
    move |body| matches!(body, Body::StepEnded { step: there, .. } if there.as_str() == step)
}

fn is_start_of<'a>(step: &'a str) -> impl Fn(&Body) -> bool + 'a {
    move |body| matches!(body, Body::StepStarted { step: there, .. } if there.as_str() == step)
}

#[test]
fn what_is_open_is_told_by_how_far_it_came() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    floor.settle();
    let events = &floor.journal;
    let at = |count: usize| reached(&events[..count]);
    let before = |step| Some(Reached::Before { step: id(step) });
    let within = |step, effect| {
        let step = id(step);
        Some(Reached::Within { step, effect })
    };

    let started = up_to(events, |body| matches!(body, Body::RunStarted { .. }));
    assert_eq!((at(started - 1), at(started)), (None, before("os")));
    assert_eq!(
        at(up_to(events, is_start_of("os"))),
        within("os", StepEffect::LookFirst)
    );
    assert_eq!(at(up_to(events, is_end_of("os"))), before("board-config"));
    assert_eq!(
        at(up_to(events, is_start_of("ready"))),
        within("ready", StepEffect::Reads)
    );
    let intended = up_to(events, |body| matches!(body, Body::Intended { .. }));
    assert_eq!(at(intended - 1), within("lock", StepEffect::Irreversible));
    assert_eq!(
        at(intended),
        Some(Reached::Intended {
            step: id("lock"),
            target: NEW,
            is_unclear: false
        })
    );
    let decided = up_to(events, |body| matches!(body, Body::Decided { .. }));
    assert_eq!(at(decided), within("lock", StepEffect::Irreversible));
    let last = up_to(events, is_end_of("final-look"));
    assert_eq!(at(last), Some(Reached::Done));
    assert_eq!(at(events.len()), None);
}

#[test]
fn an_act_of_which_a_look_said_nothing_is_told_as_unclear() {
    let mut floor = Floor::new(six_steps());
    floor.device(1).lock = [Lock::NeverHears].into();
    floor.plug(1, 1);
    let act = floor.until(is_act);
    floor.carry_out(act);
    floor.device(1).state = ManufacturingState::Unknown;
    floor.settle();
    let decided = up_to(&floor.journal, |body| matches!(body, Body::Decided { .. }));
    assert_eq!(
        reached(&floor.journal[..decided]),
        Some(Reached::Intended {
            step: id("lock"),
            target: NEW,
            is_unclear: true
        })
    );
}

#[test]
fn a_step_that_is_over_is_not_tried_again_because_the_end_of_its_run_was_lost() {
    // A device that fails, fails, whatever a trial that went wrong would be given; and each trial is counted.
    for (outcome, retries) in [(Outcome::Fail, 0), (Outcome::Fail, 1), (Outcome::Error, 0)] {
        let mut recipe = six_steps();
        recipe.steps[1].retries = retries;
        let mut floor = Floor::new(recipe);
        floor.reports.insert(1, [failed(outcome)].into());
        floor.plug(1, 1);
        floor.settle();
        assert_eq!(floor.standing(1), Standing::Ended(outcome));
        // Only the end of the step has come to the disk.
        floor.durable = up_to(&floor.journal, is_end_of("board-config"));
        let before = floor.performed.len();
        floor.restart();
        floor.settle();
        assert_eq!(
            floor.performed.len(),
            before,
            "{outcome:?}: nothing was done again"
        );
        assert_eq!(
            (floor.count("run-started"), floor.count("run-ended")),
            (1, 1),
            "{outcome:?}"
        );
    }
}

/// A device that comes without a state and is brought to the last one in two steps.
fn two_acts() -> Recipe {
    let to = |target| Work::Act {
        verb: lineside_flow::interlock::Verb::StateChange,
        target,
    };
    let mut recipe = recipe(1, vec![step("module", to(OLD)), step("device", to(NEW))]);
    recipe.incoming = vec![ManufacturingState::Blank];
    recipe.expectation.state = ManufacturingState::Blank;
    recipe
}

#[test]
fn each_act_is_judged_in_the_state_that_its_device_has_come_to() {
    let mut floor = Floor::new(two_acts());
    floor.device(1).state = ManufacturingState::Blank;
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED, "{:?}", floor.picture(1));
    assert_eq!((floor.device(1).asked, floor.device(1).applied), (2, 2));
}

#[test]
fn what_became_of_one_act_says_nothing_of_another() {
    let mut floor = Floor::new(two_acts());
    floor.device(1).state = ManufacturingState::Blank;
    floor.plug(1, 1);
    let first = floor.until(is_act);
    floor.carry_out(first);
    let _second = floor.until(is_act);
    floor.restart();
    floor.settle();
    assert_eq!(floor.standing(1), PASSED, "{:?}", floor.picture(1));
    assert_eq!((floor.device(1).asked, floor.device(1).applied), (2, 2));
    assert_eq!(floor.device(1).state, NEW);
}
