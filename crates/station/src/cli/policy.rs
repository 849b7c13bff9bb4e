//! `station.toml` in the data folder: what this station allows. Without the file everything has its default.
//!
//! ```toml
//! [by-hand]
//! manufacturing-state = "ready-check"   # or "refuse", the default
//! profile = "lock.toml"                 # the plan that then goes through it, beside this file
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use lineside_terms::Blame;
use serde::Deserialize;

use super::exit::Exit;
use super::trouble::Trouble;

/// The name of the file.
const FILE: &str = "station.toml";

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Station {
    #[serde(default)]
    by_hand: ByHand,
}

/// What may be done by hand.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ByHand {
    #[serde(default)]
    manufacturing_state: Word,
    profile: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    #[default]
    Refuse,
    ReadyCheck,
}

/// Whether a device may be brought to another manufacturing state by hand (design 6).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StateChange {
    Refuse,
    /// Only through this plan, which proves the device first.
    ReadyCheck(PathBuf),
}

/// Reads what the station with this data folder allows.
pub(super) fn state_change(data: &Path) -> Result<StateChange, Trouble> {
    let path = data.join(FILE);
    let refused = |cause: &dyn std::fmt::Display| {
        Trouble::new(
            Exit::Station,
            Blame::Station,
            "station.policy",
            &format!("{}: {cause}", path.display()),
            "Correct the file: a policy that cannot be read allows nothing.",
        )
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(StateChange::Refuse),
        Err(error) => return Err(refused(&error)),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let station: Station = toml::from_str(text).map_err(|error| refused(&error.to_string().trim_end()))?;
    match (station.by_hand.manufacturing_state, station.by_hand.profile) {
        (Word::Refuse, _) => Ok(StateChange::Refuse),
        (Word::ReadyCheck, Some(profile)) => Ok(StateChange::ReadyCheck(data.join(profile))),
        (Word::ReadyCheck, None) => Err(refused(&"`ready-check` needs a `profile`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_plainly_is_not_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            fs::write(folder.path().join(FILE), text).unwrap();
            state_change(folder.path()).map_err(|trouble| trouble.told.code)
        };
        assert_eq!(
            state_change(&folder.path().join("none")).ok(),
            Some(StateChange::Refuse)
        );
        assert_eq!(read(""), Ok(StateChange::Refuse));
        assert_eq!(read("[by-hand]\nprofile = 'p'"), Ok(StateChange::Refuse));
        let good = "[by-hand]\nmanufacturing-state = \"ready-check\"\nprofile = \"p.toml\"";
        assert_eq!(
            read(good),
            Ok(StateChange::ReadyCheck(folder.path().join("p.toml")))
        );
        for bad in [
            "[by-hand]\nmanufacturing-state = \"ready-check\"",
            "[by-hand]\nmanufacturing-state = \"vendor\"",
            "[by-hand]\nmanufacturing-stage = \"refuse\"",
            "[byhand]",
            "=",
        ] {
            assert_eq!(read(bad), Err("station.policy".to_owned()), "{bad}");
        }
    }
}
