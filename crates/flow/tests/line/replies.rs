//! Replies that nobody asked for.

use lineside_flow::interlock::OnceKey;
use lineside_flow::{Effect, Input, Refusal, Report, Standing};
use lineside_terms::{Epoch, Instant, Outcome, SecurityState};

use crate::floor::*;
use crate::line_kit::*;

#[test]
fn replies_that_nobody_asked_for_change_nothing() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let perform = floor.until(is_perform(0));
    let Effect::Perform { epoch, run, .. } = &perform else {
        unreachable!()
    };
    let (slot, epoch, run) = (slot(1), *epoch, *run);
    let performed = |report: Report| Input::Performed {
        slot: slot.clone(),
        epoch,
        run,
        report,
    };
    let identified = |n: u8| Input::Identified {
        slot: slot.clone(),
        epoch,
        device: device(n),
        state: OLD,
        security: SecurityState::Secure,
        read_at: Instant::ZERO,
    };
    let read = |n: u8, epoch: Epoch| Input::Read {
        slot: slot.clone(),
        run,
        facts: Box::new(facts(device(n), epoch, OLD, Instant::ZERO)),
    };
    let before = floor.line.picture();
    // A step that performs reads no facts, and a device that has answered is not asked who it is.
    for input in [read(1, epoch), identified(1), identified(2)] {
        assert_eq!(floor.try_to_tell(input), Err(Refusal::NotAsked));
    }
    let other = Input::Performed {
        slot: slot.clone(),
        epoch: epoch.next(),
        run,
        report: Report::passed(),
    };
    assert_eq!(floor.try_to_tell(other), Err(Refusal::Stale));
    assert_eq!(floor.line.picture(), before);
    // Nor does another socket's board speak for this one's run.
    floor.plug(2, 2);
    let elsewhere = Input::Performed {
        slot: crate::line_kit::slot(2),
        epoch: floor.line.epoch(&crate::line_kit::slot(2)).unwrap(),
        run,
        report: Report::passed(),
    };
    assert_eq!(floor.try_to_tell(elsewhere), Err(Refusal::NotAsked));
    floor.unplug(2);
    floor.carry_out(perform);

    // Where the engine judges, nobody can report a pass.
    let reading = floor.until(|effect| matches!(effect, Effect::ReadFacts { .. }));
    assert_eq!(
        floor.try_to_tell(performed(Report::passed())),
        Err(Refusal::NotAsked)
    );
    assert_eq!(floor.try_to_tell(read(2, epoch)), Err(Refusal::Stale));
    assert_eq!(floor.try_to_tell(read(1, epoch.next())), Err(Refusal::Stale));
    floor.carry_out(reading);

    // While an act is under way, only the device ends its step.
    let act = floor.until(is_act);
    let Effect::Act { permit, .. } = &act else {
        unreachable!()
    };
    let key = *permit.key();
    for report in [Report::passed(), failed(Outcome::Error), failed(Outcome::Fail)] {
        assert_eq!(floor.try_to_tell(performed(report)), Err(Refusal::NotAsked));
    }
    assert_eq!(floor.try_to_tell(read(1, epoch)), Err(Refusal::NotAsked));
    let wrong = OnceKey { generation: 2, ..key };
    assert_eq!(
        floor.try_to_tell(acted(slot.clone(), run, wrong, None)),
        Err(Refusal::NotAsked)
    );
    let elsewhere = acted(crate::line_kit::slot(2), run, key, None);
    assert_eq!(floor.try_to_tell(elsewhere), Err(Refusal::NotAsked));
    floor.carry_out(act);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
    assert_eq!(
        floor.try_to_tell(acted(slot.clone(), run, key, None)),
        Err(Refusal::NotAsked)
    );
    assert_eq!(
        floor.try_to_tell(unresponsive(slot, epoch)),
        Err(Refusal::NotAsked)
    );
    assert_eq!(floor.device(1).asked, 1);
}

#[test]
fn a_board_that_falls_silent_in_mid_step_interrupts_its_run() {
    let mut floor = Floor::new(six_steps());
    floor.plug(1, 1);
    let perform = floor.until(is_perform(1));
    let epoch = floor.line.epoch(&slot(1)).unwrap();
    floor.tell(unresponsive(slot(1), epoch));
    floor.settle();
    assert_eq!(floor.standing(1), Standing::Unresponsive);
    let late = floor.result_of(perform).unwrap();
    assert_eq!(floor.try_to_tell(late), Err(Refusal::NotAsked));
    floor.unplug(1);
    floor.plug(1, 1);
    floor.settle();
    assert_eq!(floor.standing(1), PASSED);
}
