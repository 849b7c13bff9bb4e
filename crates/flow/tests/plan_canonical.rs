//! The one text that stands for a plan.

mod plan_text;

use std::collections::BTreeMap;

use lineside_flow::plan::{canonical, hash, parse};
use lineside_terms::Digest;
use plan_text::{SAMPLE, Text};
use proptest::prelude::*;

#[test]
fn it_is_json_with_keys_in_order_and_all_defaults() {
    let text = canonical(&parse(SAMPLE).unwrap());
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["steps"][0]["timeout"], "30s");
    assert_eq!(value["steps"][3]["measure"][1]["min"], 15.0);
    assert!(text.starts_with("{\"attempt-limit\":3,\"expect\":{"), "{text}");
    assert!(!text.contains(": ") && !text.contains('\n'), "{text}");
}

/// A kept value: when it changes, every plan's hash changes, and a journal no longer matches the plans beside it.
#[test]
fn its_form_is_kept() {
    let text = concat!(
        "version = 1\nproduct = \"p\"\nkind = \"module\"\nincoming = [\"Blank\"]\nfinal = \"Blank\"\n",
        "rf = { policy = \"here\" }\nos = { list = \"os.json\", versions = [\"24.06\"] }\n",
        "steps = [{ id = \"a\", do = \"restart\" }]\n"
    );
    assert_eq!(
        canonical(&parse(text).unwrap()),
        concat!(
            r#"{"attempt-limit":3,"expect":{"allowed-components":[],"certificates":[],"wifi":[]},"final":"Blank","#,
            r#""images":{},"incoming":["Blank"],"instruments":{},"kind":"module","os":{"list":"os.json","#,
            r#""versions":["24.06"]},"product":"p","rf":{"policy":"here"},"serials":{"source":"list"},"steps":[{"#,
            r#""do":"restart","id":"a","instruments":[],"needs":[],"retries":0,"timeout":"1m"}],"version":1}"#
        )
    );
}

#[test]
fn spellings_make_no_difference() {
    let one = canonical(&parse(SAMPLE).unwrap());
    let sample = Text::sample;
    for other in [
        sample().head("attempt-limit = 3\n", ""),
        sample().head("attempt-limit = 3", "attempt-limit = 0x3 # three"),
        sample().head("kind = \"device\"", "'kind' = '''device'''"),
        sample()
            .head(
                "[os]\nlist = \"simulated-os.json\"\nversions",
                "os.list = \"simulated-os.json\"\nos.versions",
            )
            .head("serials = { source = \"list\" }\n", ""),
        sample().head(
            "[expect]\nwifi = []\ncertificates = []\nallowed-components = []\n",
            "",
        ),
        sample().step("wifi", "\"30s\"", "\"30000ms\""),
        sample().step("wifi", "expect-internet = false\n", ""),
        sample().step("functional-test", "3.15", "3.150"),
        sample().step("functional-test", "min = 15\n", "min = 15.0\n"),
        sample().step("restart", "do =", "needs = [\"wifi\"]\ndo ="),
    ] {
        assert_eq!(canonical(&other.plan()), one);
    }
}

#[test]
fn whatever_changes_what_is_done_makes_a_difference() {
    let one = canonical(&parse(SAMPLE).unwrap());
    let sample = Text::sample;
    for other in [
        sample().head("attempt-limit = 3", "attempt-limit = 2"),
        sample().head("[\"24.06\"]", "[\"24.06\", \"24.03\"]"),
        sample().head(
            "tree = \"thermostat/application\"",
            "file = \"thermostat/application\"",
        ),
        sample().step("wifi", "\"30s\"", "\"31s\""),
        sample().step("functional-test", "3.15", "3.16"),
        sample().step("functional-test", "retries = 1", "retries = 2"),
        sample().step("restart", "do =", "needs = []\ndo ="),
        sample().without("os"),
    ] {
        assert_ne!(canonical(&other.plan()), one);
    }
    let mut swapped = Text::sample();
    swapped.steps.swap(0, 1);
    assert_ne!(canonical(&swapped.plan()), one);
}

#[test]
fn the_hash_covers_plan_and_files() {
    let plan = parse(SAMPLE).unwrap();
    let files: BTreeMap<String, Digest> = plan.files().into_keys().map(|key| (key, Digest::ZERO)).collect();
    let one = hash(&plan, &files);
    assert_eq!(hash(&parse(&format!("# again\n{SAMPLE}")).unwrap(), &files), one);
    for key in files.keys() {
        let mut other = files.clone();
        other.insert(key.clone(), Digest::from_bytes([1; 32]));
        assert_ne!(hash(&plan, &other), one, "{key}");
    }
    assert_ne!(hash(&Text::sample().without("os").plan(), &files), one);
}

/// The lines of one table in another order, with comments and white space put in.
fn shuffled(block: &str, mut seed: u64) -> String {
    let mut next = || {
        // A small generator: what matters is only that orders differ.
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let mut lines: Vec<&str> = block.lines().filter(|line| !line.is_empty()).collect();
    for end in (1..lines.len()).rev() {
        lines.swap(end, next() % (end + 1));
    }
    lines
        .iter()
        .map(|line| format!("{}{line}  # {}\n\n", " ".repeat(next() % 3), next()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Tables of the head in any order, keys in any order: the same plan.
    #[test]
    fn order_of_keys_and_comments_make_no_difference(seed: u64, order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let text = Text::sample();
        let plain = text.head.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        let mut parts = plain.split("\n[");
        let top = shuffled(parts.next().unwrap(), seed);
        let tables: Vec<String> = parts
            .map(|part| {
                let (name, keys) = part.split_once('\n').unwrap();
                format!("[{name}\n{}", shuffled(keys, seed ^ 1))
            })
            .collect();
        prop_assert_eq!(tables.len(), order.len());
        // Keys of a step may be swapped; the tables of its measurements follow them.
        let steps: String = text
            .steps
            .iter()
            .map(|(_, step)| {
                step.split("[[")
                    .skip(1)
                    .map(|part| {
                        let (name, keys) = part.split_once('\n').unwrap();
                        format!("[[{name}\n{}", shuffled(keys, seed ^ 2))
                    })
                    .collect::<String>()
            })
            .collect();
        let other: String = top + &order.iter().map(|at| tables[*at].as_str()).collect::<String>() + &steps;
        prop_assert_eq!(canonical(&parse(&other).unwrap()), canonical(&parse(SAMPLE).unwrap()));
    }
}
