//! The plan reference names all that there is, and every refusal has its test.

use std::collections::BTreeSet;

use lineside_flow::plan::{Kind, parse, schema};
use serde_json::Value;

const REFERENCE: &str = include_str!("../../../docs/src/plan-reference.md");
const TESTS: [&str; 2] = [include_str!("plan_check.rs"), include_str!("plan_parse.rs")];
const SOURCES: [&str; 5] = [
    include_str!("../src/plan/error.rs"),
    include_str!("../src/plan/check/head.rs"),
    include_str!("../src/plan/check/order.rs"),
    include_str!("../src/plan/check/references.rs"),
    include_str!("../src/plan/check/walk.rs"),
];

/// All that stands between `before` and the next `after` and is a code.
fn codes(text: &'static str, [before, after]: [&str; 2]) -> BTreeSet<&'static str> {
    text.match_indices(before)
        .map(|(at, found)| &text[at + found.len()..])
        .filter_map(|rest| Some(rest.split_once(after)?.0))
        .filter(|word| {
            word.starts_with("plan.") && word[5..].chars().all(|c| c.is_ascii_lowercase() || c == '-')
        })
        .collect()
}

#[test]
fn every_code_is_in_the_reference_and_in_a_test() {
    let used: BTreeSet<&str> = SOURCES
        .into_iter()
        .flat_map(|source| codes(source, ["\"", "\""]))
        .collect();
    let told = codes(REFERENCE, ["| `", "` |"]);
    assert!(used.len() > 50, "{used:?}");
    assert_eq!(used, told);
    for code in used {
        assert!(
            TESTS.iter().any(|test| test.contains(&format!("\"{code}\""))),
            "no test for {code}"
        );
    }
}

fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get("properties") {
                found.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| keys(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_key_and_kind_is_in_the_reference() {
    let mut names: BTreeSet<String> = Kind::ALL.iter().map(ToString::to_string).collect();
    keys(&serde_json::from_str(&schema()).unwrap(), &mut names);
    assert!(
        names.contains("connect-timeout") && names.contains("allowed-components"),
        "{names:?}"
    );
    for name in names {
        assert!(
            REFERENCE.contains(&format!("`{name}`")),
            "{name} is not in the reference"
        );
    }
}

/// Effect and default time-out of each kind, as the table says them.
#[test]
fn the_table_of_kinds_is_that_of_the_code() {
    let sample = include_str!("../../../plans/thermostat.toml");
    let update = "[[steps]]\nid = \"update\"\ndo = \"update-os\"\nimages = \"set\"\n";
    let plan = parse(&format!("{sample}\n{update}")).unwrap();
    for kind in Kind::ALL {
        let row = REFERENCE
            .lines()
            .find(|line| line.starts_with(&format!("| `{kind}` |")))
            .unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[2], kind.effect().to_string(), "{kind}");
        assert_eq!(cells[3] == "–", kind.needs().is_empty(), "{kind}");
        assert_eq!(cells[4] == "–", kind.voids().is_empty(), "{kind}");
        let step = plan.steps.iter().find(|step| step.action.kind() == kind).unwrap();
        // Two depend on what the step says.
        if ![Kind::WifiTest, Kind::UpdateOs].contains(&kind) {
            assert_eq!(cells[5], step.action.default_timeout().to_string(), "{kind}");
        }
    }
}
