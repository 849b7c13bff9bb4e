//! Parts of committed files that are made from the sources.

use std::fs;

use crate::tree;

/// Compares the part of `path` between its two marks with `expected`, or writes it under `LINESIDE_UPDATE=1`.
pub(crate) fn check(path: &str, begin: &str, end: &str, expected: &str) {
    let text = tree::text(path);
    let (before, rest) = text
        .split_once(begin)
        .unwrap_or_else(|| panic!("{path} has no `{begin}`"));
    let (found, after) = if end.is_empty() {
        (rest, "")
    } else {
        rest.split_once(end)
            .unwrap_or_else(|| panic!("{path} has no `{end}`"))
    };
    if found == expected {
        return;
    }
    assert!(
        std::env::var_os("LINESIDE_UPDATE").is_some(),
        "{path} is not up to date; `LINESIDE_UPDATE=1 cargo test -p lineside-station --test house` writes it:\n{expected}"
    );
    fs::write(
        tree::root().join(path),
        format!("{before}{begin}{expected}{end}{after}"),
    )
    .unwrap();
}
