//! What stands in the way of work is found, told with a remedy, and nothing else is.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::Value;

use crate::command::Done;
use crate::floor::{Floor, SERIALS};
use crate::sim::Sim;

/// A port that nobody serves, so that tests beside this one do not matter.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn finding<'a>(objects: &'a [Value], topic: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["topic"] == topic);
    found.unwrap_or_else(|| panic!("nothing about {topic} in {objects:#?}"))
}

/// Everything that is bad comes with a remedy, and only that.
fn assert_told_well(done: &Done) -> Vec<Value> {
    let objects = done.objects();
    for object in &objects {
        assert_eq!(
            (&object["version"], &object["kind"]),
            (&1.into(), &"finding".into())
        );
        assert_eq!(object["remedy"].is_null(), object["severity"] == "ok", "{object}");
    }
    objects
}

#[test]
fn a_station_that_is_well_has_no_problem() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 2);
    floor
        .run(&format!(
            "run {plan} --bench at:bench --data d --serials {SERIALS} --expect 2"
        ))
        .exits(0);
    let port = free_port();
    let words = format!("doctor --bench at:bench --data d --service-port {port}");
    let done = floor.run(&format!("{words} --json")).exits(0);
    let objects = assert_told_well(&done);
    for topic in ["data-folder", "journal", "board", "vendor-service"] {
        assert_eq!(finding(&objects, topic)["severity"], "ok");
    }
    assert_eq!(
        objects.iter().filter(|object| object["topic"] == "board").count(),
        2
    );
    let text = floor.run(&words).exits(0);
    assert!(text.stdout.contains("\n0 problems, "), "{text:?}");
    assert!(text.stdout.contains("the board at slot 1113 is free"), "{text:?}");
    // It only looked: what it tried the disk with is gone.
    for entry in std::fs::read_dir(floor.at("d")).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().contains("doctor"), "{name:?}");
    }
    sim.assert_locked_once(0);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_a_problem() {
    let floor = Floor::new();
    floor.write("file", "in the way");
    let port = free_port();
    for data in ["file", "file/below"] {
        let words = format!("doctor --bench sim:1 --data {data} --service-port {port}");
        let done = floor.run(&format!("{words} --json")).exits(1);
        let objects = assert_told_well(&done);
        assert_eq!(
            finding(&objects, "data-folder")["severity"],
            "problem",
            "{objects:#?}"
        );
        let text = floor.run(&words).exits(1);
        assert!(
            text.stdout.contains("--data") && text.stdout.contains("\n1 problem, "),
            "{text:?}"
        );
    }
}

#[test]
fn a_journal_that_was_changed_is_a_problem() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    floor
        .run(&format!(
            "run {plan} --bench sim:1 --data d --serials {SERIALS} --expect 1"
        ))
        .exits(0);
    let segment = floor.files_with("d/journal", "station-started").remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let port = free_port();
    let done = floor
        .run(&format!(
            "doctor --bench sim:1 --data d --service-port {port} --json"
        ))
        .exits(1);
    let objects = assert_told_well(&done);
    assert_eq!(finding(&objects, "journal")["severity"], "problem");
}

#[test]
fn a_program_in_the_place_of_the_vendors_service_is_told() {
    let floor = Floor::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || drop(listener.accept()));
    let done = floor
        .run(&format!("doctor --bench sim:1 --service-port {port} --json"))
        .exits(0);
    serving.join().unwrap();
    let objects = assert_told_well(&done);
    let service = finding(&objects, "vendor-service");
    assert_eq!(service["severity"], "warning");
    assert!(
        service["found"].as_str().unwrap().contains(&port.to_string()),
        "{service}"
    );
}

#[test]
fn boards_that_are_missing_or_in_use_are_told() {
    let floor = Floor::new();
    let port = free_port();
    let doctor = |bench: &str, exit: i32| {
        let words = format!("doctor --bench {bench} --service-port {port} --json");
        assert_told_well(&floor.run(&words).exits(exit))
    };
    assert_eq!(finding(&doctor("sim:0", 0), "bench")["severity"], "warning");
    let objects = doctor("at:nowhere", 1);
    let bench = finding(&objects, "bench");
    assert_eq!(bench["severity"], "problem");
    assert!(
        bench["remedy"].as_str().unwrap().contains("lineside sim"),
        "{bench}"
    );
}
