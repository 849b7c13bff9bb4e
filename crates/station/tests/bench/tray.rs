//! A tray of boards from plugged in to ready to ship, and what is said when they come again.

use std::fs;

use serde_json::Value;

use crate::floor::{Floor, PLAN, SERIALS, assert_said};
use crate::sim::Sim;

/// The pre-shared key in the sample plan's file.
const PSK: &str = "lineside-test-key";

#[test]
fn a_tray_becomes_ready_to_ship() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 2);
    assert!(
        fs::read_to_string(floor.at("bench/ca.pem"))
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    let about: Value = serde_json::from_slice(&fs::read(floor.at("bench/simulated.json")).unwrap()).unwrap();
    assert_eq!((&about["version"], &about["seed"]), (&1.into(), &1.into()));

    let run = floor.run(&format!(
        "run {PLAN} --bench at:bench --data d --serials {SERIALS} --expect 2 --json"
    ));
    let run = run.exits(0);
    let objects = run.objects();
    let events = assert_told_in_order(&objects);
    assert_said!(run.stderr, @r"
    records: d
    note: made the key [key] of this station; it lives in a file that only this user may read
    ");
    let passed = events
        .iter()
        .filter(|event| event["kind"] == "run-ended" && event["body"]["outcome"] == "pass");
    assert_eq!(passed.count(), 2);
    sim.assert_locked_once(0);
    sim.assert_locked_once(1);

    // The same units again: they are done, and nothing is done to them.
    let writes = (sim.count(0, "writes"), sim.count(1, "writes"));
    let again = floor
        .run(&format!(
            "run {PLAN} --bench at:bench --data d --serials {SERIALS} --expect 2"
        ))
        .exits(0);
    assert_said!(again.stdout, @r"
    slot  device  serial  outcome  time  what to do
    1113  8578d362  SAMPLE-0001  complete (run [run])
    1123  9585e3a0  SAMPLE-0002  complete (run [run])
    2 of 2 units passed
    ");
    let mut told: Vec<&str> = again.stderr.lines().collect();
    told.sort_unstable();
    assert_said!(told.join("\n"), @r"
    1113  unit SAMPLE-0001 is complete (run [run])
    1123  unit SAMPLE-0002 is complete (run [run])
    records: d
    ");

    // For a station that did not finish them they are foreign.
    let foreign = floor
        .run(&format!(
            "run {PLAN} --bench at:bench --data elsewhere --serials {SERIALS}"
        ))
        .exits(1);
    assert_said!(foreign.stdout, @r"
    slot  device  serial  outcome  time  what to do
    1113  8578d362  -  HELD  the device is DeviceComplete already, but no run of this station finished it [unit.foreign-complete] Set the unit aside and ask where it was finished; nothing was written to it.
    1123  9585e3a0  -  HELD  the device is DeviceComplete already, but no run of this station finished it [unit.foreign-complete] Set the unit aside and ask where it was finished; nothing was written to it.
    0 of 8 units passed
    ");
    assert_eq!((sim.count(0, "writes"), sim.count(1, "writes")), writes);

    for done in [&run, &again, &foreign] {
        done.never_says(PSK);
    }
    for folder in ["d", "elsewhere"] {
        assert_eq!(floor.files_with(folder, PSK), [] as [std::path::PathBuf; 0]);
    }
    assert!(
        !floor.files_with("d", "SAMPLE-0001").is_empty(),
        "the search finds what is there"
    );

    sim.stop().exits(0);
    for gone in ["ca.pem", "simulated.json", "bench.sock", "control.sock"] {
        assert!(!floor.at("bench").join(gone).exists(), "{gone} is left behind");
    }
}

/// Events without a gap, and a summary at the end. Returns the events.
fn assert_told_in_order(objects: &[Value]) -> &[Value] {
    let (summary, events) = objects.split_last().unwrap();
    assert_eq!(summary["kind"], "summary");
    assert_eq!(
        (&summary["is_pass"], &summary["passed"], &summary["expected"]),
        (&true.into(), &2.into(), &2.into())
    );
    let sequences: Vec<u64> = events
        .iter()
        .map(|event| event["sequence"].as_u64().unwrap())
        .collect();
    assert!(
        sequences.iter().copied().eq(1..=events.len() as u64),
        "{sequences:?}"
    );
    events
}

#[test]
fn people_see_a_table() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let _sim = Sim::start(&floor, 2);
    let devices = floor.run("devices --bench at:bench").exits(0);
    assert_said!(devices.stdout, @r"
    slot  address  device  state  OS  responsive
    1113  192.168.35.2  8578d362  Module1Complete  24.06  yes
    1123  192.168.35.3  9585e3a0  Module1Complete  24.06  yes
    ");
    assert_eq!(devices.stderr, "");
    let whole = floor.run("devices --bench at:bench --verbose --json").exits(0);
    let ids: Vec<String> = whole
        .objects()
        .iter()
        .map(|object| object["device"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.len() == 128),
        "{ids:?}"
    );

    // Two boards pass, three units were expected: somebody must look for the third.
    let run = floor
        .run(&format!(
            "run {plan} --bench at:bench --data d --serials {SERIALS} --expect 3"
        ))
        .exits(1);
    assert_said!(run.stdout, @r"
    slot  device  serial  outcome  time  what to do
    1113  8578d362  SAMPLE-0001  PASS  [time]
    1123  9585e3a0  SAMPLE-0002  PASS  [time]
    2 of 3 units passed
    ");
    let told: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("1113 "))
        .collect();
    assert_said!(told.join("\n"), @r"
    1113  run 1 of unit SAMPLE-0001, device 8578d362
    1113  application: pass ([n] bytes)
    1113  ready: pass
    1113  about to do DeviceComplete of device 8578d362 (intent 1)
    1113  DeviceComplete of device 8578d362 (intent 1): confirmed
    1113  lock: pass (the device was seen in the new state)
    1113  final-look: pass (DeviceComplete, SECURE, no capabilities, OS 24.06)
    1113  unit done: pass
    ");

    let locked = floor.run("devices --bench at:bench").exits(0);
    assert_said!(locked.stdout, @r"
    slot  address  device  state  OS  responsive
    1113  192.168.35.2  8578d362  DeviceComplete  24.06  yes
    1123  192.168.35.3  9585e3a0  DeviceComplete  24.06  yes
    ");
}
