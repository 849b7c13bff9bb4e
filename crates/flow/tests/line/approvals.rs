//! Leave for irreversible steps: waiting for it, spending it, losing it.

use lineside_flow::interlock::{Grant, Requirement};
use lineside_flow::{Body, Input, Recipe, Refusal, Standing};

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
        made_ms: None,
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
fn units_that_wait_go_on_as_soon_as_they_are_approved_as_many_as_there_is_leave_for() {
    let mut floor = Floor::new(recipe());
    for n in [1, 2, 3] {
        floor.plug(n, n);
    }
    floor.settle();
    floor.tell(approval("a", 2));
    floor.settle();
    let asked = [1, 2, 3].map(|n| floor.device(n).asked);
    assert_eq!(asked.iter().sum::<u32>(), 2, "{asked:?}");
    let waits: Vec<u8> = [1, 2, 3]
        .into_iter()
        .filter(|n| floor.device(*n).asked == 0)
        .collect();
    assert_eq!(floor.code(waits[0]), "run.not-approved");
    assert_eq!(waits.len(), 1);
    // One that has left does not come back by an approval.
    floor.unplug(waits[0]);
    floor.tell(approval("b", 1));
    floor.settle();
    assert_eq!(floor.device(waits[0]).asked, 0);
    floor.plug(waits[0], waits[0]);
    floor.settle();
    assert_eq!((floor.device(waits[0]).asked, floor.count("run-started")), (1, 3));
}

#[test]
fn nobody_goes_on_by_an_approval_after_somebody_asked_to_stop() {
    let mut floor = Floor::new(recipe());
    floor.plug(1, 1);
    floor.settle();
    floor.tell(Input::Cancel);
    floor.tell(approval("a", 1));
    floor.settle();
    assert_eq!(floor.device(1).asked, 0);
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

fn left(floor: &Floor) -> u32 {
    floor.line.approvals().open().map(|(_, left)| left).sum()
}

#[test]
fn what_is_spent_is_written_with_the_intent_and_a_unit_that_is_not_ready_spends_nothing() {
    let mut floor = Floor::new(recipe());
    floor.tell(approval("a", 2));
    floor.device(1).os = "23.01";
    floor.plug(1, 1);
    floor.settle();
    assert_eq!((floor.count("intended"), left(&floor)), (0, 2));
    floor.plug(2, 2);
    floor.settle();
    assert_eq!((floor.standing(2), left(&floor)), (PASSED, 1));
    let spent: Vec<_> = floor
        .journal
        .iter()
        .filter_map(|event| match &event.body {
            Body::Intended { approvals, .. } => Some(approvals.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(spent, [["a".to_owned()]]);
    floor.restart();
    assert_eq!(left(&floor), 1);
}

/// Records of before intents said what they spent: whoever was intended has spent a unit.
#[test]
fn an_intent_that_does_not_say_what_it_spent_has_spent_all_the_same() {
    let mut floor = Floor::new(recipe());
    floor.tell(approval("a", 2));
    floor.plug(1, 1);
    floor.settle();
    for event in &mut floor.journal {
        if let Body::Intended { approvals, .. } = &mut event.body {
            approvals.clear();
        }
    }
    floor.restart();
    assert_eq!(left(&floor), 1);
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
    // One that came after the backup is unknown here, and may be spent: it is not taken either.
    assert_eq!(floor.try_to_tell(approval("b", 9)), Err(Refusal::BeforeRestore));
    let Input::Approve { mut grant, proof } = approval("c", 9) else {
        unreachable!("an approval is one")
    };
    grant.made_ms = Some(i64::MAX);
    floor.tell(Input::Approve { grant, proof });
    assert_eq!(left(&floor), 9);
}
