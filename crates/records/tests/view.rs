//! The view: the same from a replay at once, bit by bit, or again after it was deleted.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;

use lineside_flow::interlock::Verdict;
use lineside_flow::{Body, Event};
use lineside_records::{
    CLAIM_COLUMNS, DEVICE_COLUMNS, Disk, FakeDisk, Journal, RUN_LINE_VERSION, RunFilter, RunLine, View,
    write_claims, write_devices, write_runs,
};
use lineside_terms::{ClockTrust, Explain as _, ManufacturingState, Outcome, RunId};
use support::story::{RUN_FAILED, RUN_LOCKED, RUN_OPEN, story};
use support::{device, open, with};

fn journal_of(disk: &FakeDisk, events: &[Event]) -> Journal {
    let (mut journal, _) = open(disk).unwrap();
    journal.append(events).unwrap();
    journal.commit().unwrap();
    journal
}

fn told() -> (View, Arc<dyn Disk>) {
    let disk = FakeDisk::new();
    drop(journal_of(&disk, &story()));
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let mut view = View::in_memory().unwrap();
    assert_eq!(view.catch_up(&disk).unwrap().events, story().len() as u64);
    (view, disk)
}

/// Everything that the view can answer, as text.
fn everything(view: &View) -> String {
    let mut text = Vec::new();
    write_runs(view, &RunFilter::default(), &mut text).unwrap();
    let mut text = String::from_utf8(text).unwrap();
    text.push_str(&serde_json::to_string(&view.devices().unwrap()).unwrap());
    text.push_str(&serde_json::to_string(&view.unresolved_intents().unwrap()).unwrap());
    text.push_str(&serde_json::to_string(&view.incidents(1000).unwrap()).unwrap());
    text
}

fn ids(view: &View, filter: RunFilter) -> Vec<RunId> {
    view.runs(&filter).unwrap().iter().map(|run| run.run).collect()
}

#[test]
fn the_story_can_happen() {
    let station = support::station();
    let boot = lineside_terms::BootId::from_bytes([1; 16]);
    lineside_flow::Line::resume(station, boot, Default::default(), Default::default(), story()).unwrap();
}

#[test]
fn runs_are_found_by_what_people_ask_for() {
    let (view, _) = told();
    let all = RunFilter::default();
    assert_eq!(ids(&view, all.clone()), [RUN_OPEN, RUN_FAILED, RUN_LOCKED]);
    assert_eq!(
        ids(
            &view,
            RunFilter {
                limit: Some(1),
                ..all.clone()
            }
        ),
        [RUN_OPEN]
    );
    assert_eq!(
        ids(
            &view,
            RunFilter {
                outcome: Some(Outcome::Fail),
                ..all.clone()
            }
        ),
        [RUN_FAILED]
    );
    let serial = Some("TH-0002".parse().unwrap());
    assert_eq!(
        ids(
            &view,
            RunFilter {
                serial,
                ..all.clone()
            }
        ),
        [RUN_OPEN, RUN_FAILED]
    );
    let slot = Some("1213".parse().unwrap());
    assert_eq!(ids(&view, RunFilter { slot, ..all.clone() }), [RUN_LOCKED]);
    for (device, found) in [
        (device(4).to_string(), vec![RUN_OPEN]),
        (device(1).short().to_uppercase(), vec![RUN_LOCKED]),
        ("%".into(), vec![]),
    ] {
        assert_eq!(
            ids(
                &view,
                RunFilter {
                    device: Some(device),
                    ..all.clone()
                }
            ),
            found
        );
    }
    let started = story()
        .iter()
        .find(|event| event.run == Some(RUN_FAILED))
        .unwrap()
        .at
        .wall_ms;
    let since = |since_ms| {
        ids(
            &view,
            RunFilter {
                since_ms: Some(since_ms),
                ..RunFilter::default()
            },
        )
    };
    assert_eq!(since(started), [RUN_OPEN, RUN_FAILED]);
    assert_eq!(since(started + 1), [RUN_OPEN]);
    assert_eq!(view.runs_beginning("0b0b").unwrap(), [RUN_FAILED]);
    assert_eq!(view.runs_beginning("%").unwrap(), []);
}

#[test]
fn one_run_is_shown_whole() {
    let (view, _) = told();
    let run = view.run(&RUN_LOCKED).unwrap();
    assert_eq!(run.summary.outcome, Some(Outcome::Pass));
    assert_eq!(run.summary.product.as_deref(), Some("thermostat"));
    assert_eq!(run.summary.operator.as_deref(), Some("op-17"));
    let steps: Vec<_> = run
        .steps
        .iter()
        .map(|step| (step.step.as_str(), step.attempt, step.outcome))
        .collect();
    assert_eq!(
        steps,
        [
            ("os", 1, Some(Outcome::Pass)),
            ("functional", 1, Some(Outcome::Error)),
            ("functional", 2, Some(Outcome::Pass)),
            ("lock", 1, Some(Outcome::Pass)),
        ]
    );
    assert_eq!(run.steps[0].label.as_deref(), Some("check-os 24.06"));
    assert_eq!(
        run.steps[1].error.as_ref().unwrap().message,
        "the test application did not answer"
    );
    let measured: Vec<_> = run.steps[2]
        .measurements
        .iter()
        .map(|m| (m.name.as_str(), m.value))
        .collect();
    assert_eq!(measured, [("temperature", Some(21.3)), ("noise", None)]);
    assert_eq!(run.judgements.len(), 1);
    assert_eq!(run.judgements[0].checks.len(), 2);
    assert_eq!(run.intents[0].verdict, Some(Verdict::Confirmed));
    assert_eq!(run.incidents[0].kind, "act-unclear");

    let failed = view.run(&RUN_FAILED).unwrap();
    assert_eq!(failed.summary.error.unwrap().message, "OS 20.05 is not allowed");
    let open = view.run(&RUN_OPEN).unwrap();
    assert_eq!((open.summary.outcome, open.summary.ended), (None, None));
    assert_eq!(open.steps.last().unwrap().outcome, None);
    assert_eq!(
        view.run(&RunId::from_bytes([9; 16])).unwrap_err().code(),
        "records.not-found"
    );
}

#[test]
fn the_worse_clock_of_both_ends_is_told() {
    let disk = FakeDisk::new();
    let mut events = story();
    let last = events.len() as u64;
    let mut end = with(
        last + 1,
        Body::RunEnded {
            outcome: Outcome::Unknown,
            error: None,
        },
    );
    end.run = Some(RUN_OPEN);
    end.at.trust = ClockTrust::Wrong;
    events.push(end);
    drop(journal_of(&disk, &events));
    let mut view = View::in_memory().unwrap();
    view.catch_up(&(Arc::new(disk) as Arc<dyn Disk>)).unwrap();
    assert_eq!(view.run(&RUN_OPEN).unwrap().summary.clock, ClockTrust::Wrong);
    assert_eq!(
        view.run(&RUN_LOCKED).unwrap().summary.clock,
        ClockTrust::Unverified
    );
}

#[test]
fn devices_and_what_is_unresolved_about_them() {
    let (view, _) = told();
    let devices = view.devices().unwrap();
    let states: Vec<_> = devices
        .iter()
        .map(|d| (d.device, d.state.unwrap(), d.complete_run))
        .collect();
    assert_eq!(
        states,
        [
            (device(1), ManufacturingState::DeviceComplete, Some(RUN_LOCKED)),
            (device(2), ManufacturingState::Module1Complete, None),
            (device(3), ManufacturingState::Blank, None),
            (device(4), ManufacturingState::Module1Complete, None),
        ]
    );
    let unresolved = view.unresolved_intents().unwrap();
    assert_eq!(unresolved.len(), 1);
    assert_eq!(
        (unresolved[0].key.device, unresolved[0].run),
        (device(4), RUN_OPEN)
    );
    let kinds: Vec<_> = view
        .incidents(10)
        .unwrap()
        .into_iter()
        .map(|incident| incident.kind)
        .collect();
    assert_eq!(kinds, ["run-interrupted", "held", "unresponsive", "act-unclear"]);
}

#[test]
fn a_view_grown_step_by_step_equals_one_made_at_once() {
    let (at_once, _) = told();
    let disk = FakeDisk::new();
    let (mut journal, _) = open(&disk).unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let mut grown = View::in_memory().unwrap();
    for event in story() {
        journal.append(&[event]).unwrap();
        journal.commit().unwrap();
        assert_eq!(grown.catch_up(&shared).unwrap().events, 1);
    }
    assert_eq!(grown.catch_up(&shared).unwrap().events, 0);
    assert_eq!(grown.point().unwrap(), journal.durable());
    assert_eq!(everything(&grown), everything(&at_once));
}

#[test]
fn a_view_that_is_deleted_damaged_or_outdated_is_made_again() {
    let (at_once, disk) = told();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("view.sqlite");
    let rebuilt = || {
        let mut view = View::open(&path).unwrap();
        let events = view.catch_up(&disk).unwrap().events;
        assert_eq!(everything(&view), everything(&at_once));
        events
    };
    let all = story().len() as u64;
    assert_eq!(rebuilt(), all);
    assert_eq!(rebuilt(), 0, "it is kept");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(rebuilt(), all, "deleted");
    std::fs::write(&path, b"this is no database, however long it may be read").unwrap();
    assert_eq!(rebuilt(), all, "overwritten");
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert_eq!(rebuilt(), all, "of another version");
}

#[test]
fn a_view_of_another_history_begins_from_nothing() {
    let (mut view, _) = told();
    for length in [3, 60] {
        let other = FakeDisk::new();
        let (mut journal, _) = open(&other).unwrap();
        support::write(&mut journal, &vec![1; length]);
        let other: Arc<dyn Disk> = Arc::new(other);
        let caught_up = view.catch_up(&other).unwrap();
        assert!(caught_up.is_rebuilt);
        assert_eq!(caught_up.events, length as u64);
        assert_eq!(view.runs(&RunFilter::default()).unwrap(), []);
        assert_eq!(view.devices().unwrap(), []);
        let (again, disk) = told();
        drop(again);
        view.catch_up(&disk).unwrap();
    }
}

#[test]
fn what_stands_before_damage_can_still_be_asked_for() {
    let disk = FakeDisk::new();
    let mut journal = journal_of(&disk, &story()[..30]);
    journal.append(&story()[30..]).unwrap();
    journal.commit().unwrap();
    let last_byte_of_the_first_group = {
        let whole = disk.read("000000000001.journal").unwrap();
        let shorter = FakeDisk::new();
        drop(journal_of(&shorter, &story()[..30]));
        let size = shorter.read("000000000001.journal").unwrap().len();
        assert!(size < whole.len());
        size - 1
    };
    disk.meddle("000000000001.journal", |bytes| {
        bytes[last_byte_of_the_first_group] ^= 1
    });
    let mut view = View::in_memory().unwrap();
    let error = view.catch_up(&(Arc::new(disk) as Arc<dyn Disk>)).unwrap_err();
    assert_eq!(error.code(), "records.damaged");
    assert_eq!(view.point().unwrap().sequence, 29);
    assert_eq!(
        view.run(&RUN_LOCKED).unwrap().summary.outcome,
        Some(Outcome::Pass)
    );
}

#[test]
fn two_views_of_one_file_share_the_work() {
    let (at_once, disk) = told();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("view.sqlite");
    let fill = || {
        let mut view = View::open(&path).unwrap();
        view.catch_up(&disk).unwrap();
        everything(&view)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(fill)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), everything(&at_once));
        }
    });
}

#[test]
fn runs_are_exported_as_lines_that_read_back() {
    let (view, _) = told();
    let mut text = Vec::new();
    assert_eq!(write_runs(&view, &RunFilter::default(), &mut text).unwrap(), 3);
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<RunLine> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    for line in &lines {
        assert_eq!(line.version, RUN_LINE_VERSION);
        assert_eq!(line.run, view.run(&line.run.summary.run).unwrap());
    }
    let locked: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    insta::assert_json_snapshot!(locked);
}

#[test]
fn device_ids_are_exported_for_claiming() {
    let (view, _) = told();
    let devices = view.devices().unwrap();
    let mut text = Vec::new();
    write_claims(&devices[..2], "Thermostat, \"mark 2\"", "Production", &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let line = |id| format!("{},\"Thermostat, \"\"mark 2\"\"\",Production", device(id));
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [CLAIM_COLUMNS.join(","), line(1), line(2)]
    );
    let mut text = Vec::new();
    write_devices(&devices, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().count(), 5);
    assert_eq!(text.lines().next().unwrap(), DEVICE_COLUMNS.join(","));
    let first = format!("{},TH-0001,DeviceComplete,{RUN_LOCKED},2026-", device(1));
    assert!(text.lines().nth(1).unwrap().starts_with(&first), "{text}");
}

#[test]
fn an_export_to_nowhere_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (view, _) = told();
    assert_eq!(
        write_runs(&view, &RunFilter::default(), Full).unwrap_err().code(),
        "records.export"
    );
    let devices = view.devices().unwrap();
    assert_eq!(
        write_devices(&devices, Full).unwrap_err().code(),
        "records.export"
    );
    assert_eq!(
        write_claims(&devices, "p", "g", Full).unwrap_err().code(),
        "records.export"
    );
}
