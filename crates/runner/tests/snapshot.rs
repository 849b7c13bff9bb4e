//! What is kept beside a journal for the next start: the same as all events come to, or not used.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lineside_flow::interlock::Grant;
use lineside_flow::order::Order;
use lineside_flow::{Input, Line, Shift};
use lineside_records::{RealDisk, hand};
use lineside_runner::snapshot::{Checked, FILE, check};
use lineside_runner::{History, journal_folder, store};
use lineside_terms::{BootId, ClockTrust, Digest, Instant, SlotPath, Stamp, StationName};
use sha2::Digest as _;

fn station() -> StationName {
    "line-1".parse().unwrap()
}

fn at(number: u8) -> Stamp {
    Stamp {
        mono: Instant::ZERO,
        wall_ms: 1_790_000_000_000 + i64::from(number),
        trust: ClockTrust::Unverified,
    }
}

fn grant(number: u8) -> Grant {
    Grant {
        id: format!("grant-{number}"),
        station: station(),
        plan: Digest::from_bytes([7; 32]),
        step: "lock".parse().unwrap(),
        role: "quality".into(),
        by: "op-1".into(),
        units: 3,
        until_ms: i64::MAX,
        made_ms: None,
        why: "sample".into(),
    }
}

/// One start of the program: it orders a batch, takes an approval in, sees a board, and ends. `worth` as many events are
/// kept for the next.
fn start(data: &Path, number: u8, worth: u64) {
    let (mut journal, history) = store::open_keeping(data, station(), worth).unwrap();
    let boot = BootId::from_bytes([number; 16]);
    let past = history.into_past().unwrap();
    let mut line = Line::after(station(), boot, Default::default(), Shift::default(), past);
    let mut events = line.start("1", "sim:1", at(number));
    let order = Order {
        named: "plan.toml".into(),
        plan: Digest::from_bytes([7; 32]),
        bundle: None,
        units: 1,
        rest: Vec::new(),
        continuous: None,
        has_hook: false,
        resumes: None,
    };
    events.extend(line.order(order, at(number)));
    let inputs = [
        Input::Approve {
            grant: grant(number),
            proof: "signed".into(),
        },
        Input::Seen {
            slot: SlotPath::new("1113").unwrap(),
            cause: lineside_flow::interlock::EpochCause::Found,
        },
    ];
    for input in inputs {
        events.extend(line.take(input, at(number)).unwrap());
    }
    journal.append(&events).unwrap();
    journal.commit().unwrap();
}

/// All that a journal tells, folded from its first event.
fn whole(data: &Path) -> String {
    let kept = data.join(FILE);
    let aside = data.join("aside");
    let is_there = fs::rename(&kept, &aside).is_ok();
    let (_, history) = store::open_keeping(data, station(), u64::MAX).unwrap();
    if is_there {
        fs::rename(aside, kept).unwrap();
    }
    format!("{history:?}")
}

/// Who only looks is told the same.
fn looked(data: &Path) -> String {
    format!("{:?}", store::look(data).unwrap())
}

fn opened(data: &Path) -> History {
    store::open_keeping(data, station(), u64::MAX).unwrap().1
}

fn checked(data: &Path) -> Checked {
    let disk = RealDisk::read_only(&journal_folder(data)).unwrap();
    check(data, &station(), Arc::new(disk)).unwrap()
}

/// True when the snapshot is what a start goes on from. What stands in it is changed, seal and all, and it is seen
/// whether anybody notices.
fn is_used(data: &Path) -> bool {
    let text = fs::read_to_string(data.join(FILE)).unwrap();
    forge(data, "\"newest_ms\":17", "\"newest_ms\":27");
    let is_used = opened(data).newest_ms().unwrap() > 2_000_000_000_000;
    fs::write(data.join(FILE), text).unwrap();
    is_used
}

/// Changes what is kept, and its seal with it.
fn forge(data: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(data.join(FILE)).unwrap();
    let (header, body) = text.split_once('\n').unwrap();
    let changed = body.replacen(from, to, 1);
    assert!(body != changed, "{from} is not in it");
    let seal = |body: &str| Digest::from_bytes(sha2::Sha256::digest(body).into()).to_string();
    let header = header.replace(&seal(body), &seal(&changed));
    fs::write(data.join(FILE), format!("{header}\n{changed}")).unwrap();
}

#[test]
fn a_start_that_goes_on_from_what_was_kept_knows_what_all_events_come_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for number in 1..=3 {
        start(data, number, 9);
        assert!(!data.join(FILE).exists(), "so few events are folded in no time");
    }
    // Twelve events are there.
    start(data, 4, 9);
    assert_eq!(checked(data), Checked::Agrees(12));
    assert!(is_used(data));
    for number in 5..=12 {
        assert_eq!(format!("{:?}", opened(data)), whole(data));
        assert_eq!(looked(data), whole(data));
        start(data, number, 9);
        assert!(is_used(data) && matches!(checked(data), Checked::Agrees(_)));
    }
    // It is made again whenever enough has come, and only then.
    assert_eq!(checked(data), Checked::Agrees(36));
    let history = opened(data);
    assert_eq!(history.approvals().count(), 12);
    assert_eq!(history.since_order().len(), 4);
}

#[test]
fn what_was_written_by_hand_before_is_not_taken_in_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    start(data, 1, u64::MAX);
    let write = hand::HandWrite {
        boot: BootId::from_bytes([99; 16]),
        at: at(2),
        operator: None,
        slot: SlotPath::new("1113").unwrap(),
        device: lineside_terms::DeviceId::from_bytes([1; 64]),
        verb: "wifi add".into(),
        is_undoing: true,
    };
    drop(hand::begin(data, &write).unwrap());
    start(data, 3, u64::MAX);
    start(data, 4, 1);
    assert_eq!(checked(data), Checked::Agrees(9));
    // A power cut between journal and removal.
    drop(hand::begin(data, &write).unwrap());
    let before = whole(data);
    drop(hand::begin(data, &write).unwrap());
    assert!(opened(data).knows_hand(&write.boot) && is_used(data));
    assert_eq!(format!("{:?}", opened(data)), before);
}

#[test]
fn what_is_damaged_foreign_or_of_another_program_is_not_used_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for number in 1..=4 {
        start(data, number, 4);
    }
    let good = fs::read(data.join(FILE)).unwrap();
    let before = whole(data);
    assert!(is_used(data));
    let mut wrong: Vec<Vec<u8>> = Vec::new();
    // Cut off and flipped anywhere.
    for place in (0..good.len()).step_by(good.len() / 97) {
        wrong.push(good[..place].to_vec());
        let mut flipped = good.clone();
        flipped[place] ^= 1;
        wrong.push(flipped);
    }
    let text = String::from_utf8(good.clone()).unwrap();
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("\"layout\":2", "\"layout\":0"),
        ("\"program\":\"", "\"program\":\"9."),
        ("\"station\":\"line-1\"", "\"station\":\"line-2\""),
    ] {
        assert!(text.contains(from), "{from}");
        wrong.push(text.replacen(from, to, 1).into_bytes());
    }
    for wrong in wrong {
        fs::write(data.join(FILE), &wrong).unwrap();
        assert_eq!(format!("{:?}", opened(data)), before);
        assert_eq!(looked(data), before);
        assert_eq!(checked(data), Checked::None);
    }
    start(data, 5, 4);
    assert!(is_used(data));
}

#[test]
fn what_was_kept_of_a_journal_that_is_not_this_one_is_not_used() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = folder.path();
    for number in 1..=3 {
        start(data, number, 4);
        // The same events, but for their times.
        start(other.path(), number + 100, 4);
    }
    // Of another journal of the same name and length.
    fs::copy(other.path().join(FILE), data.join(FILE)).unwrap();
    assert_eq!(checked(data), Checked::None);
    assert_eq!(format!("{:?}", opened(data)), whole(data));
    // Of this journal, as it was after more events: somebody put an older copy of it back.
    let aside = tempfile::tempdir().unwrap();
    let journal = |of: &Path| journal_folder(of).join("000000000001.journal");
    fs::copy(journal(data), aside.path().join("journal")).unwrap();
    start(data, 4, 4);
    start(data, 5, 4);
    fs::copy(aside.path().join("journal"), journal(data)).unwrap();
    assert_eq!(checked(data), Checked::None);
    assert_eq!(format!("{:?}", opened(data)), whole(data));
    start(data, 6, 4);
    assert!(is_used(data));
}

#[test]
fn what_somebody_changed_and_sealed_again_is_found_by_who_folds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for number in 1..=3 {
        start(data, number, 4);
    }
    assert_eq!(checked(data), Checked::Agrees(8));
    forge(data, "\"units\":3", "\"units\":4");
    assert_eq!(checked(data), Checked::Differs(8));
}

#[test]
fn a_folder_in_which_nothing_can_be_kept_costs_time_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    start(data, 1, 1);
    fs::create_dir(data.join(FILE)).unwrap();
    start(data, 2, 1);
    start(data, 3, 1);
    assert_eq!(opened(data).approvals().count(), 3);
}
