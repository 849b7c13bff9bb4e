//! Our parser and composer against the vendor's Python package, in both directions (`image-package.md` 11.4). Where the
//! two differ on purpose, section 13 of the reference says so and the comparison names the difference.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lineside_image::{
    AbiKind, AbiVersion, CapabilityRecord, KeyError, Package, PackageError, PublicKey, RecoveryEntry,
    RecoveryManifest, SDK_PUBLIC_KEY, SDK_THUMBPRINT, SDK_THUMBPRINT_OLD, Section, SectionId, TemporaryFlags,
    Thumbprint, TrustList, Verdict, Warning, classify,
};
use lineside_terms::{Capability, DeviceId, ImageType};
use serde_json::{Value, json};
use support::{composer, real, sha256, signer, workspace};

/// Longer than any question may take in the peer itself; its start takes a second on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The vendor's parser in a process of its own, killed when the test is over.
struct Peer {
    process: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
}

impl Peer {
    fn start() -> Self {
        let venv = std::env::var_os("LINESIDE_PEERS_VENV")
            .map_or_else(|| workspace().join("target/peers-venv"), PathBuf::from);
        let python = venv.join("bin/python");
        assert!(
            python.exists(),
            "the vendor's Python packages are not at {}: run `.ci/peers`, which puts them there",
            venv.display()
        );
        let mut process = Command::new(python)
            .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/differential.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python can be started");
        let questions = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, answers) = channel();
        #[expect(
            clippy::disallowed_methods,
            reason = "a test may wait for a child with a limit"
        )]
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            process,
            questions,
            answers,
        }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").unwrap();
        let answer = self
            .answers
            .recv_timeout(PATIENCE)
            .expect("the vendor's parser answers in time");
        serde_json::from_str(&answer).unwrap()
    }

    /// What it must be able to answer.
    fn get(&mut self, question: &Value) -> Value {
        let answer = self.ask(question);
        assert!(answer.get("error").is_none(), "{question:.200}: {answer}");
        answer
    }

    fn file(&mut self, question: &Value) -> Vec<u8> {
        hex::decode(self.get(question)["file"].as_str().unwrap()).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn abi(list: &[AbiVersion]) -> Value {
    list.iter().map(|abi| json!([abi.version, abi.kind.0])).collect()
}

/// What we read, in the form in which the peer answers.
fn seen(package: &Package<'_>) -> Value {
    let fields = |section: &Section<'_>| match section {
        Section::Identity(i) => json!([i.image_type.0, i.component.to_string(), i.image.to_string()]),
        Section::Signing(s) => json!([s.thumbprint.to_string(), s.kind]),
        Section::Build(b) => json!([b.name(), b.built]),
        Section::Temporary(flags) => json!([flags.0]),
        Section::Depends(list) | Section::Provides(list) => abi(list),
        Section::Revocation(word) | Section::RequiredOffset(word) => json!(hex::encode(word.to_le_bytes())),
        Section::Policy(policy) => json!(hex::encode(policy.0.to_le_bytes())),
        Section::Compression(c) => {
            json!(hex::encode(
                [c.uncompressed_size.to_le_bytes(), c.kind.to_le_bytes()].concat()
            ))
        }
        Section::Opaque { payload, .. } => json!(hex::encode(payload)),
    };
    let sections: Value = package
        .sections()
        .iter()
        .map(|s| json!([s.id().0, fields(s)]))
        .collect();
    json!({
        "body": sha256(package.body()),
        "metadata": hex::encode(package.raw_metadata()),
        "signature": hex::encode(package.signature()),
        "sections": sections,
    })
}

fn same(ours: &Value, theirs: &Value, what: &str) {
    for (key, value) in ours.as_object().unwrap() {
        assert_eq!(value, &theirs[key], "{what}: {key}");
    }
}

/// 11.4 (a): the same files through both.
#[test]
fn both_read_the_real_files_alike() {
    let mut peer = Peer::start();
    for name in [
        "azure_sphere_blink.imagepackage",
        "MutableStorage.imagepackage",
        "anvil_test_app.imagepackage",
        "dev_enable_caps.bin",
    ] {
        let bytes = real(name);
        let package = Package::parse(&bytes).unwrap();
        let theirs = peer.get(&json!({ "ask": "parse", "file": hex::encode(&bytes) }));
        same(&seen(&package), &theirs, name);
        let by_sdk = package.classify(&TrustList::new()).verdict == Verdict::SdkSigned;
        assert_eq!(
            (theirs["sdk"].as_bool(), by_sdk),
            (Some(name != "dev_enable_caps.bin"), name != "dev_enable_caps.bin")
        );
        assert_eq!(theirs["again"], true);
    }
}

/// 11.4 (b): we compose, they parse and verify; with every section that they know.
#[test]
fn they_read_and_verify_what_we_compose() {
    let mut peer = Peer::start();
    for number in 1..=20 {
        let signer = signer(number);
        let composer = composer()
            .provides(vec![AbiVersion {
                kind: AbiKind::OS_RUNTIME,
                version: u32::from(number),
            }])
            .revocation(7)
            .required_offset(0x4000)
            .policy(lineside_image::ImagePolicy(2))
            .compression(lineside_image::Compression {
                uncompressed_size: 5,
                kind: 1,
            });
        let bytes = composer
            .compose(&vec![number; usize::from(number)], &signer)
            .unwrap();
        let package = Package::parse(&bytes).unwrap();
        let keys = [
            hex::encode(signer.public_key().to_xy()),
            hex::encode(SDK_PUBLIC_KEY.to_xy()),
        ];
        let theirs = peer.get(&json!({ "ask": "parse", "file": hex::encode(&bytes), "keys": keys }));
        same(&seen(&package), &theirs, "composed by us");
        assert_eq!(
            (&theirs["by"], &theirs["sdk"]),
            (&json!([true, false]), &json!(false))
        );
        assert_eq!(theirs["again"], true);
    }
}

/// 11.4 (c): they compose and sign with the SDK's key, we parse and verify.
#[test]
fn we_read_and_verify_what_they_compose() {
    let mut peer = Peer::start();
    let cases = [(0, None), (1, None), (4096, None), (5, Some(16384))];
    for (length, fixed) in cases {
        let bytes = peer.file(&json!({
            "ask": "compose", "body": hex::encode(vec![0x61; length]), "type": 10,
            "component": "01234567-89ab-cdef-0123-456789abcdef", "image": "fedcba98-7654-3210-fedc-ba9876543210",
            "name": "theirs", "built": 1_700_000_000, "flags": 3, "depends": [[12, 3]], "provides": [[1, 2], [3, 1]],
            "fixed": fixed,
        }));
        let package = Package::parse(&bytes).unwrap();
        assert_eq!(package.classify(&TrustList::new()).verdict, Verdict::SdkSigned);
        assert!(package.body().starts_with(&vec![0x61; length]));
        assert_eq!(fixed.unwrap_or(bytes.len()), bytes.len());
        assert_eq!(
            package.component().to_string(),
            "01234567-89ab-cdef-0123-456789abcdef"
        );
        assert_eq!(
            package.image().to_string(),
            "fedcba98-7654-3210-fedc-ba9876543210"
        );
        assert_eq!(package.build().unwrap().name(), "theirs");
        assert_eq!(package.temporary(), Some(TemporaryFlags(3)));
        assert_eq!(
            (abi(package.depends()), abi(package.provides())),
            (json!([[12, 3]]), json!([[1, 2], [3, 1]]))
        );
        let theirs = peer.get(&json!({ "ask": "parse", "file": hex::encode(&bytes) }));
        same(&seen(&package), &theirs, "composed by them");
    }
}

/// A package signed with the SDK's key that claims another signer (`image-package.md` 5 and 13).
#[test]
fn the_sdk_key_under_a_wrong_thumbprint_is_recognised() {
    let mut peer = Peer::start();
    let wrong = Thumbprint::from_bytes([0xEE; 20]);
    let data = composer().unsigned(&[1; 64], wrong).unwrap();
    let bytes = peer.file(&json!({ "ask": "sign", "data": hex::encode(data) }));
    let classification = classify(&bytes, &TrustList::new());
    assert_eq!(classification.verdict, Verdict::SdkSigned);
    assert_eq!(
        classification.warnings,
        [Warning::SdkKeyUnderOtherThumbprint(wrong)]
    );
}

/// Both certificates of the SDK: one key, two thumbprints (`image-package.md` 4).
#[test]
fn the_sdk_certificates_hold_the_key_that_we_know() {
    let mut peer = Peer::start();
    let answer = peer.get(&json!({ "ask": "certificates" }));
    let der = |at: usize| hex::decode(answer["certificates"][at].as_str().unwrap()).unwrap();
    for (der, thumbprint) in [(der(0), SDK_THUMBPRINT), (der(1), SDK_THUMBPRINT_OLD)] {
        assert_eq!(Thumbprint::of_certificate(&der), thumbprint);
        assert_eq!(PublicKey::from_certificate(&der), Ok(SDK_PUBLIC_KEY));
        let mut trust = TrustList::new();
        trust.add_certificate(&der).unwrap();
        assert_eq!(trust.get(thumbprint), Some(&SDK_PUBLIC_KEY));
    }
    assert_eq!(
        PublicKey::from_certificate(&[der(0), vec![0]].concat()),
        Err(KeyError::Certificate)
    );
}

/// 11.4 (f): (r, n − s) is accepted by both.
#[test]
fn both_accept_a_malleated_signature() {
    let mut peer = Peer::start();
    let mut bytes = support::blink();
    let at = bytes.len() - 32;
    let twin = support::twin_of(&bytes[at..].try_into().unwrap());
    bytes[at..].copy_from_slice(&twin);
    let theirs = peer.get(&json!({ "ask": "parse", "file": hex::encode(&bytes) }));
    assert_eq!(theirs["sdk"], true);
    assert_eq!(classify(&bytes, &TrustList::new()).verdict, Verdict::SdkSigned);
}

/// A small generator of our own, so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// 11.4 (e): the metadata is changed in structure, signed again with the SDK's key, and shown to both.
#[test]
fn changed_metadata_is_judged_alike_or_differs_as_known() {
    let mut peer = Peer::start();
    let mut dice = Dice(20_240_724);
    let original = composer()
        .provides(vec![AbiVersion {
            kind: AbiKind::OS_RUNTIME,
            version: 1,
        }])
        .revocation(3)
        .unsigned(&[9; 32], SDK_THUMBPRINT)
        .unwrap();
    let headers = [8, 48, 76, 120, 128, 144, 160];
    let values = [0, 1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 24, 28, 36, 40, 64, 255];
    let (mut agreed, mut both_refused, mut laxer, mut stricter) = (0, 0, 0, 0);
    for round in 0..600 {
        let mut data = original.clone();
        for _ in 0..=dice.roll(2) {
            let metadata = 32;
            let at = match dice.roll(4) {
                0 => metadata + headers[dice.roll(headers.len())] + dice.roll(4),
                1 => metadata + 4 + dice.roll(2),
                2 => data.len() - 4 + dice.roll(2),
                _ => metadata + dice.roll(data.len() - metadata),
            };
            data[at] = if dice.roll(3) == 0 {
                data[at] ^ 1 << dice.roll(8)
            } else {
                values[dice.roll(values.len())] as u8
            };
        }
        let bytes = peer.file(&json!({ "ask": "sign", "data": hex::encode(&data) }));
        let theirs = peer.ask(&json!({ "ask": "parse", "file": hex::encode(&bytes) }));
        let their_error = theirs
            .get("error")
            .map(|error| format!("{error} {}", theirs["text"]));
        let what = format!("round {round}, {}", hex::encode(&data[32..]));
        match (Package::parse(&bytes), their_error) {
            (Ok(package), None) => {
                same(&seen(&package), &theirs, &what);
                assert_eq!(theirs["sdk"], true, "{what}");
                agreed += 1;
            }
            (Ok(package), Some(error)) => {
                // Known: an unknown section, a name that is not UTF-8.
                let unknown = package
                    .sections()
                    .iter()
                    .any(|s| !s.id().is_known() && s.id() != SectionId(0));
                let name = error.contains("UnicodeDecodeError");
                assert!(unknown || name, "{what}: we accept, they say {error}");
                stricter += 1;
            }
            (Err(_), Some(_)) => both_refused += 1,
            (Err(error), None) => {
                // Known: everything about counts and lengths of sections, which they pass over, and what makes a package
                // useless rather than malformed.
                let known = !matches!(
                    error,
                    PackageError::TooSmall { .. }
                        | PackageError::MetadataLength { .. }
                        | PackageError::NoMagic { .. }
                );
                assert!(known, "{what}: they accept, we say {error}");
                laxer += 1;
            }
        }
    }
    // The test would mean nothing if the changes all fell on one side.
    assert!(
        agreed > 50 && both_refused > 50 && laxer > 50 && stricter > 5,
        "{agreed} {both_refused} {laxer} {stricter}"
    );
}

#[test]
fn both_read_recovery_manifests_alike() {
    let mut peer = Peer::start();
    let entry = |number: u8, provides, depends| RecoveryEntry {
        image: format!("{:032x}", 0x1000 + u32::from(number)).parse().unwrap(),
        component: format!("{:032x}", 0x2000 + u32::from(number)).parse().unwrap(),
        image_type: ImageType(number.into()),
        partition: lineside_image::PartitionType(number.into()),
        file_size: 70_000 + u32::from(number),
        uncompressed_size: 80_000,
        provides,
        depends,
    };
    let abi_of = |version| AbiVersion {
        kind: AbiKind::OS_RUNTIME,
        version,
    };
    let manifest = RecoveryManifest {
        built: 1_700_000_000,
        entries: vec![
            entry(1, vec![], vec![abi_of(9)]),
            entry(7, vec![abi_of(1), abi_of(2)], vec![]),
            entry(8, vec![], vec![]),
        ],
    };
    let theirs = peer.get(&json!({ "ask": "manifest", "body": hex::encode(manifest.compose().unwrap()) }));
    let entries: Value = manifest
        .entries
        .iter()
        .map(|e| {
            json!([
                e.image.to_string(),
                e.component.to_string(),
                e.image_type.0,
                e.partition.0,
                e.file_size,
                e.uncompressed_size,
                abi(&e.provides),
                abi(&e.depends),
            ])
        })
        .collect();
    same(
        &json!({ "built": manifest.built, "entries": entries }),
        &theirs,
        "recovery manifest",
    );
}

/// They read slots as bytes, so the two agree while ids are below 256 and stand in the first 32 slots.
#[test]
fn both_read_capability_files_alike() {
    let mut peer = Peer::start();
    for capabilities in [vec![], vec![11], vec![11, 13], (1..=32).collect::<Vec<u16>>()] {
        let record = CapabilityRecord {
            device: DeviceId::from_bytes(signer(4).public_key().to_xy()),
            capabilities: capabilities.iter().copied().map(Capability).collect(),
        };
        let theirs =
            peer.get(&json!({ "ask": "capability", "body": hex::encode(record.compose().unwrap()) }));
        same(
            &json!({ "device": record.device.to_string(), "capabilities": capabilities }),
            &theirs,
            "capability file",
        );
    }
    let file = CapabilityRecord {
        device: DeviceId::from_bytes([1; 64]),
        capabilities: vec![Capability(11)],
    }
    .sign(
        "4128b5d8-abc2-4155-9a33-8a1f31ed67ec".parse().unwrap(),
        "e52ee570ac254b5aa78d204b7a6d5cba".parse().unwrap(),
        7,
        &signer(4),
    )
    .unwrap();
    assert_eq!(file.len(), 392, "as long as a real one");
    let theirs = peer.get(&json!({ "ask": "parse", "file": hex::encode(&file) }));
    same(
        &seen(&Package::parse(&file).unwrap()),
        &theirs,
        "signed capability file",
    );
}
