//! ASXipFS: properties of reading and packing, and the hostile bodies at the end of `image-package.md` 13.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;

use lineside_image::{Entry, Filesystem, FilesystemError, Node, pack_filesystem};
use proptest::prelude::*;

const FILE: u32 = 0o100_000 | 0o1_000 | 0o644;
const DIRECTORY: u32 = 0o040_755;

fn file<'a>(path: &str, data: &'a [u8]) -> Entry<'a> {
    Entry {
        path: path.to_owned(),
        data: Some(data),
        is_executable: false,
    }
}

/// A sound body: `/a` of 10 bytes at 0x1000, `/b` of 5000 at 0x2000, `/d/x` of one byte at 0x4000, `/e` empty.
fn good() -> Vec<u8> {
    let big = vec![2; 5000];
    pack_filesystem(&[
        file("/a", &[1; 10]),
        file("/b", &big),
        file("/d/x", &[3]),
        file("/e", &[]),
    ])
    .unwrap()
}

/// Offsets of the inodes of [`good`]: root, a, b, d, e, d/x.
const ROOT: usize = 64;
const A: usize = 76;
const B: usize = 92;
const D: usize = 108;
const E: usize = 124;
const X: usize = 140;

fn set(body: &mut [u8], at: usize, value: u32) {
    body[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn get(body: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(body[at..at + 4].try_into().unwrap())
}

/// Third word of an inode: where its content is.
fn place(body: &mut [u8], inode: usize, offset: u32) {
    let length = get(body, inode + 8) & 0x3F;
    set(body, inode + 8, length | (offset / 4) << 6);
}

/// Makes the checksum right again, so that only the change itself can be refused.
fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    set(&mut body, 32, 0);
    let crc = crc32fast::hash(&body);
    set(&mut body, 32, crc);
    body
}

fn refused(change: impl FnOnce(&mut Vec<u8>)) -> FilesystemError {
    let mut body = good();
    change(&mut body);
    Filesystem::read(&sealed(body)).expect_err("a strict reader refuses this")
}

#[test]
fn the_layout_is_the_described_one() {
    let body = good();
    assert_eq!(body.len(), 0x5000);
    assert_eq!(get(&body, 44), 6, "inodes, root included");
    assert_eq!(get(&body, ROOT) & 0xFFFF, 0x41ED);
    assert_eq!(get(&body, ROOT + 4), 4 * 16);
    assert_eq!(get(&body, A) & 0xFFFF, 0x83A4);
    assert_eq!(get(&body, A + 8) >> 6, 0x1000 / 4);
    assert_eq!(get(&body, B + 8) >> 6, 0x2000 / 4);
    assert_eq!(get(&body, D + 8) >> 6, X as u32 / 4);
    assert_eq!(get(&body, E + 8) >> 6, 0, "an empty file has no place");
    assert_eq!(get(&body, X + 8) >> 6, 0x4000 / 4);
    let filesystem = Filesystem::read(&body).unwrap();
    assert_eq!(filesystem.file("/d/x"), Some(&[3][..]));
    assert_eq!(filesystem.file("e"), Some(&[][..]));
    assert_eq!(filesystem.get("/d"), Some(Node::Directory));
    assert_eq!(filesystem.get("/"), Some(Node::Directory));
    assert_eq!(filesystem.get("/a/x"), None);
    assert_eq!(filesystem.get("/nothing"), None);
    assert_eq!(filesystem.file("/d"), None);
}

#[test]
fn a_full_page_gets_no_extra_page() {
    let page = vec![9; 4096];
    let body = pack_filesystem(&[file("/page", &page), file("/q", &[1])]).unwrap();
    assert_eq!(body.len(), 3 * 4096);
    assert_eq!(Filesystem::read(&body).unwrap().file("/page"), Some(&page[..]));
}

#[test]
fn an_empty_tree_is_one_page() {
    let body = pack_filesystem(&[]).unwrap();
    assert_eq!(body.len(), 4096);
    assert_eq!(Filesystem::read(&body).unwrap().entries().count(), 0);
}

#[test]
fn hostile_bodies() {
    use FilesystemError as F;
    let is = |error: FilesystemError, expected: FilesystemError| assert_eq!(error, expected);
    let path = String::from;

    is(refused(|b| b[0] ^= 1), F::NoSuperblock);
    is(refused(|b| b[16] ^= 1), F::NoSuperblock);
    is(refused(|b| b.truncate(75)), F::NoSuperblock);
    is(
        refused(|b| set(b, 4, 0x5001)),
        F::Size {
            claimed: 0x5001,
            found: 0x5000,
        },
    );
    is(
        refused(|b| set(b, 4, 0x4000)),
        F::Size {
            claimed: 0x4000,
            found: 0x5000,
        },
    );
    is(
        refused(|b| b.extend([0; 4096])),
        F::Size {
            claimed: 0x5000,
            found: 0x6000,
        },
    );
    for flags in [0x203, 0x403, 0x803, 0x1_0003] {
        is(refused(|b| set(b, 8, flags)), F::Flags { flags });
    }
    let mut damaged = good();
    damaged[0x1000] ^= 1;
    is(Filesystem::read(&damaged).unwrap_err(), F::Checksum);

    for count in [0, 5, 7, u32::MAX] {
        is(
            refused(|b| set(b, 44, count)),
            F::InodeCount {
                claimed: count as usize,
            },
        );
    }
    is(refused(|b| set(b, ROOT, FILE)), F::Root);
    is(refused(|b| b[ROOT + 8] |= 1), F::Root);

    is(refused(|b| set(b, ROOT + 4, 60)), F::DirectorySize);
    is(refused(|b| set(b, ROOT + 4, 50)), F::DirectorySize);
    is(
        refused(|b| set(b, ROOT + 4, 0xFF_FFFF)),
        F::OutOfBounds { path: path("/") },
    );
    is(refused(|b| place(b, D, 0)), F::OutOfBounds { path: path("/d/") });
    is(
        refused(|b| place(b, D, 0x4FF8)),
        F::OutOfBounds { path: path("/d/") },
    );

    // A directory that is its own child, its own parent, or begins in the middle of another.
    is(refused(|b| place(b, D, D as u32)), F::Overlap);
    is(
        refused(|b| {
            place(b, D, A as u32);
            set(b, 44, 40)
        }),
        F::Overlap,
    );
    is(refused(|b| place(b, D, E as u32)), F::Overlap);
    is(
        refused(|b| place(b, ROOT, 64)),
        F::OutOfBounds { path: path("/") },
    );

    is(refused(|b| b[A + 8] &= !0x3F), F::BadName);
    for name in [
        *b"/\0\0\0",
        *b"a/b\0",
        *b".\0\0\0",
        *b"..\0\0",
        *b"a\0b\0",
        *b"\xFFx\0\0",
        *b"\0\0\0\0",
    ] {
        is(refused(|b| b[A + 12..A + 16].copy_from_slice(&name)), F::BadName);
    }
    is(
        refused(|b| b[A + 12] = b'b'),
        F::DuplicateName { path: path("/b") },
    );
    is(refused(|b| b[A + 12] = b'c'), F::Unsorted { path: path("/b") });

    is(
        refused(|b| place(b, A, 0x1004)),
        F::Unaligned { path: path("/a") },
    );
    is(
        refused(|b| place(b, A, 0x5000)),
        F::OutOfBounds { path: path("/a") },
    );
    is(
        refused(|b| set(b, A + 4, 0xFF_FFFF)),
        F::OutOfBounds { path: path("/a") },
    );
    is(refused(|b| place(b, A, 0)), F::Overlap);
    is(refused(|b| place(b, A, 0x2000)), F::Overlap);
    is(refused(|b| place(b, A, 0x3000)), F::Overlap);

    for special in [0o020_000, 0o060_000, 0o010_000, 0o140_000, 0o120_000, 0] {
        is(
            refused(|b| set(b, A, special | 0o1_644)),
            F::SpecialFile { path: path("/a") },
        );
    }
    for set_id in [0o4_000, 0o2_000] {
        is(
            refused(|b| set(b, A, FILE | set_id)),
            F::SetId { path: path("/a") },
        );
        is(
            refused(|b| set(b, D, DIRECTORY | set_id)),
            F::SetId { path: path("/d") },
        );
    }
    is(
        refused(|b| set(b, A, FILE & !0o1_000)),
        F::NotInPlace { path: path("/a") },
    );
}

#[test]
fn trees_that_cannot_be_packed() {
    use FilesystemError as F;
    let pack = |entries: &[Entry<'_>]| pack_filesystem(entries).unwrap_err();
    for path in ["", "/", "a//b", "/a/", "/a/../b", "./a", "/a\0b"] {
        assert_eq!(pack(&[file(path, b"1")]), F::BadName, "{path:?}");
    }
    assert_eq!(pack(&[file(&"x".repeat(253), b"1")]), F::BadName);
    assert!(pack_filesystem(&[file(&"x".repeat(252), b"1")]).is_ok());
    assert_eq!(pack(&[file(&"d/".repeat(2100), b"1")]), F::PathTooLong);
    assert_eq!(
        pack(&[file("a", b"1"), file("/a", b"2")]),
        F::DuplicateName { path: "/a".into() }
    );
    assert_eq!(
        pack(&[file("a", b"1"), file("a/b", b"2")]),
        F::FileAsDirectory { path: "a/b".into() }
    );
    assert_eq!(
        pack(&[file("a/b", b"1"), file("a", b"2")]),
        F::FileAsDirectory { path: "a".into() }
    );
    let huge = vec![0; 1 << 24];
    assert_eq!(
        pack(&[file("/huge", &huge)]),
        F::FileTooLarge { path: "/huge".into() }
    );
    assert!(
        pack_filesystem(&[file("/huge", &huge[1..])]).is_ok(),
        "one byte less can be told in 24 bits"
    );
}

/// A tree of thousands of nested directories costs neither memory nor stack.
#[test]
fn deep_nesting_is_bounded() {
    let deep = format!("{}x", "d/".repeat(128));
    let body = pack_filesystem(&[file(&deep, b"1")]).unwrap();
    assert_eq!(Filesystem::read(&body).unwrap().file(&deep), Some(&b"1"[..]));

    let deeper = format!("{}x", "d/".repeat(129));
    assert_eq!(
        pack_filesystem(&[file(&deeper, b"1")]).unwrap_err(),
        FilesystemError::TreeTooDeep { path: deeper }
    );

    // Made by hand: 20000 directories, one in the other, beyond what any path can name.
    let depth = 20_000_u32;
    let end = 76 + 16 * depth;
    let size = end.next_multiple_of(4096);
    let mut body = good()[..64].to_vec();
    set(&mut body, 4, size);
    set(&mut body, 44, depth + 1);
    body.extend([DIRECTORY, 16, (76 / 4) << 6].map(u32::to_le_bytes).concat());
    for level in 1..=depth {
        let next = if level == depth { 0 } else { 76 + 16 * level };
        let inner = if level == depth { 0 } else { 16 };
        body.extend(
            [DIRECTORY, inner, 1 | (next / 4) << 6, u32::from(b'd')]
                .map(u32::to_le_bytes)
                .concat(),
        );
    }
    body.resize(size as usize, 0);
    assert_eq!(
        Filesystem::read(&sealed(body)).unwrap_err(),
        FilesystemError::PathTooLong
    );
}

fn trees() -> impl Strategy<Value = BTreeMap<String, (Option<Vec<u8>>, bool)>> {
    let path = proptest::collection::vec("[a-zA-Z0-9_.é-]{1,9}x", 1..5)
        .prop_map(|names| format!("/{}", names.join("/")));
    let data = prop_oneof![
        1 => Just(None),
        1 => Just(Some(vec![])),
        1 => Just(Some(vec![5; 4096])),
        4 => proptest::collection::vec(any::<u8>(), 0..9000).prop_map(Some),
    ];
    proptest::collection::btree_map(path, (data, any::<bool>()), 0..12).prop_map(|mut tree| {
        // A file cannot have children.
        let parents: Vec<String> = tree.keys().cloned().collect();
        tree.retain(|path, (data, _)| {
            data.is_none() || !parents.iter().any(|p| p.starts_with(&format!("{path}/")))
        });
        for (data, executable) in tree.values_mut() {
            *executable &= data.is_some();
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_tree_survives_and_is_packed_again_to_the_same_bytes(tree in trees()) {
        let entries: Vec<_> = tree.iter().map(|(path, (data, executable))| {
            Entry { path: path.clone(), data: data.as_deref(), is_executable: *executable }
        }).collect();
        let body = pack_filesystem(&entries).unwrap();
        prop_assert_eq!(body.len() % 4096, 0);
        let filesystem = Filesystem::read(&body).unwrap();
        for entry in &entries {
            match entry.data {
                Some(data) => prop_assert_eq!(filesystem.file(&entry.path), Some(data)),
                None => prop_assert_eq!(filesystem.get(&entry.path), Some(Node::Directory)),
            }
        }
        let mut again: Vec<_> = filesystem.entries().collect();
        let read: BTreeMap<_, _> = again.iter().map(|entry| (entry.path.clone(), entry.clone())).collect();
        for entry in &entries {
            prop_assert_eq!(&read[&entry.path], entry);
        }
        again.reverse();
        prop_assert!(pack_filesystem(&again).unwrap() == body);
    }

    #[test]
    fn any_damage_under_a_right_checksum_is_answered(at in 0..160_usize, value: u8, more in proptest::collection::vec((64..160_usize, any::<u8>()), 0..4)) {
        let mut body = good();
        body[at] = value;
        for (at, value) in more { body[at] = value; }
        if let Ok(filesystem) = Filesystem::read(&sealed(body)) {
            for entry in filesystem.entries() {
                prop_assert_eq!(filesystem.get(&entry.path).is_some(), true);
            }
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Filesystem::read(&bytes);
    }
}
