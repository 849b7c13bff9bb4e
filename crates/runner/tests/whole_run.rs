//! Whole runs of the sample plan on simulated boards, in simulated time, judged by the devices and by the records.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use lineside_flow::line::{Picture, Standing};
use lineside_flow::{Body, Event};
use lineside_protocol::rest::Operation;
use lineside_runner::Summary;
use lineside_simulator::{OsProfile, Pace, WorldConfig, WritesExpected};
use lineside_terms::{ManufacturingState, Outcome, RunId};
use support::plans::PlanFolder;
use support::{Floor, code_at, judge, told};

#[track_caller]
fn passes(floor: &mut Floor, context: &str) -> Summary {
    let summary = floor.start().summary();
    assert!(summary.is_pass(), "{context}: {}", told(&summary.picture));
    assert_eq!(summary.picture.passed(), floor.world.board_count(), "{context}");
    for board in 0..floor.world.board_count() {
        let truth = floor.truth(board);
        judge::is_finished(&truth, &floor.program, context);
        assert_eq!(truth.counters.irreversible_asked, 1, "{context}");
        assert_eq!(truth.counters.irreversible_refused, 0, "{context}");
        assert_eq!(truth.counters.foreign_requests, 0, "{context}");
        assert_eq!(
            truth.leased_by, None,
            "{context}: a board is let go of at the end"
        );
    }
    judge::records_agree(floor, context);
    // Whoever comes later and has only the journal sees the same.
    assert_eq!(
        judge::fold(floor.history()).picture(),
        summary.picture,
        "{context}"
    );
    summary
}

/// What a start of the program adds to the journal.
fn added(floor: &Floor, before: usize) -> Vec<Event> {
    floor.history().split_off(before)
}

#[test]
fn one_three_and_eight_boards_pass() {
    for boards in [1, 3, 8] {
        passes(&mut Floor::of(boards), &format!("{boards} boards"));
    }
}

#[test]
fn at_the_pace_of_hardware_too() {
    let config = WorldConfig {
        boards: 2,
        pace: Pace::Real,
        ..WorldConfig::default()
    };
    let mut floor = Floor::new(config);
    let summary = passes(&mut floor, "real pace");
    let took = summary.picture.slots[0].took.unwrap();
    // Two boots, three images: less than half a minute cannot be, and no wait was in vain.
    assert!((30..180).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn an_os_without_a_version_call_is_known_by_its_images() {
    let plan = PlanFolder::new().edit("versions = [\"24.06\"]", "versions = [\"20.05\", \"24.06\"]");
    let config = WorldConfig {
        boards: 1,
        os_profile: OsProfile::V20_05,
        ..WorldConfig::default()
    };
    let mut floor = Floor::with_program(config, plan.program());
    passes(&mut floor, "OS 20.05");
    let notes: Vec<String> = floor
        .history()
        .into_iter()
        .filter_map(|event| match event.body {
            Body::StepEnded { note, .. } => note,
            _ => None,
        })
        .collect();
    assert!(
        notes.iter().any(|note| note == "OS 20.05 by its images"),
        "{notes:?}"
    );
    assert!(
        notes
            .last()
            .is_some_and(|note| note.contains("without a version call")),
        "{notes:?}"
    );
    assert!(floor.truth(0).counters.requests_for(Operation::GetStatus) > 0);
}

#[test]
fn an_os_that_the_plan_does_not_allow_ends_the_run_before_any_write() {
    for os_profile in [OsProfile::V20_05, OsProfile::V22_09] {
        let mut floor = Floor::new(WorldConfig {
            boards: 1,
            os_profile,
            ..WorldConfig::default()
        });
        let summary = floor.start().summary();
        assert!(!summary.is_pass());
        assert_eq!(
            code_at(&summary.picture, &floor.slot(0)),
            "unit.wrong-os",
            "{}",
            told(&summary.picture)
        );
        judge::is_untouched(&floor.truth(0), "wrong OS");
    }
}

#[test]
fn a_second_batch_reports_what_is_complete_and_asks_nothing() {
    let mut floor = Floor::of(3);
    let first = passes(&mut floor, "first batch");
    let before = floor.history().len();
    let writes: Vec<u64> = (0..3).map(|board| floor.truth(board).counters.writes).collect();
    let second = floor.start().summary();
    assert!(second.is_pass(), "{}", told(&second.picture));
    for (board, (one, other)) in first.picture.slots.iter().zip(&second.picture.slots).enumerate() {
        assert_eq!(other.standing, Standing::Complete);
        assert_eq!(
            (one.run, &one.serial),
            (other.run, &other.serial),
            "complete (run R)"
        );
        assert_eq!(
            floor.truth(board).counters.writes,
            writes[board],
            "nothing was written again"
        );
    }
    let runs = |picture: &Picture| {
        picture
            .slots
            .iter()
            .filter_map(|slot| slot.run)
            .collect::<Vec<RunId>>()
    };
    let complete: Vec<RunId> = added(&floor, before)
        .into_iter()
        .filter_map(|event| match event.body {
            Body::AlreadyComplete { earlier, .. } => Some(earlier),
            _ => None,
        })
        .collect();
    assert_eq!(complete, runs(&first.picture));
    judge::records_agree(&floor, "second batch");
}

#[test]
fn a_device_that_somebody_else_completed_is_held() {
    let config = WorldConfig {
        boards: 1,
        state: ManufacturingState::DeviceComplete,
        ..WorldConfig::default()
    };
    held(Floor::new(config), "unit.foreign-complete");
}

#[test]
fn a_device_in_a_state_that_the_plan_does_not_take_is_held() {
    let config = WorldConfig {
        boards: 1,
        state: ManufacturingState::Blank,
        ..WorldConfig::default()
    };
    held(Floor::new(config), "unit.wrong-state");
}

#[test]
fn a_protected_device_is_held() {
    let device = Floor::of(1).truth(0).device_id;
    let plan = PlanFolder::new()
        .write("protected.txt", format!("# golden unit\n{device}\n"))
        .edit(
            "attempt-limit = 3",
            "attempt-limit = 3\nprotected = \"protected.txt\"",
        );
    let config = WorldConfig {
        boards: 1,
        ..WorldConfig::default()
    };
    held(Floor::with_program(config, plan.program()), "interlock.protected");
}

#[test]
fn a_board_without_a_serial_is_held() {
    let mut floor = Floor::of(1);
    floor.serials.clear();
    held(floor, "unit.no-serial");
}

#[track_caller]
fn held(mut floor: Floor, code: &str) {
    floor.world.expect_writes(0, WritesExpected::Nowhere).unwrap();
    let summary = floor.start().summary();
    assert!(!summary.is_pass());
    let slot = &summary.picture.slots[0];
    assert_eq!(
        (slot.standing, code_at(&summary.picture, &floor.slot(0))),
        (Standing::Held, code)
    );
    assert!(!slot.error.as_ref().unwrap().help.is_empty());
    judge::is_untouched(&floor.truth(0), code);
    judge::records_agree(&floor, code);
}

#[test]
fn a_serial_belongs_to_one_device() {
    let mut floor = Floor::of(2);
    let slots = [floor.slot(0), floor.slot(1)];
    let serial = floor.serials[&slots[0]].clone();
    floor.serials.insert(slots[1].clone(), serial);
    let summary = floor.start().summary();
    assert!(!summary.is_pass());
    let codes: Vec<&str> = slots.iter().map(|slot| code_at(&summary.picture, slot)).collect();
    assert!(
        codes == ["", "unit.serial-taken"] || codes == ["unit.serial-taken", ""],
        "{codes:?}"
    );
    let loser = codes.iter().position(|code| !code.is_empty()).unwrap();
    judge::is_untouched(&floor.truth(loser), "duplicate serial");
    judge::is_finished(&floor.truth(1 - loser), &floor.program, "the first to come");
    // With a serial of its own it passes.
    floor
        .serials
        .insert(slots[loser].clone(), "TH-OWN".parse().unwrap());
    assert!(floor.start().summary().is_pass());
}

#[test]
fn attempts_are_limited_and_linked() {
    let plan = PlanFolder::new()
        .edit("min = 3.15", "min = 3.4")
        .edit("max = 3.45", "max = 3.6")
        .edit("attempt-limit = 3", "attempt-limit = 2");
    let mut floor = Floor::with_program(
        WorldConfig {
            boards: 1,
            ..WorldConfig::default()
        },
        plan.program(),
    );
    for _ in 0..2 {
        let summary = floor.start().summary();
        assert_eq!(code_at(&summary.picture, &floor.slot(0)), "unit.out-of-limits");
        assert_eq!(summary.picture.slots[0].standing, Standing::Ended(Outcome::Fail));
    }
    let writes = floor.truth(0).counters.writes;
    let summary = floor.start().summary();
    assert_eq!(code_at(&summary.picture, &floor.slot(0)), "unit.attempt-limit");
    let truth = floor.truth(0);
    assert_eq!(
        (truth.counters.writes, truth.counters.irreversible_asked),
        (writes, 0)
    );
    let runs: Vec<(RunId, u32, Option<RunId>)> = floor
        .history()
        .into_iter()
        .filter_map(|event| match event.body {
            Body::RunStarted {
                attempt, predecessor, ..
            } => Some((event.run.unwrap(), attempt, predecessor)),
            _ => None,
        })
        .collect();
    assert_eq!(runs.len(), 2);
    assert_eq!((runs[0].1, runs[0].2), (1, None));
    assert_eq!((runs[1].1, runs[1].2), (2, Some(runs[0].0)));
}

#[test]
fn a_measurement_is_on_record_with_its_limits() {
    let mut floor = Floor::of(1);
    passes(&mut floor, "measurements");
    let measured: Vec<_> = floor
        .history()
        .into_iter()
        .filter_map(|event| match event.body {
            Body::StepEnded { measurements, .. } if !measurements.is_empty() => Some(measurements),
            _ => None,
        })
        .flatten()
        .collect();
    let names: Vec<&str> = measured
        .iter()
        .map(|measurement| measurement.name.as_str())
        .collect();
    assert_eq!(names, ["supply_voltage", "sensor_temperature"]);
    let volts = &measured[0];
    assert!((3.28..=3.32).contains(&volts.value.unwrap()));
    assert_eq!(
        (volts.unit.as_str(), volts.min, volts.max),
        ("V", Some(3.15), Some(3.45))
    );
}

#[test]
fn fewer_boards_than_expected_are_no_pass_and_none_at_all_neither() {
    let mut floor = Floor::of(1);
    floor.expected = Some(2);
    let summary = floor.start().summary();
    assert_eq!(
        (summary.is_pass(), summary.picture.passed(), summary.expected),
        (false, 1, 2)
    );

    // A serial for a slot without a board counts as an expected unit.
    let mut floor = Floor::of(1);
    floor
        .serials
        .insert("9993".parse().unwrap(), "TH-MISSING".parse().unwrap());
    let summary = floor.start().summary();
    assert_eq!(
        (summary.is_pass(), summary.picture.passed(), summary.expected),
        (false, 1, 2)
    );

    let summary = Floor::of(0).start().summary();
    assert!(!summary.is_pass());
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let story = || {
        let mut floor = Floor::of(2);
        passes(&mut floor, "story");
        floor
            .history()
            .into_iter()
            .map(|event| (event.slot, event.run, event.body))
            .collect::<Vec<_>>()
    };
    let kinds = |story: Vec<(_, _, Body)>| {
        story
            .into_iter()
            .map(
                |(slot, run, body): (Option<lineside_terms::SlotPath>, Option<RunId>, Body)| {
                    (slot, run, body.kind())
                },
            )
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(story()), kinds(story()));
}

#[test]
fn a_second_attempt_clears_what_the_first_has_left() {
    // The board configuration comes late, so the first attempt leaves all that there is.
    let board_config = "[[steps]]\nid = \"board-config\"\ndo = \"load-image\"\nimage = \"board-config\"\n\n";
    let wifi = "[[steps]]\nid = \"wifi\"\n";
    let plan = PlanFolder::new()
        .edit(board_config, "")
        .edit(wifi, &format!("{board_config}{wifi}"));
    let mut floor = Floor::with_program(
        WorldConfig {
            boards: 1,
            ..WorldConfig::default()
        },
        plan.program(),
    );
    let points = floor.world.air().access_points();
    floor.world.set_access_points(Vec::new());
    let summary = floor.start().summary();
    let slot = floor.slot(0);
    assert_eq!(code_at(&summary.picture, &slot), "unit.wifi-not-connected");
    assert_eq!(floor.truth(0).images.len(), 2);
    floor.world.set_access_points(points);
    passes(&mut floor, "second attempt");
}
