//! Any text as a plan: it is read or refused with a place inside the text, and what is read can be checked, explained
//! and written in its one form, which does not depend on comments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_flow::plan::{Given, canonical, check, explain, parse, position_of};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match parse(text) {
        Ok(plan) => {
            for finding in check(&plan, &Given::default()) {
                let _ = position_of(text, &finding.place);
            }
            let _ = explain(&plan).to_string();
            let again = parse(&format!("{text}\n# a comment\n")).map(|plan| canonical(&plan));
            assert_eq!(again.ok(), Some(canonical(&plan)));
        }
        Err(error) => assert!(error.position().line <= text.lines().count() + 1),
    }
});
