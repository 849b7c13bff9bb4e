//! A factory floor: a folder with the sample plan, where sessions are held. Paths in it are short and always the same,
//! so that what commands say of them is, too.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::command::{Done, Lineside, Running};

/// The sample plan as it is.
pub(crate) const PLAN: &str = "plans/thermostat.toml";

/// Its list of serials.
pub(crate) const SERIALS: &str = "plans/thermostat-serials.txt";

/// The list of OS releases that belongs to it.
pub(crate) const OS_LIST: &str = "plans/simulated-os.json";

/// The folder of one story. It is removed at the end.
pub(crate) struct Floor {
    folder: TempDir,
}

impl Floor {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans");
        copy(&plans, &folder.path().join("plans"));
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file or folder on it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// `lineside` with these words.
    pub(crate) fn lineside(&self, words: &str) -> Lineside {
        Lineside::new(self.path(), words.split_whitespace())
    }

    /// `lineside` with these words, until it ends.
    #[track_caller]
    pub(crate) fn run(&self, words: &str) -> Done {
        self.lineside(words).done()
    }

    pub(crate) fn start(&self, words: &str) -> Running {
        self.lineside(words).start()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.at(name), text).unwrap();
    }

    /// Writes the sample plan with some of its steps only, and only the images that these name, as `plans/NAME.toml`.
    pub(crate) fn plan_of(&self, name: &str, steps: &[&str]) -> String {
        let text = fs::read_to_string(self.at(PLAN)).unwrap();
        let (head, all) = text.split_once("[[steps]]\n").unwrap();
        let kept: Vec<&str> = all
            .split("[[steps]]\n")
            .filter(|step| steps.contains(&key_of(step, "id")))
            .collect();
        assert_eq!(
            kept.len(),
            steps.len(),
            "the sample plan has no such steps: {steps:?}"
        );
        let named: Vec<&str> = kept.iter().map(|step| key_of(step, "image")).collect();
        let mut plan = String::new();
        for table in head.split_inclusive("\n\n") {
            let image = table
                .split_once("[images.")
                .and_then(|(_, rest)| rest.split_once(']'));
            if image.is_none_or(|(image, _)| named.contains(&image)) {
                plan.push_str(table);
            }
        }
        for step in kept {
            plan.push_str(&format!("[[steps]]\n{step}"));
        }
        self.plan(name, &plan)
    }

    /// Writes a plan beside the sample plan.
    pub(crate) fn plan(&self, name: &str, text: &str) -> String {
        let path = format!("plans/{name}.toml");
        self.write(&path, text);
        path
    }

    /// The sample plan cut down to what loads the application and locks the device: a second or so.
    pub(crate) fn short_plan(&self) -> String {
        self.plan_of("short", &["application", "ready", "lock", "final-look"])
    }

    /// Changes a plan; what is replaced must be there.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.at(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        self.write(path, text.replace(from, to));
    }

    /// Every file below `folder` that contains `text`.
    pub(crate) fn files_with(&self, folder: &str, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        search(&self.at(folder), text.as_bytes(), &mut found);
        found
    }
}

/// The value of a key in the text of a table, empty when there is none.
fn key_of<'a>(table: &'a str, key: &str) -> &'a str {
    let line = table
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'));
    line.unwrap_or_default()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn search(path: &Path, text: &[u8], found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            search(&entry.unwrap().path(), text, found);
        }
    } else if path.is_file()
        && fs::read(path)
            .unwrap()
            .windows(text.len())
            .any(|window| window == text)
    {
        found.push(path.to_owned());
    }
}

/// What changes from one time to the next, as words: run ids, times, hashes. Columns are told apart by two spaces.
pub(crate) const CHANGING: [(&str, &str); 11] = [
    (r"\bevent \d+, key", "event [n], key"),
    (r"\bkey [0-9a-f]{16}\b", "key [key]"),
    (r"\b[0-9a-f]{64}\b", "[hash]"),
    (r"\bplan +[0-9a-f]{12}\b", "plan  [hash]"),
    (r"\b[0-9a-f]{32}\b", "[run]"),
    (r"\brun [0-9a-f]{8}\b", "run [run]"),
    (r"\b\d+\.\d s\b", "[time]"),
    (r"\bfound \d+ s\b", "found [time]"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[when]"),
    (r"\b\d+ (events|bytes)\b", "[n] $1"),
    (r" {2,}", "  "),
];

/// Compares with what is written down beside, but for what changes.
macro_rules! assert_said {
    ($text:expr, @$expected:literal) => {
        insta::with_settings!({ filters => crate::floor::CHANGING }, {
            insta::assert_snapshot!($text, @$expected);
        })
    };
}
pub(crate) use assert_said;
