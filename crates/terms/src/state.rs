//! States and rights of a device, and kinds of image, as the device itself names them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a device has come for good: states only move forward (`device-rest-api.md` 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ManufacturingState {
    /// The device says that it does not know, or said a word that we do not know.
    Unknown,
    /// As the chip leaves its maker: RF test mode is allowed.
    Blank,
    /// The module's RF settings are made and final.
    Module1Complete,
    /// Locked for good: only its identity can still be read.
    DeviceComplete,
}

impl ManufacturingState {
    /// The word that the device's interface uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Blank => "Blank",
            Self::Module1Complete => "Module1Complete",
            Self::DeviceComplete => "DeviceComplete",
        }
    }
}

impl fmt::Display for ManufacturingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ManufacturingState {
    type Err = String;
    /// Reads the word in any case, as people type it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [
            Self::Blank,
            Self::Module1Complete,
            Self::DeviceComplete,
            Self::Unknown,
        ]
        .into_iter()
        .find(|state| state.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            format!(
                "`{}` is not Blank, Module1Complete or DeviceComplete",
                text.escape_default()
            )
        })
    }
}

/// What the device says of its own security (`device-rest-api.md` 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SecurityState {
    /// A test chip.
    Test,
    /// Not provisioned.
    Blank,
    /// A production chip: the only state that may be shipped.
    Secure,
    /// End of life.
    Eol,
    /// The device does not know, or said a word that we do not know.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for SecurityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Test => "TEST",
            Self::Blank => "BLANK",
            Self::Secure => "SECURE",
            Self::Eol => "EOL",
            Self::Unknown => "UNKNOWN",
        })
    }
}

/// A right that a device has by its state, by a stored capability file or for one session
/// (`device-rest-api.md` 6.1). Numbers that we do not know are kept as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Capability(pub u16);

impl Capability {
    /// Starting, stopping and debugging applications, SDK-signed images.
    pub const APP_DEVELOPMENT: Self = Self(11);
    /// RF test mode; in force by itself while a device is Blank.
    pub const RF_TEST_MODE: Self = Self(12);
    /// Access to a complete device for servicing.
    pub const FIELD_SERVICING: Self = Self(13);
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::APP_DEVELOPMENT => f.pad("appDevelopment"),
            Self::RF_TEST_MODE => f.pad("enableRfTestMode"),
            Self::FIELD_SERVICING => f.pad("fieldServicing"),
            Self(other) => write!(f, "capability {other}"),
        }
    }
}

/// What kind of software an image holds (`image-package.md` 2). Unknown numbers are kept, never refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ImageType(pub u16);

impl ImageType {
    /// Software of the trusted core, Wi-Fi, kernel and root file system follow the same naming as the reference.
    pub const ONE_BL: Self = Self(1);
    /// Runtime of the security core.
    pub const PLUTON_RUNTIME: Self = Self(2);
    /// Firmware of the Wi-Fi core.
    pub const WIFI_FIRMWARE: Self = Self(3);
    /// Security monitor.
    pub const SECURITY_MONITOR: Self = Self(4);
    /// Loader of the application core.
    pub const NORMAL_WORLD_LOADER: Self = Self(5);
    /// Device tree.
    pub const NORMAL_WORLD_DTB: Self = Self(6);
    /// Kernel.
    pub const NORMAL_WORLD_KERNEL: Self = Self(7);
    /// Root file system.
    pub const ROOT_FS: Self = Self(8);
    /// Services of the OS.
    pub const SERVICES: Self = Self(9);
    /// A customer's application, high-level or real-time.
    pub const APPLICATION: Self = Self(10);
    /// A capability file.
    pub const FIRMWARE_CONFIG: Self = Self(13);
    /// Boot manifest.
    pub const BOOT_MANIFEST: Self = Self(16);
    /// File system of the application core.
    pub const NORMAL_WORLD_FILE_SYSTEM: Self = Self(17);
    /// The keys that a device trusts.
    pub const TRUSTED_KEYSTORE: Self = Self(19);
    /// Policy.
    pub const POLICY: Self = Self(20);
    /// A customer's board configuration.
    pub const CUSTOMER_BOARD_CONFIG: Self = Self(21);
    /// Certificates for updates.
    pub const UPDATE_CERT_STORE: Self = Self(22);
    /// Manifest of a recovery set.
    pub const RECOVERY_MANIFEST: Self = Self(26);

    /// True for what a customer loads and an OS never contains.
    pub const fn is_customers(self) -> bool {
        matches!(self, Self::APPLICATION | Self::CUSTOMER_BOARD_CONFIG)
    }

    /// The name in the reference, or `None` for a number without one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "Invalid",
            1 => "OneBL",
            2 => "PlutonRuntime",
            3 => "WifiFirmware",
            4 => "SecurityMonitor",
            5 => "NormalWorldLoader",
            6 => "NormalWorldDTB",
            7 => "NormalWorldKernel",
            8 => "RootFs",
            9 => "Services",
            10 => "Applications",
            13 => "FirmwareConfig",
            16 => "BootManifest",
            17 => "NormalWorldFileSystem",
            19 => "TrustedKeystore",
            20 => "Policy",
            21 => "CustomerBoardConfig",
            22 => "UpdateCertStore",
            23 => "BaseSystemUpdateManifest",
            24 => "FirmwareUpdateManifest",
            25 => "CustomerUpdateManifest",
            26 => "RecoveryManifest",
            27 => "ManifestSet",
            28 => "Other",
            _ => return None,
        })
    }
}

impl fmt::Display for ImageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "Unknown({})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_ordered_forward() {
        assert!(ManufacturingState::Blank < ManufacturingState::Module1Complete);
        assert!(ManufacturingState::Module1Complete < ManufacturingState::DeviceComplete);
    }

    #[test]
    fn a_new_security_word_is_unknown_not_an_error() {
        assert_eq!(
            serde_json::from_str::<SecurityState>("\"SECURE\"").unwrap(),
            SecurityState::Secure
        );
        assert_eq!(
            serde_json::from_str::<SecurityState>("\"NOVEL\"").unwrap(),
            SecurityState::Unknown
        );
    }
}
