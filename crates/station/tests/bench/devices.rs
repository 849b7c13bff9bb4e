//! What `devices` tells of boards of all kinds, and where it looks for them.

use crate::floor::{Floor, assert_said};
use crate::sim::Sim;

#[test]
fn devices_of_all_kinds_are_listed() {
    let floor = Floor::new();
    floor.write(
        "faults.json",
        r#"{"faults": [
            {"board": 1, "when": {"boot": {"times": 0}}, "what": "silent"},
            {"board": 2, "when": {"connect": {"times": 0}}, "what": "wrong-certificate"}
        ]}"#,
    );
    let sim = Sim::start_with(&floor, 3, "--os-profile 20.05 --state Blank --faults faults.json");
    let devices = floor.run("devices --bench at:bench --timeout 1").exits(1);
    assert_said!(devices.stdout, @r"
    slot  address  device  state  OS  responsive
    1113  192.168.35.2  8578d362  Blank  before 22.09  yes
    1123  192.168.35.3  -  -  -  no: the device did not come back within 1 s: the device does not answer: port 443 was tried once [device.not-back]
    1133  192.168.35.4  -  -  -  no: what answers is not a device that this station trusts: its certificate is not signed by the pinned one [device.wrong-certificate]
    ");
    let objects = floor
        .run("devices --bench at:bench --timeout 1 --json")
        .exits(1)
        .objects();
    assert_eq!(objects[0]["is_responsive"], true);
    assert!(
        objects[0].get("os").is_none() && objects[0].get("error").is_none(),
        "{}",
        objects[0]
    );
    assert_eq!(objects[1]["is_responsive"], false);
    assert_eq!(objects[2]["error"]["code"], "device.wrong-certificate");
    assert_eq!(sim.count(0, "writes"), 0);
}

#[test]
fn the_environment_names_bench_and_records() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let by_env = floor
        .lineside("devices --json")
        .env("LINESIDE_BENCH", "at:bench")
        .done()
        .exits(0);
    assert_eq!(by_env.object()["state"], "Module1Complete");
    let overruled = floor
        .lineside("devices --bench sim:0")
        .env("LINESIDE_BENCH", "at:bench")
        .done();
    overruled.fails(1, "station.no-board");
    floor
        .lineside("devices")
        .env("LINESIDE_BENCH", "nonsense")
        .done()
        .exits(2);

    let plan = floor.short_plan();
    let run = floor.lineside(&format!(
        "run {plan} --serials plans/thermostat-serials.txt --expect 1"
    ));
    run.env("LINESIDE_BENCH", "at:bench")
        .env("LINESIDE_DATA", "by-env")
        .done()
        .exits(0);
    assert!(floor.at("by-env/journal").is_dir());
    sim.assert_locked_once(0);

    // What stands in the folder of a bench must be what belongs there.
    floor.write("bench/simulated.json", "{}");
    floor
        .run("devices --bench at:bench")
        .fails(3, "station.bench-folder");
    floor.write("bench/simulated.json", r#"{"version":1,"seed":1}"#);
    floor.write("bench/ca.pem", "no certificate");
    floor
        .run("devices --bench at:bench")
        .fails(3, "station.bench-folder");
}

#[test]
fn a_bench_does_not_begin_with_a_wrong_script() {
    let floor = Floor::new();
    for wrong in [
        "",
        "[]",
        r#"{"faults": [{"when": {"boot": {}}, "what": "explode"}]}"#,
    ] {
        floor.write("faults.json", wrong);
        floor
            .run("sim --boards 1 --dir bench --faults faults.json")
            .fails(2, "sim.faults");
        assert!(!floor.at("bench").exists());
    }
}
