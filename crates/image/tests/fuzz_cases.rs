//! The hostile packages of `image-package.md` 13, one row each: every one is signed again after the change, so that only
//! the structure can tell.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use lineside_image::{
    AbiKind, AbiVersion, Compression, Oddity, Package, PackageError, Section, SectionId, Signer,
    TemporaryFlags, TrustList, Verdict, Warning, classify,
};
use lineside_terms::ImageType;
use support::{composer, sample, signer, trusting};

/// A package taken apart, to be put together wrongly.
#[derive(Clone)]
struct Broken {
    body: Vec<u8>,
    magic: [u8; 4],
    /// Overrides the number of sections.
    count: Option<u32>,
    /// Id, payload, and what the header says of its length instead.
    sections: Vec<(u16, Vec<u8>, Option<u16>)>,
    junk: Vec<u8>,
    /// Overrides the length of the metadata.
    length: Option<u32>,
    signature: Option<Vec<u8>>,
}

const ID: usize = 0;
const SG: usize = 1;
const DB: usize = 2;
const TP: usize = 3;
const ND: usize = 4;

impl Broken {
    fn new() -> Self {
        let bytes = sample(&[7; 64], &signer(1));
        let mut rest = &bytes[64 + 8..bytes.len() - 64 - 4];
        let mut sections = Vec::new();
        while let [a, b, c, d, more @ ..] = rest {
            let (payload, after) = more.split_at(usize::from(u16::from_le_bytes([*c, *d])));
            sections.push((u16::from_le_bytes([*a, *b]), payload.to_vec(), None));
            rest = after;
        }
        assert_eq!(sections.len(), 5);
        Self {
            body: bytes[..64].to_vec(),
            magic: *b"4X4M",
            count: None,
            sections,
            junk: vec![],
            length: None,
            signature: None,
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut broken = Self::new();
        change(&mut broken);
        broken.bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut metadata = self.magic.to_vec();
        metadata.extend(self.count.unwrap_or(self.sections.len() as u32).to_le_bytes());
        for (id, payload, length) in &self.sections {
            metadata.extend(id.to_le_bytes());
            metadata.extend(length.unwrap_or(payload.len() as u16).to_le_bytes());
            metadata.extend(payload);
        }
        metadata.extend(&self.junk);
        metadata.extend(self.length.unwrap_or(metadata.len() as u32 + 4).to_le_bytes());
        let mut out = self.body.clone();
        out.extend(metadata);
        let signature = self
            .signature
            .clone()
            .unwrap_or_else(|| signer(1).sign(&out).to_vec());
        out.extend(signature);
        out
    }

    fn drop_section(&mut self, at: usize) {
        self.sections.remove(at);
    }

    fn payload(&mut self, at: usize) -> &mut Vec<u8> {
        &mut self.sections[at].1
    }
}

fn error(bytes: &[u8]) -> PackageError {
    Package::parse(bytes).expect_err("a strict parser refuses this")
}

/// Refused: the case, the bytes, and what the error must be.
#[test]
fn refused_by_structure() {
    type Row = (&'static str, Vec<u8>, fn(&PackageError) -> bool);
    let metadata_length = Broken::new().bytes().len() as u32 - 64 - 64;
    let rows: Vec<Row> = vec![
        ("empty", vec![], |e| {
            matches!(e, PackageError::TooSmall { size: 0 })
        }),
        ("75 bytes", vec![0; 75], |e| {
            matches!(e, PackageError::TooSmall { size: 75 })
        }),
        ("wrong magic", Broken::with(|b| b.magic[0] ^= 1), |e| {
            matches!(e, PackageError::NoMagic { at: 64 })
        }),
        (
            "L off by 4",
            Broken::with(|b| b.length = Some(metadata_length + 4)),
            |e| matches!(e, PackageError::NoMagic { at: 60 }),
        ),
        (
            "L into the body",
            Broken::with(|b| b.length = Some(metadata_length + 60)),
            |e| matches!(e, PackageError::NoMagic { at: 4 }),
        ),
        ("L 0", Broken::with(|b| b.length = Some(0)), |e| {
            matches!(e, PackageError::MetadataLength { length: 0, .. })
        }),
        ("L 7", Broken::with(|b| b.length = Some(7)), |e| {
            matches!(e, PackageError::MetadataLength { .. })
        }),
        ("L 8", Broken::with(|b| b.length = Some(8)), |e| {
            matches!(e, PackageError::MetadataLength { .. })
        }),
        ("L 28", Broken::with(|b| b.length = Some(28)), |e| {
            matches!(e, PackageError::NoMagic { .. })
        }),
        (
            "L beyond the file",
            Broken::with(|b| b.length = Some(metadata_length + 65)),
            |e| matches!(e, PackageError::MetadataLength { .. }),
        ),
        (
            "L 0x7fffffff",
            Broken::with(|b| b.length = Some(0x7FFF_FFFF)),
            |e| matches!(e, PackageError::MetadataLength { .. }),
        ),
        ("L 0xffffffff", Broken::with(|b| b.length = Some(u32::MAX)), |e| {
            matches!(e, PackageError::MetadataLength { .. })
        }),
        ("count 0", Broken::with(|b| b.count = Some(0)), |e| {
            matches!(e, PackageError::SectionCount { count: 0, .. })
        }),
        ("count one less", Broken::with(|b| b.count = Some(4)), |e| {
            matches!(e, PackageError::JunkAfterSections { bytes: 16 })
        }),
        ("count one more", Broken::with(|b| b.count = Some(6)), |e| {
            matches!(e, PackageError::SectionOverflow { index: 5 })
        }),
        (
            "count a million",
            Broken::with(|b| b.count = Some(1_000_000)),
            |e| {
                matches!(
                    e,
                    PackageError::SectionCount {
                        count: 1_000_000,
                        limit: 34
                    }
                )
            },
        ),
        (
            "count ten million",
            Broken::with(|b| b.count = Some(10_000_000)),
            |e| matches!(e, PackageError::SectionCount { .. }),
        ),
        (
            "count 0xffffffff",
            Broken::with(|b| b.count = Some(u32::MAX)),
            |e| matches!(e, PackageError::SectionCount { .. }),
        ),
        (
            "empty section, count a million",
            {
                Broken::with(|b| {
                    b.sections.insert(2, (0, vec![], None));
                    b.count = Some(1_000_000);
                })
            },
            |e| matches!(e, PackageError::SectionCount { .. }),
        ),
        (
            "empty section",
            Broken::with(|b| b.sections.insert(2, (0x5656, vec![], None))),
            |e| {
                matches!(
                    e,
                    PackageError::EmptySection {
                        id: SectionId(0x5656)
                    }
                )
            },
        ),
        (
            "section length 0xffff",
            Broken::with(|b| b.sections[DB].2 = Some(0xFFFF)),
            |e| matches!(e, PackageError::SectionOverflow { index: 2 }),
        ),
        (
            "section one too long",
            Broken::with(|b| b.sections[DB].2 = Some(41)),
            |e| {
                matches!(
                    e,
                    PackageError::SectionSize {
                        id: SectionId::DEBUG,
                        size: 41,
                        wanted: 40
                    }
                )
            },
        ),
        (
            "last section covers the length field",
            Broken::with(|b| b.sections[ND].2 = Some(16)),
            |e| matches!(e, PackageError::SectionOverflow { index: 4 }),
        ),
        ("short ID", Broken::with(|b| b.payload(ID).truncate(35)), |e| {
            matches!(
                e,
                PackageError::SectionSize {
                    id: SectionId::IDENTITY,
                    size: 35,
                    wanted: 36
                }
            )
        }),
        ("short SG", Broken::with(|b| b.payload(SG).truncate(20)), |e| {
            matches!(
                e,
                PackageError::SectionSize {
                    id: SectionId::SIGNATURE,
                    ..
                }
            )
        }),
        ("short DB", Broken::with(|b| b.payload(DB).truncate(8)), |e| {
            matches!(
                e,
                PackageError::SectionSize {
                    id: SectionId::DEBUG,
                    ..
                }
            )
        }),
        ("short TP", Broken::with(|b| b.payload(TP).truncate(2)), |e| {
            matches!(
                e,
                PackageError::SectionSize {
                    id: SectionId::TEMPORARY,
                    ..
                }
            )
        }),
        (
            "short CM",
            Broken::with(|b| b.sections.push((SectionId::COMPRESSION.0, vec![0; 4], None))),
            |e| {
                matches!(
                    e,
                    PackageError::SectionSize {
                        id: SectionId::COMPRESSION,
                        ..
                    }
                )
            },
        ),
        ("long ID", Broken::with(|b| b.payload(ID).extend([0; 4])), |e| {
            matches!(
                e,
                PackageError::SectionSize {
                    id: SectionId::IDENTITY,
                    size: 40,
                    wanted: 36
                }
            )
        }),
        ("no SG", Broken::with(|b| b.drop_section(SG)), |e| {
            matches!(e, PackageError::Unsigned)
        }),
        ("no ID", Broken::with(|b| b.drop_section(ID)), |e| {
            matches!(e, PackageError::NoIdentity)
        }),
        (
            "two SG",
            Broken::with(|b| b.sections.push(b.sections[SG].clone())),
            |e| {
                matches!(
                    e,
                    PackageError::DuplicateSection {
                        id: SectionId::SIGNATURE
                    }
                )
            },
        ),
        (
            "two ID",
            Broken::with(|b| b.sections.push(b.sections[ID].clone())),
            |e| {
                matches!(
                    e,
                    PackageError::DuplicateSection {
                        id: SectionId::IDENTITY
                    }
                )
            },
        ),
        (
            "two TP",
            Broken::with(|b| b.sections.push(b.sections[TP].clone())),
            |e| {
                matches!(
                    e,
                    PackageError::DuplicateSection {
                        id: SectionId::TEMPORARY
                    }
                )
            },
        ),
        ("ND count 2 of 1", Broken::with(|b| b.payload(ND)[0] = 2), |e| {
            matches!(
                e,
                PackageError::SectionSize {
                    id: SectionId::DEPENDS,
                    size: 12,
                    wanted: 20
                }
            )
        }),
        (
            "ND count 0xffffffff",
            Broken::with(|b| b.payload(ND)[..4].fill(0xFF)),
            |e| {
                matches!(
                    e,
                    PackageError::SectionSize {
                        id: SectionId::DEPENDS,
                        ..
                    }
                )
            },
        ),
        ("ND count 0 of 1", Broken::with(|b| b.payload(ND)[0] = 0), |e| {
            matches!(
                e,
                PackageError::SectionSize {
                    id: SectionId::DEPENDS,
                    size: 12,
                    wanted: 4
                }
            )
        }),
        (
            "junk after the sections",
            Broken::with(|b| b.junk = vec![0; 8]),
            |e| matches!(e, PackageError::JunkAfterSections { bytes: 8 }),
        ),
        (
            "junk shorter than a header",
            Broken::with(|b| b.junk = vec![1; 3]),
            |e| matches!(e, PackageError::JunkAfterSections { bytes: 3 }),
        ),
        ("signing type 0", Broken::with(|b| b.payload(SG)[20] = 0), |e| {
            matches!(e, PackageError::UnsupportedSignature { kind: 0 })
        }),
        ("signing type 2", Broken::with(|b| b.payload(SG)[20] = 2), |e| {
            matches!(e, PackageError::UnsupportedSignature { kind: 2 })
        }),
        ("signing type 9", Broken::with(|b| b.payload(SG)[20] = 9), |e| {
            matches!(e, PackageError::UnsupportedSignature { kind: 9 })
        }),
        (
            "DER signature",
            Broken::with(|b| b.signature = Some(vec![0x30; 71])),
            |e| {
                matches!(
                    e,
                    PackageError::NoMagic { .. } | PackageError::MetadataLength { .. }
                )
            },
        ),
        (
            "96 zeros as signature",
            Broken::with(|b| b.signature = Some(vec![0; 96])),
            |e| matches!(e, PackageError::MetadataLength { length: 0, .. }),
        ),
        (
            "P-384",
            {
                Broken::with(|b| {
                    b.payload(SG)[20] = 2;
                    b.signature = Some(vec![0xA5; 96]);
                })
            },
            |e| matches!(e, PackageError::UnsupportedSignature { kind: 2 }),
        ),
        (
            "first boot loader",
            {
                Broken::with(|b| {
                    b.payload(ID)[0] = 1;
                    let information = [1_u32, 2, 3, 4, 5, 6, 7, 8].map(u32::to_le_bytes).concat();
                    b.signature = Some([information, vec![0xA5; 64]].concat());
                })
            },
            |e| matches!(e, PackageError::BootLoader),
        ),
        (
            "one byte appended",
            [Broken::new().bytes(), vec![0]].concat(),
            |e| {
                matches!(
                    e,
                    PackageError::MetadataLength { .. } | PackageError::NoMagic { .. }
                )
            },
        ),
    ];
    for (case, bytes, expected) in rows {
        let error = error(&bytes);
        assert!(expected(&error), "{case}: {error:?}");
        assert!(
            matches!(
                classify(&bytes, &trusting(&signer(1))).verdict,
                Verdict::Malformed(_)
            ),
            "{case}"
        );
    }
    for size in 1..=108 {
        error(&vec![0; size]);
    }
}

/// Kept: the case, the bytes, and what must be seen in it.
#[test]
fn accepted_with_open_eyes() {
    type Row = (&'static str, Vec<u8>, fn(&Package<'_>) -> bool);
    let rows: Vec<Row> = vec![
        ("no body", Broken::with(|b| b.body.clear()), |p| {
            p.body().is_empty() && lineside_image::Application::open(p).is_err()
        }),
        (
            "unknown section",
            Broken::with(|b| b.sections.push((0x5A5A, vec![9], None))),
            |p| {
                let kept = p.sections().iter().any(
                    |s| matches!(s, Section::Opaque { id: SectionId(0x5A5A), payload } if payload[..] == [9]),
                );
                kept && p.oddities() == [Oddity::UnknownSection(SectionId(0x5A5A))]
            },
        ),
        (
            "sections 0, AD, AP, LG",
            {
                Broken::with(|b| {
                    b.sections
                        .extend([0, 0x4441, 0x5041, 0x474C].map(|id| (id, vec![1, 2, 3, 4], None)))
                })
            },
            |p| {
                p.sections()
                    .iter()
                    .filter(|s| matches!(s, Section::Opaque { .. }))
                    .count()
                    == 4
                    && p.oddities() == [Oddity::UnknownSection(SectionId(0))]
            },
        ),
        ("name not UTF-8", Broken::with(|b| b.payload(DB)[8] = 0xFF), |p| {
            p.build().unwrap().name() == "\u{FFFD}ample"
        }),
        (
            "name of 32 bytes",
            Broken::with(|b| b.payload(DB)[8..].fill(b'x')),
            |p| p.build().unwrap().name() == "x".repeat(32),
        ),
        (
            "build time 2^63",
            Broken::with(|b| b.payload(DB)[..8].copy_from_slice(&(1_u64 << 63).to_le_bytes())),
            |p| p.build().unwrap().built == 1 << 63,
        ),
        ("ND type 7", Broken::with(|b| b.payload(ND)[8] = 7), |p| {
            p.depends()[0].to_string() == "Unknown(7)@12"
        }),
        ("TP 3", Broken::with(|b| b.payload(TP)[0] = 3), |p| {
            let flags = p.temporary().unwrap();
            flags.contains(TemporaryFlags::REMOVE_AT_BOOT)
                && flags.contains(TemporaryFlags::UNDER_DEVELOPMENT)
        }),
        ("type 99", Broken::with(|b| b.payload(ID)[0] = 99), |p| {
            p.image_type().to_string() == "Unknown(99)"
                && p.oddities() == [Oddity::UnassignedImageType(ImageType(99))]
        }),
        ("type 11", Broken::with(|b| b.payload(ID)[0] = 11), |p| {
            p.oddities().len() == 1
        }),
        ("reserved not 0", Broken::with(|b| b.payload(ID)[2] = 5), |p| {
            p.oddities() == [Oddity::ReservedNotZero(5)]
        }),
        (
            "no ND, no TP, no DB",
            Broken::with(|b| b.sections.truncate(2)),
            |p| p.depends().is_empty() && p.temporary().is_none() && p.build().is_none(),
        ),
        (
            "sections in another order",
            Broken::with(|b| b.sections.reverse()),
            |p| matches!(p.sections()[0], Section::Depends(_)),
        ),
    ];
    for (case, bytes, seen) in rows {
        let package = Package::parse(&bytes).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(seen(&package), "{case}: {package:?}");
        assert_eq!(
            package.classify(&trusting(&signer(1))).verdict,
            Verdict::ProductionVerified,
            "{case}"
        );
    }
}

#[test]
fn signatures_that_do_not_hold() {
    let trust = trusting(&signer(1));
    let good = Broken::new().bytes();
    let with = |signature: [u8; 64]| {
        let mut bad = good.clone();
        let at = bad.len() - 64;
        bad[at..].copy_from_slice(&signature);
        classify(&bad, &trust).verdict
    };
    assert_eq!(with([0; 64]), Verdict::Tampered);
    assert_eq!(with([0xFF; 64]), Verdict::Tampered);
    assert_eq!(with(signer(2).sign(&good[..good.len() - 64])), Verdict::Tampered);
    let mut flipped = good.clone();
    flipped[3] ^= 1;
    assert_eq!(classify(&flipped, &trust).verdict, Verdict::Tampered);
    assert_eq!(
        classify(&good, &TrustList::new()).verdict,
        Verdict::ProductionUnverified
    );

    let mut twin: [u8; 64] = good[good.len() - 64..].try_into().unwrap();
    let s = support::twin_of(&twin[32..].try_into().unwrap());
    twin[32..].copy_from_slice(&s);
    assert_eq!(with(twin), Verdict::ProductionVerified);
}

/// Each way through `image-package.md` 5, warnings included.
#[test]
fn classification() {
    let blink = support::blink();
    let sdk = Package::parse(&blink).unwrap();
    let own = signer(1);
    let package = |signer: &Signer| sample(&[1; 4096], signer);

    // A key that somebody trusts under the SDK's name, or the SDK's key under another name, makes no production image.
    let mut confused = TrustList::new();
    confused.add(sdk.signing().thumbprint, own.public_key());
    assert_eq!(sdk.classify(&confused).verdict, Verdict::SdkSigned);
    let renamed = Signer::new(
        lineside_image::SigningKey::from_secret(&[1; 32]).unwrap(),
        sdk.signing().thumbprint,
    );
    assert_eq!(classify(&package(&renamed), &confused).verdict, Verdict::Tampered);

    let marked = classify(&package(&own), &trusting(&own));
    assert_eq!(marked.verdict, Verdict::ProductionVerified);
    assert_eq!(
        marked.warnings,
        [Warning::UnderDevelopmentByOtherSigner(own.thumbprint())]
    );
    let unknown = classify(&package(&own), &TrustList::new());
    assert_eq!(unknown.verdict, Verdict::ProductionUnverified);

    let mut bench = TrustList::new();
    bench.add_development(own.thumbprint(), own.public_key());
    let development = classify(&package(&own), &bench);
    assert_eq!(
        (development.verdict, development.warnings),
        (Verdict::SdkSigned, vec![])
    );
}

/// Every kind of section goes through composer and parser and comes out the same.
#[test]
fn every_kind_of_section_survives() {
    let signer = signer(3);
    let abi = |version, kind| AbiVersion { version, kind };
    let composer = composer()
        .section(Section::Opaque {
            id: SectionId(0x5A5A),
            payload: vec![1].into(),
        })
        .section(Section::Opaque {
            id: SectionId::LEGACY,
            payload: vec![2; 5].into(),
        })
        .policy(lineside_image::ImagePolicy(3))
        .required_offset(0x1000)
        .revocation(4)
        .compression(Compression {
            uncompressed_size: 99,
            kind: 1,
        })
        .provides(vec![
            abi(5, AbiKind::OS_RUNTIME),
            abi(6, AbiKind::SECURE_WORLD_RUNTIME),
        ])
        .fixed_size(16384);
    let bytes = composer.compose(b"body!", &signer).unwrap();
    assert_eq!(bytes.len(), 16384);
    let package = Package::parse(&bytes).unwrap();
    assert!(package.body().starts_with(b"body!\0\0\0"));
    let ids: String = package
        .sections()
        .iter()
        .map(|section| section.id().to_string() + " ")
        .collect();
    assert_eq!(ids, "ID SG DB TP ND NP CM RV RO IP LG ZZ ");
    assert_eq!(
        package.compression(),
        Some(Compression {
            uncompressed_size: 99,
            kind: 1
        })
    );
    assert_eq!(package.provides().len(), 2);
    assert_eq!(package.policy(), Some(lineside_image::ImagePolicy(3)));
    assert!(package.sections().contains(&Section::Revocation(4)));
    assert!(package.sections().contains(&Section::RequiredOffset(0x1000)));
    assert_eq!(
        package.classify(&trusting(&signer)).verdict,
        Verdict::ProductionVerified
    );

    let small = composer.fixed_size(64).compose(b"body!", &signer).unwrap_err();
    assert!(matches!(
        small,
        lineside_image::ComposeError::FixedSizeTooSmall { size: 64, .. }
    ));
}
