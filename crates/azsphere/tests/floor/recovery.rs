//! The OS written anew, and capability files.

use std::fs;

use lineside_image::{ImageSet, SetFiles};
use lineside_simulator::{OsProfile, SetSize, WorldConfig};
use lineside_terms::ManufacturingState;

use crate::Floor;

/// Lays down a recovery set of the bench; how many images it has and how many bytes they are.
fn lay_down_images(floor: &Floor) -> (usize, u64) {
    let files = floor
        .world
        .supplies()
        .image_set(OsProfile::V24_06, SetSize::Small)
        .unwrap();
    fs::create_dir_all(floor.path().join("images")).unwrap();
    for (name, bytes) in &files {
        fs::write(floor.path().join("images").join(name), bytes).unwrap();
    }
    let listing = files.into_iter().map(|(name, bytes)| (name, bytes.into()));
    let files = SetFiles::from_listing(listing).unwrap();
    let set = ImageSet::read(&files, floor.world.supplies().trust_list()).unwrap();
    (set.manifest().entries.len(), set.total_size())
}

#[test]
fn the_os_is_written_anew_in_the_words_of_each_generation() {
    let floor = Floor::of(2);
    let (images, bytes) = lay_down_images(&floor);
    let line = "device recover --images images";
    floor
        .run("g2", line)
        .fails(1, &["2 devices are attached and none is named"]);
    let came = floor.run("g2", &format!("{line} -d 1113")).good();
    let lines: Vec<&str> = came.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "Starting device recovery. Please note that this may take up to 10 minutes.",
            "Board found. Sending recovery bootloader.",
            "Erasing flash.",
            &format!("Sending {images} images. ({bytes} bytes to send)"),
        ]
    );
    let (sent, tail) = lines[4..].split_at(images);
    for (k, line) in sent.iter().enumerate() {
        assert!(
            line.starts_with(&format!("Sent {} of {images} images. (", k + 1)),
            "{line}"
        );
    }
    assert!(sent[images - 1].contains(&format!("(0 of {bytes} bytes remaining)")));
    let id = floor.id(0);
    assert_eq!(
        tail,
        [
            "Finished writing images; rebooting board.",
            &format!("Device ID: {id}"),
            "Device recovered successfully."
        ]
    );
    let old = floor.run("g1-2019", &format!("{line} -l 1113"));
    assert_eq!(old.exit, 0, "{}{}", old.out, old.err);
    assert!(old.out.contains(&format!(
        "\nSending image {images} of {images}.\nFinished writing"
    )));
    let new = floor.run("g3", &format!("{line} --device 192.168.35.2")).good();
    let told: serde_json::Value = serde_json::from_str(&new).unwrap();
    assert_eq!(
        (&told["deviceIdentifier"], &told["osversion"]),
        (&id.into(), &"24.06".into())
    );
    // By its id as long as it answers, with the station's own images.
    fs::write(floor.path().join("azsphere.toml"), "recovery-images = 'images'\n").unwrap();
    floor
        .run("g2", &format!("device recover -d {}", floor.id(1)))
        .good();
    let erased = |board| {
        floor
            .world
            .with_chip(board, |chip| chip.firmware().counters().erases)
            .unwrap()
    };
    assert_eq!((erased(0), erased(1)), (3, 1));
    assert!(floor.path().join("journal").is_dir());
}

#[test]
fn an_os_is_not_written_where_it_must_not_be() {
    let floor = Floor::of(1);
    let came = floor.run("g2", "device recover");
    came.fails(
        1,
        &[
            "Device recovery failed: Unable to download recovery images for chip 'mt3620an'",
            "azsphere.no-images",
        ],
    );
    floor
        .run("g1", "device recover --images nowhere")
        .fails(1, &["nowhere"]);
    lay_down_images(&floor);
    fs::write(floor.path().join("no.cap"), "no capability").unwrap();
    floor
        .run("g2", "device recover --images images --capability no.cap")
        .fails(1, &["no.cap"]);
    fs::write(
        floor.path().join("protected.txt"),
        format!("{} golden\n", floor.id(0)),
    )
    .unwrap();
    floor
        .run("g2", "device recover --images images")
        .fails(1, &["Device recovery failed: ", "protected"]);
    fs::remove_file(floor.path().join("protected.txt")).unwrap();
    let manifest = floor.path().join("images/recovery.imagemanifest");
    let mut bytes = fs::read(&manifest).unwrap();
    bytes[40] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    floor
        .run("g2", "device recover --images images")
        .fails(1, &["remedy: "]);
    assert_eq!(
        floor
            .world
            .with_chip(0, |chip| chip.firmware().counters().erases)
            .unwrap(),
        0
    );
}

#[test]
fn a_complete_device_is_recovered_with_its_capability_file_only() {
    let floor = Floor::with(WorldConfig {
        boards: 1,
        state: ManufacturingState::DeviceComplete,
        ..WorldConfig::default()
    });
    lay_down_images(&floor);
    let line = "device recover --images images";
    floor.run("g2", line).fails(1, &["interlock.erase-complete"]);
    let device = floor.world.with_chip(0, |chip| chip.firmware().id()).unwrap();
    let rights = [lineside_terms::Capability::FIELD_SERVICING];
    let file = floor.world.supplies().capability_file(device, &rights).unwrap();
    fs::write(floor.path().join("a.cap"), file).unwrap();
    floor.run("g2", &format!("{line} --capability a.cap")).good();
    assert_eq!(
        floor
            .world
            .with_chip(0, |chip| chip.firmware().counters().erases)
            .unwrap(),
        1
    );
    assert_eq!(floor.state(0), ManufacturingState::DeviceComplete);
}

#[test]
fn a_capability_is_stored_on_the_device_that_it_was_made_for() {
    let floor = Floor::of(2);
    let device = floor.world.with_chip(0, |chip| chip.firmware().id()).unwrap();
    let file = |rights: &[lineside_terms::Capability]| {
        let file = floor.world.supplies().capability_file(device, rights).unwrap();
        fs::write(floor.path().join("a.cap"), file).unwrap();
    };
    file(&[lineside_terms::Capability::APP_DEVELOPMENT]);
    let other = floor.run("g2", "device capability update --capability-file a.cap -d 1123");
    other.fails(
        1,
        &[
            "The device did not accept the device capability configuration.",
            "device.capability-for-another",
        ],
    );
    assert_eq!((floor.writes(0), floor.writes(1)), (0, 0));
    // Nothing was sent, so nothing that the device passed is undone: the note must not call it unclear.
    let [Ok(note)] = &fs::read_dir(floor.path().join("hand"))
        .unwrap()
        .collect::<Vec<_>>()[..]
    else {
        panic!("one note was made")
    };
    let text = fs::read_to_string(note.path()).unwrap();
    assert!(text.contains("refused") && !text.contains("unclear"), "{text}");
    let stored = floor
        .run("g1", "device capability update --filepath a.cap -l 1113")
        .good();
    assert_eq!(
        stored,
        "Applying device capability configuration to device.\nSuccessfully applied device capability configuration to \
         device.\nThe device is rebooting.\n"
    );
    let show = "device capability show-attached -d 1113 -o tsv";
    assert_eq!(floor.run("g2", show).good(), "EnableAppDevelopment\n");
    // Another file takes its place; one without capabilities takes them away.
    file(&[]);
    floor
        .run("g2", "device capability update -p a.cap -d 1113")
        .good();
    assert_eq!(floor.run("g2", show).good(), "");
    assert!(floor.path().join("hand").exists(), "it is noted down");
    fs::write(floor.path().join("no.cap"), "no capability").unwrap();
    floor
        .run("g2", "device capability update -p no.cap -d 1113")
        .fails(1, &["no.cap"]);
    floor
        .run("g2", "device capability update -d 1113")
        .fails(2, &["capability-file"]);
}
