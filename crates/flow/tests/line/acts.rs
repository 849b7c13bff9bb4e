//! Something irreversible.

use lineside_flow::interlock::{EpochCause, Verdict};
use lineside_flow::{Effect, Input, Standing};
use lineside_terms::{ManufacturingState, Outcome};

use crate::floor::*;
use crate::line_kit::*;

#[test]
fn an_act_that_the_device_refuses_is_disproved_by_a_look_after_a_reset() {
    let mut floor = Floor::new(six_steps());
    floor.device(1).lock = [Lock::Refuses].into();
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.verdicts(), [Verdict::Disproved]);
    assert_eq!(
        (floor.standing(1), floor.code(1).as_str()),
        (ERROR, "device.no-answer")
    );
    assert_eq!((floor.device(1).asked, floor.device(1).applied), (1, 0));
}

#[test]
fn an_act_whose_answer_was_lost_is_confirmed_by_a_look() {
    let mut floor = Floor::new(six_steps());
    floor.device(1).lock = [Lock::AppliesButTheAnswerIsLost].into();
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.verdicts(), [Verdict::Confirmed]);
    assert_eq!(floor.standing(1), PASSED);
    assert_eq!((floor.device(1).asked, floor.device(1).applied), (1, 1));
}

#[test]
fn an_act_is_done_again_only_after_it_was_disproved_and_only_within_the_retries() {
    let mut recipe = six_steps();
    recipe.steps[4].retries = 1;
    let mut floor = Floor::new(recipe.clone());
    floor.device(1).lock = [Lock::NeverHears].into();
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.verdicts(), [Verdict::Disproved, Verdict::Confirmed]);
    assert_eq!(floor.standing(1), PASSED);
    assert_eq!((floor.device(1).asked, floor.device(1).applied), (2, 1));

    let mut floor = Floor::new(recipe);
    floor.device(1).lock = [Lock::NeverHears, Lock::NeverHears, Lock::Confirms].into();
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.verdicts(), [Verdict::Disproved, Verdict::Disproved]);
    assert_eq!(floor.standing(1), ERROR);
    assert_eq!(floor.device(1).asked, 2);
}

#[test]
fn an_act_that_was_cut_off_before_it_was_asked_for_costs_no_attempt_however_often() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    for cut in 1..=5 {
        let _act = floor.until(is_act);
        floor.restart();
        floor.plug(1, 1);
        let read = floor.until(|effect| matches!(effect, Effect::ReadFacts { .. }));
        floor.carry_out(read);
        assert_eq!(floor.verdicts(), vec![Verdict::Disproved; cut]);
    }
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    assert_eq!(floor.picture(1).attempt, 1);
    assert_eq!((floor.device(1).asked, floor.device(1).applied), (1, 1));
}

#[test]
fn only_a_reset_of_our_own_disproves_anything() {
    for cause in [EpochCause::LinkLost, EpochCause::Attached, EpochCause::Found] {
        let mut floor = Floor::new(six_steps());
        floor.device(1).lock = [Lock::NeverHears].into();
        floor.plug(1, 1);
        let _act = floor.until(is_act);
        let slot = slot(1);
        floor.tell(Input::Seen { slot, cause });
        let reset = floor.until(|effect| matches!(effect, Effect::Reset { .. }));
        assert_eq!(
            floor.verdicts(),
            [],
            "it answered, but the act may still be on its way"
        );
        floor.carry_out(reset);
        let _read = floor.until(|effect| matches!(effect, Effect::ReadFacts { .. }));
        assert_eq!(floor.verdicts(), [Verdict::Disproved]);
    }
}

#[test]
fn an_act_that_nobody_can_look_at_stays_open_until_the_board_comes_back() {
    for (way, verdict) in [
        (Lock::AppliesButTheAnswerIsLost, Verdict::Confirmed),
        (Lock::NeverHears, Verdict::Disproved),
    ] {
        let mut recipe = six_steps();
        recipe.steps[4].retries = 1;
        let mut floor = Floor::new(recipe);
        floor.device(1).lock = [way].into();
        floor.device(1).can_reset = false;
        floor.plug(1, 1);
        floor.settle();
        let picture = floor.picture(1);
        assert_eq!(
            (picture.standing, picture.serial),
            (Standing::Unresponsive, Some(serial(1)))
        );
        assert!(floor.line.picture().is_settled());
        assert_eq!(floor.line.unresolved().count(), 1);
        assert_eq!(floor.line.unresolved().next().unwrap().key.device, device(1));
        // A restart of the program knows of it as well; it can see what was done, but not that it was not.
        if verdict == Verdict::Disproved {
            floor.restart();
            floor.settle();
            assert_eq!(floor.standing(1), Standing::Unresponsive);
            assert_eq!(floor.line.unresolved().count(), 1);
        }
        floor.unplug(1);
        floor.device(1).can_reset = true;
        floor.plug(2, 1);
        floor.settle();
        assert_eq!(floor.verdicts()[0], verdict);
        assert_eq!(floor.standing(2), PASSED);
        assert_eq!((floor.device(1).applied, floor.line.unresolved().count()), (1, 0));
    }
}

#[test]
fn an_act_after_which_the_device_is_in_no_known_state_is_unclear_until_it_says_more() {
    let mut floor = Floor::new(six_steps());
    floor.device(1).lock = [Lock::NeverHears].into();
    floor.plug(1, 1);
    let act = floor.until(is_act);
    floor.carry_out(act);
    floor.device(1).state = ManufacturingState::Unknown;
    floor.settle();
    assert_eq!(floor.verdicts(), [Verdict::Unclear]);
    assert_eq!(
        (floor.standing(1), floor.code(1).as_str()),
        (Standing::Ended(Outcome::Unknown), "unit.unclear")
    );
    assert_eq!(floor.line.unresolved().count(), 1, "a person decides");
    // As long as it says nothing better, it is held and nothing is sent.
    floor.unplug(1);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.code(1), "unit.unclear");
    assert_eq!(floor.device(1).asked, 1);
    // It turns out that it was done.
    floor.device(1).state = NEW;
    floor.unplug(1);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.verdicts().last(), Some(&Verdict::Confirmed));
    assert_eq!(floor.code(1), "unit.complete-not-passed");
    assert_eq!(floor.line.unresolved().count(), 0);
}

#[test]
fn an_act_that_was_sent_before_the_program_died_is_never_sent_again_blindly() {
    for (way, is_applied) in [(Lock::AppliesButTheAnswerIsLost, true), (Lock::NeverHears, false)] {
        let mut recipe = six_steps();
        recipe.steps[4].retries = 1;
        let mut floor = Floor::new(recipe);
        floor.device(1).lock = [way].into();
        floor.plug(1, 1);
        let act = floor.until(is_act);
        let _nobody_hears = floor.result_of(act);
        floor.restart();
        let identify = floor.until(|effect| matches!(effect, Effect::Identify { .. }));
        floor.carry_out(identify);
        assert_eq!(
            floor.verdicts().len(),
            usize::from(is_applied),
            "a board that was found proves nothing undone"
        );
        floor.settle();
        assert_eq!(floor.standing(1), PASSED);
        assert_eq!(
            (floor.device(1).asked, floor.device(1).applied),
            (2 - u32::from(is_applied), 1)
        );
    }
}
