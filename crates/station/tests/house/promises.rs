//! Every test that the page of promises names is in the tree.

use std::path::Path;

use crate::tree;

const PAGE: &str = "docs/src/promises.md";

#[test]
fn every_test_that_shows_a_promise_exists() {
    let text = tree::text(Path::new(PAGE));
    let named: Vec<(&str, &str)> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once("::"))
        .collect();
    let promises = text.lines().filter(|line| line.starts_with("## ")).count();
    assert!(
        promises >= 7 && named.len() > 2 * promises,
        "{PAGE} names too few tests"
    );
    let mut wrong = Vec::new();
    for (file, test) in named {
        let path = Path::new(file);
        let is_there = tree::root().join(path).is_file()
            && tree::text(path)
                .lines()
                .any(|line| line.trim_start().starts_with(&format!("fn {test}(")));
        if !is_there {
            wrong.push(format!("{file}::{test}"));
        }
    }
    tree::none_of(&wrong, "docs/src/promises.md names tests that do not exist.");
}
