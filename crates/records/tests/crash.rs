//! Power is lost at every byte and in every order: what was acknowledged stays, nothing is ever half.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use lineside_flow::Event;
use lineside_records::{Disk as _, FakeDisk, RecordsError};
use lineside_terms::Explain as _;
use support::{all, open, open_small, read_all, small, station, write};

const FIRST: &str = "000000000001.journal";

/// What is read back is the beginning of what was written, and holds at least what was acknowledged.
fn check(read: &[Event], acknowledged: u64, context: &str) {
    assert!(
        read.len() as u64 >= acknowledged,
        "{context}: {} of {acknowledged} are left",
        read.len()
    );
    for (index, event) in read.iter().enumerate() {
        assert_eq!(*event, small(index as u64 + 1), "{context}");
    }
}

#[test]
fn at_every_byte_of_a_group() {
    let mut cut_somewhere = false;
    let mut at = 0;
    loop {
        let disk = FakeDisk::new();
        let (mut journal, _) = open(&disk).unwrap();
        write(&mut journal, &[2, 1]);
        let next = journal.next_sequence();
        journal
            .append(&[small(next), small(next + 1), small(next + 2)])
            .unwrap();
        disk.cut_power_at_sync(1);
        journal.commit().unwrap_err();
        let size = disk.pending_bytes();
        disk.crash_keeping(at);

        let (mut journal, replay) = open(&disk).unwrap();
        let read = all(replay).unwrap();
        check(&read, 3, &format!("cut at byte {at}"));
        cut_somewhere |= journal.torn().is_some();
        write(&mut journal, &[2]);
        check(&read_all(&disk).unwrap(), read.len() as u64 + 2, "after going on");
        at += 1;
        if at > size {
            assert_eq!(read.len(), 6, "with all bytes kept, all events are there");
            break;
        }
    }
    assert!(cut_somewhere && at > 500, "{at} cuts");
}

#[test]
fn in_any_order_over_several_segments_and_lives() {
    let mut torn = 0;
    for seed in 0..600 {
        let disk = FakeDisk::new();
        let mut acknowledged = 0;
        for life in 0..4 {
            let (mut journal, replay) = open_small(&disk).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            let read = all(replay).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            check(&read, acknowledged, &format!("seed {seed}, life {life}"));
            torn += usize::from(journal.torn().is_some());
            for group in 0..3 {
                let first = journal.next_sequence();
                let size = 1 + (seed + life + group) % 3;
                let events: Vec<Event> = (first..first + size).map(small).collect();
                journal.append(&events).unwrap();
                match (seed >> group) % 8 {
                    3 => disk.fail_sync(1 + seed % 2),
                    5 => disk.cut_power_at_sync(1 + seed % 2),
                    7 => disk.fail_write(1 + seed % 2),
                    _ => {}
                }
                match journal.commit() {
                    Ok(receipt) => acknowledged = receipt.through(),
                    Err(_) => break,
                }
            }
            disk.crash(seed * 31 + life);
        }
        let (_, replay) = open_small(&disk).unwrap();
        check(&all(replay).unwrap(), acknowledged, &format!("seed {seed}"));
    }
    assert!(torn > 100, "only {torn} crashes left something unfinished");
}

#[test]
fn while_a_write_is_half_done() {
    for seed in 0..500 {
        let disk = FakeDisk::new();
        let (mut journal, _) = open_small(&disk).unwrap();
        write(&mut journal, &[1, 3]);
        let next = journal.next_sequence();
        journal
            .append(&(next..next + 5).map(small).collect::<Vec<_>>())
            .unwrap();
        disk.fill_after(seed);
        let acknowledged = if journal.commit().is_ok() {
            next + 4
        } else {
            next - 1
        };
        disk.crash(seed);
        let (_, replay) = open_small(&disk).unwrap();
        check(&all(replay).unwrap(), acknowledged, &format!("seed {seed}"));
    }
}

#[test]
fn while_the_end_is_being_mended() {
    for seed in 0..500 {
        let disk = FakeDisk::new();
        let (mut journal, _) = open_small(&disk).unwrap();
        write(&mut journal, &[1, 4]);
        let next = journal.next_sequence();
        journal.append(&[small(next), small(next + 1)]).unwrap();
        disk.fail_write(1);
        journal.commit().unwrap_err();
        // The next program is cut off too, in the middle of opening.
        disk.cut_power_at_sync(1);
        open_small(&disk).unwrap_err();
        disk.crash(seed);
        let (_, replay) = open_small(&disk).unwrap();
        check(&all(replay).unwrap(), 5, &format!("seed {seed}"));
    }
}

#[test]
fn what_a_failed_sync_left_readable_is_made_durable_before_it_counts() {
    for nth in 1..=2 {
        let disk = FakeDisk::new();
        // Segments this small: the commit begins a new one, so the first sync is that of its name and header.
        let (mut journal, _) = open_small(&disk).unwrap();
        write(&mut journal, &[4]);
        journal.append(&[small(5), small(6)]).unwrap();
        disk.fail_sync(nth);
        journal.commit().unwrap_err();
        let (mut journal, replay) = open_small(&disk).unwrap();
        let read = all(replay).unwrap();
        write(&mut journal, &[1]);
        disk.crash_keeping(0);
        let (_, replay) = open_small(&disk).unwrap();
        check(&all(replay).unwrap(), read.len() as u64 + 1, "after the crash");
    }
}

#[test]
fn a_broken_journal_takes_nothing_until_it_is_opened_again() {
    type Fault = fn(&FakeDisk);
    let faults: [(Fault, &str); 4] = [
        (|disk| disk.fail_write(1), "records.disk"),
        (|disk| disk.fail_sync(1), "records.disk"),
        (|disk| disk.fill_after(100), "records.full"),
        (|disk| disk.make_read_only(), "records.read-only"),
    ];
    for (fault, code) in faults {
        let disk = FakeDisk::new();
        let (mut journal, _) = open(&disk).unwrap();
        write(&mut journal, &[2]);
        journal.append(&[small(3), small(4)]).unwrap();
        fault(&disk);
        let error = journal.commit().unwrap_err();
        assert_eq!(error.code(), code);
        disk.heal();
        for later in [
            journal.append(&[small(3)]).unwrap_err(),
            journal.commit().unwrap_err(),
        ] {
            let RecordsError::Broken { since } = &later else {
                panic!("{later}")
            };
            assert!(since.contains(&error.to_string()), "{since}");
        }
        assert_eq!(journal.durable().sequence, 2);
        drop(journal);
        let (mut journal, replay) = open(&disk).unwrap();
        check(&all(replay).unwrap(), 2, code);
        write(&mut journal, &[1]);
    }
}

#[test]
fn a_disk_that_cannot_be_written_is_named_on_opening() {
    let disk = FakeDisk::new();
    disk.make_read_only();
    assert_eq!(open(&disk).unwrap_err().code(), "records.read-only");
    let disk = FakeDisk::new();
    disk.fill_after(10);
    assert_eq!(open(&disk).unwrap_err().code(), "records.full");
    disk.heal();
    let (mut journal, _) = open(&disk).unwrap();
    write(&mut journal, &[1]);
}

#[test]
fn one_sync_for_all_that_was_appended() {
    let disk = FakeDisk::new();
    let (mut journal, _) = open(&disk).unwrap();
    let before = disk.counts();
    write(&mut journal, &[100]);
    assert_eq!(disk.counts().syncs - before.syncs, 1);
    assert_eq!(disk.counts().writes - before.writes, 1);
    journal.commit().unwrap();
    assert_eq!(
        disk.counts().syncs - before.syncs,
        1,
        "nothing to write, nothing to sync"
    );
    assert_eq!(journal.syncs(), disk.counts().syncs);
}

#[test]
fn an_event_out_of_place_or_too_large_leaves_no_trace() {
    let disk = FakeDisk::new();
    let (mut journal, _) = open(&disk).unwrap();
    assert_eq!(
        journal.append(&[small(1), small(3)]).unwrap_err().code(),
        "records.out-of-order"
    );
    let mut huge = small(2);
    huge.operator = Some("x".repeat(lineside_records::MAX_EVENT_BYTES));
    assert_eq!(
        journal.append(&[small(1), huge]).unwrap_err().code(),
        "records.too-large"
    );
    write(&mut journal, &[2]);
    check(&read_all(&disk).unwrap(), 2, "the rest");
}

#[test]
fn what_was_durable_once_is_never_cut_off_but_told_as_damage() {
    let disk = FakeDisk::new();
    let (mut journal, _) = open(&disk).unwrap();
    write(&mut journal, &[2]);
    let durable = disk.read(FIRST).unwrap().len();
    write(&mut journal, &[2]);
    let whole = disk.read(FIRST).unwrap();
    let header = 16 + 41 + station().as_str().len() + 4;
    for at in header..whole.len() {
        let changed = disk.copy();
        changed.meddle(FIRST, |bytes| bytes[at] ^= 0x20);
        match open(&changed) {
            // The last group alone can have been left unfinished by a crash.
            Ok((journal, _)) => {
                assert!(at >= durable, "byte {at} was durable");
                assert!(journal.torn().is_some());
            }
            Err(error) => {
                assert!(at < durable, "byte {at}: {error}");
                assert_eq!(error.code(), "records.damaged");
                changed.meddle(FIRST, |bytes| bytes[at] ^= 0x20);
                assert_eq!(changed.read(FIRST).unwrap(), whole, "nothing else was changed");
            }
        }
    }
}
