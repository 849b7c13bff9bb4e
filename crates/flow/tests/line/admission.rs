//! Devices that are not taken, and those that come again.

use lineside_flow::interlock::EpochCause;
use lineside_flow::{Body, Input, Recipe, Refusal, Standing, Work};
use lineside_terms::{Instant, ManufacturingState, Outcome, SecurityState};

use crate::floor::*;
use crate::line_kit::*;

#[test]
fn a_unit_that_is_complete_is_told_with_its_run() {
    let (mut floor, run) = Floor::passed_before(1);
    floor.plug(1, 1);
    floor.settle();
    let picture = floor.picture(1);
    assert_eq!(picture.standing, Standing::Complete);
    assert_eq!((picture.run, picture.serial), (Some(run), Some(serial(1))));
    assert_eq!(floor.line.picture().passed(), 1);
    assert_eq!(floor.device(1).asked, 1);
    assert_eq!(floor.released.last(), Some(&slot(1)));
}

#[test]
fn a_complete_unit_in_the_place_of_another_is_held() {
    let (mut floor, _) = Floor::passed_before(1);
    floor.plug(2, 1);
    floor.settle();
    assert_eq!(floor.standing(2), Standing::Held);
    assert_eq!(floor.code(2), "unit.other-serial");
}

#[test]
fn a_complete_unit_of_another_product_is_held() {
    let (mut floor, _) = Floor::passed_before(1);
    floor.recipe = Recipe {
        product: "lamp".to_owned(),
        ..recipe(9, six_steps().steps)
    };
    floor.begin();
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.code(1), "unit.other-product");
}

/// Plugs in one device that the closure changes, and gives the code with which it is held.
fn held(change: impl FnOnce(&mut Device)) -> String {
    let mut floor = Floor::new(six_steps());
    change(floor.device(1));
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), Standing::Held);
    assert!(floor.performed.is_empty());
    assert_eq!(floor.released, [slot(1)]);
    floor.code(1)
}

#[test]
fn devices_that_the_plan_does_not_take_are_held_before_anything_is_done() {
    assert_eq!(held(|device| device.state = NEW), "unit.foreign-complete");
    assert_eq!(
        held(|device| device.state = ManufacturingState::Blank),
        "unit.wrong-state"
    );
    assert_eq!(
        held(|device| device.state = ManufacturingState::Unknown),
        "unit.wrong-state"
    );
    assert_eq!(
        held(|device| device.security = SecurityState::Test),
        "unit.not-secure"
    );
    assert_eq!(
        held(|device| device.security = SecurityState::Unknown),
        "unit.not-secure"
    );
}

#[test]
fn a_device_that_went_back_is_held() {
    let (mut floor, _) = Floor::passed_before(1);
    floor.device(1).state = OLD;
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.code(1), "unit.state-went-back");
}

#[test]
fn a_locked_device_whose_last_look_failed_is_not_called_foreign() {
    let mut floor = Floor::new(six_steps());
    floor.reports.insert(5, [failed(Outcome::Fail)].into());
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), Standing::Ended(Outcome::Fail));
    floor.unplug(1);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.code(1), "unit.complete-not-passed");
    floor.device(1).state = OLD;
    floor.unplug(1);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.code(1), "unit.state-went-back");
}

#[test]
fn a_second_plan_takes_over_where_the_first_one_left() {
    let blank = ManufacturingState::Blank;
    let mut first = recipe(1, vec![step("ready", Work::Prove), step("seal", Work::Perform)]);
    first.incoming = vec![blank];
    first.target = blank;
    first.expectation.state = blank;
    let mut floor = Floor::new(first);
    floor.device(1).state = blank;
    floor.plug(1, 1);
    floor.settle();
    // A plan that leaves the state as it is takes devices in that state, and knows them when they come again.
    assert_eq!(floor.standing(1), PASSED);
    floor.unplug(1);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), Standing::Complete);
    floor.device(1).state = OLD;
    floor.recipe = Recipe {
        plan: recipe(2, Vec::new()).plan,
        ..six_steps()
    };
    floor.begin();
    floor.unplug(1);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    assert_eq!(floor.picture(1).attempt, 2);
}

#[test]
fn a_protected_device_is_never_touched() {
    let mut floor = Floor::with(six_steps(), serials(4), &format!("{} golden", device(1)));
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.code(1), "interlock.protected");
    assert!(floor.performed.is_empty());
}

#[test]
fn a_slot_without_a_serial_takes_nobody() {
    let mut floor = Floor::with(six_steps(), serials(1), "");
    floor.plug(2, 1);
    floor.settle();
    assert_eq!(floor.code(2), "unit.no-serial");
}

#[test]
fn one_serial_is_given_to_one_device_until_its_run_has_failed() {
    let twice = [(slot(1), serial(5)), (slot(2), serial(5))].into();
    let mut floor = Floor::with(six_steps(), twice, "");
    floor.plug(1, 1);
    let perform = floor.until(is_perform(1));
    floor.plug(2, 2);
    floor.settle();
    assert_eq!(floor.code(2), "unit.serial-taken");
    floor.reports.insert(1, [failed(Outcome::Fail)].into());
    floor.carry_out(perform);
    floor.settle();
    assert_eq!(floor.standing(1), Standing::Ended(Outcome::Fail));
    floor.unplug(2);
    floor.plug(2, 2);
    floor.settle();
    assert_eq!(floor.standing(2), PASSED);
}

#[test]
fn a_device_that_failed_too_often_is_held() {
    let mut floor = Floor::new(six_steps());
    floor
        .reports
        .insert(0, [failed(Outcome::Fail), failed(Outcome::Fail)].into());
    for attempt in 1..=2 {
        floor.plug(1, 1);
        floor.settle();
        assert_eq!(floor.standing(1), Standing::Ended(Outcome::Fail));
        assert_eq!(floor.picture(1).attempt, attempt);
        floor.unplug(1);
    }
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.code(1), "unit.attempt-limit");
}

#[test]
fn a_second_run_names_the_first() {
    let mut floor = Floor::new(six_steps());
    floor.reports.insert(0, [failed(Outcome::Fail)].into());
    floor.plug(1, 1);
    floor.settle();
    let first = floor.picture(1).run;
    floor.unplug(1);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    let named = floor.journal.iter().rev().find_map(|event| match &event.body {
        Body::RunStarted { predecessor, .. } => Some(*predecessor),
        _ => None,
    });
    assert_eq!(named, Some(first));
}

#[test]
fn boards_that_come_before_there_is_a_plan_are_held() {
    let mut line = resume(1, "", NO_HISTORY).unwrap();
    let mut events = line.start("0.1.0", "sim:1", stamp(0));
    let seen = Input::Seen {
        slot: slot(1),
        cause: EpochCause::Found,
    };
    events.extend(line.take(seen, stamp(1)).unwrap());
    let identified = Input::Identified {
        slot: slot(1),
        epoch: line.epoch(&slot(1)).unwrap(),
        device: device(1),
        state: OLD,
        security: SecurityState::Secure,
        read_at: Instant::ZERO,
    };
    events.extend(line.take(identified, stamp(2)).unwrap());
    let last = events.last().unwrap();
    assert!(matches!(&last.body, Body::Held { error, .. } if error.code == "run.no-batch"));
}

#[test]
fn a_recipe_that_nobody_can_follow_holds_or_ends_instead_of_hanging() {
    let mut floor = Floor::new(recipe(3, Vec::new()));
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.code(1), "plan.flawed");

    let mut floor = Floor::new(recipe(
        3,
        vec![step("a", Work::Perform), step("a", Work::Perform)],
    ));
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.code(1), "plan.flawed");

    let mut circle = recipe(3, vec![step("a", Work::Perform), step("b", Work::Perform)]);
    circle.steps[1].needs = vec![1, 99];
    let mut floor = Floor::new(circle);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!((floor.standing(1), floor.code(1).as_str()), (ERROR, "run.stuck"));
}

#[test]
fn an_id_that_answers_twice_stops_both() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let perform = floor.until(is_perform(2));
    floor.plug(2, 1);
    floor.settle();
    assert_eq!(
        (floor.standing(2), floor.code(2).as_str()),
        (Standing::Held, "unit.id-twice")
    );
    assert_eq!(
        (floor.standing(1), floor.code(1).as_str()),
        (Standing::Interrupted, "unit.id-twice")
    );
    let input = floor.result_of(perform).unwrap();
    assert_eq!(floor.try_to_tell(input), Err(Refusal::NotAsked));
    // When one of the two is gone, and the other comes anew, the unit goes on.
    floor.unplug(2);
    floor.unplug(1);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
}

#[test]
fn a_second_board_with_the_id_cannot_speak_for_what_was_sent_to_the_first() {
    for state in [OLD, NEW] {
        let mut floor = Floor::new(six_steps());
        floor.plug(1, 1);
        let _act = floor.until(is_act);
        // While the act is on its way another board with this id is plugged in.
        floor.devices.get_mut(&1).unwrap().state = state;
        floor.plug(2, 1);
        floor.settle();
        assert_eq!(floor.verdicts(), []);
        assert_eq!(
            (floor.standing(1), floor.standing(2)),
            (Standing::Interrupted, Standing::Held)
        );
        assert_eq!(floor.line.unresolved().count(), 1);
    }
}
