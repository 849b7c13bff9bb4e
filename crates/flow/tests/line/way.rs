//! The way of a unit that is in order.

use lineside_flow::interlock::{Receipt, Refusal as ActRefusal, Verdict};
use lineside_flow::{Effect, Input, Report, Standing, Work};
use lineside_terms::{Instant, Outcome};

use crate::floor::*;
use crate::line_kit::*;

#[test]
fn a_unit_goes_through_all_steps_and_passes() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 7);
    floor.settle();
    let picture = floor.picture(1);
    assert_eq!(picture.standing, PASSED);
    assert_eq!((picture.steps_passed, picture.attempt), (6, 1));
    assert_eq!(picture.serial, Some(serial(1)));
    assert_eq!(picture.device, Some(device(7)));
    assert!(picture.took.is_some());
    let steps: Vec<_> = floor.performed.iter().map(|(_, step, _)| *step).collect();
    assert_eq!(steps, [0, 1, 2, 5]);
    assert_eq!((floor.device(7).asked, floor.device(7).applied), (1, 1));
    assert_eq!(floor.released, [slot(1)]);
    assert_eq!(floor.line.picture().passed(), 1);
    assert_eq!(floor.line.unresolved().count(), 0);
    assert_eq!(floor.line.proven(&device(7)), picture.run);
}

#[test]
fn nothing_is_done_before_its_event_is_durable() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    for _ in 0..20 {
        let behind = Receipt::issued_by_the_journal(floor.durable as u64);
        assert!(
            floor
                .line
                .react(&behind, Instant::from_nanos(floor.now))
                .is_empty()
        );
        floor.sync();
        let Some(effect) = floor.todo.pop_front() else {
            break;
        };
        floor.carry_out(effect);
    }
    assert_eq!(floor.standing(1), PASSED);
}

#[test]
fn a_pass_is_shown_only_when_it_is_recorded() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let last = floor.until(is_perform(5));
    floor.carry_out(last);
    assert_eq!(floor.count("run-ended"), 1);
    assert_eq!(floor.standing(1), Standing::NotRecorded);
    assert_eq!(floor.line.picture().passed(), 0);
    assert!(!floor.line.picture().is_settled());
    floor.sync();
    assert_eq!(floor.standing(1), PASSED);
    assert_eq!(floor.line.picture().passed(), 1);
}

#[test]
fn facts_that_were_read_for_the_proof_serve_the_act_only_while_nothing_is_done_in_between() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let read = floor.until(|effect| matches!(effect, Effect::ReadFacts { .. }));
    floor.carry_out(read);
    let next = floor.until(|_| true);
    assert!(is_act(&next), "read once, acted at once: {next:?}");

    let between = recipe(
        2,
        vec![
            step("ready", Work::Prove),
            step("note", Work::Perform),
            step("lock", LOCK),
        ],
    );
    let mut floor = Floor::new(between);
    floor.plug(1, 1);
    let perform = floor.until(is_perform(1));
    floor.carry_out(perform);
    let next = floor.until(|_| true);
    assert!(matches!(next, Effect::ReadFacts { .. }), "read anew: {next:?}");
    floor.carry_out(next);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
}

#[test]
fn facts_that_have_grown_old_are_read_again() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let read = floor.until(|effect| matches!(effect, Effect::ReadFacts { .. }));
    let read = floor.result_of(read).unwrap();
    floor.now += 16_000_000_000;
    floor.tell(read);
    let next = floor.until(|_| true);
    assert!(matches!(next, Effect::ReadFacts { .. }), "{next:?}");
    floor.carry_out(next);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
}

#[test]
fn a_journal_that_is_slower_than_a_permit_lives_gives_no_permit() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let read = floor.until(|effect| matches!(effect, Effect::ReadFacts { .. }));
    floor.carry_out(read);
    floor.now += 31_000_000_000;
    let next = floor.until(|_| true);
    let Effect::NotActed { refusal, .. } = &next else {
        panic!("{next:?}")
    };
    assert_eq!(*refusal, ActRefusal::Stale);
    floor.carry_out(next);
    floor.settle();
    // Nobody sent anything, but that is seen, not assumed.
    assert_eq!(floor.verdicts(), [Verdict::Disproved]);
    assert_eq!(floor.device(1).asked, 0);
    assert_eq!(floor.standing(1), ERROR);
}

#[test]
fn many_units_pass_side_by_side_and_make_room_for_others() {
    let mut floor = Floor::new(six_steps());
    for n in 1..=4 {
        floor.plug(n, n);
    }
    floor.settle();
    assert_eq!(floor.line.picture().passed(), 4);
    floor.unplug(2);
    floor.settle();
    let left = floor.picture(2);
    assert_eq!((left.standing, left.is_present), (PASSED, false));
    assert_eq!(floor.line.picture().passed(), 4);
    floor.plug(2, 9);
    floor.settle();
    // The serial of that socket is spent.
    assert_eq!(floor.code(2), "unit.serial-taken");
    assert_eq!(floor.line.picture().passed(), 4);
}

#[test]
fn trials_that_went_wrong_are_tried_again_as_often_as_the_plan_says() {
    let mut recipe = six_steps();
    recipe.steps[1].retries = 2;
    let mut floor = Floor::new(recipe.clone());
    let lost = Report::failed(Outcome::Error, told("link.lost"), true);
    floor.reports.insert(1, [failed(Outcome::Unknown), lost].into());
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    let tries: Vec<_> = floor.performed.iter().filter(|(_, step, _)| *step == 1).collect();
    assert_eq!(tries.len(), 3);

    let mut floor = Floor::new(recipe);
    floor.reports.insert(1, vec![failed(Outcome::Error); 3].into());
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(
        (floor.standing(1), floor.code(1).as_str()),
        (ERROR, "test.failed")
    );
}

#[test]
fn a_device_that_fails_is_not_asked_twice() {
    let mut recipe = six_steps();
    recipe.steps[1].retries = 5;
    let mut floor = Floor::new(recipe);
    floor.reports.insert(1, [failed(Outcome::Fail)].into());
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), Standing::Ended(Outcome::Fail));
}

#[test]
fn a_marginal_step_makes_a_marginal_run() {
    let mut floor = Floor::new(six_steps());
    let marginal = Report {
        outcome: Outcome::Marginal,
        ..Report::passed()
    };
    floor.reports.insert(2, [marginal].into());
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), Standing::Ended(Outcome::Marginal));
    assert!(floor.standing(1).is_pass());
}

#[test]
fn a_skipped_step_is_no_pass() {
    let mut floor = Floor::new(six_steps());
    floor.reports.insert(2, [failed(Outcome::Skipped)].into());
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), Standing::Ended(Outcome::Skipped));
    assert_eq!(floor.line.picture().passed(), 0);
}

#[test]
fn a_device_that_is_not_ready_is_not_locked() {
    let mut floor = Floor::new(six_steps());
    floor.device(1).os = "20.05";
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(
        (floor.standing(1), floor.code(1).as_str()),
        (Standing::Ended(Outcome::Fail), "unit.not-ready")
    );
    assert_eq!(floor.device(1).asked, 0);
}

#[test]
fn the_act_judges_for_itself_even_without_a_proving_step() {
    let mut floor = Floor::new(recipe(4, vec![step("lock", LOCK)]));
    floor.device(1).os = "20.05";
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), Standing::Ended(Outcome::Fail));
    assert_eq!(floor.device(1).asked, 0);
}

#[test]
fn facts_that_cannot_be_read_are_read_again_within_the_retries_of_the_act() {
    let mut recipe = recipe(4, vec![step("lock", LOCK)]);
    recipe.steps[0].retries = 1;
    let mut floor = Floor::new(recipe);
    floor.plug(1, 1);
    let Effect::ReadFacts { slot, epoch, run } = floor.until(|e| matches!(e, Effect::ReadFacts { .. }))
    else {
        unreachable!()
    };
    let report = Report::failed(Outcome::Error, told("link.lost"), true);
    floor.tell(Input::Performed {
        slot,
        epoch,
        run,
        report,
    });
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
}

#[test]
fn a_link_that_is_over_with_the_last_step_begins_nothing_anew() {
    let mut floor = Floor::new(six_steps());
    let over = Report {
        is_link_over: true,
        ..Report::passed()
    };
    floor.reports.insert(5, [over].into());
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    assert_eq!(floor.count("board-seen"), 1, "nobody has to look again");
    // In the middle it does.
    let mut floor = Floor::new(six_steps());
    let over = Report {
        is_link_over: true,
        ..Report::passed()
    };
    floor.reports.insert(1, [over].into());
    floor.plug(1, 1);
    floor.settle();
    assert_eq!((floor.standing(1), floor.count("board-seen")), (PASSED, 2));
}

#[test]
fn a_device_that_is_not_ready_is_told_by_what_is_wrong_and_not_by_what_is_right() {
    let mut floor = Floor::new(six_steps());
    floor.device(1).os = "20.05";
    floor.plug(1, 1);
    floor.settle();
    let error = floor.picture(1).error.unwrap();
    assert_eq!(error.code, "unit.not-ready");
    assert!(
        error.message.contains("expected 24.06, found 20.05") && !error.message.contains("SECURE"),
        "{error:?}"
    );
}
