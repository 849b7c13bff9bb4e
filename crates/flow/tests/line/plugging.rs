//! Boards that come, go, move and restart.

use lineside_flow::interlock::{EpochCause, Verdict};
use lineside_flow::{Effect, Input, Refusal, Report, Standing};

use crate::floor::*;
use crate::line_kit::*;

#[test]
fn a_unit_that_is_unplugged_in_mid_step_goes_on_with_that_step_in_the_same_socket() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let perform = floor.until(is_perform(2));
    let late = floor.result_of(perform).unwrap();
    floor.unplug(1);
    floor.settle();
    assert_eq!(
        (floor.standing(1), floor.code(1).as_str()),
        (Standing::Gone, "run.unplugged")
    );
    assert_eq!(floor.line.interrupted().count(), 1);
    assert_eq!(floor.try_to_tell(late), Err(Refusal::Stale));
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    assert!(
        floor.performed.contains(&(slot(1), 2, 2)),
        "a second try of that step"
    );
    assert_eq!(floor.count("run-started"), 1);
    assert_eq!(floor.count("run-continued"), 1);
}

#[test]
fn a_unit_goes_on_in_another_socket_with_its_own_serial() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let _perform = floor.until(is_perform(2));
    floor.unplug(1);
    floor.plug(3, 1);
    floor.settle();
    let there = floor.picture(3);
    assert_eq!((there.standing, there.serial), (PASSED, Some(serial(1))));
    // The first socket has nothing to say of a unit that is somewhere else.
    assert_eq!((floor.standing(1), floor.picture(1).run), (Standing::Gone, None));
}

#[test]
fn another_board_in_mid_run_is_another_unit() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let perform = floor.until(is_perform(2));
    floor.slots.insert(slot(1), 2);
    // The runner is told of a new board without having seen the first one leave.
    floor.device(2);
    floor.tell(Input::Seen {
        slot: slot(1),
        cause: EpochCause::Attached,
    });
    assert_eq!(
        (floor.standing(1), floor.picture(1).run),
        (Standing::Waiting, None)
    );
    let late = floor.result_of(perform).unwrap();
    assert_eq!(floor.try_to_tell(late), Err(Refusal::Stale));
    floor.settle();
    // Serial 1 belongs to the unit in the middle of its run.
    assert_eq!(floor.code(1), "unit.serial-taken");
    floor.plug(2, 1);
    floor.settle();
    assert_eq!(
        (floor.standing(2), floor.picture(2).serial),
        (PASSED, Some(serial(1)))
    );
}

#[test]
fn a_verdict_about_a_unit_that_has_moved_leaves_its_old_socket_alone() {
    let mut floor = Floor::with(
        six_steps(),
        [(slot(1), serial(1)), (slot(2), serial(2))].into(),
        "",
    );
    floor.device(1).lock = [Lock::NeverHears].into();
    floor.plug(1, 1);
    let act = floor.until(is_act);
    let late = floor.result_of(act).unwrap();
    floor.unplug(1);
    floor.serials = [(slot(1), serial(3)), (slot(2), serial(2))].into();
    floor.begin();
    floor.plug(1, 3);
    let perform = floor.until(is_perform(1));
    // The late answer must not reset the board that is in this socket now.
    floor.tell(late);
    floor.plug(2, 1);
    floor.settle();
    assert_eq!(floor.verdicts(), [Verdict::Disproved]);
    assert_eq!(floor.standing(2), ERROR);
    assert_eq!(floor.standing(1), Standing::Working);
    assert!(!floor.released[1..].contains(&slot(1)), "{:?}", floor.released);
    floor.carry_out(perform);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
}

#[test]
fn late_news_of_a_board_that_left_does_not_bring_it_back() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    floor.settle();
    floor.unplug(1);
    let slot = slot(1);
    for cause in [EpochCause::Reset, EpochCause::LinkLost] {
        let slot = slot.clone();
        assert_eq!(
            floor.try_to_tell(Input::Seen { slot, cause }),
            Err(Refusal::Stale)
        );
    }
    let slot = slot.clone();
    assert_eq!(floor.try_to_tell(Input::Gone { slot }), Err(Refusal::Stale));
}

#[test]
fn a_device_that_restarts_in_a_step_is_identified_again_and_goes_on() {
    let mut floor = Floor::new(six_steps());
    let restart = Report {
        is_link_over: true,
        ..Report::passed()
    };
    floor.reports.insert(1, [restart].into());
    floor.plug(1, 1);
    let identify = floor.until(|effect| {
        matches!(
            effect,
            Effect::Identify {
                cause: EpochCause::LinkLost,
                ..
            }
        )
    });
    let picture = floor.picture(1);
    assert_eq!((picture.standing, picture.steps_passed), (Standing::Working, 2));
    floor.carry_out(identify);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    assert!(floor.performed.iter().all(|(_, _, attempt)| *attempt == 1));
}

#[test]
fn a_last_step_that_ends_with_the_link_over_ends_the_run() {
    let mut floor = Floor::new(six_steps());
    let restart = Report {
        is_link_over: true,
        ..Report::passed()
    };
    floor.reports.insert(5, [restart].into());
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
}

#[test]
fn a_device_that_stays_silent_after_a_restart_leaves_its_run_waiting() {
    let mut floor = Floor::new(six_steps());
    let restart = Report {
        is_link_over: true,
        ..Report::passed()
    };
    floor.reports.insert(1, [restart].into());
    floor.plug(1, 1);
    let _identify = floor.until(|effect| {
        matches!(
            effect,
            Effect::Identify {
                cause: EpochCause::LinkLost,
                ..
            }
        )
    });
    let (slot, epoch) = (slot(1), floor.line.epoch(&slot(1)).unwrap());
    floor.tell(unresponsive(slot, epoch));
    floor.settle();
    let picture = floor.picture(1);
    assert_eq!(
        (picture.standing, picture.serial),
        (Standing::Unresponsive, Some(serial(1)))
    );
    assert!(floor.line.picture().is_settled());
    floor.unplug(1);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
}
