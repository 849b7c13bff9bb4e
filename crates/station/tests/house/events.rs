//! The page about the event stream: an example of every kind, and each is one that the program reads and writes.

use std::collections::BTreeSet;

use lineside_flow::Event;
use serde_json::Value;

use crate::source::Source;
use crate::tree;

const PAGE: &str = "docs/src/json-events.md";
/// Objects that commands print and that are no events.
const OTHERS: &[&str] = &[
    "summary",
    "error",
    "device",
    "gone",
    "ready-check",
    "run",
    "verified",
    "checkpoint",
    "certificate-check",
    "bundle",
    "coverage",
    "bridge-board",
    "bridge-board-gone",
    "bridge-ready",
    "each",
    "azsphere-installed",
    "azsphere-uninstalled",
    "plan-check",
    "plan-explanation",
    "simulated-board",
    "image",
    "image-made",
    "image-diff",
    "image-set",
    "image-set-imported",
    "image-set-made",
    "recovery",
    "recovery-summary",
    "identified-by-console",
    "open-intent",
    "open-unit",
    "store",
    "finding",
    "device-answer",
    "state-changed",
    "hand-write-record",
    "supply-made",
    "slot",
    "slot-cables",
    "gate",
];
const SOURCE: &str = "crates/flow/src/event.rs";

/// The words under which kinds of event are stored.
fn kinds() -> BTreeSet<String> {
    let source = Source::read(SOURCE.as_ref());
    let at = source
        .code
        .find("fn kind(&self)")
        .expect("kinds are told by `fn kind`");
    let body = source.block(at);
    source
        .strings
        .iter()
        .filter(|(at, _)| body.contains(at))
        .map(|(_, kind)| kind.clone())
        .collect()
}

/// The blocks of JSON on the page, one event each.
fn examples() -> Vec<Value> {
    tree::text(PAGE)
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(text, _)| {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{PAGE}: {error} in\n{text}"))
        })
        .collect()
}

#[test]
fn every_kind_has_an_example_that_is_true() {
    let kinds = kinds();
    assert!(kinds.len() > 15, "the scan finds {} kinds only", kinds.len());
    let mut shown = BTreeSet::new();
    for example in examples() {
        if OTHERS.iter().any(|kind| example["kind"] == *kind) {
            assert_eq!(example["version"], 1);
            continue;
        }
        let event: Event = serde_json::from_value(example.clone())
            .unwrap_or_else(|error| panic!("{PAGE}: {error} in\n{example:#}"));
        shown.insert(event.body.kind().to_owned());
        let written = serde_json::to_value(&event).unwrap();
        assert_eq!(
            example, written,
            "{PAGE}: the program writes this event in another way"
        );
        assert_eq!(event.version, lineside_flow::event::VERSION);
    }
    let missing: Vec<_> = kinds.difference(&shown).collect();
    assert!(missing.is_empty(), "{PAGE} has no example of {missing:?}");
}

/// The kinds of object that commands print are all on the page.
#[test]
fn every_other_object_is_told() {
    let page = tree::text(PAGE);
    let mut printed = BTreeSet::new();
    for path in tree::files_with("crates/station/src", "rs") {
        let source = Source::read(&path);
        for at in source.find("kind:") {
            let next = source
                .strings
                .iter()
                .find(|(string, _)| *string > at && source.code[at..*string].trim() == "kind: \"");
            printed.extend(next.map(|(_, kind)| kind.clone()));
        }
    }
    assert!(printed.contains("summary"), "the scan finds {printed:?}");
    for kind in &printed {
        assert!(
            OTHERS.contains(&kind.as_str()) && page.contains(kind.as_str()),
            "{PAGE} does not tell of `{kind}`"
        );
    }
}
