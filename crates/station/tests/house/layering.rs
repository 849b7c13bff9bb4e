//! Data flows one way: bytes → link → device → runner → journal → views. A room uses only the rooms named.

use std::collections::{BTreeMap, BTreeSet};

use crate::metadata::crates;
use crate::source::Source;
use crate::tree;

/// The rooms, each with the rooms that it may use.
const ROOMS: [(&str, &[&str]); 13] = [
    ("terms", &[]),
    ("image", &["terms"]),
    ("protocol", &["terms"]),
    ("interlock", &["terms"]),
    ("link", &["protocol", "terms"]),
    ("device", &["link", "protocol", "interlock", "image", "terms"]),
    ("bridge", &["device", "link", "protocol", "terms"]),
    ("flow", &["interlock", "terms"]),
    ("records", &["flow", "terms"]),
    ("simulator", &["link", "protocol", "image", "terms"]),
    (
        "runner",
        &[
            "device",
            "link",
            "protocol",
            "interlock",
            "image",
            "flow",
            "records",
            "terms",
        ],
    ),
    // As `station`, it takes the simulator for `sim:N` alone: as a bench.
    (
        "azsphere",
        &[
            "runner",
            "simulator",
            "device",
            "link",
            "protocol",
            "interlock",
            "image",
            "flow",
            "records",
            "terms",
        ],
    ),
    (
        "station",
        &[
            "runner",
            "bridge",
            "simulator",
            "device",
            "link",
            "protocol",
            "interlock",
            "image",
            "flow",
            "records",
            "terms",
        ],
    ),
];

/// Every crate's tests may use the simulated bench, and a bridge over it.
const FOR_TESTS: [&str; 2] = ["simulator", "bridge"];

/// Dependencies that are there for a feature of another one and are named in no source, with the reason.
const UNNAMED: [(&str, &str, &str); 0] = [];

#[test]
fn a_room_uses_only_the_rooms_named() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    let mut wrong = Vec::new();
    for (name, package) in crates() {
        let Some(may_use) = rooms.get(name) else {
            wrong.push(format!("crates/{name} is a room that the table does not know"));
            continue;
        };
        if package["name"] != format!("lineside-{name}") {
            wrong.push(format!("crates/{name} is called {}", package["name"]));
        }
        for dependency in package["dependencies"].as_array().unwrap() {
            let Some(used) = dependency["name"]
                .as_str()
                .and_then(|used| used.strip_prefix("lineside-"))
            else {
                continue;
            };
            let is_for_tests = dependency["kind"] == "dev";
            if !may_use.contains(&used) && !(is_for_tests && (FOR_TESTS.contains(&used) || used == name)) {
                wrong.push(format!(
                    "{name} uses {used}{}",
                    if is_for_tests { " in its tests" } else { "" }
                ));
            }
        }
    }
    tree::none_of(
        &wrong,
        "Move the code to where it may stand; the table is in crates/station/tests/house/layering.rs.",
    );
    assert_eq!(crates().count(), ROOMS.len(), "a room of the table is gone");
}

#[test]
fn platform_dependencies_stand_in_link_alone() {
    let mut wrong = Vec::new();
    for (name, package) in crates().filter(|(name, _)| *name != "link") {
        for dependency in package["dependencies"].as_array().unwrap() {
            if !dependency["target"].is_null() {
                wrong.push(format!(
                    "{name} takes {} for {} only",
                    dependency["name"], dependency["target"]
                ));
            }
        }
    }
    tree::none_of(&wrong, "What differs between platforms belongs into `link`.");
}

#[test]
fn every_dependency_is_used() {
    let mut wrong = Vec::new();
    for (name, package) in crates() {
        let sources: Vec<Source> = tree::files_with(&format!("crates/{name}"), "rs")
            .iter()
            .map(|path| Source::read(path))
            .collect();
        let in_src = |source: &&Source| tree::is_in_src(&source.path) || source.path.ends_with("build.rs");
        let dependencies: BTreeSet<(&str, bool)> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|dependency| {
                let called = dependency["rename"]
                    .as_str()
                    .or(dependency["name"].as_str())
                    .unwrap();
                (called, dependency["kind"] == "dev")
            })
            .collect();
        for (called, is_for_tests) in dependencies {
            let word = called.replace('-', "_");
            // Tests inside of `src` are blanked in `code`; what only they use belongs to the dev-dependencies.
            let is_used = if is_for_tests {
                sources.iter().any(|source| source.text.contains(&word))
            } else {
                sources
                    .iter()
                    .filter(in_src)
                    .any(|source| !source.find(&word).is_empty())
            };
            if !is_used && !UNNAMED.iter().any(|(of, what, _)| (*of, *what) == (name, called)) {
                let kind = if is_for_tests {
                    "dev-dependency"
                } else {
                    "dependency"
                };
                wrong.push(format!("{name}: {kind} {called}"));
            }
        }
    }
    tree::none_of(
        &wrong,
        "Nothing in the sources names these: take them out of Cargo.toml, or list them with a reason.",
    );
}
