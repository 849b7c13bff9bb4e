//! Packing applications and board configurations, and looking into them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use lineside_image::{
    AbiVersion, AppManifest, Application, ApplicationSource, ApplicationType, BoardConfigSource, Composer,
    Entry, Filesystem, Finding, ImageError, ManifestError, Package, TemporaryFlags, Verdict,
    pack_application, pack_board_config, pack_filesystem,
};
use lineside_terms::{Blame, Explain, ImageId, ImageType};
use proptest::prelude::*;
use support::{blink, real, signer, trusting};

const COMPONENT: &str = "2f074b0f-d99d-4692-82d9-ef93a7d6463c";

const MANIFEST: &str = r#"{
    "SchemaVersion": 1,
    "Name": "Sample with \"quotes\" and a long name",
    "ComponentId": "2F074B0F-D99D-4692-82D9-EF93A7D6463C",
    "EntryPoint": "/bin/app",
    "CmdArgs": [ "--port", "1 2" ],
    "Capabilities": {
        "Gpio": [ 8, 9 ], "Uart": ["ISU0"], "AllowedTcpServerPorts": [ 4242 ],
        "AllowedConnections": [ "example.com" ],
        "AllowedApplicationConnections": [ "005180bc-402f-4cb3-a662-72937dbcde47" ],
        "MutableStorage": { "SizeKB": 8 }, "PowerControls": [ "ForceReboot" ],
        "DeviceAuthentication": "77304f1f-9530-4157-8598-30bc1f3d66f0",
        "WifiConfig": true, "SystemTime": false, "Novel": [ 1 ]
    },
    "ApplicationType": "Default"
}"#;

fn image() -> ImageId {
    ImageId::from_u128(77)
}

fn files() -> Vec<(String, Vec<u8>)> {
    vec![
        ("/bin/app".into(), b"\x7FELF program".to_vec()),
        ("data/table.bin".into(), vec![1; 4096]),
    ]
}

fn source<'a>(manifest: &'a str, files: &'a [(String, Vec<u8>)]) -> ApplicationSource<'a> {
    ApplicationSource {
        manifest: manifest.as_bytes(),
        files,
        executables: &[],
        image: image(),
        built: 1_700_000_000,
        runtime_version: 12,
        temporary: None,
    }
}

#[test]
fn an_application_is_packed_signed_and_opened() {
    let (signer, files) = (signer(1), files());
    let bytes = pack_application(&source(MANIFEST, &files), &signer).unwrap();
    assert_eq!(
        bytes,
        pack_application(&source(MANIFEST, &files), &signer).unwrap(),
        "packing is deterministic"
    );
    let package = Package::parse(&bytes).unwrap();
    assert_eq!(package.image_type(), ImageType::APPLICATION);
    assert_eq!(
        (package.component().to_string().as_str(), package.image()),
        (COMPONENT, image())
    );
    assert_eq!(
        package.build().unwrap().name(),
        "Sample with \"quotes\" and a long"
    );
    assert_eq!(package.depends(), [AbiVersion::application_runtime(12)]);
    assert_eq!(
        package.temporary(),
        None,
        "a production image says nothing of being temporary"
    );
    let classification = package.classify(&trusting(&signer));
    assert_eq!(
        (classification.verdict, classification.warnings),
        (Verdict::ProductionVerified, vec![])
    );

    let application = Application::open(&package).unwrap();
    assert_eq!(application.findings(), []);
    assert_eq!(application.program(), files[0].1);
    assert_eq!(
        application.filesystem().file("/data/table.bin"),
        Some(&files[1].1[..])
    );
    let executables: Vec<_> = application
        .filesystem()
        .entries()
        .filter(|e| e.is_executable)
        .map(|e| e.path)
        .collect();
    assert_eq!(executables, ["/bin/app"]);
    let manifest = application.manifest();
    assert_eq!(manifest.cmd_args, ["--port", "1 2"]);
    assert_eq!(manifest.application_type, ApplicationType::Default);
    assert_eq!(manifest.target_runtime_version, Some(12));
    let may = &manifest.capabilities;
    assert_eq!(
        (&may.gpio[..], &may.uart[..]),
        (&[8, 9][..], &["ISU0".to_owned()][..])
    );
    assert_eq!(
        (&may.allowed_tcp_server_ports[..], may.mutable_storage_kib),
        (&[4242][..], Some(8))
    );
    assert_eq!(
        (
            may.allowed_connections.len(),
            may.allowed_application_connections.len()
        ),
        (1, 1)
    );
    assert_eq!(may.power_controls, ["ForceReboot"]);
    assert!(may.device_authentication.is_some());
    assert_eq!(may.granted.iter().collect::<Vec<_>>(), ["WifiConfig"]);
    assert_eq!(may.unknown.iter().collect::<Vec<_>>(), ["Novel"]);
}

#[test]
fn the_manifest_is_rewritten_as_the_packer_does() {
    let files = files();
    let bytes = pack_application(&source(MANIFEST, &files), &signer(1)).unwrap();
    let package = Package::parse(&bytes).unwrap();
    let filesystem = Filesystem::read(package.body()).unwrap();
    let manifest = str::from_utf8(filesystem.file("app_manifest.json").unwrap()).unwrap();
    assert!(manifest.starts_with(
        r#"{"SchemaVersion":1,"Name":"Sample with \"quotes\" and a long name","ComponentId":"2F074B0F-D99D-4692-82D9-EF93A7D6463C","EntryPoint":"/bin/app","CmdArgs":["--port","1 2"],"Capabilities":{"Gpio":[8,9],"#
    ), "{manifest}");
    assert!(
        manifest.ends_with(r#""ApplicationType":"Default","TargetApplicationRuntimeVersion":12}"#),
        "{manifest}"
    );
}

/// The packer turns the contents of the real packages into the same bodies and, with the metadata given, everything up
/// to the signature.
#[test]
fn the_real_applications_are_packed_again() {
    for name in [
        "azure_sphere_blink.imagepackage",
        "MutableStorage.imagepackage",
        "anvil_test_app.imagepackage",
    ] {
        let bytes = real(name);
        let package = Package::parse(&bytes).unwrap();
        let application = Application::open(&package).unwrap();
        let manifest = application.filesystem().file("app_manifest.json").unwrap();
        // As a developer would have written it: with white space and without what the packer adds.
        let pretty = str::from_utf8(manifest).unwrap().replace(',', " ,\r\n\t");
        let source = ApplicationSource {
            manifest: pretty.as_bytes(),
            files: &[("/bin/app".into(), application.program().to_vec())],
            executables: &[],
            image: package.image(),
            built: package.build().unwrap().built,
            runtime_version: application.manifest().target_runtime_version.unwrap(),
            temporary: package.temporary(),
        };
        let key = lineside_image::SigningKey::from_secret(&[9; 32]).unwrap();
        let signer = lineside_image::Signer::new(key, package.signing().thumbprint);
        let packed = pack_application(&source, &signer).unwrap();
        assert!(
            Package::parse(&packed).unwrap().signed_bytes() == package.signed_bytes(),
            "{name}"
        );
    }
}

#[test]
fn a_real_time_application_names_no_runtime() {
    let manifest = MANIFEST
        .replace("\"Default\"", "\"RealTimeCapable\"")
        .replace("/bin/app", "app.axf");
    let files = vec![("app.axf".to_owned(), vec![1])];
    let bytes = pack_application(&source(&manifest, &files), &signer(1)).unwrap();
    let package = Package::parse(&bytes).unwrap();
    assert_eq!(package.depends(), []);
    let application = Application::open(&package).unwrap();
    assert_eq!(
        (
            application.manifest().target_runtime_version,
            application.findings()
        ),
        (None, &[][..])
    );
    assert_eq!(application.program(), [1]);
}

#[test]
fn a_board_configuration_is_an_opaque_image_of_type_21() {
    let source = BoardConfigSource {
        name: "ethernet",
        body: b"opaque",
        component: COMPONENT.parse().unwrap(),
        image: image(),
        built: 5,
        temporary: Some(TemporaryFlags::UNDER_DEVELOPMENT),
    };
    let bytes = pack_board_config(&source, &signer(1)).unwrap();
    let package = Package::parse(&bytes).unwrap();
    assert_eq!(package.image_type(), ImageType::CUSTOMER_BOARD_CONFIG);
    assert_eq!(package.body(), b"opaque\0\0");
    assert_eq!(package.build().unwrap().name(), "ethernet");
    let nil = BoardConfigSource {
        component: "00000000-0000-0000-0000-000000000000".parse().unwrap(),
        ..source
    };
    assert_eq!(
        pack_board_config(&nil, &signer(1)).unwrap_err().code(),
        "image.nil-component"
    );
}

#[test]
fn what_cannot_be_packed() {
    let files = files();
    let pack = |manifest: &str, files: &[(String, Vec<u8>)]| {
        pack_application(&source(manifest, files), &signer(1)).unwrap_err()
    };
    let absent = pack(&MANIFEST.replace("/bin/app", "/bin/other"), &files);
    assert_eq!(
        absent,
        ImageError::Manifest(ManifestError::EntryPointAbsent {
            path: "/bin/other".into()
        })
    );
    let directory = pack(&MANIFEST.replace("/bin/app", "/bin"), &files);
    assert_eq!(
        directory,
        ImageError::Manifest(ManifestError::EntryPointNotAFile { path: "/bin".into() })
    );
    let nil = pack(
        &MANIFEST.replace(
            "2F074B0F-D99D-4692-82D9-EF93A7D6463C",
            "00000000-0000-0000-0000-000000000000",
        ),
        &files,
    );
    assert_eq!((nil.code(), nil.blame()), ("image.nil-component", Blame::Supply));
    let twice = [files.clone(), vec![("app_manifest.json".into(), b"{}".to_vec())]].concat();
    assert!(matches!(pack(MANIFEST, &twice), ImageError::Filesystem(_)));
    let unresolved = pack(&MANIFEST.replace("[ 8, 9 ]", "[ \"$LED\" ]"), &files);
    assert_eq!(
        unresolved,
        ImageError::Manifest(ManifestError::Unresolved { name: "$LED".into() })
    );
}

/// A package whose metadata says what its manifest does not.
#[test]
fn contradictions_are_found() {
    let manifest = MANIFEST.replace(
        "\"ApplicationType\": \"Default\"",
        "\"TargetApplicationRuntimeVersion\": 5",
    );
    let entries = [
        Entry {
            path: "/app_manifest.json".into(),
            data: Some(manifest.as_bytes()),
            is_executable: false,
        },
        Entry {
            path: "/bin/app".into(),
            data: Some(b"x"),
            is_executable: true,
        },
    ];
    let body = pack_filesystem(&entries).unwrap();
    let findings = |composer: Composer| {
        let bytes = composer.compose(&body, &signer(1)).unwrap();
        let package = Package::parse(&bytes).unwrap();
        Application::open(&package).unwrap().findings().to_vec()
    };
    let good = |component: &str| {
        Composer::new(ImageType::APPLICATION, component.parse().unwrap(), image())
            .build("Sample with \"quotes\" and a long name", 1)
            .depends(vec![AbiVersion::application_runtime(5)])
    };
    assert_eq!(findings(good(COMPONENT)), []);
    let other = findings(good("00000000-0000-0000-0000-000000000000"));
    assert!(
        matches!(
            other[..],
            [Finding::ComponentDiffers { .. }, Finding::NilComponent]
        ),
        "{other:?}"
    );
    let other = findings(good(COMPONENT).depends(vec![AbiVersion::application_runtime(12)]));
    assert_eq!(
        other,
        [Finding::RuntimeDiffers {
            package: vec![AbiVersion::application_runtime(12)],
            manifest: Some(5)
        }]
    );
    assert_eq!(
        other[0].to_string(),
        "the package depends on [ApplicationRuntime@12], its manifest on runtime 5"
    );
    let other = findings(good(COMPONENT).build("Another", 1));
    assert!(matches!(&other[..], [Finding::NameDiffers { package, .. }] if package == "Another"));
    let bare = findings(Composer::new(
        ImageType::SERVICES,
        COMPONENT.parse().unwrap(),
        image(),
    ));
    let [
        Finding::ImageType(ImageType::SERVICES),
        Finding::NameDiffers { .. },
        Finding::RuntimeDiffers { .. },
    ] = &bare[..]
    else {
        panic!("{bare:?}")
    };
}

/// A name of many-byte characters is cut between them here, and may be cut within one by another packer.
#[test]
fn a_long_name_beyond_ascii_is_cut_cleanly() {
    let manifest = MANIFEST.replace("Sample with \\\"quotes\\\" and a long name", &"é".repeat(20));
    let files = files();
    let bytes = pack_application(&source(&manifest, &files), &signer(1)).unwrap();
    let package = Package::parse(&bytes).unwrap();
    assert_eq!(package.build().unwrap().name(), "é".repeat(15));
    assert_eq!(Application::open(&package).unwrap().findings(), []);
}

#[test]
fn an_image_without_manifest_is_no_application() {
    let body = pack_filesystem(&[Entry {
        path: "/x".into(),
        data: Some(b"x"),
        is_executable: false,
    }])
    .unwrap();
    let bytes = support::sample(&body, &signer(1));
    let error = Application::open(&Package::parse(&bytes).unwrap()).unwrap_err();
    assert_eq!(error, ImageError::Manifest(ManifestError::Missing));
    assert_eq!(error.code(), "image.manifest-missing");
}

/// Every way to get a manifest wrong, with the number that a device gives for it (`image-package.md` 12, category 2).
#[test]
fn manifest_errors_have_the_numbers_of_the_device() {
    let base = MANIFEST.replace("\r\n", "\n");
    assert!(AppManifest::parse(base.as_bytes()).is_ok());
    let rows: &[(&str, &str, u16)] = &[
        ("{", "[", 1),
        (
            "\"SchemaVersion\": 1",
            "\"SchemaVersion\": 1, \"SchemaVersion\": 1",
            1,
        ),
        ("\"EntryPoint\": \"/bin/app\",", "", 3),
        ("\"SchemaVersion\": 1,", "", 4),
        ("[ \"--port\", \"1 2\" ]", "[ 1 ]", 5),
        ("\"Capabilities\"", "\"Abilities\"", 6),
        ("[ \"example.com\" ]", "\"example.com\"", 9),
        ("[ 8, 9 ]", "[ -1 ]", 10),
        ("[\"ISU0\"]", "\"ISU0\"", 13),
        ("\"WifiConfig\": true", "\"WifiConfig\": 1", 15),
        ("\"EntryPoint\": \"/bin/app\"", "\"EntryPoint\": 7", 16),
        ("\"SchemaVersion\": 1", "\"SchemaVersion\": 2", 17),
        ("\"77304f1f-9530-4157-8598-30bc1f3d66f0\"", "7", 24),
        (
            "\"ApplicationType\": \"Default\"",
            "\"ApplicationType\": \"Novel\"",
            26,
        ),
        ("\"77304f1f-9530-4157-8598-30bc1f3d66f0\"", "\"nonsense\"", 28),
        ("77304f1f-9530", "77304f1f-77304f1f-9530", 29),
        ("\"SystemTime\": false", "\"SystemTime\": \"no\"", 30),
        ("{ \"SizeKB\": 8 }", "8", 31),
        ("\"SizeKB\"", "\"Size\"", 32),
        ("\"SizeKB\": 8", "\"SizeKB\": \"8\"", 33),
        ("[ 8, 9 ]", "[ 8, 8 ]", 35),
        ("[ 4242 ]", "4242", 36),
        ("[ 4242 ]", "[ \"4242\" ]", 36),
        ("[ 4242 ]", "[ 0 ]", 38),
        ("[ 4242 ]", "[ 65536 ]", 38),
        ("\"Novel\": [ 1 ]", "\"AllowedUdpServerPorts\": 1", 37),
        ("\"Novel\": [ 1 ]", "\"AllowedUdpServerPorts\": [ -5 ]", 39),
        ("\"Novel\": [ 1 ]", "\"TimeSyncConfig\": []", 40),
        ("\"Novel\": [ 1 ]", "\"DhcpService\": []", 41),
        ("\"Novel\": [ 1 ]", "\"SntpService\": []", 42),
        ("[ \"005180bc-402f-4cb3-a662-72937dbcde47\" ]", "[ \"x\" ]", 43),
        ("\"Novel\": [ 1 ]", "\"CertStore\": []", 44),
        ("\"Novel\": [ 1 ]", "\"EnterpriseWifiConfig\": []", 45),
        ("\"Novel\": [ 1 ]", "\"SystemEventNotifications\": []", 46),
        ("\"Novel\": [ 1 ]", "\"SoftwareUpdateDeferral\": []", 47),
        ("[ \"ForceReboot\" ]", "{}", 48),
        ("[ \"ForceReboot\" ]", "[ \"ForceReboot\", \"ForceReboot\" ]", 48),
        ("[ \"ForceReboot\" ]", "[]", 49),
        ("[ \"ForceReboot\" ]", "[ \"ForceNothing\" ]", 50),
    ];
    for (from, to, number) in rows {
        assert!(base.contains(from), "{from}");
        let error = AppManifest::parse(base.replacen(from, to, 1).as_bytes()).expect_err(to);
        assert_eq!(error.app_manifest_error(), *number, "{from} -> {to}: {error}");
    }
    assert_eq!(ManifestError::Missing.app_manifest_error(), 25);
    assert_eq!(
        AppManifest::parse(b"\xEF\xBB\xBF{}")
            .unwrap_err()
            .app_manifest_error(),
        1
    );
    assert_eq!(
        AppManifest::parse(b"{\"Name\":\"\xFF\"}")
            .unwrap_err()
            .app_manifest_error(),
        1
    );
    assert!(AppManifest::parse(&vec![b'['; 16 << 20]).is_err());
}

#[test]
fn every_error_says_what_to_do() {
    let package = Package::parse(&[]).unwrap_err();
    let error = ImageError::from(package);
    assert_eq!((error.code(), error.blame()), ("image.malformed", Blame::Supply));
    let told = lineside_terms::Told::of(&error);
    assert_eq!(told.message, "the file has 0 bytes; the smallest package has 76");
    assert!(told.help.contains("SHA-256"));
}

/// The one thing that the simulator asks of an image, in one place.
#[test]
fn what_a_device_does_at_installation() {
    let bytes = blink();
    let package = Package::parse(&bytes).unwrap();
    let application = Application::open(&package).unwrap();
    assert_eq!(application.manifest().capabilities.gpio, [8]);
    assert_eq!(
        application.filesystem().file("/bin/app").map(<[u8]>::len),
        Some(5592)
    );
}

proptest! {
    #[test]
    fn any_text_is_answered_as_a_manifest(text in "[{}\\[\\]\",:a-zA-Z0-9 ]{0,80}") {
        let _ = AppManifest::parse(text.as_bytes());
    }

    #[test]
    fn a_manifest_with_anything_in_one_field_is_answered(value in r#"(-?[0-9]{1,25}|"[ -~]{0,20}"|true|null|\[[0-9,"]{0,9}\]|\{\})"#, at in 0..8_usize) {
        let fields = ["1", "\"/bin/app\"", "[ 8, 9 ]", "[ 4242 ]", "{ \"SizeKB\": 8 }", "true", "\"Default\"", "[\"ISU0\"]"];
        let _ = AppManifest::parse(MANIFEST.replacen(fields[at], &value, 1).as_bytes());
    }

    #[test]
    fn any_package_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..400_usize) {
        let _ = Package::parse(&bytes);
        // The same with a metadata block at a random place, so that the parser comes further.
        let mut framed = bytes;
        if framed.len() > 80 {
            let start = at % (framed.len() - 76);
            let end = framed.len() - 64;
            framed[start..start + 8].copy_from_slice(b"4X4M\x02\0\0\0");
            let length = (end - start) as u32;
            framed[end - 4..end].copy_from_slice(&length.to_le_bytes());
            let _ = Package::parse(&framed);
        }
    }

    #[test]
    fn a_composed_package_is_read_back(body in proptest::collection::vec(any::<u8>(), 0..50), name in "\\PC{0,40}", built: u64, flags in proptest::option::of(any::<u32>()), abi in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..4)) {
        let mut composer = Composer::new(ImageType(21), COMPONENT.parse().unwrap(), image()).build(&name, built);
        if let Some(flags) = flags { composer = composer.temporary(TemporaryFlags(flags)); }
        let abi: Vec<_> = abi.into_iter().map(|(version, kind)| AbiVersion { version, kind: lineside_image::AbiKind(kind) }).collect();
        let bytes = composer.depends(abi.clone()).unsigned(&body, lineside_image::SDK_THUMBPRINT).unwrap();
        let bytes = [bytes, vec![1; 64]].concat();
        let package = Package::parse(&bytes).unwrap();
        prop_assert!(package.body().starts_with(&body) && package.body().len() < body.len() + 4);
        prop_assert_eq!(package.temporary().map(|flags| flags.0), flags);
        prop_assert_eq!(package.depends(), abi);
        let read = package.build().unwrap();
        prop_assert_eq!(read.built, built);
        prop_assert!(name.starts_with(&*read.name()));
        prop_assert!(read.name().len() > 27 || *read.name() == name);
    }
}

#[test]
fn signing_anew_changes_the_signer_and_nothing_else() {
    for bytes in [
        blink(),
        pack_application(&source(MANIFEST, &files()), &signer(1)).unwrap(),
    ] {
        let package = Package::parse(&bytes).unwrap();
        let other = signer(2);
        let signed = package.signed_by(&other);
        let again = Package::parse(&signed).unwrap();
        assert_eq!(
            again.classify(&trusting(&other)).verdict,
            Verdict::ProductionVerified
        );
        assert_eq!(again.signing().thumbprint, other.thumbprint());
        assert_eq!(
            (again.body(), again.identity()),
            (package.body(), package.identity())
        );
        let others = |package: &Package<'_>| -> Vec<_> {
            let sections = package.sections().iter();
            sections
                .map(|section| format!("{section:?}"))
                .filter(|text| !text.starts_with("Signing"))
                .collect()
        };
        assert_eq!(others(&again), others(&package));
    }
}
