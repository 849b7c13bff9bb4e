//! Names of people, apart from the journal: that holds pseudonymous ids alone, so a name can be forgotten without a trace.
//!
//! What people look at shows the name beside the id while it is known. What programs read, exports and certificates
//! never hold one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::evidence::read_if_any;
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::trouble::Trouble;

/// Subcommands of `records operators`.
#[derive(Debug, Subcommand)]
pub(crate) enum OperatorsCommand {
    /// Say who an id is
    Name {
        /// The pseudonymous id, as in the records
        id: String,
        /// The name
        name: String,
    },
    /// Forget who an id is; the records stay as they are
    Forget {
        /// The pseudonymous id
        id: String,
    },
    /// List ids with their names
    List,
}

/// The names that are known.
pub(crate) struct People(BTreeMap<String, String>);

impl People {
    pub(crate) fn of(folder: &Path) -> Result<Self, Trouble> {
        names(folder).map(Self)
    }

    /// An id as people see it, with the name while it is known.
    pub(crate) fn who(&self, id: &str) -> String {
        match self.0.get(id) {
            Some(name) => format!("{id} ({name})"),
            None => id.to_owned(),
        }
    }
}

fn names_file(folder: &Path) -> PathBuf {
    folder.join("operators.json")
}

/// The names of operators, by their pseudonymous ids.
fn names(folder: &Path) -> Result<BTreeMap<String, String>, Trouble> {
    let path = names_file(folder);
    let text = read_if_any(&path)?;
    match text.is_empty() {
        true => Ok(BTreeMap::new()),
        false => serde_json::from_str(&text).map_err(|error| failed(&path, &error)),
    }
}

pub(crate) fn operators(
    folder: &Path,
    command: &OperatorsCommand,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let path = names_file(folder);
    let mut names = names(folder)?;
    match command {
        OperatorsCommand::Name { id, name } => _ = names.insert(id.clone(), name.clone()),
        OperatorsCommand::Forget { id } => {
            if names.remove(id).is_none() {
                let what = format!("nobody is known as `{}`", id.escape_default());
                return Err(Trouble::usage(
                    "records.no-operator",
                    &what,
                    "`lineside records operators list` shows who is.",
                ));
            }
        }
        OperatorsCommand::List => {
            let rows: Vec<_> = names
                .iter()
                .map(|(id, name)| vec![(id.clone(), Tone::Plain), (name.clone(), Tone::Plain)])
                .collect();
            printer.result(&table(&["id", "name"], &rows));
            return Ok(Exit::Good);
        }
    }
    let text = serde_json::to_string_pretty(&names).expect("text has a JSON form");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| failed(&path, &error))?;
    Ok(Exit::Good)
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::station(
        "records.names-file",
        &format!("{} could not be used", path.display()),
        error,
    )
}
