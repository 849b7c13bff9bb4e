//! Leave for irreversible steps: waiting for it, spending it, losing it.

use lineside_flow::interlock::{Grant, Requirement};
use lineside_flow::{Input, Recipe, Refusal, Standing};

use crate::floor::*;
use crate::line_kit::*;

fn recipe() -> Recipe {
    let mut recipe = six_steps();
    let lock = recipe
        .steps
        .iter()
        .find(|step| step.work == LOCK)
        .unwrap()
        .id
        .clone();
    let need = Requirement {
        role: "quality".into(),
        people: 1,
    };
    recipe.approvals.insert(lock, need);
    recipe
}

fn approval(id: &str, units: u32) -> Input {
    let recipe = recipe();
    let grant = Grant {
        id: id.into(),
        station: "line-1".parse().unwrap(),
        plan: recipe.plan,
        step: recipe.approvals.keys().next().unwrap().clone(),
        role: "quality".into(),
        by: "qa-1".into(),
        units,
        until_ms: i64::MAX,
        why: "first batch".into(),
    };
    Input::Approve {
        grant,
        proof: String::new(),
    }
}

#[test]
fn a_unit_waits_before_the_step_until_it_is_approved_and_goes_on_there() {
    let mut floor = Floor::new(recipe());
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(
        (floor.code(1), floor.device(1).asked),
        ("run.not-approved".into(), 0)
    );
    assert!(!floor.standing(1).is_pass() && floor.released.contains(&slot(1)));
    floor.tell(approval("a", 1));
    assert_eq!(floor.try_to_tell(approval("a", 1)), Err(Refusal::Replayed));
    floor.sync();
    floor.restart();
    floor.settle();
    assert_eq!((floor.standing(1), floor.device(1).asked), (PASSED, 1));
    assert_eq!(floor.count("run-started"), 1);
}

#[test]
fn a_quota_for_one_unit_locks_one_unit() {
    let mut floor = Floor::new(recipe());
    floor.tell(approval("a", 1));
    for n in [1, 2] {
        floor.plug(n, n);
    }
    floor.settle();
    let asked = [1, 2].map(|n| floor.device(n).asked);
    assert_eq!(asked.iter().sum::<u32>(), 1);
    let codes: Vec<String> = [1, 2]
        .into_iter()
        .filter(|n| floor.standing(*n) != PASSED)
        .map(|n| floor.code(n))
        .collect();
    assert_eq!(codes, ["run.not-approved"]);
}

#[test]
fn what_was_left_is_void_after_a_restore() {
    let mut floor = Floor::new(recipe());
    floor.tell(approval("a", 9));
    floor.tell(Input::Restored {
        sequence: 1,
        hash: lineside_terms::Digest::ZERO,
    });
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(
        (floor.code(1), floor.device(1).asked),
        ("run.not-approved".into(), 0)
    );
    assert!(
        matches!(floor.standing(1), Standing::Interrupted),
        "{:?}",
        floor.standing(1)
    );
    // The grant of before does not come back.
    assert_eq!(floor.try_to_tell(approval("a", 9)), Err(Refusal::Replayed));
}
