//! The page of the book that takes one unit through a repair is done word by word, on a simulated board.

use crate::floor::{Floor, SERIALS};
use crate::sim::Sim;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/repair-session.md");

/// The commands of the page in their order, without those that only make the simulated board.
fn commands(page: &str) -> Vec<String> {
    let mut is_inside = false;
    let mut commands = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            is_inside = line == "```sh";
        } else if is_inside {
            commands.push(
                line.strip_prefix("lineside ")
                    .unwrap_or_else(|| panic!("{line}"))
                    .to_owned(),
            );
        }
    }
    commands
}

#[test]
fn a_repair_session_from_the_page_alone() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let plan = floor.short_plan();
    let id = floor.run("device id --json --bench at:bench").exits(0).object();
    let id = id["device"].as_str().unwrap().to_owned();
    // What the page says under *To try it*, and files that people have.
    for (file, allow) in [
        ("servicing.cap", "fieldServicing"),
        ("development.cap", "appDevelopment"),
    ] {
        floor
            .run(&format!("sim make-capability {id} --allow {allow} --out {file}"))
            .exits(0);
    }
    floor.run("sim make-key --out key.pem").exits(0);
    floor
        .run("image pack plans/thermostat/application --key key.pem --out application.imagepackage")
        .exits(0);
    floor.write("factory.psk", "planted-passphrase\n");
    for file in ["radius.pem", "device.pem"] {
        std::fs::copy(floor.at("bench/ca.pem"), floor.at(file)).unwrap();
    }
    let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    floor.write("device.key", key);
    floor.write("mt3620an.json", floor.run("sim os-list").exits(0).stdout);
    let commands = commands(&std::fs::read_to_string(PAGE).unwrap());
    assert!(commands.len() > 25, "{commands:#?}");
    for command in commands {
        let words = command
            .replace("2b81cb81", &id[id.len() - 8..])
            .replace(
                "line.toml --serials today.txt",
                &format!("{plan} --serials {SERIALS} --expect 1"),
            )
            .replace("\"repair 4711\"", "repair-4711");
        let bench = if words.starts_with("image") {
            ""
        } else {
            "--bench at:bench"
        };
        let done = floor
            .lineside(&format!("{words} {bench} --data d"))
            .env("KEY_PASS", "secret")
            .done();
        if words.starts_with("ready-check") {
            // The plan has not loaded the application yet: the check tells so.
            let done = done.exits(1);
            assert!(done.stdout.contains("image"), "{command}: {done:?}");
        } else if words.contains("manufacturing-state update") {
            // As long as the station's policy says nothing else.
            done.fails(4, "device.manual-refused");
        } else {
            done.exits(0);
        }
    }
    sim.assert_locked_once(0);
}
