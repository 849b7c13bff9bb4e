//! Looking into packages and making them.

use std::fs;

use lineside_image::SigningKey;

use crate::floor::Floor;

const IDS: &str = "--image-id 11111111-2222-3333-4444-000000000001 --built 1767225600";
const APPLICATION: &str = "plans/thermostat/application";

/// A floor with a key of its own, which nobody trusts.
fn floor() -> Floor {
    let floor = Floor::new();
    let key = SigningKey::from_secret(&[7; 32]).unwrap();
    floor.write("key.pem", key.to_pem());
    floor
}

#[test]
fn an_application_is_packed_shown_and_verified() {
    let floor = floor();
    let pack = format!("image pack {APPLICATION} --key key.pem {IDS} --out");
    floor.run(&format!("{pack} a.imagepackage")).exits(0);
    let shown = floor.run("image show a.imagepackage").exits(0);
    for line in [
        "holds      Applications (type 10)",
        "name       SampleThermostat",
        "image      11111111-2222-3333-4444-000000000001",
        "built      2026-01-01T00:00:00Z",
        "signature  unknown-signer, by ",
        "needs      ApplicationRuntime@12",
        "says       runs /bin/app",
        "says       uses GPIO 8, 9",
        "file       /bin/app (35 bytes, can be run)",
    ] {
        assert!(shown.stdout.contains(line), "{line}: {shown:?}");
    }
    let object = floor.run("image show a.imagepackage --json").exits(0).object();
    assert_eq!(
        (&object["kind"], &object["image_type"], &object["verdict"]),
        (&"image".into(), &10.into(), &"unknown-signer".into())
    );

    // The same again is the same, to the byte; nothing that is there is written over.
    floor.run(&format!("{pack} b.imagepackage")).exits(0);
    assert_eq!(
        fs::read(floor.at("a.imagepackage")).unwrap(),
        fs::read(floor.at("b.imagepackage")).unwrap()
    );
    floor
        .run(&format!("{pack} b.imagepackage"))
        .fails(3, "station.file");
    // Without ids to keep, every build is another.
    floor
        .run(&format!(
            "image pack {APPLICATION} --key key.pem --out c.imagepackage"
        ))
        .exits(0);
    let diff = floor.run("image diff a.imagepackage c.imagepackage").exits(1);
    assert!(diff.stdout.contains("image: 11111111-2222"), "{diff:?}");

    floor.run("image verify a.imagepackage b.imagepackage").exits(0);
    let said = floor.run("image verify a.imagepackage --strict");
    assert!(
        said.exits(2).stderr.contains("--trust"),
        "there is nobody to trust"
    );
}

#[test]
fn a_board_configuration_is_packed_and_signed_anew() {
    let floor = floor();
    floor.write("body.bin", "SAMPLE DATA");
    let component = "11111111-2222-3333-4444-555555555555";
    let pack = format!("image pack body.bin --key key.pem {IDS} --out a.imagepackage --board-config sample");
    floor.run(&pack).exits(2);
    let made = floor.run(&format!("{pack} --component {component} --json"));
    let made = made.exits(0).object();
    assert_eq!(
        (&made["kind"], &made["component"]),
        (&"image-made".into(), &component.into())
    );

    let other = SigningKey::from_secret(&[9; 32]).unwrap();
    floor.write("other.pem", other.to_pem());
    floor
        .run("image sign a.imagepackage --key other.pem --out b.imagepackage")
        .exits(0);
    let diff = floor
        .run("image diff a.imagepackage b.imagepackage --json")
        .exits(1)
        .object();
    let places: Vec<&str> = diff["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| difference["place"].as_str().unwrap())
        .collect();
    assert_eq!(places, ["sha256", "signer"], "nothing but who signed it");
    let same = floor.run("image diff a.imagepackage a.imagepackage").exits(0);
    assert_eq!(same.stdout.trim(), "they hold the same");
}

#[test]
fn what_is_no_package_is_named_and_the_others_are_still_shown() {
    let floor = floor();
    floor
        .run(&format!(
            "image pack {APPLICATION} --key key.pem --out a.imagepackage"
        ))
        .exits(0);
    let whole = fs::read(floor.at("a.imagepackage")).unwrap();
    fs::write(floor.at("cut.imagepackage"), &whole[..whole.len() - 1]).unwrap();
    let mut tampered = whole;
    tampered[100] ^= 1;
    fs::write(floor.at("tampered.imagepackage"), tampered).unwrap();
    floor.write("text.imagepackage", "no package");

    let shown = floor.run("image show cut.imagepackage text.imagepackage a.imagepackage");
    let shown = shown.exits(1);
    assert!(shown.stdout.contains("SampleThermostat"), "{shown:?}");
    assert_eq!(shown.stdout.matches("remedy").count(), 2, "{shown:?}");
    let objects = floor
        .run("image verify cut.imagepackage a.imagepackage --json")
        .exits(1)
        .objects();
    let code = objects[0]["error"]["code"].as_str().unwrap();
    assert!(code.starts_with("image."), "{code}");
    assert_eq!(objects[1]["error"], serde_json::Value::Null);
    for (words, exit, code) in [
        ("image diff cut.imagepackage a.imagepackage", 4, "image."),
        ("image show nowhere.imagepackage", 3, "station.file"),
        (
            "image verify a.imagepackage --trust text.imagepackage",
            4,
            "image.",
        ),
        ("image sign text.imagepackage --key key.pem --out b", 4, "image."),
        (
            "image sign a.imagepackage --key text.imagepackage --out b",
            4,
            "image.",
        ),
        ("image pack plans --key key.pem --out b", 4, "run.file"),
        (
            "image sign a.imagepackage --key key.pem --certificate text.imagepackage --out b",
            4,
            "image.",
        ),
    ] {
        let done = floor.run(words).exits(exit);
        assert!(
            done.stderr.contains(&format!("code:   {code}")),
            "{words}: {done:?}"
        );
    }
    assert!(!floor.at("b").exists());
}

#[test]
fn real_packages_of_the_sdk_are_for_development() {
    let floor = floor();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/images");
    let blink = format!("{data}/azure_sphere_blink.imagepackage");
    let told = floor.run(&format!("image verify {blink}")).exits(1);
    assert!(
        told.stdout.contains("runs only on a developer's board"),
        "{told:?}"
    );
    // A capability file is shown without what could be misused.
    let file = floor
        .run(&format!("image show {data}/dev_enable_caps.bin"))
        .exits(0);
    assert!(
        file.stdout.contains("grants     appDevelopment") && file.stdout.contains("unknown-signer"),
        "{file:?}"
    );
    assert!(file.stdout.lines().all(|line| line.len() < 120), "{file:?}");
    // Whoever signs it anew is not the SDK, and that is remarked.
    floor
        .run(&format!(
            "image sign {blink} --key key.pem --out own.imagepackage"
        ))
        .exits(0);
    let own = floor.run("image show own.imagepackage").exits(0);
    assert!(
        own.stdout
            .contains("remark     it is marked as under development"),
        "{own:?}"
    );
}
