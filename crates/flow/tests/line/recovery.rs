//! Devices whose OS is written anew: what is known of them, and what they lose.

use lineside_flow::{Input, RecoveryOutcome, Refusal};

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
