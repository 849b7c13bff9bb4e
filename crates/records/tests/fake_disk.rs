//! The disk that lies: how far it can be relied upon, and no further.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io;

use lineside_records::{Disk as _, DiskFile, FakeDisk};

fn written(disk: &FakeDisk) -> Box<dyn DiskFile> {
    let mut file = disk.create("a").unwrap();
    file.append(b"synced").unwrap();
    file.sync().unwrap();
    file.append(b" and not").unwrap();
    file
}

#[test]
fn what_was_synced_survives_every_crash_and_the_rest_only_sometimes() {
    let mut ends = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = FakeDisk::new();
        let mut file = written(&disk);
        disk.crash(seed);
        let bytes = disk.read("a").unwrap();
        assert!(bytes.starts_with(b"synced"), "seed {seed}");
        assert!(file.append(b"x").is_err());
        ends.insert(bytes);
    }
    assert!(ends.contains(&b"synced"[..]) && ends.contains(&b"synced and not"[..]) && ends.len() > 10);
}

#[test]
fn an_unsynced_name_may_be_gone() {
    let is_there = |seed| {
        let disk = FakeDisk::new();
        disk.create("a").unwrap().append(b"x").unwrap();
        disk.crash(seed);
        disk.read("a").is_ok()
    };
    assert!((0..50).any(is_there) && !(0..50).all(is_there));
}

#[test]
fn after_a_failed_sync_bytes_are_readable_but_never_durable() {
    let disk = FakeDisk::new();
    let mut file = written(&disk);
    disk.fail_sync(1);
    assert!(file.sync().is_err());
    assert!(file.sync().is_ok());
    assert_eq!(disk.read("a").unwrap(), b"synced and not");
    disk.crash(1);
    assert_eq!(disk.read("a").unwrap(), b"synced");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = FakeDisk::new();
    let mut file = disk.create("a").unwrap();
    disk.fill_after(4);
    assert_eq!(
        file.append(b"12345").unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    assert_eq!(disk.read("a").unwrap(), b"1234");
    disk.heal();
    file.append(b"5").unwrap();
}

#[test]
fn an_exact_crash_keeps_exactly_so_much() {
    let disk = FakeDisk::new();
    let _file = written(&disk);
    assert_eq!(disk.pending_bytes(), 8);
    disk.crash_keeping(4);
    assert_eq!(disk.read("a").unwrap(), b"synced and");
}
