//! Several processes on one bench and on one data folder.

use crate::command::until;
use crate::floor::{Floor, SERIALS, assert_said};
use crate::sim::Sim;

/// The first board never answers: whoever waits for it has it leased meanwhile.
const FIRST_IS_SILENT: &str = r#"{"faults":[{"board":0,"when":{"boot":{"times":0}},"what":"silent"}]}"#;

#[test]
fn boards_and_records_belong_to_one_at_a_time() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    floor.write("faults.json", FIRST_IS_SILENT);
    let sim = Sim::start_with(&floor, 2, "--faults faults.json");
    let words = format!("run {plan} --bench at:bench --serials {SERIALS}");
    let mut first = floor.start(&format!("{words} --data d"));
    assert!(
        first.says("1123  unit done: pass"),
        "a silent board disturbs no other"
    );

    floor.run(&format!("{words} --data d")).fails(3, "records.locked");
    let listed = floor
        .run("records list --data d --serial SAMPLE-0002 --json")
        .exits(0)
        .object();
    assert_eq!(
        listed["outcome"], "pass",
        "looking is allowed while another process writes"
    );

    let devices = floor.run("devices --bench at:bench").exits(1);
    assert_said!(devices.stdout, @r"
    slot  address  device  state  OS  responsive
    1113  192.168.35.2  -  -  -  in use by lineside run on station
    1123  192.168.35.3  9585e3a0  DeviceComplete  24.06  yes
    ");
    let objects = floor.run("devices --bench at:bench --json").exits(1).objects();
    assert_eq!(objects[0]["leased_by"], "lineside run on station");
    assert_eq!(
        (&objects[0]["is_responsive"], &objects[0]["error"]["code"]),
        (&false.into(), &"link.leased".into())
    );
    let doctor = floor
        .run("doctor --bench at:bench --data other --service-port 9 --json")
        .exits(0);
    let in_use = "the board at slot 1113 is in use by lineside run on station";
    assert!(doctor.stdout.contains(in_use), "{doctor:?}");
    let check = floor
        .run("ready-check --bench at:bench --slot 1113 --json")
        .exits(1)
        .object();
    assert_eq!(check["error"]["code"], "link.leased");
    // A line may reset another device than its own, so one board in use protects all.
    let boots = sim.count(0, "boots") + sim.count(1, "boots");
    floor
        .run("slots cables --bench at:bench --slot 1123")
        .fails(1, "link.leased");
    assert_eq!(sim.count(0, "boots") + sim.count(1, "boots"), boots);
    let second = floor.run(&format!("{words} --data other --json")).exits(1);
    let objects = second.objects();
    let summary = objects.last().unwrap();
    assert_eq!(summary["slots"][0]["error"]["code"], "link.leased", "{summary}");
    assert_eq!(
        summary["slots"][1]["error"]["code"], "unit.foreign-complete",
        "{summary}"
    );

    first.interrupt();
    let stopped = first.done().exits(130);
    assert_said!(stopped.stdout, @r"
    slot  device  serial  outcome  time  what to do
    1113  -  -  INTERRUPTED  somebody asked to stop [run.cancelled] Run the same command again: the unit goes on where it was.
    1123  9585e3a0  SAMPLE-0002  PASS  [time]
    1 of 8 units passed
    ");
    sim.assert_untouched(0, "Module1Complete");
    sim.assert_locked_once(1);

    // Whoever is killed has let go of everything.
    let held = floor.start(&format!("{words} --data held"));
    until("the first board is leased", || {
        sim.ask()[0]["leased_by"].is_string().then_some(())
    });
    held.kill();
    sim.until_free(0);
}

#[test]
fn only_one_lends_in_a_folder() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    floor
        .run("sim --boards 1 --dir bench")
        .fails(3, "link.bench-taken");
    floor.run("devices --bench at:bench").exits(0);
    sim.stop().exits(0);
    floor.run("devices --bench at:bench").fails(3, "link.no-bench");

    // One that was killed leaves its files behind; the next one takes the folder over.
    drop(Sim::start(&floor, 1));
    assert!(floor.at("bench/ca.pem").exists());
    let sim = Sim::start_with(&floor, 1, "--seed 7");
    floor.run("devices --bench at:bench").exits(0);
    sim.stop().exits(0);
}

#[test]
fn watching_tells_of_every_board() {
    let floor = Floor::new();
    floor.write(
        "faults.json",
        r#"{"faults":[{"board":0,"when":{"request":{"operation":"*","nth":1}},"what":"reset-before"}]}"#,
    );
    let sim = Sim::start(&floor, 2);
    let mut watch = floor.start("devices --bench at:bench --watch");
    assert!(watch.says("Module1Complete") && watch.says("Module1Complete"));
    watch.interrupt();
    watch.done().exits(0);

    let mut watch = floor.start("devices --bench at:bench --watch");
    assert!(watch.says("Module1Complete"));
    drop(sim);
    watch.done().fails(3, "station.bench-gone");
}
