//! The one text that stands for a plan, and the hash that stands for a plan with its files.

use std::collections::BTreeMap;

use lineside_terms::Digest;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Plan;

/// The plan as JSON with all defaults filled in, keys in order and no white space. Comments, the order of keys and
/// tables, spellings of numbers and periods make no difference to it; the order of steps does.
pub fn canonical(plan: &Plan) -> String {
    let value =
        serde_json::to_value(plan).expect("a plan holds nothing that JSON cannot: its numbers are finite");
    let mut text = String::new();
    write(&value, &mut text);
    text
}

/// Hash of a plan with everything that it refers to: `files` has the digest of each of [`Plan::files`] under the
/// same key. A directory's digest is the runner's to define.
pub fn hash(plan: &Plan, files: &BTreeMap<String, Digest>) -> Digest {
    let mut text = canonical(plan);
    text.push('\n');
    write(&serde_json::to_value(files).expect("digests are text"), &mut text);
    Digest::from_bytes(Sha256::digest(text).into())
}

/// Writes keys in order whatever map `serde_json` was built with: another crate can ask for one that keeps the
/// order of insertion, and the hash of a plan must not depend on that.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            enclose(text, ['{', '}'], sorted, |(key, value), text| {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            });
        }
        Value::Array(items) => enclose(text, ['[', ']'], items, write),
        plain => text.push_str(&plain.to_string()),
    }
}

fn enclose<T>(
    text: &mut String,
    brackets: [char; 2],
    items: impl IntoIterator<Item = T>,
    write: impl Fn(T, &mut String),
) {
    text.push(brackets[0]);
    for (number, item) in items.into_iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        write(item, text);
    }
    text.push(brackets[1]);
}
