//! What this station allows. A station is *provisioned* when its administrator wrote a `station.toml` into the folder of
//! the system ([`lineside_link::station_file`]): then that file alone counts, and only bundles are run. Otherwise a
//! `station.toml` in the data folder counts, and without one everything has its default.
//!
//! ```toml
//! bundle-keys = ["1e18…"]               # only on a provisioned station: who signs bundles, as 128 hex digits or PEM
//!
//! [[approvers]]                         # only there, too: who may approve, in which roles
//! id = "qa-1"
//! roles = ["quality"]
//! key = "846d…"
//!
//! [by-hand]
//! manufacturing-state = "ready-check"   # or "vendor": without one; or "refuse", the default
//! profile = "lock.toml"                 # with "ready-check": the plan that it goes through, beside this file
//!
//! [slots]
//! unknown = "refuse"                    # boards in sockets without a name are not taken; or "take", the default
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use lineside_records::{SealError, SealKey};
use lineside_terms::{Blame, Explain};
use serde::Deserialize;

/// The name of the file.
const FILE: &str = "station.toml";

/// Names the administrator's file where the system's folder has none: for trying it out. Where the system has one this
/// is not looked at, or anybody could choose another policy.
const OTHER_FILE: &str = "LINESIDE_STATION_FILE";

/// What the file in a data folder says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Station {
    #[serde(default)]
    by_hand: ByHand,
    #[serde(default)]
    slots: Slots,
}

/// What holds for sockets.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Slots {
    #[serde(default)]
    unknown: Unknown,
}

#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Unknown {
    #[default]
    Take,
    Refuse,
}

/// What the administrator's file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Administered {
    bundle_keys: Vec<String>,
    #[serde(default)]
    by_hand: ByHand,
    #[serde(default)]
    slots: Slots,
    #[serde(default)]
    approvers: Vec<ApproverText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ApproverText {
    id: String,
    roles: BTreeSet<String>,
    key: String,
    /// Stands in credentials of those who have a pass-phrase; it counts where they sign.
    #[serde(default, rename = "salt")]
    _salt: Option<String>,
}

/// Somebody who may approve.
#[derive(Debug)]
pub struct Approver {
    /// Who it is.
    pub id: String,
    /// In which roles.
    pub roles: BTreeSet<String>,
    /// What he signs with.
    pub key: SealKey,
}

/// A provisioned station.
#[derive(Debug)]
pub struct Provisioned {
    path: PathBuf,
    /// Who signs bundles.
    pub bundle_keys: Vec<SealKey>,
    /// Who may approve irreversible steps.
    pub approvers: Vec<Approver>,
    by_hand: ByHand,
    slots: Slots,
}

/// What the administrator wrote; `None` when the station is not provisioned.
///
/// # Errors
/// When the file is there and cannot be read, or is wrong.
pub fn provisioned() -> Result<Option<Provisioned>, PolicyError> {
    let of_system = lineside_link::station_file();
    // A file that cannot be seen is not one that is not there.
    if of_system
        .try_exists()
        .map_err(|error| refused(&of_system, &error))?
    {
        return provisioned_by(&of_system).map(Some);
    }
    std::env::var_os(OTHER_FILE)
        .map(|path| provisioned_by(Path::new(&path)))
        .transpose()
}

fn provisioned_by(path: &Path) -> Result<Provisioned, PolicyError> {
    let text = fs::read_to_string(path).map_err(|error| refused(path, &error))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let found: Administered =
        toml::from_str(text).map_err(|error| refused(path, &error.to_string().trim_end()))?;
    let approvers = found.approvers.into_iter().map(|approver| {
        Ok::<_, SealError>(Approver {
            key: SealKey::from_text(&approver.key)?,
            id: approver.id,
            roles: approver.roles,
        })
    });
    let approvers: Vec<_> = approvers
        .collect::<Result<_, _>>()
        .map_err(|error| refused(path, &format!("approvers: {error}")))?;
    // The keys, however they are written: one person with two ids would be two people.
    let mut seen = BTreeSet::new();
    if let Some(twice) = approvers.iter().find(|approver| !seen.insert(approver.key)) {
        return Err(refused(
            path,
            &format!("approvers: the key of {} stands there twice", twice.id),
        ));
    }
    let keys = found.bundle_keys.iter().map(|text| SealKey::from_text(text));
    Ok(Provisioned {
        path: path.to_owned(),
        bundle_keys: keys
            .collect::<Result<_, _>>()
            .map_err(|error| refused(path, &format!("bundle-keys: {error}")))?,
        approvers,
        by_hand: found.by_hand,
        slots: found.slots,
    })
}

/// A policy that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct PolicyError {
    path: PathBuf,
    cause: String,
}

impl Explain for PolicyError {
    fn code(&self) -> &'static str {
        "station.policy"
    }

    fn help(&self) -> String {
        "Correct the file: a policy that cannot be read allows nothing.".to_owned()
    }

    fn blame(&self) -> Blame {
        Blame::Station
    }
}

fn refused(path: &Path, cause: &dyn std::fmt::Display) -> PolicyError {
    PolicyError {
        path: path.to_owned(),
        cause: cause.to_string(),
    }
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
    Vendor,
}

/// Whether a device may be brought to another manufacturing state by hand (design 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// It may not.
    Refuse,
    /// Only through this plan, which proves the device first.
    ReadyCheck(PathBuf),
    /// As the vendor's tool does it: without a ready check.
    Vendor,
}

/// Reads what the station with this data folder allows.
///
/// # Errors
/// When the policy cannot be read, or is wrong.
pub fn state_change(data: &Path) -> Result<StateChange, PolicyError> {
    match provisioned()? {
        Some(station) => allowed(&station.path, station.by_hand),
        None => state_change_of(data),
    }
}

fn state_change_of(data: &Path) -> Result<StateChange, PolicyError> {
    let path = data.join(FILE);
    let station = read(&path)?;
    allowed(&path, station.by_hand)
}

fn read(path: &Path) -> Result<Station, PolicyError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Station::default()),
        Err(error) => return Err(refused(path, &error)),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    toml::from_str(text).map_err(|error| refused(path, &error.to_string().trim_end()))
}

/// A plan lies beside the file that names it.
fn allowed(path: &Path, by_hand: ByHand) -> Result<StateChange, PolicyError> {
    match (by_hand.manufacturing_state, by_hand.profile) {
        (Word::Refuse, _) => Ok(StateChange::Refuse),
        (Word::ReadyCheck, Some(profile)) => {
            Ok(StateChange::ReadyCheck(path.with_file_name("").join(profile)))
        }
        (Word::Vendor, None) => Ok(StateChange::Vendor),
        (Word::Vendor, Some(_)) => Err(refused(path, &"`vendor` goes through no `profile`")),
        (Word::ReadyCheck, None) => Err(refused(path, &"`ready-check` needs a `profile`")),
    }
}

/// True when boards in sockets without a name are not taken.
///
/// # Errors
/// When the policy cannot be read, or is wrong.
pub fn refuses_unknown_slots(data: &Path) -> Result<bool, PolicyError> {
    let slots = match provisioned()? {
        Some(station) => station.slots,
        None => read(&data.join(FILE))?.slots,
    };
    Ok(slots.unknown == Unknown::Refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_sockets_are_taken_unless_the_file_says_no() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(refuses_unknown_slots(folder.path()).ok(), Some(false));
        fs::write(folder.path().join(FILE), "[slots]\nunknown = \"refuse\"").unwrap();
        assert_eq!(refuses_unknown_slots(folder.path()).ok(), Some(true));
    }

    #[test]
    fn what_is_not_said_plainly_is_not_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            fs::write(folder.path().join(FILE), text).unwrap();
            state_change_of(folder.path()).map_err(|error| error.code())
        };
        assert_eq!(
            state_change_of(&folder.path().join("none")).ok(),
            Some(StateChange::Refuse)
        );
        assert_eq!(read(""), Ok(StateChange::Refuse));
        assert_eq!(read("[by-hand]\nprofile = 'p'"), Ok(StateChange::Refuse));
        let good = "[by-hand]\nmanufacturing-state = \"ready-check\"\nprofile = \"p.toml\"";
        assert_eq!(
            read(good),
            Ok(StateChange::ReadyCheck(folder.path().join("p.toml")))
        );
        let vendors = "[by-hand]\nmanufacturing-state = \"vendor\"";
        assert_eq!(read(vendors), Ok(StateChange::Vendor));
        for bad in [
            "[by-hand]\nmanufacturing-state = \"ready-check\"",
            "[by-hand]\nmanufacturing-state = \"vendor\"\nprofile = \"p.toml\"",
            "[by-hand]\nmanufacturing-state = \"Vendor\"",
            "[by-hand]\nmanufacturing-stage = \"refuse\"",
            "[byhand]",
            "[slots]\nunknown = \"perhaps\"",
            "=",
        ] {
            assert_eq!(read(bad), Err("station.policy"), "{bad}");
        }
    }

    #[test]
    fn an_administrator_says_whose_bundles_are_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("administered.toml");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            provisioned_by(&path).map_err(|error| error.code())
        };
        let key = "1e".repeat(64);
        let station = read(&format!(
            "bundle-keys = ['{key}']\n[by-hand]\nmanufacturing-state = 'ready-check'\nprofile = 'p'"
        ))
        .unwrap();
        assert_eq!(station.bundle_keys.len(), 1);
        assert_eq!(
            allowed(&station.path, station.by_hand).ok(),
            Some(StateChange::ReadyCheck(folder.path().join("p")))
        );
        assert!(read("bundle-keys = []").unwrap().bundle_keys.is_empty());
        // One key is one person, in whatever form it is written.
        let two = |first: &str, second: &str| {
            let one = |id: &str, key: &str| {
                format!("[[approvers]]\nid = '{id}'\nroles = ['quality']\nkey = '{key}'\n")
            };
            read(&format!(
                "bundle-keys = []\n{}{}",
                one("qa-1", first),
                one("qa-2", second)
            ))
        };
        assert!(two(&key, &"2f".repeat(64)).is_ok());
        assert_eq!(two(&key, &key.to_uppercase()).unwrap_err(), "station.policy");
        for bad in ["", "bundle-keys = ['zz']", "bundle-keys = []\nmore = 1"] {
            assert_eq!(read(bad).unwrap_err(), "station.policy", "{bad}");
        }
    }
}
