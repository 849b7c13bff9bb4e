//! Recovery sets: made for simulated devices, looked through, kept.

use std::fs;

use crate::floor::Floor;

const MAKE: &str = "sim make-image-set --size small --out";

#[test]
fn a_made_set_is_shown_and_verified() {
    let floor = Floor::new();
    let made = floor.run(&format!("{MAKE} set --json")).exits(0).object();
    assert_eq!(
        (&made["kind"], &made["os"]),
        (&"image-set-made".into(), &"24.06".into())
    );
    floor.run(&format!("{MAKE} set")).fails(3, "sim.folder");
    floor
        .run(&format!("{MAKE} other --os 30.01"))
        .fails(3, "simulator.no-such-os");
    floor
        .run("sim make-image-set --size huge --out other")
        .fails(2, "sim.word");

    let shown = floor.run("image-set show set --bench sim:1").exits(0);
    for line in [
        "set: OS 24.06, 18 images of 57348 bytes, signatures: production",
        "built     2024-06-15T00:00:00Z",
        "recovery-1bl-rtm.bin",
        "BootloaderOne, BootloaderOneBackup",
        "NW Root Filesystem",
    ] {
        assert!(shown.stdout.contains(line), "{line}: {shown:?}");
    }
    let object = floor.run("image-set show set --json").exits(0).object();
    assert_eq!(
        (&object["kind"], &object["is_good"], &object["images"]),
        (&"image-set".into(), &true.into(), &18.into())
    );
    assert_eq!(
        object["files"][0]["verdict"], "unknown-signer",
        "the bench usb knows nobody"
    );

    floor.run("image-set verify set").exits(0);
    floor.run("image-set verify set --strict --bench sim:1").exits(0);
    floor
        .run("image-set verify set --strict --bench sim:1,seed=2")
        .exits(1);
    let strict = floor
        .run("image-set verify set --strict --json")
        .exits(1)
        .object();
    assert_eq!(strict["problems"][0]["code"], "image-set.unknown-signer");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let floor = Floor::new();
    floor.run(&format!("{MAKE} set")).exits(0);
    let images: Vec<_> = fs::read_dir(floor.at("set"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_stem().unwrap().len() == 32)
        .collect();
    fs::remove_file(&images[0]).unwrap();
    let mut damaged = fs::read(&images[1]).unwrap();
    damaged[10] ^= 1;
    fs::write(&images[1], damaged).unwrap();
    fs::write(&images[2], "short").unwrap();
    floor.write("set/stray.bin", "x");
    let said = floor.run("image-set verify set --bench sim:1").exits(1);
    for code in [
        "image-set.missing",
        "image-set.signature",
        "image-set.mismatch",
        "image-set.malformed",
    ] {
        assert!(said.stdout.contains(&format!("[{code}]")), "{code}: {said:?}");
    }
    assert!(said.stdout.contains("`stray.bin` belongs to no set"), "{said:?}");
    floor.run("image-set import set --bench sim:1").exits(4);
    assert!(!floor.at("lineside-data").exists(), "nothing is kept of it");

    floor.write("text.zip", "no ZIP");
    let said = floor.run("image-set verify text.zip").exits(1);
    assert!(said.stdout.contains("[image-set.zip]"), "{said:?}");
    floor.run("image-set show nowhere").fails(3, "image-set.file");
    floor.run("image-set show set:12").exits(2);
    floor
        .run("image-set show set:123456")
        .fails(4, "image-set.unknown");
}

#[test]
fn an_imported_set_is_used_by_its_name() {
    let floor = Floor::new();
    floor.run(&format!("{MAKE} set")).exits(0);
    let import = "image-set import set --data data --json";
    let first = floor.run(import).exits(0).object();
    let again = floor.run(import).exits(0).object();
    assert_eq!(
        (&first["is_new"], &again["is_new"]),
        (&true.into(), &false.into())
    );
    let name = first["name"].as_str().unwrap();
    let shown = floor
        .run(&format!("image-set show {name} --data data --json"))
        .exits(0)
        .object();
    assert_eq!(
        (&shown["digest"], &shown["os"]),
        (&first["digest"], &"24.06".into())
    );

    let kept = floor
        .at("data/image-sets")
        .join(first["digest"].as_str().unwrap());
    fs::write(kept.join("recovery-runtime.bin"), "another").unwrap();
    let said = floor
        .run(&format!("image-set verify {name} --data data"))
        .exits(1);
    assert!(said.stdout.contains("[image-set.changed]"), "{said:?}");
    assert_eq!(
        floor.run(import).exits(0).object()["is_new"],
        true,
        "importing mends it"
    );
    floor
        .run(&format!("image-set verify {name} --data data"))
        .exits(0);
}
