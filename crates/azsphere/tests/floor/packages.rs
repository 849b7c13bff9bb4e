//! Packages that the command makes or gives out.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{COMPONENT, Floor, MANIFEST};

/// What the command packs with a hardware definition is an application with values, and others' tools say the same of it.
#[test]
fn names_of_peripherals_become_values() {
    let floor = Floor::of(1);
    floor.pack();
    let at = |name: &str| floor.path().join(name);
    fs::write(
        at("app/app_manifest.json"),
        MANIFEST.replace(
            "\"Capabilities\": {}",
            "\"Capabilities\": {\"Gpio\": [\"$SAMPLE_LED\", 12]}",
        ),
    )
    .unwrap();
    let line = "image-package pack-application --package-directory app --destination b.imagepackage";
    floor.run("g2", line).fails(1, &["$SAMPLE_LED"]);
    fs::create_dir_all(at("boards")).unwrap();
    fs::create_dir_all(at("chips")).unwrap();
    // Sample data: no real board.
    let board = r#"{"Imports":[{"Path":"chip.json"}],"Peripherals":[{"Name":"SAMPLE_LED","Type":"Gpio","Mapping":"CHIP_GPIO8"}]}"#;
    let chip = r#"{"Peripherals":[{"Name":"CHIP_GPIO8","Type":"Gpio","AppManifestValue":8}]}"#;
    fs::write(at("boards/board.json"), board).unwrap();
    fs::write(at("boards/other.json"), chip).unwrap();
    let missing = format!("{line} --hardware-definitions boards --target-definition-filename board.json");
    floor
        .run("g2", &missing)
        .fails(1, &["board.json imports chip.json", "image.no-hardware"]);
    fs::write(at("chips/chip.json"), chip).unwrap();
    for (profile, words) in [
        ("g2", format!("{line} --hardware-definitions boards chips --target-definition-filename board.json")),
        ("g3", "image-package pack-application --package-directory app -of b.imagepackage --hardware-definitions boards/board.json chips".to_owned()),
    ] {
        floor.run(profile, &words).good();
        let bytes = fs::read(at("b.imagepackage")).unwrap();
        let package = lineside_image::Package::parse(&bytes).unwrap();
        let application = lineside_image::Application::open(&package).unwrap();
        assert_eq!(application.manifest().capabilities.gpio, [8, 12]);
        fs::remove_file(at("b.imagepackage")).unwrap();
    }
    // Which of two is meant must be said; the classic command takes the file.
    floor
        .run("g2", &format!("{line} --hardware-definitions boards chips"))
        .fails(1, &["boards holds 2 definitions, and none is named"]);
    fs::copy(at("chips/chip.json"), at("boards/chip.json")).unwrap();
    floor
        .run(
            "g1",
            "pkg pack-application -i app -o b.imagepackage -h boards/board.json",
        )
        .good();
    fs::write(at("boards/chip.json"), "no JSON").unwrap();
    floor
        .run(
            "g1",
            "pkg pack-application -i app -o b.imagepackage -h boards/board.json",
        )
        .fails(1, &["chip.json", "image.hardware"]);
}

#[test]
fn a_preset_is_given_out_as_it_was_kept() {
    let floor = Floor::of(1);
    let line = "image-package pack-board-config --preset sample-lan --destination b.imagepackage";
    floor.run("g2", line).fails(1, &["azsphere.no-preset"]);
    fs::write(
        floor.path().join("azsphere.toml"),
        "signing-key = 'key.pem'\nboard-configs = 'presets'\n",
    )
    .unwrap();
    floor.pack();
    let kept = floor.path().join("presets/sample-lan.imagepackage");
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    fs::copy(floor.path().join("a.imagepackage"), &kept).unwrap();
    floor
        .run("g2", line)
        .fails(1, &["is no board configuration, but"]);
    let source = lineside_image::BoardConfigSource {
        name: "sample-lan",
        body: b"opaque",
        component: COMPONENT.parse().unwrap(),
        image: "16f9bec4-1d5a-4a4b-9e0e-3a6f2f0d3c11".parse().unwrap(),
        built: 0,
        temporary: None,
    };
    let signer = floor.world.supplies().signing_key().clone();
    let package = lineside_image::pack_board_config(&source, &signer).unwrap();
    fs::write(&kept, &package).unwrap();
    floor.run("g2", line).good();
    assert_eq!(fs::read(floor.path().join("b.imagepackage")).unwrap(), package);
    floor
        .run(
            "g1-2019",
            "image package-board-config --preset sample-lan --output c.imagepackage",
        )
        .out
        .contains(COMPONENT)
        .then_some(())
        .unwrap();
    for name in ["../key", "a/b", ".hidden"] {
        let line = format!("image-package pack-board-config --preset {name} --destination d.imagepackage");
        floor.run("g2", &line).fails(1, &["azsphere.no-preset"]);
    }
    // It is loaded as any other.
    floor.run("g2", "device sideload deploy -p b.imagepackage").good();
}

/// What the command packs is what the vendor's own parser reads, to the ids and the signature.
#[test]
fn the_vendors_parser_reads_what_is_packed() {
    let floor = Floor::of(1);
    floor.pack();
    let bytes = fs::read(floor.path().join("a.imagepackage")).unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("LINESIDE_PEERS_VENV")
        .map_or_else(|| here.join("../../target/peers-venv"), std::path::PathBuf::from);
    let python = venv.join("bin/python");
    assert!(python.exists(), "{} is missing: run .ci/peers", venv.display());
    let key = floor.world.supplies().signing_key().public_key().to_xy();
    let question = serde_json::json!({ "ask": "parse", "file": hex(&bytes), "keys": [hex(&key)] });
    fs::write(floor.path().join("question"), format!("{question}\n")).unwrap();
    let output = Command::new(python)
        .arg(here.join("../image/tests/differential.py"))
        .stdin(fs::File::open(floor.path().join("question")).unwrap())
        .output()
        .unwrap();
    let told: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(
        (&told["by"][0], &told["again"]),
        (&true.into(), &true.into()),
        "{told}"
    );
    let shown = floor
        .run("g3", "image-package show --image-package a.imagepackage")
        .good();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let identity = &told["sections"][0][1];
    assert_eq!(
        (&identity[0], &identity[1], &identity[2]),
        (&10.into(), &COMPONENT.into(), &shown["Identity"]["ImageId"]),
        "{told}"
    );
    assert!(told["sections"].to_string().contains("\"Blink\""), "{told}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
