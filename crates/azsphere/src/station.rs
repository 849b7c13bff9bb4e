//! What stands around a command: environment, configuration, the station's folder, the bench.
//!
//! `azsphere.toml` in the data folder, each line of which may be missing:
//!
//! ```toml
//! profile = "g1"            # one of g1-2019, g1, g2, g3
//! bench = "at:bench"        # as LINESIDE_BENCH
//! sdk-version = "22.02"     # what show-version tells
//! signing-key = "dev.pem"   # what pack-application signs with, beside this file
//! board-configs = "presets" # where packages of presets are kept
//! recovery-images = "set:0123456789ab"   # what recover writes when no folder is named
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use lineside_flow::interlock::Protected;
use lineside_runner::by_hand;
use lineside_terms::{Blame, DeviceId};
use serde::{Deserialize, Serialize};

use crate::trouble::{Failure, Kind};

/// What the configuration says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Configuration {
    pub(crate) profile: Option<String>,
    pub(crate) bench: Option<String>,
    pub(crate) sdk_version: Option<String>,
    pub(crate) signing_key: Option<PathBuf>,
    pub(crate) recovery_images: Option<String>,
    pub(crate) board_configs: Option<PathBuf>,
}

/// What one command leaves for the next ones.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Kept {
    /// The capability file that goes with requests; it is not copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) capability: Option<PathBuf>,
    /// Seconds that loading may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<u64>,
}

/// The surroundings of one command.
#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) folder: PathBuf,
    pub(crate) configuration: Configuration,
}

const CONFIGURATION: &str = "azsphere.toml";
const KEPT: &str = "azsphere-kept.json";

impl Station {
    /// Reads the configuration of the station.
    pub(crate) fn read() -> Result<Self, Failure> {
        let folder = std::env::var_os("LINESIDE_DATA").map_or_else(lineside_link::data_folder, PathBuf::from);
        let path = folder.join(CONFIGURATION);
        let configuration = match read_if_there(&path)? {
            None => Configuration::default(),
            Some(text) => toml::from_str(&text).map_err(|error| {
                let message = format!("{}: {}", path.display(), error.to_string().trim_end());
                Failure::new(
                    Kind::Failed,
                    Blame::Station,
                    "azsphere.configuration",
                    message,
                    "Correct the file.",
                )
            })?,
        };
        Ok(Self {
            folder,
            configuration,
        })
    }

    /// The name of the bench: what somebody said, else the bridge that runs on this PC, which has the boards, else `usb`.
    pub(crate) fn bench(&self) -> String {
        let set = std::env::var("LINESIDE_BENCH")
            .ok()
            .filter(|name| !name.is_empty());
        let bridge = || {
            let folder = lineside_link::remote::running_bridge()?;
            Some(format!("at:{}", folder.display()))
        };
        set.or_else(|| self.configuration.bench.clone())
            .or_else(bridge)
            .unwrap_or_else(|| "usb".to_owned())
    }

    /// What earlier commands left.
    pub(crate) fn kept(&self) -> Result<Kept, Failure> {
        let path = self.folder.join(KEPT);
        match read_if_there(&path)? {
            None => Ok(Kept::default()),
            Some(text) => serde_json::from_str(&text).map_err(|error| {
                Failure::station(
                    "azsphere.kept",
                    &format!("{} is not ours", path.display()),
                    &error,
                )
            }),
        }
    }

    /// Leaves something for later commands.
    pub(crate) fn keep(&self, kept: &Kept) -> Result<(), Failure> {
        let text = serde_json::to_string(kept).expect("a path and a number are always JSON");
        let new = self.folder.join(format!("{KEPT}.new"));
        fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&new, text))
            .and_then(|()| fs::rename(&new, self.folder.join(KEPT)))
            .map_err(|error| Failure::station("azsphere.kept", "the folder cannot be written", &error))
    }

    /// Lets a device pass that may be written to. A list that cannot be read protects nobody, so it stops everything.
    pub(crate) fn may_write(&self, device: &DeviceId) -> Result<(), Failure> {
        self.protected()?
            .check(device)
            .map_err(|error| Failure::of(&error))
    }

    /// The devices that nobody may write to.
    pub(crate) fn protected(&self) -> Result<Protected, Failure> {
        by_hand::protected(None, &self.folder).map_err(|error| Failure::of(&error))
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(
            text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text),
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::station(
            "station.file",
            &format!("{} cannot be read", path.display()),
            &error,
        )),
    }
}
