//! What is assumed stands in one place, and the book lists it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::{generated, tree};

const PAGE: &str = "docs/src/assumptions.md";

/// One assumption as its module tells it.
struct Assumed {
    /// The crate.
    of: String,
    /// Its id, or the place in the reference when it has none there.
    head: String,
    /// What is assumed.
    text: String,
}

fn is_register(path: &Path) -> bool {
    path.ends_with("assume.rs") || path.components().any(|part| part.as_os_str() == "assume")
}

/// All sources but these tests, which name ids to find them: path and text.
fn sources() -> Vec<(PathBuf, String)> {
    tree::files_with("crates", "rs")
        .into_iter()
        .filter(|path| !path.starts_with("crates/station/tests/house"))
        .map(|path| {
            let text = tree::text(&path);
            (path, text)
        })
        .collect()
}

/// `REST-A07` and `A-07`, wherever they stand in a text.
fn ids(text: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (mark, has_prefix) in [("REST-A", true), ("A-", false)] {
        for (at, _) in text.match_indices(mark) {
            let before = text[..at].chars().next_back();
            let digits: String = text[at + mark.len()..]
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            let is_alone = !before.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
            if is_alone && digits.len() == 2 {
                ids.insert(format!("{}{digits}", if has_prefix { "REST-A" } else { "A-" }));
            }
        }
    }
    ids
}

/// The items of the registers: comments at the left margin that begin with an id or a section and a colon.
fn register() -> Vec<Assumed> {
    let mut register = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| is_register(path)) {
        let mut paragraph = String::new();
        let mut close = |paragraph: &mut String| {
            let text = std::mem::take(paragraph);
            if let Some((head, text)) = text
                .split_once(": ")
                .filter(|(head, _)| head.chars().any(|c| c.is_ascii_digit()))
            {
                register.push(Assumed {
                    of: tree::crate_of(path),
                    head: head.replace("**", ""),
                    text: text.trim().to_owned(),
                });
            }
        };
        let mut is_first = true;
        for line in text.lines() {
            let (comment, starts) = match (line.strip_prefix("///"), line.strip_prefix("//! * ")) {
                (Some(comment), _) => (comment.trim(), false),
                (_, Some(item)) => (item.trim(), true),
                _ => match line.strip_prefix("//!   ") {
                    Some(more) => (more.trim(), false),
                    None => ("", false),
                },
            };
            if starts || comment.is_empty() {
                close(&mut paragraph);
            }
            if !line.starts_with("//") {
                is_first = true;
            }
            // Only the first paragraph of a comment tells what is assumed.
            if comment.is_empty() {
                is_first &= !line.starts_with("///");
            } else if is_first || starts {
                if !paragraph.is_empty() {
                    paragraph.push(' ');
                }
                paragraph.push_str(comment);
            }
        }
        close(&mut paragraph);
    }
    register
}

#[test]
fn an_assumption_stands_in_one_register() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for item in register() {
        for id in ids(&item.head) {
            places.entry(id).or_default().insert(item.of.clone());
        }
    }
    let mut wrong: Vec<String> = places
        .iter()
        .filter(|(_, crates)| crates.len() > 1)
        .map(|(id, crates)| format!("{id} is defined in {crates:?}"))
        .collect();
    for (path, text) in sources().iter().filter(|(path, _)| !is_register(path)) {
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            for id in ids(line) {
                if line.contains(&format!("**{id}**")) {
                    wrong.push(format!("{place}: {id} is defined outside of an `assume` module"));
                }
                if !places.contains_key(&id) {
                    wrong.push(format!("{place}: {id} is in no `assume` module"));
                }
            }
        }
    }
    tree::none_of(
        &wrong,
        "An assumption is defined once, in the `assume` module of its protocol, and named elsewhere.",
    );
    assert!(
        places.len() > 50,
        "the scan finds {} assumptions only",
        places.len()
    );
}

#[test]
fn the_book_lists_all_assumptions() {
    let mut table = String::from("\n| id or source | in | what is assumed |\n|---|---|---|\n");
    for Assumed { of, head, text } in register() {
        // Links between items mean nothing outside of the code.
        let text = text.replace("[`", "`").replace("`]", "`").replace('|', "\\|");
        writeln!(table, "| {head} | `{of}` | {text} |").unwrap();
    }
    table.push('\n');
    generated::check(
        PAGE,
        "<!-- begin generated -->\n",
        "<!-- end generated -->",
        &table,
    );
}
