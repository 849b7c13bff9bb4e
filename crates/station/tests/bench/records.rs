//! Looking into what was recorded, and finding out that somebody changed it.

use std::fs;

use crate::floor::{Floor, SERIALS, assert_said};

/// Where the journal's first segment is.
const SEGMENT: &str = "d/journal/000000000001.journal";

#[test]
fn what_was_recorded_can_be_looked_at() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let who = "--operator 17 --shift early --work-order 4711 --station line-3";
    floor
        .run(&format!(
            "run {plan} --bench sim:2 --data d --serials {SERIALS} --expect 2 {who}"
        ))
        .exits(0);

    let list = floor.run("records list --data d --serial SAMPLE-0001").exits(0);
    assert_said!(list.stdout, @r"
    run  began  serial  device  outcome  error  who
    [run]  [when]  SAMPLE-0001  8578d362  pass  17
    ");
    let runs = floor.run("records list --data d --json").exits(0).objects();
    assert_eq!(runs.len(), 2);
    assert!(
        runs.iter()
            .all(|run| run["kind"] == "run" && run["operator"] == "17" && run["work_order"] == "4711")
    );
    let id = runs[0]["run"].as_str().unwrap();
    let device = runs[0]["device"].as_str().unwrap();
    assert_eq!(
        floor
            .run(&format!("records list --data d --device {device} --json"))
            .exits(0)
            .object()["run"],
        id
    );
    assert_eq!(
        floor
            .run("records list --data d --limit 1 --json")
            .exits(0)
            .objects()
            .len(),
        1
    );
    let none = floor.run("records list --data d --outcome fail").exits(0);
    assert_eq!(
        (none.stdout.as_str(), none.stderr.as_str()),
        ("", "no run is recorded that fits\n")
    );
    floor
        .run("records list --data d --outcome perfect")
        .fails(2, "records.no-outcome");

    let show = floor.run("records show SAMPLE-0001 --data d").exits(0);
    assert_said!(show.stdout, @r"
    run  [run]
    device  7f7b4f9576e823461dd6c3880513e4a988800b893de3ec6eb323ba74420e625c1aefe19e6e6ab87e5639eed39074139f3c553996cdf9b816fd6cc7898578d362
    unit  SAMPLE-0001, attempt 1
    plan  [hash] (Sample thermostat)
    operator 17
    began  [when], ended [when]
    outcome  pass
    step  try  outcome  said
    application  1  pass  [n] bytes
    ready  1  pass
    lock  1  pass  the device was seen in the new state
    final-look  1  pass  DeviceComplete, SECURE, no capabilities, OS 24.06
    intent  DeviceComplete of device 8578d362 (intent 1): confirmed
    ");
    let whole = floor
        .run(&format!("records show {id} --data d --json"))
        .exits(0)
        .object();
    assert_eq!(whole["run"], id);
    assert_eq!(whole["steps"].as_array().unwrap().len(), 4);
    floor
        .run("records show SAMPLE-9999 --data d")
        .fails(2, "records.no-run");

    let devices = floor.run("records export devices --data d").exits(0);
    let (head, rows) = devices.stdout.split_once('\n').unwrap();
    assert_eq!(head, "device_id,serial,state,complete_run,last_seen");
    assert!(
        rows.lines().count() == 2 && rows.contains(&format!("{device},SAMPLE-000")),
        "{devices:?}"
    );
    let claims = floor
        .run("records export claims --product P --group G --data d")
        .exits(0);
    let (head, rows) = claims.stdout.split_once('\n').unwrap();
    assert_eq!(head, "DeviceId,ProductName,DeviceGroupName");
    assert!(
        rows.lines().count() == 2 && rows.lines().all(|row| row.len() == 132 && row.ends_with(",P,G")),
        "{claims:?}"
    );
    floor.run("records export claims --product P --data d").exits(2);
    let exported = floor.run("records export runs --data d").exits(0).objects();
    assert!(
        exported.len() == 2 && exported.iter().all(|run| run["outcome"] == "pass"),
        "{exported:?}"
    );

    // The view is only a view.
    fs::remove_file(floor.at("d/view.sqlite")).unwrap();
    assert_eq!(
        floor.run("records export devices --data d").exits(0).stdout,
        devices.stdout
    );
}

#[test]
fn one_changed_byte_is_found() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let words = format!("run {plan} --bench sim:1 --data d --serials {SERIALS} --expect 1");
    floor.run(&words).exits(0);
    let sound = floor.run("records verify --data d").exits(0);
    assert_said!(sound.stdout, @r"
    sound: [n] events, [n] bytes, head [hash]
    checkpoints of this station: up to event [n], key [key]
    no anchor was given: that the whole history was written anew would not be seen
    ");
    let bytes = fs::read(floor.at(SEGMENT)).unwrap();

    for at in [bytes.len() / 3, bytes.len() / 2] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        floor.write(SEGMENT, &changed);
        let damaged = floor.run("records verify --data d").exits(1);
        assert!(damaged.stdout.starts_with("damaged after event "), "{damaged:?}");
        let object = floor.run("records verify --data d --json").exits(1).object();
        assert_eq!(object["is_sound"], false);
        assert!(object["damage"].is_string(), "{object}");
        // Nothing is written behind damage.
        let run = floor.run(&words).exits(3);
        assert!(run.stderr.contains("  code:   records."), "{run:?}");
        assert!(
            fs::read(floor.at(SEGMENT)).unwrap() == changed,
            "what is damaged stays as it was found"
        );
    }

    // What was acknowledged and is gone is missed: a checkpoint says that it was there.
    floor.write(SEGMENT, &bytes[..bytes.len() - 7]);
    floor.run("records verify --data d").exits(1);
    // A tail that a power cut tore off was never acknowledged; what stands before it is sound.
    fs::remove_file(floor.at("d/evidence/checkpoints.txt")).unwrap();
    let torn = floor.run("records verify --data d").exits(0);
    assert!(
        torn.stdout.contains("nothing of it had been acknowledged"),
        "{torn:?}"
    );
}

#[test]
fn simulated_runs_have_folders_of_their_own() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let words = format!("run {plan} --bench sim:1 --serials {SERIALS} --expect 1");
    let [first, second] = [(); 2].map(|()| floor.run(&words).exits(0));
    let folder = |run: &crate::command::Done| {
        run.stderr
            .lines()
            .next()
            .unwrap()
            .strip_prefix("records: ")
            .unwrap()
            .to_owned()
    };
    assert_ne!(folder(&first), folder(&second), "its boards are new each time");
    let newest = floor.run("records list --json").exits(0).object();
    let named = floor
        .run(&format!("records list --json --data {}", folder(&second)))
        .exits(0)
        .object();
    assert_eq!(newest["run"], named["run"]);
}
