//! The fuzz targets: listed for cargo-fuzz, and each corpus has one.

use std::fmt::Write as _;

use crate::{generated, tree};

fn targets() -> Vec<String> {
    tree::files_with("fuzz/fuzz_targets", "rs")
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_target_is_listed() {
    let mut list = String::new();
    for name in targets() {
        writeln!(
            list,
            "\n[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false"
        )
        .unwrap();
    }
    generated::check(
        "fuzz/Cargo.toml",
        "# Targets: one for each file in fuzz_targets/.\n",
        "",
        &list,
    );
}

#[test]
fn every_corpus_has_a_target() {
    let targets = targets();
    let mut wrong: Vec<String> = tree::files("fuzz/corpus")
        .iter()
        .map(|path| {
            path.components()
                .nth(2)
                .unwrap()
                .as_os_str()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !targets.contains(name))
        .map(|name| format!("fuzz/corpus/{name}"))
        .collect();
    wrong.dedup();
    tree::none_of(
        &wrong,
        "No target has this name: fuzz/corpus/NAME/ belongs to fuzz/fuzz_targets/NAME.rs.",
    );
}
