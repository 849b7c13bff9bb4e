//! Recovery sets: good ones, and every way of being bad.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use lineside_image::{
    BOOT_LOADER_FILE, Composer, Examination, ImageSet, ImageSetError, MANIFEST_FILE, OS_LIST_FILE,
    PackageError, PartitionType, RUNTIME_FILE, RecoveryEntry, RecoveryManifest, Role, SDK_THUMBPRINT,
    SetFiles, Signer, SigningKey, TrustList, Verdict,
};
use lineside_terms::{ComponentId, Explain, ImageId, ImageType};
use proptest::prelude::*;
use std::sync::Arc;

type Files = BTreeMap<String, Vec<u8>>;

fn signer(number: u8) -> Signer {
    Signer::without_certificate(SigningKey::from_secret(&[number; 32]).unwrap())
}

fn trust() -> TrustList {
    let mut trust = TrustList::new();
    trust.add_signer(&signer(1));
    trust
}

fn package(image_type: ImageType, number: u128, size: usize) -> Vec<u8> {
    Composer::new(image_type, component(number), image(number))
        .build("sample", 1_700_000_000)
        .compose(&vec![number as u8; size], &signer(1))
        .unwrap()
}

fn image(number: u128) -> ImageId {
    ImageId::from_u128(0xB0 << 120 | number)
}

fn component(number: u128) -> ComponentId {
    ComponentId::from_u128(0xA0 << 120 | number)
}

fn entry(image_type: ImageType, number: u128, size: usize, partition: PartitionType) -> RecoveryEntry {
    RecoveryEntry {
        image: image(number),
        component: component(number),
        image_type,
        partition,
        file_size: size as u32,
        uncompressed_size: size as u32,
        provides: vec![],
        depends: vec![],
    }
}

/// A boot loader in its own form: what is behind the metadata is longer than a signature.
fn boot_loader(number: u128) -> Vec<u8> {
    let mut bytes = package(ImageType::ONE_BL, number, 500);
    bytes.extend([0; 32]);
    bytes
}

fn manifest(entries: Vec<RecoveryEntry>) -> Vec<u8> {
    let body = RecoveryManifest {
        built: 1_700_000_000,
        entries,
    }
    .compose()
    .unwrap();
    Composer::new(ImageType::RECOVERY_MANIFEST, component(90), image(90))
        .compose(&body, &signer(1))
        .unwrap()
}

fn entries() -> Vec<RecoveryEntry> {
    let kernel = package(ImageType::NORMAL_WORLD_KERNEL, 1, 3000);
    let loader = boot_loader(2);
    vec![
        entry(
            ImageType::NORMAL_WORLD_KERNEL,
            1,
            kernel.len(),
            PartitionType::FIRMWARE,
        ),
        entry(ImageType::ONE_BL, 2, loader.len(), PartitionType::BOOTLOADER_ONE),
        entry(
            ImageType::ONE_BL,
            2,
            loader.len(),
            PartitionType::BOOTLOADER_ONE_BACKUP,
        ),
    ]
}

fn sample() -> Files {
    static SAMPLE: LazyLock<Files> = LazyLock::new(make_sample);
    SAMPLE.clone()
}

fn make_sample() -> Files {
    let [kernel, loader, _] = <[_; 3]>::try_from(entries()).unwrap();
    [
        (BOOT_LOADER_FILE.to_owned(), boot_loader(3)),
        (RUNTIME_FILE.to_owned(), package(ImageType(28), 4, 1000)),
        (MANIFEST_FILE.to_owned(), manifest(entries())),
        (
            kernel.file_name(),
            package(ImageType::NORMAL_WORLD_KERNEL, 1, 3000),
        ),
        (loader.file_name(), boot_loader(2)),
    ]
    .into()
}

fn files(files: &Files) -> SetFiles {
    SetFiles::from_listing(
        files
            .iter()
            .map(|(name, bytes)| (name.clone(), Arc::from(&bytes[..]))),
    )
    .unwrap()
}

fn problems(set: &Files) -> Vec<ImageSetError> {
    Examination::of(&files(set), &trust()).problems
}

/// A ZIP with stored files, or one block of stored deflate each; directory entries as packers write them.
fn zip(files: &Files, folder: &str, is_deflated: bool) -> Vec<u8> {
    let (mut out, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for (name, bytes) in files {
        let packed = if is_deflated {
            miniz_oxide::deflate::compress_to_vec(bytes, 1)
        } else {
            bytes.clone()
        };
        let path = format!("{folder}{name}");
        let at = out.len() as u32;
        let mut common = vec![20, 0, 0, 0, if is_deflated { 8 } else { 0 }, 0, 0, 0, 0, 0];
        common.extend(crc32fast::hash(bytes).to_le_bytes());
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((path.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(path.as_bytes());
        out.extend(packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(path.as_bytes());
        count += 1;
    }
    let at = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0; 2]);
    out
}

#[test]
fn a_whole_set_is_taken_and_named_by_its_content() {
    let mut sample = sample();
    let set = ImageSet::read(&files(&sample), &trust()).unwrap();
    assert_eq!(set.manifest().entries.len(), 3);
    assert_eq!(set.total_size(), set.manifest().total_size());
    assert_eq!(set.boot_loader()[..], boot_loader(3));
    assert!(set.asked_for(RUNTIME_FILE).is_some() && set.asked_for(MANIFEST_FILE).is_some());
    assert!(
        set.asked_for(BOOT_LOADER_FILE).is_none(),
        "it is in no flash and no manifest"
    );
    assert_eq!(set.os(), None);

    let list = format!(
        r#"{{"versions":[{{"name":"24.03","images":[{{"cid":"{0}","iid":"{1}"}}]}},{{"name":"24.06","images":[{{"cid":"{0}","iid":"{2}"}}]}}]}}"#,
        component(1),
        image(7),
        image(1),
    );
    sample.insert("other.json".into(), list.clone().into_bytes());
    let named = ImageSet::read(&files(&sample), &trust()).unwrap();
    assert_eq!(named.os(), Some("24.06"));
    assert_eq!(named.digest(), set.digest(), "what lies beside is no part of it");
    assert!(named.asked_for("other.json").is_none());
    sample.insert(OS_LIST_FILE.into(), b"{}".to_vec());
    assert_eq!(
        ImageSet::read(&files(&sample), &trust()).unwrap().os(),
        None,
        "that one is meant, and is none"
    );

    let other = ImageSet::read(
        &files(&{
            let mut other = sample.clone();
            other.insert(RUNTIME_FILE.into(), package(ImageType(28), 5, 1000));
            other
        }),
        &trust(),
    )
    .unwrap();
    assert_ne!(other.digest(), set.digest());
}

#[test]
fn an_image_that_goes_to_two_places_is_one_part() {
    let examination = Examination::of(&files(&sample()), &trust());
    assert_eq!(examination.problems, []);
    let parts: Vec<_> = examination
        .parts
        .iter()
        .map(|part| (&part.role, part.verdict.clone()))
        .collect();
    assert_eq!(parts.len(), 5);
    assert_eq!(parts[0], (&Role::BootLoader, None));
    assert_eq!(parts[2], (&Role::Manifest, Some(Verdict::ProductionVerified)));
    let Role::Image { partitions, .. } = parts[4].0 else {
        panic!("{parts:?}")
    };
    assert_eq!(
        partitions,
        &[
            PartitionType::BOOTLOADER_ONE,
            PartitionType::BOOTLOADER_ONE_BACKUP
        ]
    );
}

#[test]
fn the_same_out_of_a_zip() {
    let plain = ImageSet::read(&files(&sample()), &trust()).unwrap();
    for (folder, is_deflated) in [("", false), ("", true), ("mt3620an/", true), ("a\\b\\", false)] {
        let unpacked = SetFiles::from_zip(&zip(&sample(), folder, is_deflated)).unwrap();
        let set = ImageSet::read(&unpacked, &trust()).unwrap();
        assert_eq!(set.digest(), plain.digest(), "{folder} {is_deflated}");
    }
}

#[test]
fn a_zip_that_is_damaged_is_none() {
    let good = zip(&sample(), "", true);
    let code = |bytes: &[u8]| {
        SetFiles::from_zip(bytes)
            .map(|_| ())
            .map_err(|error| error.code())
    };
    assert_eq!(code(b"PK nothing of the kind"), Err("image-set.zip"));
    assert_eq!(code(&good[..good.len() / 2]), Err("image-set.zip"));
    let mut flipped = good.clone();
    flipped[120] ^= 1;
    assert_eq!(
        code(&flipped),
        Err("image-set.zip"),
        "in the middle of what is packed"
    );
    let twice: Files = ["a/x.bin", "b/x.bin"]
        .map(|name| (name.to_owned(), vec![1]))
        .into();
    assert_eq!(code(&zip(&twice, "", false)), Err("image-set.twice"));
    let mut bomb = Files::new();
    bomb.insert("bomb.bin".into(), vec![0; 65 << 20]);
    assert_eq!(
        code(&zip(&bomb, "", true)),
        Err("image-set.zip"),
        "it is never unpacked whole"
    );
}

#[test]
fn each_problem_has_its_name() {
    let kernel = entries()[0].file_name();
    let mut set = sample();
    set.remove(&kernel);
    set.remove(RUNTIME_FILE);
    let missing = |file: &str| ImageSetError::Missing {
        file: file.to_owned(),
    };
    assert_eq!(
        problems(&set),
        [missing(RUNTIME_FILE), missing(&kernel)],
        "all are told at once"
    );
    assert_eq!(
        ImageSet::read(&files(&set), &trust()).unwrap_err(),
        missing(RUNTIME_FILE)
    );

    let with = |file: &str, bytes: Vec<u8>| {
        let mut set = sample();
        set.insert(file.to_owned(), bytes);
        problems(&set)
    };
    assert_eq!(
        with(BOOT_LOADER_FILE, vec![]),
        [ImageSetError::Empty {
            file: BOOT_LOADER_FILE.into()
        }]
    );
    let mismatch = |what: &'static str| move |problem: &ImageSetError| matches!(problem, ImageSetError::Mismatch { what: found, .. } if *found == what);
    let other_build = with(&kernel, package(ImageType::NORMAL_WORLD_KERNEL, 8, 3000));
    assert_eq!(other_build.len(), 2);
    assert!(other_build.iter().any(mismatch("image id")) && other_build.iter().any(mismatch("component id")));
    assert!(
        with(&kernel, package(ImageType::ROOT_FS, 1, 3000))
            .iter()
            .any(mismatch("kind"))
    );
    assert!(
        with(&kernel, package(ImageType::NORMAL_WORLD_KERNEL, 1, 3004))
            .iter()
            .any(mismatch("size in bytes"))
    );
    let mut flipped = sample()[&kernel].clone();
    flipped[5] ^= 1;
    assert_eq!(
        with(&kernel, flipped),
        [ImageSetError::Tampered { file: kernel.clone() }]
    );
    let cut = sample()[&kernel][..400].to_vec();
    assert!(matches!(
        &with(&kernel, cut)[..],
        [ImageSetError::Mismatch { .. }, ImageSetError::Malformed { .. }]
    ));
    assert!(
        with(&entries()[1].file_name(), boot_loader(3))
            .iter()
            .any(mismatch("image id"))
    );
    assert!(with(&kernel, boot_loader(1)).iter().any(|problem| matches!(
        problem,
        ImageSetError::Malformed {
            source: PackageError::BootLoader,
            ..
        }
    )));

    assert!(matches!(
        with(MANIFEST_FILE, vec![7; 500])[..],
        [ImageSetError::Malformed { .. }]
    ));
    assert!(
        with(MANIFEST_FILE, package(ImageType::ROOT_FS, 1, 300))
            .iter()
            .any(mismatch("kind"))
    );
    let junk = Composer::new(ImageType::RECOVERY_MANIFEST, component(90), image(90));
    assert!(matches!(
        with(MANIFEST_FILE, junk.compose(&[9; 64], &signer(1)).unwrap())[..],
        [ImageSetError::Manifest(_)]
    ));
    assert_eq!(with(MANIFEST_FILE, manifest(vec![])), [ImageSetError::NoImages]);
    let mut two = entries();
    two[2].file_size += 4;
    assert!(matches!(
        with(MANIFEST_FILE, manifest(two))[..],
        [ImageSetError::Contradiction { .. }]
    ));
}

#[test]
fn nothing_signed_for_development_is_taken_and_an_unknown_signer_is_told() {
    let examination = Examination::of(&files(&sample()), &TrustList::new());
    assert_eq!(examination.problems, []);
    assert_eq!(examination.parts[2].verdict, Some(Verdict::ProductionUnverified));
    let mut development = TrustList::new();
    development.add_development(signer(1).thumbprint(), signer(1).public_key());
    let problems = Examination::of(&files(&sample()), &development).problems;
    assert!(problems.contains(&ImageSetError::Development {
        file: MANIFEST_FILE.into()
    }));
    // The SDK's name under somebody else's signature.
    let key = SigningKey::from_secret(&[1; 32]).unwrap();
    let forged = Composer::new(ImageType::ROOT_FS, component(1), image(1))
        .compose(&[0; 64], &Signer::new(key, SDK_THUMBPRINT))
        .unwrap();
    let mut set = sample();
    set.insert(RUNTIME_FILE.into(), forged);
    let problems = Examination::of(&files(&set), &trust()).problems;
    assert_eq!(
        problems,
        [ImageSetError::Tampered {
            file: RUNTIME_FILE.into()
        }]
    );
}

#[test]
fn what_belongs_to_no_set_is_passed_over_or_told() {
    let mut set = sample();
    set.insert("readme.txt".into(), vec![1]);
    set.insert("left-over.bin".into(), vec![1]);
    let examination = Examination::of(&files(&set), &trust());
    assert_eq!(examination.problems, []);
    assert_eq!(examination.strangers, ["left-over.bin"]);
    let many = (0..300).map(|number| (format!("{number}.bin"), Arc::default()));
    assert_eq!(SetFiles::from_listing(many).unwrap_err(), ImageSetError::TooLarge);
    let twice = [
        ("a.bin".to_owned(), Arc::default()),
        ("a.bin".to_owned(), Arc::default()),
    ];
    assert!(matches!(
        SetFiles::from_listing(twice),
        Err(ImageSetError::Twice { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_change_of_a_zip_is_answered(at in 0..2000_usize, byte: u8, cut in 0..6000_usize) {
        static ZIP: LazyLock<Vec<u8>> = LazyLock::new(|| zip(&sample(), "", true));
        let mut zip = ZIP.clone();
        let place = at % zip.len();
        zip[place] = byte;
        if cut < zip.len() { zip.truncate(cut); }
        if let Ok(files) = SetFiles::from_zip(&zip) {
            let _ = ImageSet::read(&files, &TrustList::new());
        }
    }

    #[test]
    fn any_manifest_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let junk = Composer::new(ImageType::RECOVERY_MANIFEST, component(90), image(90));
        let mut set = sample();
        set.insert(MANIFEST_FILE.into(), junk.compose(&bytes, &signer(1)).unwrap());
        let _ = Examination::of(&files(&set), &TrustList::new());
    }
}
