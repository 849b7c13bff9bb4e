//! Whatever is done to a stored journal is found, and where.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use lineside_records::{
    Damage, DamageKind, Disk as _, FakeDisk, Head, Verification, point_at, tip, verify, verify_through,
};
use lineside_terms::Explain as _;
use support::{open_small, read_all, small, write};

/// Three segments of several groups, and the point that the chain ends in.
fn journal() -> (FakeDisk, Vec<String>, Head) {
    let disk = FakeDisk::new();
    let (mut journal, _) = open_small(&disk).unwrap();
    write(&mut journal, &[1, 2, 1, 1, 3, 1, 2]);
    let names = disk.list().unwrap();
    assert!(names.len() >= 3, "{names:?}");
    (disk, names, journal.durable())
}

fn damage(disk: &FakeDisk, known: Option<Head>) -> Option<Damage> {
    let Verification { damage, head, .. } = verify(disk, known).unwrap();
    // Reading finds the same, at the same place.
    match read_all(disk) {
        Ok(events) => {
            assert!(
                damage
                    .as_ref()
                    .is_none_or(|damage| damage.kind == DamageKind::Anchor),
                "{damage:?}"
            );
            assert_eq!(events.len() as u64, head.sequence);
        }
        Err(error) => {
            assert_eq!(error.code(), "records.damaged");
            assert_eq!(error.to_string(), damage.as_ref().unwrap().to_string());
        }
    }
    damage
}

#[test]
fn a_sound_journal_is_sound() {
    let (disk, names, head) = journal();
    let found = verify(&disk, Some(head)).unwrap();
    assert_eq!((found.segments, found.head), (names.len(), head));
    assert_eq!((found.damage, found.torn), (None, None));
    let bytes: usize = names.iter().map(|name| disk.read(name).unwrap().len()).sum();
    assert_eq!(found.bytes, bytes as u64);
    let empty = verify(&FakeDisk::new(), None).unwrap();
    assert_eq!((empty.head, empty.damage), (Head::ORIGIN, None));
}

#[test]
fn every_changed_byte_is_found() {
    let (disk, names, head) = journal();
    for (index, name) in names.iter().enumerate() {
        for at in 0..disk.read(name).unwrap().len() {
            let changed = disk.copy();
            changed.meddle(name, |bytes| bytes[at] ^= 0x10);
            let found = damage(&changed, Some(head)).unwrap_or_else(|| panic!("{name}, byte {at}"));
            let is_last = index + 1 == names.len();
            assert!(is_last || found.file == *name, "{found} for {name}, byte {at}");
            assert!(
                is_last || found.offset <= at as u64,
                "{found} for {name}, byte {at}"
            );
        }
    }
}

#[test]
fn an_event_edited_with_a_fitting_checksum_breaks_the_chain_behind_it() {
    let (disk, names, _) = journal();
    disk.meddle(&names[0], |bytes| {
        // The first frame begins behind the header; its length and sum come first.
        let start = 16 + 41 + "line-1".len() + 4;
        let size = (u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap()) & 0x7fff_ffff) as usize;
        let text = &mut bytes[start + 8 + 32..start + 8 + size];
        let digit = text.iter().rposition(u8::is_ascii_digit).unwrap();
        text[digit] = b'9';
        let mut sum = crc32fast::Hasher::new();
        sum.update(&bytes[start..start + 4]);
        sum.update(&bytes[start + 8..start + 8 + size]);
        let sum = sum.finalize().to_le_bytes();
        bytes[start + 4..start + 8].copy_from_slice(&sum);
    });
    let found = damage(&disk, None).unwrap();
    assert_eq!((found.sequence, found.kind), (2, DamageKind::Chain));
    assert_eq!(found.file, names[0]);
}

#[test]
fn missing_exchanged_and_doubled_segments_are_found() {
    let (disk, names, _) = journal();
    for (index, name) in names.iter().enumerate().take(names.len() - 1) {
        let without = disk.copy();
        without.remove(name);
        let found = damage(&without, None).unwrap();
        assert_eq!((found.kind, &found.file), (DamageKind::Gap, &names[index + 1]));
    }
    let (first, second) = (disk.read(&names[0]).unwrap(), disk.read(&names[1]).unwrap());
    let exchanged = disk.copy();
    exchanged.meddle(&names[0], |bytes| *bytes = second);
    exchanged.meddle(&names[1], |bytes| *bytes = first.clone());
    assert_eq!(damage(&exchanged, None).unwrap().kind, DamageKind::Gap);
    let doubled = disk.copy();
    doubled.meddle("000000000099.journal", |bytes| *bytes = first);
    assert_eq!(damage(&doubled, None).unwrap().kind, DamageKind::Gap);
}

#[test]
fn an_earlier_segment_cut_short_is_found_wherever_it_is_cut() {
    let (disk, names, _) = journal();
    for size in 0..disk.read(&names[1]).unwrap().len() {
        let cut = disk.copy();
        cut.meddle(&names[1], |bytes| bytes.truncate(size));
        let found = damage(&cut, None).unwrap_or_else(|| panic!("cut at {size}"));
        assert!(found.file == names[1] || found.file == names[2], "{found}");
    }
}

#[test]
fn a_journal_that_lost_its_end_or_tells_another_story_is_found_by_a_known_point() {
    let (disk, names, head) = journal();
    let shorter = disk.copy();
    shorter.remove(names.last().unwrap());
    assert_eq!(damage(&shorter, None), None);
    assert_eq!(damage(&shorter, Some(head)).unwrap().kind, DamageKind::Anchor);

    let other = FakeDisk::new();
    let (mut retold, _) = open_small(&other).unwrap();
    let mut first = small(1);
    first.operator = Some("somebody else".into());
    retold.append(&[first]).unwrap();
    retold.commit().unwrap();
    write(&mut retold, &[20]);
    assert_eq!(verify(&other, None).unwrap().damage, None);
    let found = verify(&other, Some(head)).unwrap().damage.unwrap();
    assert_eq!((found.kind, found.sequence), (DamageKind::Anchor, head.sequence));
}

#[test]
fn an_unfinished_end_is_reported_and_is_not_damage() {
    let (disk, names, head) = journal();
    disk.meddle(names.last().unwrap(), |bytes| bytes.extend_from_slice(&[1, 2, 3]));
    let found = verify(&disk, Some(head)).unwrap();
    assert_eq!((found.damage, found.head), (None, head));
    assert_eq!(found.torn.unwrap().bytes, 3);
}

#[test]
fn a_history_written_anew_is_found_by_any_known_point() {
    let (disk, _, head) = journal();
    let middle = point_at(&disk, 5).unwrap().unwrap();
    assert_eq!(point_at(&disk, head.sequence).unwrap(), Some(head));
    assert_eq!(point_at(&disk, head.sequence + 1).unwrap(), None);
    assert_eq!(tip(&disk).unwrap(), Some((support::station(), head)));
    assert_eq!(tip(&FakeDisk::new()).unwrap(), None);
    assert_eq!(
        verify_through(&disk, &[head, middle, Head::ORIGIN])
            .unwrap()
            .damage,
        None
    );

    // Sound in itself, as long as the true one, and with another story from event 4 on.
    let forged = FakeDisk::new();
    let (mut rewritten, _) = open_small(&forged).unwrap();
    for sequence in 1..=head.sequence {
        let event = if sequence < 4 {
            small(sequence)
        } else {
            support::typical(sequence)
        };
        rewritten.append(&[event]).unwrap();
        rewritten.commit().unwrap();
    }
    assert_eq!(verify(&forged, None).unwrap().damage, None);
    let early = point_at(&disk, 3).unwrap().unwrap();
    assert_eq!(verify_through(&forged, &[early]).unwrap().damage, None);
    for known in [vec![middle], vec![head], vec![early, middle, head]] {
        let damage = verify_through(&forged, &known).unwrap().damage.unwrap();
        let first = known.iter().find(|point| point.sequence > 3).unwrap();
        assert_eq!(
            (damage.kind, damage.sequence),
            (DamageKind::Anchor, first.sequence)
        );
    }
}

#[test]
fn a_journal_cut_short_is_found_by_a_point_beyond_its_end() {
    let (disk, names, head) = journal();
    disk.remove(names.last().unwrap());
    assert_eq!(verify(&disk, None).unwrap().damage, None);
    let damage = verify_through(&disk, &[head]).unwrap().damage.unwrap();
    assert_eq!(
        (damage.kind, damage.sequence),
        (DamageKind::Anchor, head.sequence)
    );
}
