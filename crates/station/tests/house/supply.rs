//! What comes in from outside: licences, sources, and the things of which there is one only.

use std::collections::{BTreeMap, BTreeSet};

use crate::metadata::{crates, metadata, packages};
use crate::tree;

/// Licences that are taken, each with the reason. Anything else, copyleft above all, is a decision to be made first.
const LICENCES: [(&str, &str); 9] = [
    ("MIT", "asks for its notice only"),
    ("Apache-2.0", "asks for its notice only, and grants patents"),
    ("MIT-0", "asks for nothing"),
    ("0BSD", "asks for nothing"),
    ("ISC", "asks for its notice only"),
    ("BSD-2-Clause", "asks for its notice only"),
    (
        "BSD-3-Clause",
        "asks for its notice only, and not to advertise with names",
    ),
    ("Zlib", "asks for its notice in sources only"),
    ("Unicode-3.0", "tables of characters: asks for its notice only"),
];

/// Crates of which there must be no second kind: one TLS library with one provider, one async runtime, one HTTP
/// parser, one USB library, no C libraries of the system.
const NEVER: [(&str, &str); 16] = [
    ("aws-lc-rs", "the TLS provider is ring"),
    ("aws-lc-sys", "the TLS provider is ring"),
    ("rustls-openssl", "the TLS provider is ring"),
    ("native-tls", "TLS is rustls"),
    ("openssl", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("mbedtls", "TLS is rustls"),
    ("async-std", "the runtime is tokio"),
    ("smol", "the runtime is tokio"),
    ("async-io", "the runtime is tokio"),
    ("chrono", "time is jiff"),
    ("reqwest", "it cannot take a transport of ours"),
    ("libftd2xx", "carries a binary"),
    ("libftdi1-sys", "needs a C library"),
    ("simd-json", "JSON is serde_json"),
    ("anyhow", "errors have codes and say who can mend them"),
];

/// What others may bring along, yet we never name ourselves.
const NEVER_OURS: [(&str, &str); 2] = [
    ("time", "time is jiff; certificates bring their own"),
    ("rand", "randomness comes from getrandom"),
];

#[test]
fn only_licences_that_were_weighed_come_in() {
    let wrong: Vec<String> = packages()
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(is_taken))
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    tree::none_of(
        &wrong,
        "Weigh the licence and add it with a reason, or do without the crate.",
    );
    assert!(
        packages().len() > 100,
        "cargo tells of {} packages only",
        packages().len()
    );
}

/// Whether an SPDX expression leaves us a choice of licences that are all taken.
fn is_taken(expression: &str) -> bool {
    // Some write `/` where the standard has `OR`.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (verdict, rest) = any_of(&words);
    verdict && rest.is_empty()
}

fn any_of<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    let (mut verdict, mut rest) = all_of(words);
    while let Some(("OR", after)) = rest.split_first().map(|(word, after)| (*word, after)) {
        let (next, after) = all_of(after);
        (verdict, rest) = (verdict || next, after);
    }
    (verdict, rest)
}

fn all_of<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    let (mut verdict, mut rest) = one_of(words);
    while let Some(("AND", after)) = rest.split_first().map(|(word, after)| (*word, after)) {
        let (next, after) = one_of(after);
        (verdict, rest) = (verdict && next, after);
    }
    (verdict, rest)
}

fn one_of<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    match words {
        ["(", inside @ ..] => match any_of(inside) {
            (verdict, [")", rest @ ..]) => (verdict, rest),
            (_, rest) => (false, rest),
        },
        // An exception is a text of its own, so a licence with one is not the licence that was weighed.
        [_, "WITH", _, rest @ ..] => (false, rest),
        [licence, rest @ ..] => (LICENCES.iter().any(|(taken, _)| taken == licence), rest),
        [] => (false, words),
    }
}

#[test]
fn expressions_of_licences_are_understood() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-2.0) AND Unicode-3.0",
        "A WITH b OR MIT",
    ] {
        assert!(is_taken(good), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT",
        "MIT)",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(!is_taken(bad), "{bad}");
    }
}

#[test]
fn everything_comes_from_one_registry() {
    let sources: BTreeSet<&str> = packages()
        .iter()
        .filter_map(|package| package["source"].as_str())
        .collect();
    assert!(
        sources.len() == 1 && sources.iter().all(|source| source.starts_with("registry+")),
        "{sources:?}"
    );
    for (_, package) in crates() {
        assert!(package["source"].is_null());
        assert_eq!(package["license"], "MIT OR Apache-2.0", "{}", package["name"]);
        assert_eq!(
            package["publish"],
            serde_json::json!([]),
            "{} could be published",
            package["name"]
        );
    }
}

#[test]
fn there_is_one_of_each_kind() {
    let names: BTreeMap<&str, &str> = packages()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let used: BTreeSet<&str> = metadata()["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| names[node["id"].as_str().unwrap()])
        .collect();
    let mut wrong: Vec<String> = NEVER
        .iter()
        .filter(|(name, _)| used.contains(name))
        .map(|(name, why)| format!("{name}: {why}; `cargo tree -i {name}` shows who brings it"))
        .collect();
    for (ours, package) in crates() {
        for dependency in package["dependencies"].as_array().unwrap() {
            if let Some((name, why)) = NEVER_OURS.iter().find(|(name, _)| dependency["name"] == *name) {
                wrong.push(format!("{ours} uses {name}: {why}"));
            }
        }
    }
    tree::none_of(&wrong, "There is one of each kind.");
}
