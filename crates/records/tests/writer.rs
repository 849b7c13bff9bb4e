//! The journal's thread: groups, receipts, failures, and its end.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use futures::StreamExt as _;
use futures::executor::block_on;
use lineside_records::{FakeDisk, JournalHandle, JournalThread};
use lineside_terms::Explain as _;
use support::{open, read_all, small};

#[test]
fn all_that_is_submitted_during_a_sync_shares_the_next() {
    let disk = FakeDisk::new();
    let (handle, mut receipts) = JournalThread::start(open(&disk).unwrap().0).unwrap();
    let opened = disk.counts().syncs;
    disk.hold_syncs();
    handle.submit(vec![small(1)]).unwrap();
    disk.wait_for_a_held_sync();
    for sequence in 2..=50 {
        handle.submit(vec![small(sequence)]).unwrap();
    }
    assert!(
        receipts.try_next().is_none(),
        "nothing is acknowledged before its sync"
    );
    disk.heal();
    assert_eq!(block_on(receipts.next()).unwrap().unwrap().through(), 1);
    assert_eq!(block_on(receipts.next()).unwrap().unwrap().through(), 50);
    assert_eq!(disk.counts().syncs - opened, 2);
    let counts = handle.counts();
    assert_eq!(
        (counts.events, counts.groups, counts.syncs),
        (50, 2, disk.counts().syncs)
    );
    drop(handle);
    assert!(block_on(receipts.next()).is_none());
    assert_eq!(read_all(&disk).unwrap().len(), 50);
}

#[test]
fn a_burst_does_not_become_one_endless_write() {
    let disk = FakeDisk::new();
    let (handle, mut receipts) = JournalThread::start(open(&disk).unwrap().0).unwrap();
    disk.hold_syncs();
    handle.submit(vec![small(1)]).unwrap();
    disk.wait_for_a_held_sync();
    for sequence in 2..=40 {
        let mut large = small(sequence);
        large.operator = Some("x".repeat(100_000));
        handle.submit(vec![large]).unwrap();
    }
    disk.heal();
    while block_on(receipts.next()).unwrap().unwrap().through() < 40 {}
    assert_eq!(
        handle.counts().groups,
        1 + 4,
        "39 events of 0.1 MB are written by the megabyte"
    );
}

#[test]
fn closing_writes_what_is_queued_and_gives_the_journal_back() {
    let disk = FakeDisk::new();
    let (handle, receipts) = JournalThread::start(open(&disk).unwrap().0).unwrap();
    drop(receipts);
    for sequence in 1..=200 {
        handle.submit(vec![small(sequence)]).unwrap();
    }
    assert_eq!(handle.close().unwrap().durable().sequence, 200);
    disk.crash_keeping(0);
    assert_eq!(read_all(&disk).unwrap().len(), 200);
}

#[test]
fn a_failed_sync_is_told_and_nothing_is_acknowledged_after_it() {
    for is_inline in [false, true] {
        let disk = FakeDisk::new();
        let journal = open(&disk).unwrap().0;
        let (handle, mut receipts) = if is_inline {
            JournalHandle::inline(journal)
        } else {
            JournalThread::start(journal).unwrap()
        };
        handle.submit(vec![small(1)]).unwrap();
        assert_eq!(block_on(receipts.next()).unwrap().unwrap().through(), 1);
        disk.fail_sync(1);
        handle.submit(vec![small(2)]).unwrap();
        assert_eq!(
            block_on(receipts.next()).unwrap().unwrap_err().code(),
            "records.disk"
        );
        handle.submit(vec![small(2)]).unwrap();
        assert_eq!(
            block_on(receipts.next()).unwrap().unwrap_err().code(),
            "records.broken"
        );
        assert!(handle.close().unwrap().append(&[small(2)]).is_err());
        assert!(block_on(receipts.next()).is_none());
    }
}

#[test]
fn kept_by_the_caller_every_submission_is_durable_when_it_returns() {
    let disk = FakeDisk::new();
    let (handle, mut receipts) = JournalHandle::inline(open(&disk).unwrap().0);
    for sequence in 1..=3 {
        handle
            .submit(vec![small(sequence * 2 - 1), small(sequence * 2)])
            .unwrap();
        assert_eq!(disk.pending_bytes(), 0);
        assert_eq!(receipts.try_next().unwrap().unwrap().through(), sequence * 2);
        assert!(receipts.try_next().is_none());
    }
    assert_eq!(handle.counts().groups, 3);
}

#[test]
fn an_event_out_of_place_is_told_and_the_rest_is_written() {
    let disk = FakeDisk::new();
    let (handle, mut receipts) = JournalHandle::inline(open(&disk).unwrap().0);
    handle.submit(vec![small(2)]).unwrap();
    assert_eq!(
        receipts.try_next().unwrap().unwrap_err().code(),
        "records.out-of-order"
    );
    handle.submit(vec![small(1)]).unwrap();
    assert_eq!(receipts.try_next().unwrap().unwrap().through(), 1);
}
