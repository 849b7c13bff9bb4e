//! The files of the repository.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Folders that hold what is made, not what is written.
const MADE: [&str; 6] = ["target", ".git", "artifacts", "coverage", "lineside-data", "book"];

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for tests");
    Path::new(&here)
        .ancestors()
        .nth(2)
        .expect("the package stands in crates/")
        .to_owned()
}

/// All written files below `folder`, as paths from the root of the repository.
pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let root = root();
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    let mut found: Vec<PathBuf> = found
        .into_iter()
        .map(|path| path.strip_prefix(&root).unwrap().to_owned())
        .collect();
    found.sort();
    found
}

/// Those of [`files`] that have this extension.
pub(crate) fn files_with(folder: &str, extension: &str) -> Vec<PathBuf> {
    files(folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

/// The text of a file, named from the root of the repository.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of a file, or nothing when it holds no text.
pub(crate) fn text_if_any(path: &Path) -> Option<String> {
    String::from_utf8(fs::read(root().join(path)).unwrap()).ok()
}

/// The name of the crate that a path from the root belongs to: `crates/NAME/…`.
pub(crate) fn crate_of(path: &Path) -> String {
    path.components()
        .nth(1)
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned()
}

/// True for a path from the root with one of these as its first three parts: `crates/NAME/src`.
pub(crate) fn is_in_src(path: &Path) -> bool {
    path.components()
        .nth(2)
        .is_some_and(|part| part.as_os_str() == "src")
}

/// Fails with a list of what is wrong and what to do about it.
pub(crate) fn none_of(wrong: &[String], what_to_do: &str) {
    assert!(wrong.is_empty(), "\n\n  {}\n\n{what_to_do}\n", wrong.join("\n  "));
}

fn walk(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_file() {
        found.push(path.to_owned());
        return;
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    if path.is_dir() && !MADE.contains(&name.as_str()) {
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), found);
        }
    }
}
