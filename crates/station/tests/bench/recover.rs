//! Writing the OS of boards anew: all at once, only those that are meant, and what is known when it goes wrong.

use std::fs;

use lineside_simulator::{Seed, Supplies};
use serde_json::Value;

use crate::floor::{Floor, SERIALS};
use crate::sim::Sim;

const RECOVER: &str = "recover --images set --bench at:bench --data d";

/// A floor with a set of OS 24.06 that boards of seed 1 take.
fn floor() -> Floor {
    let floor = Floor::new();
    floor.run("sim make-image-set --size small --out set").exits(0);
    floor
}

fn faults(floor: &Floor, faults: &str) -> &'static str {
    floor.write("faults.json", format!(r#"{{"faults":[{faults}]}}"#));
    "--faults faults.json"
}

/// The object of one board.
#[track_caller]
fn board(objects: &[Value]) -> &Value {
    objects
        .iter()
        .find(|object| object["kind"] == "recovery")
        .unwrap_or_else(|| panic!("{objects:?}"))
}

#[test]
fn every_board_gets_the_new_os() {
    let floor = floor();
    let sim = Sim::start_with(&floor, 3, "--os-profile 22.09");
    floor.run(RECOVER).fails(2, "station.which-board");
    let done = floor.run(&format!("{RECOVER} --all")).exits(0);
    assert!(done.stdout.contains("3 of 3 boards recovered"), "{done:?}");
    assert!(
        done.stderr
            .contains("OS 24.06: 18 images of 57348 bytes for 3 boards"),
        "{done:?}"
    );
    assert!(
        done.stderr.contains("is written, the old one is erased"),
        "{done:?}"
    );
    for number in 0..3 {
        assert_eq!(sim.count(number, "recoveries"), 1);
    }
    let devices = floor.run("devices --bench at:bench --json").exits(0).objects();
    assert!(
        devices.iter().all(|device| device["os"] == "24.06"),
        "{devices:?}"
    );
    floor.run("records verify --data d").exits(0);
}

#[test]
fn an_imported_set_does_as_well_and_the_wire_is_recorded() {
    let floor = floor();
    let _sim = Sim::start_with(&floor, 1, "--os-profile 20.05");
    let name = floor
        .run("image-set import set --data d --json")
        .exits(0)
        .object()["name"]
        .clone();
    let words = format!(
        "recover --images {} --bench at:bench --data d --low-speed",
        name.as_str().unwrap()
    );
    let done = floor
        .run(&format!("{words} --trace board.trace --verbose --json"))
        .exits(0);
    let objects = done.objects();
    assert_eq!(board(&objects)["outcome"], "recovered");
    assert_eq!(objects.last().unwrap()["kind"], "recovery-summary");
    let kinds: Vec<_> = objects
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "station-started",
            "recovery-begun",
            "recovery-ended",
            "recovery",
            "recovery-summary"
        ]
    );
    let trace = fs::read_to_string(floor.at("board.trace")).unwrap();
    assert!(
        trace.starts_with("# lineside trace 1: recovery UART of slot 1113"),
        "{}",
        &trace[..80]
    );
    // The ROM's first word, and the answer to the device's.
    for bytes in ["5245434f56455259", "020402a0010103d7ec00"] {
        assert!(trace.contains(bytes), "no {bytes}");
    }
    floor
        .run(&format!("{words} --trace board.trace"))
        .fails(3, "station.file");
}

#[test]
fn what_goes_wrong_before_the_erase_is_tried_once_more() {
    let floor = floor();
    let fault = r#"{"board":0,"when":{"recovery-stage":{"stage":"bootloader"}},"what":{"recovery-error":{"code":105}}},
        {"board":1,"when":{"recovery-stage":{"stage":"bootloader","times":0}},"what":{"recovery-error":{"code":105}}}"#;
    let sim = Sim::start_with(&floor, 2, faults(&floor, fault));
    let done = floor.run(&format!("{RECOVER} --all --json")).exits(1);
    let objects = done.objects();
    let boards: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "recovery")
        .collect();
    let outcome = |slot: &str| {
        let board = boards.iter().find(|board| board["slot"] == slot).unwrap();
        (
            board["outcome"].as_str().unwrap(),
            board["tries"].as_u64().unwrap(),
        )
    };
    assert_eq!(outcome("1113"), ("recovered", 2), "{boards:?}");
    assert_eq!(outcome("1123"), ("untouched", 2), "{boards:?}");
    assert_eq!(sim.count(1, "recoveries"), 0);
    // Nothing was lost: it boots what it had.
    let devices = floor.run("devices --bench at:bench --json").exits(0).objects();
    assert_eq!(devices.len(), 2);
}

#[test]
fn after_the_erase_the_records_say_who_needs_recovery() {
    let floor = floor();
    let fault = r#"{"when":{"recovery-stage":{"stage":"writing"}},"what":{"recovery-error":{"code":101}}}"#;
    let sim = Sim::start_with(&floor, 1, faults(&floor, fault));
    let objects = floor.run(&format!("{RECOVER} --json")).exits(1).objects();
    let first = board(&objects);
    assert_eq!(
        (&first["outcome"], &first["tries"]),
        (&"needs-recovery".into(), &1.into())
    );
    assert_eq!(first["error"]["code"], "recovery.device-error");
    let summary = objects.last().unwrap();
    assert_eq!(summary["needing_recovery"][0], first["device"]);

    // It has no OS to answer with, and needs none.
    let done = floor.run(RECOVER).exits(0);
    assert!(!done.stdout.contains("need recovery"), "{done:?}");
    assert_eq!(sim.count(0, "recoveries"), 1);
}

#[test]
fn a_kill_in_the_middle_is_remembered_by_the_device() {
    let floor = floor();
    let sim = Sim::start(&floor, 2);
    let mut run = floor.start(&format!("{RECOVER} --slot 1113 --json"));
    assert!(run.says("recovery-begun"));
    let said = run.kill();
    let begun = said
        .objects()
        .into_iter()
        .find(|object| object["kind"] == "recovery-begun");
    let device = begun.unwrap()["device"].clone();
    sim.until_free(0);
    let other = floor
        .run(&format!("{RECOVER} --slot 1123 --json"))
        .exits(0)
        .objects();
    assert_eq!(other.last().unwrap()["needing_recovery"][0], device, "{other:?}");
    let done = floor
        .run(&format!("{RECOVER} --slot 1113 --json"))
        .exits(0)
        .objects();
    assert_eq!(board(&done)["device"], device);
    assert_eq!(done.last().unwrap()["needing_recovery"], Value::Array(vec![]));
}

#[test]
fn another_board_in_the_socket_is_not_answered() {
    let floor = floor();
    let fault = r#"{"board":0,"when":{"recovery":{}},"what":{"swap":{"with":1}}}"#;
    let sim = Sim::start_with(&floor, 2, faults(&floor, fault));
    let objects = floor
        .run(&format!("{RECOVER} --slot 1113 --json"))
        .exits(1)
        .objects();
    let board = board(&objects);
    assert_eq!(board["outcome"], "untouched", "{board}");
    assert!(
        objects.iter().all(|object| object["kind"] != "recovery-begun"),
        "{objects:?}"
    );
    for number in 0..2 {
        assert_eq!(sim.count(number, "recoveries"), 0);
    }
}

#[test]
fn protected_and_complete_devices_are_left_alone() {
    let floor = floor();
    let sim = Sim::start_with(&floor, 2, "--state DeviceComplete");
    let devices = floor.run("devices --bench at:bench --json").exits(0).objects();
    let id = |number: usize| devices[number]["device"].as_str().unwrap();
    let refused = |words: &str, code: &str| {
        let objects = floor.run(&format!("{RECOVER} {words} --json")).exits(1).objects();
        let board = board(&objects);
        assert_eq!(
            (&board["outcome"], &board["error"]["code"]),
            (&"untouched".into(), &code.into()),
            "{board}"
        );
    };
    refused("--slot 1113", "interlock.erase-complete");

    let supplies = Supplies::new(&Seed::new(1)).unwrap();
    let file = supplies.capability_file(id(0).parse().unwrap(), &[]).unwrap();
    floor.write("device.cap", &file);
    refused(
        "--slot 1123 --capability device.cap",
        "interlock.erase-capability",
    );
    floor.write("d/protected.txt", format!("{} golden sample\n", id(0)));
    refused("--slot 1113 --capability device.cap", "interlock.protected");
    assert_eq!(sim.count(0, "recoveries_begun"), 0, "they are not even disturbed");

    fs::remove_file(floor.at("d/protected.txt")).unwrap();
    let words = format!("{RECOVER} --slot 1113 --capability device.cap --trace board.trace");
    floor.run(&words).exits(0);
    assert_eq!(sim.count(0, "recoveries"), 1);
    let trace = fs::read_to_string(floor.at("board.trace")).unwrap();
    assert!(trace.contains("bytes of a capability file were sent"), "{trace}");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(!trace.contains(&hex(&file[8..40])), "the file is in the trace");

    floor.write("no.cap", "no capability file");
    floor
        .run(&format!("{RECOVER} --slot 1113 --capability no.cap"))
        .fails(4, "recover.capability");
    floor
        .run(&format!("{RECOVER} --all --trace other.trace"))
        .fails(2, "recover.trace");
}

#[test]
fn a_unit_that_passed_and_lost_its_software_is_not_called_finished() {
    let floor = floor();
    let sim = Sim::start(&floor, 1);
    let plan = floor.short_plan();
    let run = format!("run {plan} --bench at:bench --data d --serials {SERIALS} --expect 1 --json");
    let done = floor.run(&run).exits(0).objects();
    sim.assert_locked_once(0);
    let id = done.iter().find_map(|object| object["device"].as_str()).unwrap();
    let certificate = format!("records certificate {id} --data d");
    floor.run(&certificate).exits(0);
    assert!(floor.run(&run).exits(0).stdout.contains("already-complete"));

    let supplies = Supplies::new(&Seed::new(1)).unwrap();
    let file = supplies.capability_file(id.parse().unwrap(), &[]).unwrap();
    floor.write("device.cap", &file);
    floor
        .run(&format!("{RECOVER} --slot 1113 --capability device.cap"))
        .exits(0);
    let again = floor.run(&run).exits(1);
    assert!(again.stdout.contains("unit.undone"), "{again:?}");
    floor.run(&certificate).fails(2, "evidence.no-certificate");
    let shown = floor.run("records show SAMPLE-0001 --data d").exits(0);
    assert!(shown.stdout.contains("\nundone   "), "{shown:?}");
    sim.assert_locked_once(0);
}

#[test]
fn an_os_that_nobody_can_name_is_not_called_recovered() {
    let floor = Floor::new();
    floor
        .run("sim make-image-set --os 20.05 --size small --out set")
        .exits(0);
    let sim = Sim::start_with(&floor, 1, "--state DeviceComplete");
    let device = floor.run("devices --bench at:bench --json").exits(0).object()["device"].clone();
    let supplies = Supplies::new(&Seed::new(1)).unwrap();
    let device = device.as_str().unwrap().parse().unwrap();
    floor.write("device.cap", supplies.capability_file(device, &[]).unwrap());
    // A locked device does not tell its images, and OS 20.05 has no name to tell.
    let recover = floor.run(&format!("{RECOVER} --capability device.cap --json"));
    let objects = recover.exits(1).objects();
    let board = board(&objects);
    assert_eq!(
        (&board["outcome"], &board["error"]["code"]),
        (&"unknown".into(), &"recovery.os-not-told".into()),
        "{board}"
    );
    assert_eq!(sim.count(0, "recoveries"), 1);
}

#[test]
fn another_os_than_was_written_is_told() {
    let floor = floor();
    // The list beside the set calls its images by another name than the devices do.
    let list = fs::read_to_string(floor.at("set/mt3620an.json")).unwrap();
    floor.write("set/mt3620an.json", list.replace("24.06", "24.09"));
    let sim = Sim::start_with(&floor, 1, "--os-profile 22.09");
    let objects = floor.run(&format!("{RECOVER} --json")).exits(1).objects();
    let board = board(&objects);
    assert_eq!(
        (&board["outcome"], &board["os"], &board["error"]["code"]),
        (&"unknown".into(), &"24.06".into(), &"recovery.other-os".into()),
        "{board}"
    );
    assert_eq!(sim.count(0, "recoveries"), 1);
}

#[test]
fn a_bad_set_touches_no_board() {
    let floor = floor();
    let sim = Sim::start(&floor, 1);
    floor.write("set/recovery-runtime.bin", "");
    floor.run(RECOVER).fails(4, "image-set.missing");
    floor
        .run("recover --images nowhere --bench at:bench --data d")
        .fails(3, "image-set.file");
    floor
        .run("recover --images set:abcdef --bench at:bench --data d")
        .fails(4, "image-set.unknown");
    assert_eq!(sim.count(0, "recoveries_begun"), 0);
    assert!(!floor.at("d").exists());
}

#[test]
fn ctrl_c_before_the_erase_leaves_boards_alone() {
    let floor = floor();
    // At this pace the ROM alone takes half a second.
    let sim = Sim::start_with(&floor, 1, "--pace real");
    let mut run = floor.start(&format!("{RECOVER} --json"));
    assert!(run.says("station-started"), "it listens by then");
    run.interrupt();
    let objects = run.done().exits(130).objects();
    assert_eq!(board(&objects)["outcome"], "untouched");
    assert_eq!(sim.count(0, "recoveries"), 0);
}

#[test]
fn a_device_that_does_not_answer_says_who_it_is() {
    let floor = floor();
    let silent = r#"{"when":{"boot":{"nth":2,"times":0}},"what":"silent"}"#;
    let broken = r#"{"when":{"recovery-stage":{"stage":"writing"}},"what":{"recovery-error":{"code":101}}}"#;
    let _sim = Sim::start_with(&floor, 1, faults(&floor, &format!("{silent},{broken}")));
    let id = floor.run("devices --bench at:bench --json").exits(0).object()["device"].clone();
    let identify = "device identify --via-console --bench at:bench --timeout 1";
    for _ in 0..2 {
        let said = floor.run(&format!("{identify} --json")).exits(0).object();
        assert_eq!(
            (&said["device"], &said["kind"]),
            (&id, &"identified-by-console".into())
        );
    }
    floor
        .run(&format!("{identify} --id abcd"))
        .fails(2, "device.slot-only");
    // Without its boot loader a chip has nobody to tell it.
    floor.run(RECOVER).exits(1);
    let said = floor.run(&format!("{identify} --json")).exits(1).object();
    assert_eq!(said["error"]["code"], "device.no-console");
}
