//! Devices whose OS is written anew: what is known of them, and what they lose.

use lineside_flow::{Input, Recipe, RecoveryOutcome, Refusal, Work};

use crate::floor::*;
use crate::line_kit::*;
use lineside_terms::Digest;

const SET: Digest = Digest::from_bytes([9; 32]);

fn begun(n: u8) -> Input {
    Input::RecoveryBegun {
        slot: slot(n),
        device: device(n),
        set: SET,
        os: Some("24.06".into()),
    }
}

fn ended(n: u8, outcome: RecoveryOutcome) -> Input {
    Input::RecoveryEnded {
        slot: slot(n),
        device: device(n),
        outcome,
        os: None,
        error: None,
    }
}

#[test]
fn a_device_needs_recovery_from_its_beginning_to_an_end_after_which_it_works() {
    let mut floor = Floor::new(six_steps());
    assert_eq!(
        floor.try_to_tell(ended(1, RecoveryOutcome::Recovered)),
        Err(Refusal::NotAsked)
    );
    floor.tell(begun(1));
    assert_eq!(floor.line.needs_recovery(&device(1)), Some(SET));
    assert_eq!(floor.line.needs_recovery(&device(2)), None);
    floor.sync();
    // A power cut: it belongs to the device, whatever socket it comes back in.
    floor.restart();
    assert_eq!(floor.line.needing_recovery().collect::<Vec<_>>(), [&device(1)]);
    floor.tell(ended(1, RecoveryOutcome::NeedsRecovery));
    assert_eq!(floor.line.needs_recovery(&device(1)), Some(SET));
    floor.tell(begun(1));
    floor.tell(ended(1, RecoveryOutcome::Recovered));
    assert_eq!(floor.line.needing_recovery().count(), 0);
    assert_eq!(
        floor.try_to_tell(ended(1, RecoveryOutcome::Recovered)),
        Err(Refusal::NotAsked)
    );
}

#[test]
fn an_open_run_begins_again_after_its_device_lost_everything() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let _perform = floor.until(is_perform(2));
    floor.unplug(1);
    floor.settle();
    let first_tries = floor.performed.iter().filter(|(_, step, _)| *step == 0).count();
    floor.tell(begun(1));
    floor.tell(ended(1, RecoveryOutcome::Recovered));
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    let again = floor.performed.iter().filter(|(_, step, _)| *step == 0).count();
    assert_eq!(again, first_tries + 1, "what the first step reached is gone");
}

#[test]
fn a_recovery_that_erased_nothing_takes_nothing_away() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let _perform = floor.until(is_perform(2));
    floor.unplug(1);
    floor.settle();
    floor.tell(begun(1));
    floor.tell(ended(1, RecoveryOutcome::Untouched));
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    assert_eq!(
        floor.performed.iter().filter(|(_, step, _)| *step == 0).count(),
        1
    );
}

#[test]
fn a_device_that_was_locked_is_known_to_be_complete() {
    let (floor, _) = Floor::passed_before(1);
    assert!(floor.line.is_known_complete(&device(1)));
    assert!(!floor.line.is_known_complete(&device(2)));
}

/// Passed once, then recovered by hand with that outcome, then plugged in again.
fn recovered_after_its_pass(recipe: Recipe, outcome: RecoveryOutcome) -> Floor {
    let mut floor = Floor::new(recipe);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    let proven = floor.line.proven(&device(1));
    assert!(proven.is_some());
    floor.unplug(1);
    floor.settle();
    floor.tell(begun(1));
    assert_eq!(
        floor.line.proven(&device(1)),
        None,
        "from its beginning on nobody knows"
    );
    floor.sync();
    floor.restart();
    floor.tell(ended(1, outcome));
    let is_untouched = outcome == RecoveryOutcome::Untouched;
    assert_eq!(floor.line.proven(&device(1)), proven.filter(|_| is_untouched));
    floor.plug(1, 1);
    floor.settle();
    floor
}

#[test]
fn a_finished_device_that_lost_its_software_is_never_green_again_by_itself() {
    use RecoveryOutcome::{NeedsRecovery, Recovered, Unknown, Untouched};
    for outcome in [Recovered, NeedsRecovery, Unknown] {
        let mut floor = recovered_after_its_pass(six_steps(), outcome);
        assert_eq!(floor.code(1), "unit.undone", "{outcome:?}");
        assert_eq!(floor.line.picture().passed_units, 0);
        // Nor after a second try that erased nothing.
        if outcome != NeedsRecovery {
            floor.unplug(1);
            floor.tell(begun(1));
            floor.tell(ended(1, Untouched));
            floor.plug(1, 1);
            floor.settle();
            assert_eq!(floor.code(1), "unit.undone", "{outcome:?}");
        }
    }
    let floor = recovered_after_its_pass(six_steps(), Untouched);
    assert_eq!(floor.line.picture().passed_units, 1);
}

#[test]
fn a_plan_that_takes_devices_in_their_last_state_begins_again_with_one_that_lost_its_software() {
    let recipe = Recipe {
        target: OLD,
        ..recipe(
            1,
            vec![step("os", Work::Perform), step("application", Work::Perform)],
        )
    };
    let floor = recovered_after_its_pass(recipe, RecoveryOutcome::Recovered);
    let first = floor.performed.iter().filter(|(_, step, _)| *step == 0).count();
    assert_eq!(first, 2, "its first step was done again");
}

/// What somebody wrote to a device by hand, as the journal keeps it.
fn written_by_hand(floor: &Floor, n: u8, is_undoing: bool) -> lineside_flow::Event {
    let last = floor.journal.last().cloned().unwrap();
    lineside_flow::Event {
        sequence: last.sequence + 1,
        slot: Some(slot(n)),
        device: Some(device(n)),
        run: None,
        body: lineside_flow::Body::HandWrite {
            verb: "wifi add".into(),
            outcome: lineside_flow::HandOutcome::Done,
            is_undoing,
            error: None,
        },
        ..last
    }
}

#[test]
fn what_is_written_by_hand_after_a_pass_undoes_it_and_only_where_it_changes_what_was_proven() {
    for is_undoing in [true, false] {
        let mut floor = Floor::new(six_steps());
        floor.plug(1, 1);
        floor.settle();
        assert_eq!(floor.standing(1), PASSED);
        floor.sync();
        let event = written_by_hand(&floor, 1, is_undoing);
        floor.journal.push(event);
        floor.durable = floor.journal.len();
        floor.restart();
        assert_eq!(floor.line.proven(&device(1)).is_none(), is_undoing);
        floor.plug(1, 1);
        floor.settle();
        if is_undoing {
            assert_eq!(floor.code(1), "unit.undone");
        } else {
            assert!(floor.picture(1).error.is_none());
        }
    }
}

#[test]
fn an_open_run_begins_again_after_its_device_was_written_to_by_hand() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let _perform = floor.until(is_perform(2));
    floor.unplug(1);
    floor.settle();
    floor.sync();
    let event = written_by_hand(&floor, 1, true);
    floor.journal.push(event);
    floor.durable = floor.journal.len();
    floor.restart();
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    let firsts = floor.performed.iter().filter(|(_, step, _)| *step == 0).count();
    assert_eq!(firsts, 2, "what the first step reached is not sure any more");
}
