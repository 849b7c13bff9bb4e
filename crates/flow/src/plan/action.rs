//! The kinds of step, each with its parameters, its effect, what it needs and what it voids.
//!
//! `flow` only names them; `runner` does them. Effects follow design section 6; what a step needs of the device
//! follows `device-rest-api.md` 2.2. No kind needs a capability: none may be needed on the line.

use std::fmt;

use lineside_terms::{Effect, ManufacturingState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limit::Limit;
use super::words::{EnvName, FileRef, Name, Period, Ssid};

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Reads the OS version, or finds it by the images that the device holds, and compares it with the plan's.
    OsVersion(OsVersion),
    /// Writes the OS anew by recovery, with everything else on the device erased.
    UpdateOs(UpdateOs),
    /// Loads one image.
    LoadImage(LoadImage),
    /// Asks a loaded application for measurements that are made for this run.
    FunctionalTest(FunctionalTest),
    /// Removes one image.
    RemoveImage(RemoveImage),
    /// Connects to an access point.
    WifiTest(WifiTest),
    /// Restarts the device.
    Restart(Restart),
    /// The ready-to-ship check.
    ReadyCheck(ReadyCheck),
    /// Moves the manufacturing state forward, for good.
    SetState(SetState),
    /// Resets the device by its reset line and looks what it is now.
    FinalLook(FinalLook),
}

/// Parameters of `os-version`: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OsVersion {}

/// Parameters of `update-os`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UpdateOs {
    /// The recovery set: its folder, or the ZIP of it. It must hold one of the plan's OS versions.
    pub images: FileRef,
    /// When the OS is written. Default `os-differs`.
    #[serde(default)]
    pub when: UpdateWhen,
    /// How long the device may take to boot afterwards; then its fate is unknown. Default 10m.
    #[serde(default = "UpdateOs::boot_timeout")]
    pub boot_timeout: Period,
    /// Stay at 115 200 baud, for wiring that does not carry 3 Mbaud. Default `false`.
    #[serde(default)]
    pub low_speed: bool,
}

/// When `update-os` writes the OS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateWhen {
    /// Only when the device does not run the OS that the set holds.
    #[default]
    OsDiffers,
    /// On every device, whatever it runs.
    Always,
}

impl UpdateOs {
    /// The vendor's tool waits for eight minutes at most (`chip-to-pc-and-recovery.md` 4.4).
    const fn boot_timeout() -> Period {
        Period::from_secs(600)
    }
}

/// Parameters of `load-image`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoadImage {
    /// Which of the plan's images.
    pub image: Name,
}

/// Parameters of `functional-test`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FunctionalTest {
    /// The image of the application that answers.
    pub image: Name,
    /// The TCP port on which it listens, from 1; its manifest must allow it.
    #[serde(deserialize_with = "port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// What it must measure, and the limits.
    #[serde(default)]
    pub measure: Vec<Limit>,
}

/// Parameters of `remove-image`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RemoveImage {
    /// Which of the plan's images.
    pub image: Name,
}

/// Parameters of `wifi-test`. A pre-shared key never stands in a plan: the plan says where it is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WifiTestKeys", rename_all = "kebab-case")]
#[schemars(!try_from, deny_unknown_fields)]
pub struct WifiTest {
    /// The network.
    pub ssid: Ssid,
    /// How it is protected.
    pub security: WifiSecurity,
    /// The environment variable that holds the pre-shared key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psk_env: Option<EnvName>,
    /// The file that holds the pre-shared key in its first line. Its content is no part of the plan's hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psk_file: Option<FileRef>,
    /// How long the device may take to connect. Default 30s.
    #[serde(default = "WifiTestKeys::connect_timeout")]
    pub connect_timeout: Period,
    /// Whether the device must reach the internet (`true`) or must not at any moment (`false`, the default).
    #[serde(default)]
    pub expect_internet: bool,
    /// Whether the network stays stored on the device; default `false`: it is removed when the test ends.
    #[serde(default)]
    pub keep: bool,
}

/// How a Wi-Fi network is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WifiSecurity {
    /// Not at all.
    Open,
    /// By a pre-shared key.
    Psk,
}

/// Parameters of `restart`: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {}

/// Parameters of `ready-check`: none; what is expected stands in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadyCheck {}

/// Parameters of `set-state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SetState {
    /// The state, which is the plan's `final`.
    pub to: ManufacturingState,
}

/// Parameters of `final-look`: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinalLook {}

/// A Wi-Fi test as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WifiTestKeys {
    ssid: Ssid,
    security: WifiSecurity,
    psk_env: Option<EnvName>,
    psk_file: Option<FileRef>,
    #[serde(default = "WifiTestKeys::connect_timeout")]
    connect_timeout: Period,
    #[serde(default)]
    expect_internet: bool,
    #[serde(default)]
    keep: bool,
}

impl WifiTestKeys {
    /// The device scans, associates and asks for an address; no reference gives a figure. Half a minute is what
    /// people wait before they call it broken.
    const fn connect_timeout() -> Period {
        Period::from_secs(30)
    }
}

impl TryFrom<WifiTestKeys> for WifiTest {
    type Error = &'static str;
    fn try_from(keys: WifiTestKeys) -> Result<Self, &'static str> {
        let WifiTestKeys {
            ssid,
            security,
            psk_env,
            psk_file,
            connect_timeout,
            expect_internet,
            keep,
        } = keys;
        match (security, &psk_env, &psk_file) {
            (WifiSecurity::Psk, None, None) => {
                return Err("a network with `security = \"psk\"` needs `psk-env` or `psk-file`");
            }
            (_, Some(_), Some(_)) => return Err("`psk-env` and `psk-file` are both given: one is enough"),
            (WifiSecurity::Open, None, None) | (WifiSecurity::Psk, _, _) => {}
            (WifiSecurity::Open, _, _) => {
                return Err("a network with `security = \"open\"` takes neither `psk-env` nor `psk-file`");
            }
        }
        Ok(Self {
            ssid,
            security,
            psk_env,
            psk_file,
            connect_timeout,
            expect_internet,
            keep,
        })
    }
}

fn port<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        0 => Err(serde::de::Error::custom("a port is a number from 1 to 65535")),
        port => Ok(port),
    }
}

/// A kind of step: [`Action`] without its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// See [`Action::OsVersion`].
    OsVersion,
    /// See [`Action::UpdateOs`].
    UpdateOs,
    /// See [`Action::LoadImage`].
    LoadImage,
    /// See [`Action::FunctionalTest`].
    FunctionalTest,
    /// See [`Action::RemoveImage`].
    RemoveImage,
    /// See [`Action::WifiTest`].
    WifiTest,
    /// See [`Action::Restart`].
    Restart,
    /// See [`Action::ReadyCheck`].
    ReadyCheck,
    /// See [`Action::SetState`].
    SetState,
    /// See [`Action::FinalLook`].
    FinalLook,
}

impl Kind {
    /// All of them, in the order of a device's way.
    pub const ALL: [Self; 10] = [
        Self::UpdateOs,
        Self::OsVersion,
        Self::LoadImage,
        Self::FunctionalTest,
        Self::RemoveImage,
        Self::WifiTest,
        Self::Restart,
        Self::ReadyCheck,
        Self::SetState,
        Self::FinalLook,
    ];

    /// The word that stands in a plan.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OsVersion => "os-version",
            Self::UpdateOs => "update-os",
            Self::LoadImage => "load-image",
            Self::FunctionalTest => "functional-test",
            Self::RemoveImage => "remove-image",
            Self::WifiTest => "wifi-test",
            Self::Restart => "restart",
            Self::ReadyCheck => "ready-check",
            Self::SetState => "set-state",
            Self::FinalLook => "final-look",
        }
    }

    /// The kind that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// What it does to the device.
    pub const fn effect(self) -> Effect {
        match self {
            Self::OsVersion | Self::FunctionalTest | Self::ReadyCheck => Effect::Reads,
            Self::UpdateOs | Self::LoadImage | Self::RemoveImage | Self::WifiTest => Effect::LookFirst,
            Self::Restart | Self::FinalLook => Effect::Repeatable,
            Self::SetState => Effect::Irreversible,
        }
    }

    /// What it undoes of what earlier steps reached. Any write voids a ready-to-ship proof, and so does a restart:
    /// the proof is bound to one epoch (design 6).
    pub const fn voids(self) -> &'static [Voided] {
        match self {
            Self::OsVersion | Self::FunctionalTest | Self::ReadyCheck => &[],
            Self::LoadImage | Self::RemoveImage | Self::WifiTest | Self::SetState => &[Voided::ReadyProof],
            Self::UpdateOs => &[Voided::ReadyProof, Voided::Connection, Voided::Software],
            Self::Restart | Self::FinalLook => &[Voided::ReadyProof, Voided::Connection],
        }
    }

    /// What must be so for it to work at all.
    pub const fn needs(self) -> &'static [Need] {
        match self {
            Self::OsVersion | Self::FinalLook => &[],
            Self::UpdateOs => &[Need::Unlocked, Need::RecoveryLines],
            Self::LoadImage => &[Need::Unlocked, Need::TrustedImage],
            Self::FunctionalTest => &[Need::Unlocked, Need::ResidentImage],
            Self::RemoveImage | Self::Restart => &[Need::Unlocked],
            Self::WifiTest => &[Need::Unlocked, Need::AccessPoint],
            Self::ReadyCheck => &[Need::Unlocked],
            Self::SetState => &[Need::Unlocked, Need::ReadyProof],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a step can undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Voided {
    /// The proof that a device is ready to ship.
    ReadyProof,
    /// The verified connection, and with it the epoch.
    Connection,
    /// All software and settings on the device.
    Software,
}

impl fmt::Display for Voided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ReadyProof => "an earlier ready-to-ship proof",
            Self::Connection => "the connection",
            Self::Software => "everything that is on the device but its identity and state",
        })
    }
}

/// What a step can need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// The device is not DeviceComplete.
    Unlocked,
    /// The image is production-signed: others load only on a developer's board.
    TrustedImage,
    /// The image has been loaded and is still there.
    ResidentImage,
    /// Reset and strap on the board, and its recovery UART.
    RecoveryLines,
    /// An access point in reach.
    AccessPoint,
    /// A ready-to-ship proof that nothing has voided.
    ReadyProof,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unlocked => "a device that is not locked",
            Self::TrustedImage => "a production-signed image",
            Self::ResidentImage => "the image to be on the device",
            Self::RecoveryLines => "reset, recovery strap and recovery UART of the board",
            Self::AccessPoint => "an access point in reach",
            Self::ReadyProof => "a ready-to-ship proof that nothing has voided since",
        })
    }
}

impl Action {
    /// Which kind it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::OsVersion(_) => Kind::OsVersion,
            Self::UpdateOs(_) => Kind::UpdateOs,
            Self::LoadImage(_) => Kind::LoadImage,
            Self::FunctionalTest(_) => Kind::FunctionalTest,
            Self::RemoveImage(_) => Kind::RemoveImage,
            Self::WifiTest(_) => Kind::WifiTest,
            Self::Restart(_) => Kind::Restart,
            Self::ReadyCheck(_) => Kind::ReadyCheck,
            Self::SetState(_) => Kind::SetState,
            Self::FinalLook(_) => Kind::FinalLook,
        }
    }

    /// What it does to the device.
    pub const fn effect(&self) -> Effect {
        self.kind().effect()
    }

    /// What it undoes of what earlier steps reached.
    pub const fn voids(&self) -> &'static [Voided] {
        self.kind().voids()
    }

    /// What must be so for it to work at all.
    pub const fn needs(&self) -> &'static [Need] {
        self.kind().needs()
    }

    /// The image that it is about, if any.
    pub const fn image(&self) -> Option<&Name> {
        match self {
            Self::LoadImage(LoadImage { image })
            | Self::FunctionalTest(FunctionalTest { image, .. })
            | Self::RemoveImage(RemoveImage { image }) => Some(image),
            _ => None,
        }
    }

    /// How long one attempt may take where the plan does not say.
    pub const fn default_timeout(&self) -> Period {
        match self {
            Self::OsVersion(_) => OS_VERSION_TIMEOUT,
            Self::UpdateOs(update) => update.boot_timeout.and(WRITE_OS_TIMEOUT),
            Self::LoadImage(_) => LOAD_TIMEOUT,
            Self::FunctionalTest(_) => FUNCTIONAL_TEST_TIMEOUT,
            Self::RemoveImage(_) => REMOVE_TIMEOUT,
            Self::WifiTest(test) => test.connect_timeout.and(WIFI_MARGIN),
            Self::Restart(_) => RESTART_TIMEOUT,
            Self::ReadyCheck(_) => READY_CHECK_TIMEOUT,
            Self::SetState(_) => SET_STATE_TIMEOUT,
            Self::FinalLook(_) => FINAL_LOOK_TIMEOUT,
        }
    }
}

/// Two requests, each of which the vendor's client gives 15 s (`device-rest-api.md` 3.9).
const OS_VERSION_TIMEOUT: Period = Period::from_secs(30);
/// A set of 5.4 MB takes about 26 s at 3 Mbaud and ten minutes at 115 200 baud, the erase about 20 s
/// (`chip-to-pc-and-recovery.md` 7.3); it is entered twice at most, and a busy PC takes its time.
const WRITE_OS_TIMEOUT: Period = Period::from_secs(1800);
/// A megabyte takes about 12 s at 921 600 baud; then the device checks, installs and, for a board configuration,
/// restarts (`device-rest-api.md` 3.3), for which several seconds are given (3.9). The rest is for a busy hub.
const LOAD_TIMEOUT: Period = Period::from_secs(120);
/// The application starts, measures and answers: seconds; the rest is for sensors that settle.
const FUNCTIONAL_TEST_TIMEOUT: Period = Period::from_secs(60);
/// One request, and a restart if the type needs it (`device-rest-api.md` 3.3).
const REMOVE_TIMEOUT: Period = Period::from_secs(60);
/// Beyond the time to connect: scan, store the network, ask for the state, remove it again.
const WIFI_MARGIN: Period = Period::from_secs(30);
/// A real device needs several seconds to boot (`device-rest-api.md` 3.9).
const RESTART_TIMEOUT: Period = Period::from_secs(60);
/// About ten small reads.
const READY_CHECK_TIMEOUT: Period = Period::from_secs(60);
/// A look, the request, a look.
const SET_STATE_TIMEOUT: Period = Period::from_secs(60);
/// A reset with its boot, and about six small reads.
const FINAL_LOOK_TIMEOUT: Period = Period::from_secs(90);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_kinds_are_the_same_in_serde_and_by_hand() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(Kind::from_word(kind.as_str()), Some(kind));
        }
        let tag = serde_json::to_value(Action::SetState(SetState {
            to: ManufacturingState::DeviceComplete,
        }))
        .unwrap();
        assert_eq!(
            tag,
            serde_json::json!({"do": "set-state", "to": "DeviceComplete"})
        );
    }

    #[test]
    fn whatever_writes_voids_the_proof() {
        for kind in Kind::ALL {
            let is_write = kind.effect() != Effect::Reads;
            assert_eq!(kind.voids().contains(&Voided::ReadyProof), is_write, "{kind}");
        }
    }
}
