//! The test vectors of `image-package.md` 11.2.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use lineside_image::{
    AbiVersion, Application, CapabilityRecord, Composer, Filesystem, Package, SDK_PUBLIC_KEY, SDK_THUMBPRINT,
    Section, TemporaryFlags, TrustList, Verdict, classify,
};
use lineside_terms::{Capability, ImageType};
use support::{real, sha256};

struct Vector {
    key: &'static str,
    image_type: u16,
    component: &'static str,
    image: &'static str,
    name: &'static str,
    built: u64,
    runtime: Option<u32>,
    signed_digest: &'static str,
    signature: &'static str,
    metadata: &'static str,
}

const CAP_THUMBPRINT: &str = "48a80ed96d2618d6083e5a6604d963b258e486ae";

const VECTORS: [Vector; 5] = [
    Vector {
        key: "blink",
        image_type: 10,
        component: "2f074b0f-d99d-4692-82d9-ef93a7d6463c",
        image: "6415a939-c098-48cf-8e5c-02b52a9f0ffb",
        name: "AzureSphereBlinkTest",
        built: 1_654_786_668,
        runtime: Some(12),
        signed_digest: "0fcd5b854034ad60ded78c70fce2338638b389b775ad688bf94a62f7349fabd7",
        signature: "f8bc4244fda665576b3b437b7efe1a0edf8a0f336f497baf2570458ddfda5c40e73be3f0e89f97c9c0eab9fcf7a1e6f6992453f226a6b640c84c537d3abe0b63",
        metadata: "3458344d05000000494424000a0000000f4b072f9dd9924682d9ef93a7d6463c39a9156498c0cf488e5c02b52a9f0ffb53471800a8d5cc6958f48710140d7a26160fc1cfc31f5df001000000444228006c0aa26200000000417a757265537068657265426c696e6b5465737400000000000000000000000054500400020000004e440c00010000000c0000000300000094000000",
    },
    Vector {
        key: "mut",
        image_type: 10,
        component: "ae4714aa-03aa-492b-9663-962f966a9cc3",
        image: "af0156c9-acb9-46cc-9aaa-5354e8177966",
        name: "MutableStorage",
        built: 1_656_326_859,
        runtime: Some(12),
        signed_digest: "83d87e2bd1ab9c29a4eb60a3567f0738a854c34b45cea25be71b46eea2ded40c",
        signature: "9e5fa71267fa46999c3b6bd70fb78988084b292a707e2feb2566ab2f2c2b61b9de05e832973ecc44e44f67ba648131194a2fbb0eaa11e0ede146c8d2149ca246",
        metadata: "3458344d05000000494424000a000000aa1447aeaa032b499663962f966a9cc3c95601afb9accc469aaa5354e817796653471800a8d5cc6958f48710140d7a26160fc1cfc31f5df00100000044422800cb8ab962000000004d757461626c6553746f7261676500000000000000000000000000000000000054500400020000004e440c00010000000c0000000300000094000000",
    },
    Vector {
        key: "anv",
        image_type: 10,
        component: "1689d8b2-c835-2e27-27ad-e894d6d15fa9",
        image: "c25d88f4-9900-4a8e-9d2c-afc199c28151",
        name: "Anvil Test App",
        built: 1_599_709_238,
        runtime: Some(5),
        signed_digest: "31d7b5b644c814a2f85bfda0428370a5993eb49682eb0fd983cea0091490a5b8",
        signature: "ca16aacc9c52caa0e0a5d56ea308c9fcb42de18f24a86e38ba43c09ba9688e1155f30ae88bb743b2f808a1688f5b9580f10075029c9e660a8907f54ab386ba82",
        metadata: "3458344d05000000494424000a000000b2d8891635c8272e27ade894d6d15fa9f4885dc200998e4a9d2cafc199c2815153471800a8d5cc6958f48710140d7a26160fc1cfc31f5df0010000004442280036a0595f00000000416e76696c20546573742041707000000000000000000000000000000000000054500400020000004e440c0001000000050000000300000094000000",
    },
    Vector {
        key: "wiz",
        image_type: 10,
        component: "0e3d632e-03b1-48e7-a9c2-3f5063ad0870",
        image: "2b1494a2-6023-4d75-9e5c-418ad429fc67",
        name: "APP_AZURE_LINUX_HELLO",
        built: 1_571_057_101,
        runtime: Some(3),
        signed_digest: "04cdb61051709e6310bf178c783119e761d2b7a6bf6adf18333e268fe63c87cb",
        signature: "7a3f1e6fa828d0b490aaa5fdfe40dd4c199405914a6d82e6767fa8676daf61b3500319fa9f9d301c7d0197d0ace57aae43956051b7e01f6f8949b843b6158d07",
        metadata: "3458344d05000000494424000a0000002e633d0eb103e748a9c23f5063ad0870a294142b2360754d9e5c418ad429fc6753471800a8d5cc6958f48710140d7a26160fc1cfc31f5df00100000044422800cd6da45d000000004150505f415a5552455f4c494e55585f48454c4c4f000000000000000000000054500400020000004e440c0001000000030000000300000094000000",
    },
    Vector {
        key: "cap",
        image_type: 13,
        component: "4128b5d8-abc2-4155-9a33-8a1f31ed67ec",
        image: "e52ee570-ac25-4b5a-a78d-204b7a6d5cba",
        name: "fw_config",
        built: 1_594_868_174,
        runtime: None,
        signed_digest: "1ad6afa3be2da6b68c2d20151005f178a31b7d91300bc4ceaecd4c343c4e68ca",
        signature: "3a562743b00d9add33aee11e89dcc403ace38748b25de50e9c22aa85b301ae44ba7786ebd5cd207f02c06653f8131051665a091949b47390075264f56b9bc530",
        metadata: "3458344d03000000494424000d000000d8b52841c2ab55419a338a1f31ed67ec70e52ee525ac5a4ba78d204b7a6d5cba5347180048a80ed96d2618d6083e5a6604d963b258e486ae0100000044422800cec10f5f0000000066775f636f6e66696700000000000000000000000000000000000000000000007c000000",
    },
];

struct File {
    key: &'static str,
    name: &'static str,
    sha256: &'static str,
    body: usize,
    body_sha256: &'static str,
    manifest: (usize, &'static str),
    program: (usize, &'static str),
}

const FILES: [File; 3] = [
    File {
        key: "blink",
        name: "azure_sphere_blink.imagepackage",
        sha256: "4b4217a3eec5f9389e4410a6d97fd38fca0f5496850bb1594ce245461bd8784d",
        body: 16384,
        body_sha256: "85a402169131ceb6387af94ea7216d8e1b18d0c248ba48f0fef60673aa716edd",
        manifest: (
            267,
            "32dace9f7aaf2d4b0249c902d8a683a8a9b182221e4d3f158bfede77190cb394",
        ),
        program: (
            5592,
            "8865eb6d61c386219bffb1a8d3dd7603da37970d4302e86979b11d0c4a1dc150",
        ),
    },
    File {
        key: "mut",
        name: "MutableStorage.imagepackage",
        sha256: "d31259feff30d7e9b0f53e2a2f7f8c40fd158a6e01a60d0a0a15bc709707d413",
        body: 20480,
        body_sha256: "845fd57bcd7ab089d7c279f64e8cafbb1e7201cdab39f2044e9e15577020a780",
        manifest: (
            262,
            "9746eb345cd52fee95933cfe6704efba96249f349ac650cee4eef9e219e305d0",
        ),
        program: (
            9768,
            "cb43b8ebf4b27a3e660bf3593a1a56ffcc7008b80b579498482bcb3b836aa247",
        ),
    },
    File {
        key: "anv",
        name: "anvil_test_app.imagepackage",
        sha256: "44437ddf574d43c59a4ada17d12544dfe56e2bb51ce823624084afd0386ce089",
        body: 28672,
        body_sha256: "a70f0f829607e1ca9554d14e752dc2b292c15669143772d4198975501e2531fb",
        manifest: (
            261,
            "a40df0aaeb285955578c22c203e3b3645cc48cda449f97a43629e08f97030010",
        ),
        program: (
            18108,
            "eeb1bcc35d9c66b11af274cb448185d9a373f99e1074cd4b40872a12392ef2dc",
        ),
    },
];

fn vector(key: &str) -> &'static Vector {
    VECTORS.iter().find(|vector| vector.key == key).unwrap()
}

fn signature(vector: &Vector) -> [u8; 64] {
    hex::decode(vector.signature).unwrap().try_into().unwrap()
}

#[test]
fn metadata_blocks() {
    for vector in &VECTORS {
        let metadata = hex::decode(vector.metadata).unwrap();
        let file = [&metadata[..], &signature(vector)].concat();
        let package = Package::parse(&file).unwrap_or_else(|error| panic!("{}: {error}", vector.key));
        assert_eq!(package.body(), b"");
        assert_eq!(package.raw_metadata(), metadata);
        assert_eq!(package.image_type(), ImageType(vector.image_type));
        assert_eq!(package.component().to_string(), vector.component);
        assert_eq!(package.image().to_string(), vector.image);
        let build = package.build().unwrap();
        assert_eq!((&*build.name(), build.built), (vector.name, vector.built));
        let ids: String = package
            .sections()
            .iter()
            .map(|section| section.id().to_string() + " ")
            .collect();
        match vector.runtime {
            Some(version) => {
                assert_eq!(ids, "ID SG DB TP ND ");
                assert_eq!(package.temporary(), Some(TemporaryFlags::UNDER_DEVELOPMENT));
                assert_eq!(package.depends(), [AbiVersion::application_runtime(version)]);
                assert_eq!(
                    package.depends()[0].to_string(),
                    format!("ApplicationRuntime@{version}")
                );
                assert_eq!(package.signing().thumbprint, SDK_THUMBPRINT);
            }
            None => {
                assert_eq!(ids, "ID SG DB ");
                assert_eq!((package.temporary(), package.depends()), (None, &[][..]));
                assert_eq!(package.signing().thumbprint.to_string(), CAP_THUMBPRINT);
            }
        }
        assert_eq!(package.oddities(), []);
    }
}

#[test]
fn every_metadata_block_is_composed_again_byte_for_byte() {
    for vector in &VECTORS {
        let file = [hex::decode(vector.metadata).unwrap(), signature(vector).to_vec()].concat();
        let package = Package::parse(&file).unwrap();
        let composer = Composer::new(package.image_type(), package.component(), package.image());
        let composer = package
            .sections()
            .iter()
            .fold(composer, |composer, section| match section {
                Section::Opaque { .. } => panic!("the vectors have no opaque sections"),
                Section::Build(build) => composer.section(Section::Build(*build)),
                Section::Temporary(flags) => composer.temporary(*flags),
                Section::Depends(depends) => composer.depends(depends.clone()),
                _ => composer,
            });
        let again = composer.unsigned(b"", package.signing().thumbprint).unwrap();
        assert_eq!(hex::encode(again), vector.metadata, "{}", vector.key);
    }
}

/// Signatures by digest, which need no file: only the capability file is not the SDK's.
#[test]
fn signatures_over_digests() {
    use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
    let point = [&[4][..], &SDK_PUBLIC_KEY.to_xy()].concat();
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).unwrap();
    for vector in &VECTORS {
        let digest = hex::decode(vector.signed_digest).unwrap();
        let signature = p256::ecdsa::Signature::from_slice(&signature(vector)).unwrap();
        assert_eq!(
            key.verify_prehash(&digest, &signature).is_ok(),
            vector.key != "cap",
            "{}",
            vector.key
        );
    }
}

#[test]
fn whole_files() {
    for file in &FILES {
        let bytes = real(file.name);
        assert_eq!(sha256(&bytes), file.sha256, "{}", file.name);
        let package = Package::parse(&bytes).unwrap();
        assert_eq!(package.digest().to_string(), file.sha256);
        assert_eq!(package.body().len(), file.body);
        assert_eq!(sha256(package.body()), file.body_sha256);
        assert_eq!(hex::encode(package.raw_metadata()), vector(file.key).metadata);
        assert_eq!(sha256(package.signed_bytes()), vector(file.key).signed_digest);
        assert_eq!(*package.signature(), signature(vector(file.key)));
        assert!(SDK_PUBLIC_KEY.verify(package.signed_bytes(), package.signature()));

        let classification = package.classify(&TrustList::new());
        assert_eq!(
            (classification.verdict, classification.warnings),
            (Verdict::SdkSigned, vec![])
        );

        let filesystem = Filesystem::read(package.body()).unwrap();
        let paths: Vec<_> = filesystem
            .entries()
            .map(|entry| (entry.path, entry.is_executable))
            .collect();
        let expected = [("/app_manifest.json", false), ("/bin", false), ("/bin/app", true)];
        assert_eq!(
            paths,
            expected.map(|(path, executable)| (path.to_owned(), executable))
        );
        let manifest = filesystem.file("/app_manifest.json").unwrap();
        assert_eq!((manifest.len(), sha256(manifest).as_str()), file.manifest);

        let application = Application::open(&package).unwrap();
        assert_eq!(
            (
                application.program().len(),
                sha256(application.program()).as_str()
            ),
            file.program
        );
        assert_eq!(application.findings(), []);
        assert_eq!(application.manifest().name, vector(file.key).name);
    }
}

#[test]
fn bodies_are_rebuilt_byte_for_byte_from_their_trees() {
    for file in &FILES {
        let bytes = real(file.name);
        let package = Package::parse(&bytes).unwrap();
        let entries: Vec<_> = Filesystem::read(package.body()).unwrap().entries().collect();
        let body = lineside_image::pack_filesystem(&entries).unwrap();
        assert!(body == package.body(), "{} differs", file.name);
    }
}

#[test]
fn the_capability_file() {
    let bytes = real("dev_enable_caps.bin");
    assert_eq!(
        sha256(&bytes),
        "982172c61834da4c909670edca48b7021c3098be8a78cce1b7976d8636fb88f4"
    );
    let package = Package::parse(&bytes).unwrap();
    assert_eq!(sha256(package.signed_bytes()), vector("cap").signed_digest);
    assert!(
        !SDK_PUBLIC_KEY.verify(package.signed_bytes(), package.signature()),
        "it is not signed by the SDK"
    );
    assert_eq!(
        package.classify(&TrustList::new()).verdict,
        Verdict::ProductionUnverified
    );

    let record = CapabilityRecord::of(&package).unwrap();
    assert_eq!(record.capabilities, [Capability::APP_DEVELOPMENT]);
    assert_eq!(record.compose().unwrap(), package.body());
    let shown = format!("{record:?}");
    assert!(!shown.contains(&record.device.to_string()), "{shown}");
}

/// The same file put together from the parts that the reference prints.
#[test]
fn the_capability_file_from_its_parts() {
    let record = CapabilityRecord {
        device: "7bee580b2eb6391d272ab42bf62fddcc4e0aab7475c0b1affb0d5ce24f2aacba1e424224d6b571005518aefd89a900d9a33eb2e8795598cf63826e348cbcdaa2".parse().unwrap(),
        capabilities: vec![Capability::APP_DEVELOPMENT],
    };
    let metadata = hex::decode(vector("cap").metadata).unwrap();
    let file = [
        record.compose().unwrap(),
        metadata,
        signature(vector("cap")).to_vec(),
    ]
    .concat();
    assert_eq!(file.len(), 392);
    assert_eq!(
        sha256(&file),
        "982172c61834da4c909670edca48b7021c3098be8a78cce1b7976d8636fb88f4"
    );
}

#[test]
fn composing_pads_and_orders_as_the_vendor_does() {
    let composer = Composer::new(
        ImageType::CUSTOMER_BOARD_CONFIG,
        "01234567-89ab-cdef-0123-456789abcdef".parse().unwrap(),
        "fedcba98-7654-3210-fedc-ba9876543210".parse().unwrap(),
    );
    assert_eq!(
        hex::encode(composer.unsigned(b"abcde", SDK_THUMBPRINT).unwrap()),
        "61626364650000003458344d02000000494424001500000067452301ab89efcd0123456789abcdef98badcfe54761032fedcba9876543210\
         53471800a8d5cc6958f48710140d7a26160fc1cfc31f5df00100000050000000"
    );
}

#[test]
fn one_flipped_bit_anywhere_is_noticed() {
    let good = real("azure_sphere_blink.imagepackage");
    let trust = TrustList::new();
    // Every byte of the metadata and the signature, and a sample of the body.
    let places = (0..16384).step_by(509).chain(16384..good.len());
    for at in places {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        let verdict = classify(&bad, &trust).verdict;
        match verdict {
            Verdict::Tampered | Verdict::Malformed(_) => {}
            // A thumbprint of nobody: nothing can be said but that it is not the SDK's.
            Verdict::ProductionUnverified => {
                let package = Package::parse(&bad).unwrap();
                assert_ne!(package.signing().thumbprint, SDK_THUMBPRINT, "byte {at}");
            }
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

/// (r, n − s) holds as well as (r, s), for high and low s alike (`image-package.md` 3).
#[test]
fn a_malleated_signature_is_accepted() {
    for file in &FILES {
        let mut bytes = real(file.name);
        let at = bytes.len() - 32;
        let twin = support::twin_of(&bytes[at..].try_into().unwrap());
        bytes[at..].copy_from_slice(&twin);
        assert_eq!(
            classify(&bytes, &TrustList::new()).verdict,
            Verdict::SdkSigned,
            "{}",
            file.name
        );
    }
}
