//! Journals of every released format, kept as they were written: they stay readable, and views are rebuilt from them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lineside_flow::{Line, Past};
use lineside_records::{Disk, FakeDisk, Journal, RealDisk, Replay, View, verify, write_runs};
use lineside_terms::BootId;
use support::all;
use support::story::story;

fn kept(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/kept/format-{format}"))
}

#[test]
fn a_journal_of_format_1_is_read_and_its_view_rebuilt() {
    let disk = RealDisk::read_only(&kept(1)).unwrap();
    let found = verify(&disk, None).unwrap();
    assert_eq!((found.damage, found.torn), (None, None));
    assert!(found.segments >= 3);
    assert_eq!(
        found.head.hash.to_string(),
        fs::read_to_string(kept(1).join("head.txt")).unwrap().trim(),
        "the kept files themselves have changed"
    );

    let disk: Arc<dyn Disk> = Arc::new(disk);
    let events = all(Replay::of(Arc::clone(&disk), lineside_records::Head::ORIGIN).unwrap()).unwrap();
    assert_eq!(events.len() as u64, found.head.sequence);
    // What snapshots keep of it. When this changes, another program makes something else of the same events: raise
    // `LAYOUT` in `line/state.rs` of `flow`, or it would go on from what that one kept.
    let past = Past::of(&events).unwrap();
    let comes_to = serde_json::to_string_pretty(&past).unwrap();
    insta::assert_snapshot!(
        "what_format_1_comes_to",
        format!("layout {}\n{comes_to}", Past::LAYOUT)
    );
    Line::after(
        support::station(),
        BootId::from_bytes([9; 16]),
        Default::default(),
        Default::default(),
        past,
    );

    let mut view = View::in_memory().unwrap();
    view.catch_up(&disk).unwrap();
    let mut runs = Vec::new();
    assert_eq!(write_runs(&view, &Default::default(), &mut runs).unwrap(), 3);
    insta::assert_snapshot!(String::from_utf8(runs).unwrap());
    insta::assert_json_snapshot!(view.devices().unwrap());
    insta::assert_json_snapshot!(view.unresolved_intents().unwrap());
}

#[test]
fn a_journal_of_format_1_is_gone_on_with() {
    let disk = FakeDisk::new();
    let kept = RealDisk::read_only(&kept(1)).unwrap();
    for name in kept.list().unwrap() {
        disk.meddle(&name, |bytes| *bytes = kept.read(&name).unwrap());
    }
    let (mut journal, replay) = Journal::open(Arc::new(disk.clone()), support::station()).unwrap();
    let before = all(replay).unwrap().len();
    support::write(&mut journal, &[2]);
    assert_eq!(support::read_all(&disk).unwrap().len(), before + 2);
}

/// Writes the kept journal of the present format. Run by hand once, when a format is released:
/// `cargo test -p lineside-records --test kept -- --ignored`. What is kept is never written again.
#[test]
#[ignore = "writes into the source tree, once for each format"]
fn keep_a_journal_of_the_present_format() {
    let folder = kept(lineside_records::FORMAT);
    assert!(
        !folder.join("head.txt").exists(),
        "{} is kept already",
        folder.display()
    );
    let disk = Arc::new(RealDisk::open(&folder).unwrap());
    let (mut journal, _) =
        Journal::with_segments_of(Arc::clone(&disk) as Arc<dyn Disk>, support::station(), 4_000).unwrap();
    for group in story().chunks(3) {
        journal.append(group).unwrap();
        journal.commit().unwrap();
    }
    fs::write(folder.join("head.txt"), format!("{}\n", journal.durable().hash)).unwrap();
    fs::remove_file(folder.join("lock")).unwrap();
}
