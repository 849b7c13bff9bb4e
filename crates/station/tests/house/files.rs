//! Files: short enough to be read in one sitting, and free of what belongs to one machine.

use crate::tree;

/// Longest source file in lines: what can be read in one sitting.
const LONGEST: usize = 700;

/// Places that hold what is written by hand, for the search in all texts.
const WRITTEN: [&str; 13] = [
    ".ci",
    ".config",
    "crates",
    "docs",
    "fuzz",
    "plans",
    "Cargo.toml",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "clippy.toml",
    "rustfmt.toml",
    "rust-toolchain.toml",
];

/// What belongs to one machine or one way of getting packages. Cut in two, or this file would name it.
const OF_ONE_MACHINE: [(&str, &str); 12] = [
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/tmp/tar", "get"),
    ("C:\\Us", "ers"),
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("rust-lang", ".org"),
    ("npmjs", ".org"),
    ("npmjs", ".com"),
    ("debian", ".org"),
];

#[test]
fn sources_can_be_read_in_one_sitting() {
    let wrong: Vec<String> = tree::files_with("crates", "rs")
        .into_iter()
        .map(|path| (tree::text(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    tree::none_of(&wrong, "Split it: one concept in each file.");
}

#[test]
fn nothing_belongs_to_one_machine() {
    let mut wrong = Vec::new();
    for path in WRITTEN.iter().flat_map(|place| tree::files(place)) {
        // The list that cargo-fuzz's own build would leave behind, and which is not kept.
        if path.ends_with("fuzz/Cargo.lock") || path.starts_with("fuzz/corpus") {
            continue;
        }
        let Some(text) = tree::text_if_any(&path) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for (head, tail) in OF_ONE_MACHINE {
                if line.contains(&format!("{head}{tail}")) {
                    wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    tree::none_of(
        &wrong,
        "No paths of one machine and no hosts of registries stand in this repository.",
    );
}

#[test]
fn both_licences_are_here() {
    assert!(tree::text("LICENSE-MIT").contains("Permission is hereby granted"));
    assert!(tree::text("LICENSE-APACHE").contains("Apache License"));
    for page in ["README.md", "CONTRIBUTING.md"] {
        let text = tree::text(page);
        assert!(
            text.contains("LICENSE-MIT") && text.contains("LICENSE-APACHE"),
            "{page} names no licence"
        );
    }
}

/// The start that the front page promises: two commands, one for the main job and one for the tests, both of which
/// `.ci/run` carries out.
#[test]
fn the_readme_starts_with_two_commands() {
    let readme = tree::text("README.md");
    let block = readme
        .split("```")
        .nth(1)
        .expect("README.md has a block of commands");
    let commands: Vec<&str> = block
        .lines()
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!(
        commands,
        [
            "cargo run --release -- run plans/thermostat.toml --bench sim:8 --serials plans/thermostat-serials.txt",
            ".ci/test"
        ]
    );
    let run = tree::text(".ci/run");
    assert!(run.contains("\n.ci/test\n") && run.contains("README.md"));
}
