//! Bad boards among good ones: each gets a code and a remedy, the good ones pass, nothing is written to a wrong device
//! and nothing hangs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use lineside_flow::line::{SlotPicture, Standing};
use lineside_link::Bench as _;
use lineside_protocol::rest::Operation;
use lineside_protocol::rest::assume::DeletePolicy;
use lineside_runner::Summary;
use lineside_simulator::{
    Assumptions, DeviceTimes, Fault, FaultScript, What, When, WorldConfig, WritesExpected,
};
use lineside_terms::{ManufacturingState, Outcome};
use support::plans::PlanFolder;
use support::{Floor, judge, told};

fn at(board: usize, when: When, what: What) -> Fault {
    Fault {
        board: Some(board),
        when,
        what,
    }
}

fn boots(board: usize, what: What) -> Fault {
    at(board, When::Boot { nth: 1, times: 0 }, what)
}

fn first(board: usize, operation: Operation, what: What) -> Fault {
    at(board, When::request(operation), what)
}

fn every(board: usize, operation: Operation, what: What) -> Fault {
    at(board, When::every(operation), what)
}

fn with_faults(boards: usize, faults: Vec<Fault>) -> Floor {
    Floor::new(WorldConfig {
        boards,
        faults: FaultScript { faults },
        ..WorldConfig::default()
    })
}

fn slot_of<'a>(floor: &Floor, summary: &'a Summary, board: usize) -> &'a SlotPicture {
    let slot = floor.slot(board);
    summary
        .picture
        .slots
        .iter()
        .find(|there| there.slot == slot)
        .unwrap()
}

/// These boards passed; each of these others ended with its code, a remedy, and not locked.
#[track_caller]
fn verdicts(floor: &Floor, summary: &Summary, good: &[usize], bad: &[(usize, &str)]) {
    for board in good {
        let slot = slot_of(floor, summary, *board);
        assert!(
            slot.standing.is_pass(),
            "board {board}: {}",
            told(&summary.picture)
        );
        judge::is_finished(&floor.truth(*board), &floor.program, &format!("board {board}"));
    }
    for (board, code) in bad {
        let slot = slot_of(floor, summary, *board);
        assert!(
            !slot.standing.is_pass(),
            "board {board}: {}",
            told(&summary.picture)
        );
        let error = slot
            .error
            .as_ref()
            .unwrap_or_else(|| panic!("board {board}: {}", told(&summary.picture)));
        assert_eq!(error.code, *code, "board {board}: {}", told(&summary.picture));
        assert!(error.help.len() > 20, "board {board}: {error:?}");
        let truth = floor.truth(*board);
        assert_eq!(truth.counters.irreversible_asked, 0, "board {board}");
        assert_eq!(truth.counters.wrong_target_writes, 0, "board {board}");
    }
    assert_eq!(summary.is_pass(), bad.is_empty());
    judge::records_agree(floor, "a mixed bench");
}

#[test]
fn boards_that_do_not_answer_as_they_should_disturb_nobody() {
    let images = Operation::GetImages;
    let mut floor = with_faults(
        12,
        vec![
            boots(1, What::Silent),
            boots(2, What::Babble { bytes: 40_000_000 }),
            boots(3, What::HalfBoot),
            at(4, When::Connect { nth: 1, times: 0 }, What::WrongCertificate),
            every(5, images, What::HugeAnswer { bytes: 400_000 }),
            every(6, images, What::TruncatedAnswer),
            every(7, images, What::NotJson),
            every(8, images, What::Http500),
            every(
                9,
                images,
                What::Refuse {
                    status: 418,
                    code: 77,
                },
            ),
        ],
    );
    // Somebody else works with this one.
    let leased = floor.slot(10);
    let held = futures::executor::block_on(floor.world.bench().lease(&leased, "somebody else"));
    let summary = floor.start().summary();
    drop(held);
    verdicts(
        &floor,
        &summary,
        &[0, 11],
        &[
            (1, "device.not-back"),
            (2, "device.not-back"),
            (3, "device.not-back"),
            (4, "device.wrong-certificate"),
            (5, "device.answer-too-large"),
            (6, "device.answer-truncated"),
            (7, "rest.answer-not-json"),
            (8, "device.http-500"),
            (9, "device.http-other"),
            (10, "link.leased"),
        ],
    );
    // What can pass by itself has passed: with their faults gone the silent ones are taken, the leased one too.
    assert_eq!(slot_of(&floor, &summary, 1).standing, Standing::Unresponsive);
}

#[test]
fn a_half_booted_board_is_waited_for() {
    let mut floor = with_faults(2, vec![at(0, When::Boot { nth: 1, times: 1 }, What::HalfBoot)]);
    // Somebody presses its reset button while it is waited for.
    floor.later(Duration::from_secs(12), |world| world.reset(0).unwrap());
    let summary = floor.start().summary();
    verdicts(&floor, &summary, &[0, 1], &[]);
}

#[test]
fn an_id_that_exists_twice_stops_both() {
    let mut floor = with_faults(3, vec![boots(1, What::DuplicateId { of: 0 })]);
    let summary = floor.start().summary();
    for board in [0, 1] {
        let slot = slot_of(&floor, &summary, board);
        assert!(!slot.standing.is_pass(), "{}", told(&summary.picture));
        assert_eq!(
            slot.error.as_ref().unwrap().code,
            "unit.id-twice",
            "{}",
            told(&summary.picture)
        );
        judge::is_safe(&floor.truth(board), "an id that exists twice");
        assert_eq!(floor.truth(board).counters.irreversible_applied, 0);
    }
    assert!(slot_of(&floor, &summary, 2).standing.is_pass());
}

#[test]
fn a_device_that_changes_its_id_is_not_gone_on_with() {
    let mut floor = with_faults(2, vec![first(0, Operation::Restart, What::ChangeId)]);
    let summary = floor.start().summary();
    assert!(
        !slot_of(&floor, &summary, 0).standing.is_pass(),
        "{}",
        told(&summary.picture)
    );
    assert!(slot_of(&floor, &summary, 1).standing.is_pass());
    let truth = floor.truth(0);
    assert_eq!(
        (
            truth.counters.irreversible_asked,
            truth.counters.wrong_target_writes
        ),
        (0, 0)
    );
    let error = slot_of(&floor, &summary, 0).error.clone();
    assert!(
        error.is_some_and(|error| error.help.len() > 20),
        "{}",
        told(&summary.picture)
    );
}

#[test]
fn a_board_that_is_unplugged_is_told_and_goes_on_when_it_is_back() {
    let mut floor = with_faults(
        3,
        vec![at(
            0,
            When::Request {
                operation: Operation::Install.to_string(),
                nth: 2,
                times: 1,
            },
            What::Unplug {
                replug_after_ms: None,
            },
        )],
    );
    let summary = floor.start().summary();
    verdicts(&floor, &summary, &[1, 2], &[(0, "run.unplugged")]);
    floor.world.plug(0).unwrap();
    let summary = floor.start().summary();
    verdicts(&floor, &summary, &[0, 1, 2], &[]);
}

#[test]
fn a_board_that_is_unplugged_and_replugged_goes_on_by_itself() {
    for operation in [
        Operation::Stage,
        Operation::Install,
        Operation::AddWifiNetwork,
        Operation::Restart,
    ] {
        // Another board keeps the batch going for longer than the plug is out.
        let mut floor = with_faults(
            2,
            vec![
                first(
                    0,
                    operation,
                    What::Unplug {
                        replug_after_ms: Some(300),
                    },
                ),
                boots(1, What::Silent),
            ],
        );
        let summary = floor.start().summary();
        let slot = slot_of(&floor, &summary, 0);
        assert!(slot.standing.is_pass(), "{operation}: {}", told(&summary.picture));
        judge::is_finished(&floor.truth(0), &floor.program, "replugged");
    }
}

#[test]
fn swapped_boards_keep_their_units() {
    let mut floor = with_faults(
        3,
        vec![first(0, Operation::AddWifiNetwork, What::Swap { with: 1 })],
    );
    for board in [0, 1] {
        // Both will be in either slot; that nobody writes to a third is what this counts.
        floor
            .world
            .expect_writes(board, WritesExpected::Anywhere)
            .unwrap();
    }
    let ids: Vec<_> = (0..3).map(|board| floor.truth(board).device_id).collect();
    let summary = floor.start().summary();
    assert!(slot_of(&floor, &summary, 2).standing.is_pass());
    for _ in 0..2 {
        if floor.start().summary().is_pass() {
            break;
        }
    }
    for board in 0..3 {
        judge::is_finished(&floor.truth(board), &floor.program, "swapped");
        judge::is_safe(&floor.truth(board), "swapped");
    }
    // Each device has the serial of the slot in which its run began.
    for (board, id) in ids.iter().enumerate() {
        let serials: Vec<String> = floor
            .history()
            .into_iter()
            .filter(|event| event.device == Some(*id))
            .filter_map(|event| match event.body {
                lineside_flow::Body::RunStarted { serial, .. } => Some(serial.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(serials, [format!("TH-{board:04}")]);
    }
}

#[test]
fn nothing_is_written_to_a_protected_board_that_is_swapped_in() {
    let device = Floor::of(2).truth(1).device_id;
    let plan = PlanFolder::new()
        .write("protected.txt", format!("{device}\n"))
        .edit(
            "attempt-limit = 3",
            "attempt-limit = 3\nprotected = \"protected.txt\"",
        );
    for operation in [
        Operation::Stage,
        Operation::Install,
        Operation::DeleteImage,
        Operation::AddWifiNetwork,
        Operation::SetManufacturingState,
    ] {
        let faults = FaultScript {
            faults: vec![first(0, operation, What::Swap { with: 1 })],
        };
        let config = WorldConfig {
            boards: 2,
            faults,
            ..WorldConfig::default()
        };
        let mut floor = Floor::with_program(config, plan.program());
        floor.world.expect_writes(1, WritesExpected::Anywhere).unwrap();
        let summary = floor.start().summary();
        assert!(!summary.is_pass());
        let golden = (0..2)
            .find(|board| floor.truth(*board).device_id == device)
            .unwrap();
        assert_eq!(golden, 0, "{operation}: they were swapped");
        judge::is_untouched(&floor.truth(golden), &operation.to_string());
        assert_eq!(
            slot_of(&floor, &summary, 0).error.as_ref().unwrap().code,
            "interlock.protected",
            "{operation}"
        );
        judge::is_finished(&floor.truth(1), &floor.program, &operation.to_string());
    }
}

#[test]
fn applications_that_do_not_test_fail_the_unit() {
    let measures = "measure supply_voltage 3.30 V\nmeasure sensor_temperature 23.5 C\n";
    let cases = [
        (
            format!("listen 11000\n{measures}crash after 500ms\n"),
            "unit.app-ended",
        ),
        (format!("listen 11000\n{measures}loop\n"), "unit.app-not-running"),
        (format!("listen 11000\n{measures}hang\n"), "unit.app-silent"),
        (
            format!("listen 11000\n{measures}wrong-nonce\n"),
            "unit.app-answer",
        ),
        (format!("listen 11000\n{measures}garbage\n"), "unit.app-answer"),
        (measures.to_owned(), "unit.app-silent"),
        (
            "listen 11000\nmeasure supply_voltage 3.30 V\n".to_owned(),
            "unit.app-reports",
        ),
        (
            "listen 11000\nmeasure supply_voltage 3.30 mV\nmeasure sensor_temperature 23.5 C\n".to_owned(),
            "unit.out-of-limits",
        ),
        (
            "listen 11000\nmeasure supply_voltage 3.60 V\nmeasure sensor_temperature 23.5 C\n".to_owned(),
            "unit.out-of-limits",
        ),
    ];
    let mut ends = Vec::new();
    for (lines, code) in &cases {
        let plan = PlanFolder::new().test_application(lines);
        let mut floor = Floor::with_program(
            WorldConfig {
                boards: 1,
                ..WorldConfig::default()
            },
            plan.program(),
        );
        let summary = floor.start().summary();
        let slot = slot_of(&floor, &summary, 0);
        ends.push((*code, told(&summary.picture)));
        assert_eq!(
            slot.standing,
            Standing::Ended(Outcome::Fail),
            "{lines}: {}",
            told(&summary.picture)
        );
        assert!(slot.error.as_ref().unwrap().help.len() > 20);
        assert_eq!(floor.truth(0).counters.irreversible_asked, 0);
    }
    for (code, told) in &ends {
        assert!(told.contains(&format!(" {code}: ")), "{ends:#?}");
    }
}

#[test]
fn a_state_change_that_is_disturbed_ends_told_and_is_finished_later() {
    let lock = Operation::SetManufacturingState;
    let cases = [
        (What::ResetBefore, false),
        (What::ResetAfter, true),
        (What::AnswerLost, true),
        (What::Refuse { status: 403, code: 5 }, false),
        (What::Http500, false),
        // The device would do it later; the reset that asks what happened comes before.
        (What::Delay { ms: 60_000 }, false),
        (What::TruncatedAnswer, true),
        (What::NotJson, true),
        (What::HugeAnswer { bytes: 400_000 }, true),
        // Whether it is pulled before or after, the device says when it is back.
        (
            What::Unplug {
                replug_after_ms: Some(500),
            },
            true,
        ),
    ];
    let slow = (
        What::Unplug {
            replug_after_ms: Some(500),
        },
        false,
    );
    let cases = cases
        .map(|case| (case, DeviceTimes::FAST))
        .into_iter()
        .chain([(slow, DeviceTimes::REAL)]);
    for ((what, is_applied), times) in cases {
        let faults = FaultScript {
            faults: vec![first(0, lock, what.clone()), boots(1, What::Silent)],
        };
        let config = WorldConfig {
            boards: 2,
            times: Some(times),
            faults,
            ..WorldConfig::default()
        };
        let mut floor = Floor::new(config);
        let summary = floor.start().summary();
        let slot = slot_of(&floor, &summary, 0);
        let context = format!("{what:?}: {}", told(&summary.picture));
        let truth = floor.truth(0);
        assert_eq!(truth.counters.irreversible_asked, 1, "{context}");
        assert_eq!(
            truth.counters.irreversible_applied,
            u64::from(is_applied),
            "{context}"
        );
        if is_applied {
            // The device says that it is done: the run has gone on and passed.
            assert!(slot.standing.is_pass(), "{context}");
        } else {
            assert!(
                matches!(slot.standing, Standing::Ended(Outcome::Error) | Standing::Gone),
                "{context}"
            );
            floor.pass(Duration::from_secs(1));
            assert!(slot.error.as_ref().unwrap().help.len() > 20, "{context}");
            // One start may be needed to see that nothing happened, the next one does it again.
            let passes = |floor: &mut Floor| {
                let summary = floor.start().summary();
                slot_of(floor, &summary, 0).standing.is_pass()
            };
            assert!(passes(&mut floor) || passes(&mut floor), "{context}");
            // The first request reached the device and provably did nothing: that is why there was a second.
            assert_eq!(floor.truth(0).counters.irreversible_asked, 2, "{context}");
        }
        judge::is_finished(&floor.truth(0), &floor.program, &context);
        judge::records_agree(&floor, &context);
    }
}

#[test]
fn each_delete_policy_ends_complete_or_stops_before_the_state_change() {
    for delete_policy in DeletePolicy::ALL {
        let assumptions = Assumptions {
            delete_policy,
            ..Assumptions::default()
        };
        let mut floor = Floor::new(WorldConfig {
            boards: 1,
            assumptions,
            ..WorldConfig::default()
        });
        let summary = floor.start().summary();
        match delete_policy {
            DeletePolicy::All => verdicts(&floor, &summary, &[0], &[]),
            // The sample's test application is not marked as temporary, as production-signed ones are not.
            DeletePolicy::TemporaryOnly | DeletePolicy::NeedsAppDevelopment => {
                verdicts(&floor, &summary, &[], &[(0, "device.http-400")]);
                assert_eq!(floor.state(0), ManufacturingState::Module1Complete);
            }
        }
    }
}

#[test]
fn only_the_device_that_is_meant_is_taken() {
    let mut floor = Floor::of(2);
    floor.only = Some(floor.truth(1).device_id);
    let summary = floor.start().summary();
    verdicts(&floor, &summary, &[1], &[(0, "unit.not-meant")]);
    let other = floor.truth(0);
    assert_eq!(other.counters.irreversible_asked, 0);
    assert_eq!(other.state, ManufacturingState::Module1Complete);
}
