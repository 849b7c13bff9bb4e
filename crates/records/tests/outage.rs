//! The disk fails and comes back within one start of the program: what failed is closed and read anew, and all that was
//! handed over is there in the end, once and in order.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;

use futures::StreamExt as _;
use futures::executor::block_on;
use lineside_flow::Event;
use lineside_records::{FakeDisk, Journal, JournalHandle, JournalThread, Receipts};
use lineside_terms::Explain as _;
use support::{open, open_small, read_all, small, station, write};

fn code(receipts: &mut Receipts) -> &'static str {
    block_on(receipts.next()).unwrap().unwrap_err().code()
}

/// A way in which the disk fails, and the code that tells it.
type Fault = (fn(&FakeDisk), &'static str);

const FAULTS: [Fault; 5] = [
    (|disk| disk.fail_sync(1), "records.disk"),
    (|disk| disk.fail_write(1), "records.disk"),
    (|disk| disk.fill_after(0), "records.full"),
    (|disk| disk.fill_after(70), "records.full"),
    (FakeDisk::make_read_only, "records.read-only"),
];

#[test]
fn all_that_was_handed_over_is_written_when_the_disk_is_back() {
    for is_inline in [false, true] {
        for (fault, expected) in FAULTS {
            let disk = FakeDisk::new();
            let journal = open(&disk).unwrap().0;
            let (handle, mut receipts) = if is_inline {
                JournalHandle::inline(journal)
            } else {
                JournalThread::start(journal).unwrap()
            };
            handle.submit(vec![small(1)]).unwrap();
            assert_eq!(block_on(receipts.next()).unwrap().unwrap().through(), 1);
            fault(&disk);
            handle.submit(vec![small(2), small(3)]).unwrap();
            assert_eq!(code(&mut receipts), expected);
            handle.submit(vec![small(4)]).unwrap();
            assert_eq!(code(&mut receipts), "records.broken");
            if matches!(expected, "records.full" | "records.read-only") {
                handle.reopen().unwrap();
                assert_eq!(code(&mut receipts), expected, "it is as bad as it was");
            }
            disk.heal();
            handle.reopen().unwrap();
            assert_eq!(block_on(receipts.next()).unwrap().unwrap().through(), 4);
            handle.submit(vec![small(5)]).unwrap();
            assert_eq!(block_on(receipts.next()).unwrap().unwrap().through(), 5);
            assert_eq!(handle.counts().events, 5);
            drop(handle);
            // All of it was promised: none of it is lost with the power.
            disk.crash_keeping(0);
            let there: Vec<Event> = (1..=5).map(small).collect();
            assert_eq!(read_all(&disk).unwrap(), there);
        }
    }
}

#[test]
fn opening_again_what_did_not_fail_says_how_far_it_is() {
    let disk = FakeDisk::new();
    let (handle, mut receipts) = JournalHandle::inline(open(&disk).unwrap().0);
    handle.submit(vec![small(1)]).unwrap();
    handle.reopen().unwrap();
    assert_eq!(receipts.try_next().unwrap().unwrap().through(), 1);
    assert_eq!(receipts.try_next().unwrap().unwrap().through(), 1);
}

#[test]
fn a_disk_that_lost_what_it_promised_is_not_gone_on_with() {
    let disk = FakeDisk::new();
    let mut journal = open(&disk).unwrap().0;
    write(&mut journal, &[2, 3]);
    disk.fail_sync(1);
    journal.append(&[small(6)]).unwrap();
    journal.commit().unwrap_err();
    // Only the first group is left of it.
    let name = "000000000001.journal";
    let other = FakeDisk::new();
    write(&mut open(&other).unwrap().0, &[2]);
    let mut short = Vec::new();
    other.meddle(name, |bytes| short.clone_from(bytes));
    disk.meddle(name, |bytes| bytes.clone_from(&short));
    assert_eq!(journal.reopen(&[small(6)]).unwrap_err().code(), "records.changed");
    assert!(journal.is_broken());
}

#[test]
fn events_of_somebody_else_are_not_taken_for_ours() {
    let disk = FakeDisk::new();
    let mut journal = open(&disk).unwrap().0;
    write(&mut journal, &[2]);
    disk.fill_after(0);
    journal.append(&[small(3)]).unwrap();
    journal.commit().unwrap_err();
    disk.heal();
    let mut other = Journal::open(Arc::new(disk.clone()), station()).unwrap().0;
    let mut foreign = small(3);
    foreign.operator = Some("somebody".into());
    other.append(&[foreign]).unwrap();
    other.commit().unwrap();
    assert_eq!(journal.reopen(&[small(3)]).unwrap_err().code(), "records.changed");
}

/// Dice that can be thrown again.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn storms_of_outages_lose_and_repeat_nothing() {
    let (mut outages, mut tries) = (0, 0);
    for seed in 0..500 {
        let mut dice = Dice(seed);
        let disk = FakeDisk::new();
        let (handle, mut receipts) = JournalHandle::inline(open_small(&disk).unwrap().0);
        let (mut next, mut acknowledged) = (1, 0);
        for _ in 0..40 {
            match dice.throw(6) {
                0 => disk.fail_sync(1 + dice.throw(3)),
                1 => disk.fail_write(1 + dice.throw(3)),
                2 => disk.fill_after(dice.throw(900)),
                3 => disk.heal(),
                _ => {}
            }
            let count = 1 + dice.throw(4);
            handle.submit((next..next + count).map(small).collect()).unwrap();
            next += count;
            let mut is_broken = false;
            while let Some(answer) = receipts.try_next() {
                match answer {
                    Ok(receipt) => acknowledged = receipt.through(),
                    Err(_) => is_broken = true,
                }
            }
            outages += u64::from(is_broken);
            if is_broken && dice.throw(2) == 0 {
                handle.reopen().unwrap();
                tries += 1;
            }
        }
        disk.heal();
        handle.reopen().unwrap();
        while let Some(answer) = receipts.try_next() {
            acknowledged = answer.map_or(acknowledged, |receipt| receipt.through());
        }
        assert_eq!(acknowledged, next - 1, "seed {seed}");
        drop(handle);
        disk.crash_keeping(0);
        let there: Vec<Event> = (1..next).map(small).collect();
        assert_eq!(read_all(&disk).unwrap(), there, "seed {seed}");
    }
    assert!(outages > 1000 && tries > 500, "{outages} outages, {tries} tries");
}
