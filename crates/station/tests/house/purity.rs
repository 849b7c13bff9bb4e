//! Where platform code stands, what pure crates never touch, and who issues receipts.

use crate::source::{Source, sources};
use crate::tree;

/// Crates without I/O, clock, environment and randomness: all of that is an argument.
const PURE: [&str; 5] = ["terms", "image", "protocol", "interlock", "flow"];

/// What a pure crate never names outside of its tests.
const IMPURE: [&str; 11] = [
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "Instant::now",
    "SystemTime::now",
    "tokio",
    "rand",
    "getrandom",
    "println",
    "eprintln",
];

/// What of `std::net` does I/O; addresses alone are only numbers.
const SOCKETS: [&str; 4] = ["TcpStream", "TcpListener", "UdpSocket", "ToSocketAddrs"];

/// Words that make code depend on a platform.
const PLATFORM: [&str; 7] = [
    "std::os",
    "unix",
    "windows",
    "target_os",
    "target_family",
    "target_env",
    "target_vendor",
];

#[test]
fn platform_code_stands_in_link_alone() {
    let mut wrong = Vec::new();
    let elsewhere = |source: &&Source| tree::crate_of(&source.path) != "link";
    for source in sources().iter().filter(elsewhere) {
        // Tests inside of `src` are blanked: what they may need of a platform is `link`'s too, but theirs to judge.
        for word in PLATFORM {
            let is_condition = |at: &usize| word.starts_with("std") || is_in_cfg(&source.code, *at);
            wrong.extend(
                source
                    .find(word)
                    .iter()
                    .filter(|at| is_condition(at))
                    .map(|at| format!("{}: {word}", source.place(*at))),
            );
        }
        for (at, _) in source.code.match_indices("std::{") {
            let group = &source.code[source.block(at)];
            if group.trim_matches(['{', '}']).split(',').any(is_of_os) {
                wrong.push(format!("{}: std::os", source.place(at)));
            }
        }
    }
    tree::none_of(
        &wrong,
        "What differs between platforms belongs into crates/link/src.",
    );
}

#[test]
fn only_link_depends_on_other_crates_on_other_platforms() {
    let wrong: Vec<String> = tree::files_with("crates", "toml")
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml") && tree::crate_of(path) != "link")
        .flat_map(|path| {
            let text = tree::text(&path);
            let sections: Vec<String> = platform_sections(&text)
                .map(|(number, line)| format!("{}:{number}: {line}", path.display()))
                .collect();
            sections
        })
        .collect();
    tree::none_of(
        &wrong,
        "Dependencies of one platform belong into crates/link/Cargo.toml.",
    );
    let link = tree::text("crates/link/Cargo.toml");
    assert!(
        platform_sections(&link).count() > 0,
        "the scan finds nothing at all"
    );
}

/// The lines of a manifest that make something depend on the platform, by their number.
fn platform_sections(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| line.starts_with("[target.") || line.starts_with("target."))
}

/// A name of a group after `std::` that leads to what only one platform has.
fn is_of_os(name: &str) -> bool {
    let name = name.trim();
    name == "os" || name.starts_with("os::")
}

/// True inside of `cfg(…)`, `cfg!(…)` and `cfg_attr(…)` on the same line.
fn is_in_cfg(code: &str, at: usize) -> bool {
    let line = &code[code[..at].rfind('\n').map_or(0, |start| start + 1)..at];
    ["cfg(", "cfg!(", "cfg_attr("]
        .iter()
        .any(|mark| line.contains(mark))
}

#[test]
fn pure_crates_touch_nothing() {
    let mut wrong = Vec::new();
    let is_pure = |source: &&Source| PURE.contains(&tree::crate_of(&source.path).as_str());
    for source in sources().iter().filter(is_pure) {
        for word in IMPURE.iter().chain(&SOCKETS) {
            wrong.extend(
                source
                    .find(word)
                    .iter()
                    .map(|at| format!("{}: {word}", source.place(*at))),
            );
        }
        for at in source
            .find("std::{")
            .into_iter()
            .chain(source.code.match_indices("std::{").map(|(at, _)| at))
        {
            let group = &source.code[source.block(at)];
            for module in ["fs", "env", "thread", "process"] {
                let names = group.trim_matches(['{', '}']).split(',');
                if names
                    .map(str::trim)
                    .any(|name| name == module || name.starts_with(&format!("{module}::")))
                {
                    wrong.push(format!("{}: std::{module}", source.place(at)));
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    tree::none_of(
        &wrong,
        "Take it as an argument: a pure crate is a function of what it is given.",
    );
}

#[test]
fn pure_crates_ban_the_same_by_lint() {
    let first = tree::text(format!("crates/{}/clippy.toml", PURE[0]));
    assert!(first.contains("std::time::Instant::now") && first.contains("reason ="));
    for name in PURE {
        let other = tree::text(format!("crates/{name}/clippy.toml"));
        assert_eq!(
            first, other,
            "crates/{name}/clippy.toml differs from that of {}",
            PURE[0]
        );
    }
    // The file of a crate takes the place of the one at the root, so it must say the same and more.
    for line in tree::text("clippy.toml").lines() {
        assert!(
            first.contains(line),
            "pure crates lack `{line}` of the clippy.toml at the root"
        );
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    let mut wrong = Vec::new();
    for source in sources() {
        let is_root = source.path.ends_with("src/lib.rs") || source.path.ends_with("src/main.rs");
        let is_link = tree::crate_of(&source.path) == "link";
        if is_root && !is_link && !source.code.contains("#![forbid(unsafe_code)]") {
            wrong.push(source.path.display().to_string());
        }
    }
    tree::none_of(&wrong, "Put `#![forbid(unsafe_code)]` at the top.");
}

#[test]
fn only_the_journal_issues_receipts() {
    const CALL: &str = "issued_by_the_journal";
    let mut wrong = Vec::new();
    let (mut definitions, mut calls) = (0, 0);
    for source in sources() {
        for at in source.find(CALL) {
            match tree::crate_of(&source.path).as_str() {
                "records" => calls += 1,
                "interlock" if source.code[..at].ends_with("fn ") => definitions += 1,
                _ => wrong.push(source.place(at)),
            }
        }
    }
    tree::none_of(
        &wrong,
        "A receipt is the journal's word that something is durable: only `records` may give it.",
    );
    assert_eq!(definitions, 1);
    assert!(calls > 0, "the journal issues no receipts at all");
}
