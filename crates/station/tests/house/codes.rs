//! Every error code that a person can meet is explained in the book.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::sources;
use crate::tree;

const PAGE: &str = "docs/src/troubleshooting.md";

/// Ends of names of files, which look like codes.
const FILES: [&str; 17] = [
    "toml",
    "json",
    "jsonl",
    "txt",
    "pem",
    "csv",
    "rs",
    "md",
    "bin",
    "sock",
    "db",
    "sqlite",
    "lock",
    "log",
    "trace",
    "imagepackage",
    "imagemanifest",
];

/// Codes in the sources, each with where it stands.
fn codes() -> BTreeMap<String, String> {
    let mut codes = BTreeMap::new();
    let sources = sources();
    for source in &sources {
        for at in source.find("fn code") {
            if !source.code[at..].starts_with("fn code(&self) -> &'static str") {
                continue;
            }
            let body = source.block(at);
            for (at, string) in source.strings.iter().filter(|(at, _)| body.contains(at)) {
                if is_code(string) {
                    codes.insert(string.clone(), source.place(*at));
                }
            }
        }
    }
    // Codes also stand in tables beside: whatever has the form and an area that is known. Commands say their own
    // where they arise.
    let areas: BTreeSet<String> = codes.keys().map(|code| area(code).to_owned()).collect();
    for source in &sources {
        for (at, string) in &source.strings {
            let is_of_a_command = ["station", "azsphere"].contains(&tree::crate_of(&source.path).as_str());
            if is_code(string) && (is_of_a_command || areas.contains(area(string))) {
                codes.entry(string.clone()).or_insert_with(|| source.place(*at));
            }
        }
    }
    codes
}

fn area(code: &str) -> &str {
    code.split('.').next().unwrap_or(code)
}

/// `area.what-happened`, and not the name of a file.
fn is_code(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match text.split_once('.') {
        Some((area, rest)) => is_word(area) && is_word(rest) && !FILES.contains(&rest),
        None => false,
    }
}

#[test]
fn every_code_is_explained() {
    let codes = codes();
    let areas: BTreeSet<&str> = codes.keys().map(|code| area(code)).collect();
    let page = tree::text(PAGE);
    let explained: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code)
        .filter(|code| is_code(code))
        .collect();
    let mut wrong: Vec<String> = codes
        .iter()
        .filter(|(code, _)| !explained.contains(code.as_str()))
        .map(|(code, place)| format!("`{code}` ({place}) is not explained"))
        .collect();
    wrong.extend(
        explained
            .iter()
            .filter(|code| !codes.contains_key(**code))
            .map(|code| {
                format!(
                    "`{code}` is explained, but nothing says it{}",
                    if areas.contains(area(code)) {
                        ""
                    } else {
                        " and its area is unknown"
                    }
                )
            }),
    );
    tree::none_of(
        &wrong,
        "Mend the tables in docs/src/troubleshooting.md: one row `| `code` | meaning | what to do |` each.",
    );
    assert!(codes.len() > 50, "the scan finds {} codes only", codes.len());
}
