//! Stopping, failing disks, restarts of the program.

use lineside_flow::interlock::Receipt;
use lineside_flow::{Effect, Input, Recipe, Refusal, Report, Standing};
use lineside_terms::{Instant, Outcome};

use crate::floor::*;
use crate::line_kit::*;

#[test]
fn stopping_in_any_step_ends_in_a_told_state_and_the_unit_goes_on_later() {
    // Every effect on the way of a unit is a moment at which somebody may ask to stop.
    for moment in 0.. {
        let mut floor = Floor::new(six_steps());
        let seen = std::cell::Cell::new(0);
        floor.plug(1, 1);
        let held_back = floor.settle_until(|effect| {
            let is_it = seen.get() == moment && !matches!(effect, Effect::Release { .. });
            seen.set(seen.get() + 1);
            is_it
        });
        let Some(effect) = held_back else {
            assert!(moment > 6, "the way has more effects than that");
            break;
        };
        floor.tell(Input::Cancel);
        assert_eq!(floor.try_to_tell(Input::Cancel), Err(Refusal::NotAsked));
        floor.sync();
        assert!(
            floor
                .todo
                .iter()
                .any(|effect| matches!(effect, Effect::Stop { .. }))
        );
        let before = floor.performed.len();
        let was_performing = matches!(effect, Effect::Perform { .. });
        let intended = floor.count("intended");
        floor.carry_out(effect);
        floor.settle();
        assert_eq!(
            floor.count("intended"),
            intended,
            "nothing irreversible is even intended"
        );
        assert_eq!(
            floor.performed.len(),
            before + usize::from(was_performing),
            "nothing new starts"
        );
        assert!(
            floor.line.picture().is_settled(),
            "moment {moment}: {:?}",
            floor.picture(1)
        );
        assert!(floor.released.contains(&slot(1)));
        if floor.standing(1) != PASSED {
            assert_eq!(floor.code(1), "run.cancelled", "moment {moment}");
        }
        let asked = floor.device(1).asked;
        floor.restart();
        floor.settle();
        assert!(
            floor.standing(1).is_pass(),
            "moment {moment}: {:?}",
            floor.picture(1)
        );
        assert_eq!(floor.count("run-started"), 1);
        assert_eq!(
            (floor.device(1).asked, floor.device(1).applied),
            (1, 1),
            "asked {asked} before"
        );
    }
}

#[test]
fn a_step_that_is_cut_short_does_not_fail_the_unit() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let perform = floor.until(is_perform(1));
    floor.tell(Input::Cancel);
    let stopped = Report::failed(Outcome::Error, told("run.stopped"), true);
    floor.reports.insert(1, [stopped].into());
    floor.carry_out(perform);
    floor.settle();
    assert_eq!(floor.standing(1), Standing::Interrupted);
    floor.restart();
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    assert_eq!(floor.picture(1).attempt, 1);
}

#[test]
fn stopping_while_an_act_is_unclear_still_finds_out_what_it_did() {
    for way in [Lock::AppliesButTheAnswerIsLost, Lock::NeverHears] {
        let mut recipe = six_steps();
        recipe.steps[4].retries = 1;
        let mut floor = Floor::new(recipe);
        floor.device(1).lock = [way].into();
        floor.plug(1, 1);
        let act = floor.until(is_act);
        floor.tell(Input::Cancel);
        floor.carry_out(act);
        floor.settle();
        assert_eq!(floor.line.unresolved().count(), 0);
        assert_eq!(
            (floor.standing(1), floor.code(1).as_str()),
            (Standing::Interrupted, "run.cancelled")
        );
        assert_eq!(floor.device(1).asked, 1);
        floor.restart();
        floor.settle();
        assert_eq!(floor.standing(1), PASSED);
        assert_eq!(floor.device(1).applied, 1);
    }
}

#[test]
fn a_new_batch_begins_anew_after_a_stop() {
    let mut floor = Floor::new(six_steps());
    floor.tell(Input::Cancel);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(
        (floor.standing(1), floor.code(1).as_str()),
        (Standing::Interrupted, "run.cancelled")
    );
    floor.begin();
    floor.plug(2, 2);
    floor.settle();
    assert_eq!(floor.standing(2), PASSED);
}

#[test]
fn when_the_journal_fails_nothing_new_starts_and_nothing_is_final() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let perform = floor.until(is_perform(5));
    floor.carry_out(perform);
    assert_eq!(floor.standing(1), Standing::NotRecorded);
    floor.tell(Input::StoreFailed);
    let picture = floor.line.picture();
    assert!(!picture.is_store_up);
    assert_eq!(picture.slots[0].standing, Standing::NotRecorded);
    let late = Receipt::issued_by_the_journal(floor.journal.len() as u64 - 2);
    assert!(floor.line.react(&late, Instant::from_nanos(floor.now)).is_empty());
    assert_ne!(floor.standing(1), PASSED);
    assert_eq!(floor.try_to_tell(Input::Cancel), Err(Refusal::StoreDown));
    // What was not recorded is done again; what was applied is not.
    floor.restart();
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    assert_eq!(floor.device(1).applied, 1);
}

#[test]
fn a_restart_at_every_point_of_the_journal_ends_in_one_pass_and_one_act() {
    let mut whole = Floor::new(six_steps());
    whole.device(1).lock = [Lock::AppliesButTheAnswerIsLost].into();
    whole.plug(1, 1);
    whole.settle();
    assert_eq!(whole.standing(1), PASSED);
    let history = whole.journal.clone();
    for cut in 0..=history.len() {
        let has = |kind: &str| history[..cut].iter().any(|event| event.body.kind() == kind);
        let (is_intended, is_decided) = (has("intended"), has("decided"));
        // The device is as far as the journal shows that it must be, or as far as it may be.
        for is_applied in [is_decided, is_intended] {
            let mut floor = Floor::new(six_steps());
            floor.slots.insert(slot(1), 1);
            floor.device(1).state = if is_applied { NEW } else { OLD };
            floor.journal = history[..cut].to_vec();
            floor.durable = cut;
            floor.boot = 40;
            floor.restart();
            floor.settle();
            assert_eq!(floor.line.unresolved().count(), 0, "cut {cut}");
            // Nobody told how the act ended: when a look disproves it, the step is simply begun again.
            let is_told = has("act-unclear");
            let is_given_up = is_told && !is_applied;
            if is_given_up {
                // Without retries in the plan, an act that went wrong and was disproved ends the run.
                assert_eq!(floor.standing(1), ERROR, "cut {cut}");
            } else {
                assert!(floor.standing(1).is_pass(), "cut {cut}: {:?}", floor.picture(1));
            }
            let asked = floor.device(1).asked;
            assert_eq!(
                asked,
                u32::from(!is_applied && !is_given_up),
                "cut {cut}: nothing is sent without knowing"
            );
        }
    }
}

#[test]
fn a_changed_plan_begins_from_the_beginning() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let _perform = floor.until(is_perform(1));
    floor.recipe = Recipe {
        attempt_limit: 1,
        ..recipe(9, six_steps().steps)
    };
    floor.restart();
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    // Giving up the first run for the new plan is no failure of the device.
    assert_eq!(floor.picture(1).attempt, 2);
    assert_eq!(
        floor.released,
        [slot(1)],
        "the board is let go of once, at the end"
    );
}

#[test]
fn facts_that_come_after_somebody_asked_to_stop_lead_to_no_intent() {
    // Nothing was read before the step that locks, so it reads for itself.
    let mut floor = Floor::new(recipe(1, vec![step("lock", LOCK)]));
    floor.plug(1, 1);
    let read = floor.until(|effect| matches!(effect, Effect::ReadFacts { .. }));
    floor.tell(Input::Cancel);
    floor.carry_out(read);
    floor.settle();
    assert_eq!(floor.count("intended"), 0);
    assert_eq!(
        (floor.standing(1), floor.code(1).as_str()),
        (Standing::Interrupted, "run.cancelled")
    );
    floor.restart();
    floor.settle();
    assert_eq!((floor.standing(1), floor.device(1).asked), (PASSED, 1));
}
