//! The operating systems that simulated devices run. Their components are made up, but for two ids that are known:
//! what a real OS consists of is published nowhere that may be copied.

use std::sync::OnceLock;

use lineside_protocol::rest::ApiVersion;
use lineside_protocol::rest::assume;
use lineside_protocol::rest::status::AbiVersions;
use lineside_terms::{ComponentId, ImageId, ImageType};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::SimulatorError;

/// The kernel's component id (`device-rest-api.md` 5.3).
const NW_KERNEL: ComponentId = ComponentId::from_u128(0xec96028b_080b_4ff5_9ef1_b40264a8c652);
/// The root file system's component id (`device-rest-api.md` 5.3).
const NW_ROOT_FILESYSTEM: ComponentId = ComponentId::from_u128(0xf7fd0c88_d005_45c6_ac4b_88afdbf2dc6a);

/// One component of an OS: name, type, size in bytes. Names and sizes follow the recovery set of June 2020
/// (`image-package.md` 9); the sizes of later sets are not known and taken as the same.
const COMPONENTS: [(&str, ImageType, u64); 17] = [
    ("1BL", ImageType::ONE_BL, 16_384),
    ("Pluton Runtime", ImageType::PLUTON_RUNTIME, 26_860),
    ("Security Monitor", ImageType::SECURITY_MONITOR, 114_900),
    ("N9 Wi-Fi Firmware", ImageType::WIFI_FIRMWARE, 269_980),
    ("A7 NW Loader", ImageType::NORMAL_WORLD_LOADER, 16_932),
    ("NW Device Tree", ImageType::NORMAL_WORLD_DTB, 29_732),
    ("NW Kernel", ImageType::NORMAL_WORLD_KERNEL, 2_491_164),
    ("NW Root Filesystem", ImageType::ROOT_FS, 1_577_196),
    ("azcore", ImageType::SERVICES, 16_596),
    ("azured", ImageType::SERVICES, 65_748),
    ("gatewayd", ImageType::SERVICES, 98_516),
    ("networkd", ImageType::SERVICES, 614_620),
    ("rng-tools", ImageType::SERVICES, 8_396),
    ("trusted-keystore", ImageType::TRUSTED_KEYSTORE, 2_376),
    ("update-cert-store", ImageType::UPDATE_CERT_STORE, 24_576),
    ("boot-manifest", ImageType::BOOT_MANIFEST, 1_496),
    ("policy", ImageType::POLICY, 644),
];

/// An OS that a simulated device can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum OsProfile {
    /// The interface of 2020: no `/osversion`, no proxy, some answers in their old form.
    #[serde(rename = "20.05")]
    V20_05,
    /// The first with `/osversion`.
    #[serde(rename = "22.09")]
    V22_09,
    /// The newest that is known.
    #[default]
    #[serde(rename = "24.06")]
    V24_06,
}

/// One component of an OS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsComponent {
    /// Its component id: the same in every version.
    pub component: ComponentId,
    /// Its image id: another in every version.
    pub image: ImageId,
    /// What kind of software it is.
    pub image_type: ImageType,
    /// Its name.
    pub name: &'static str,
    /// Its size in bytes.
    pub size: u64,
}

impl OsProfile {
    /// All of them, old to new.
    pub const ALL: [Self; 3] = [Self::V20_05, Self::V22_09, Self::V24_06];

    /// The names of all of them, old to new.
    pub fn names() -> Vec<&'static str> {
        Self::ALL.into_iter().map(Self::name).collect()
    }

    /// The name that `/osversion` tells.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V20_05 => "20.05",
            Self::V22_09 => "22.09",
            Self::V24_06 => "24.06",
        }
    }

    /// The version of the REST interface (`device-rest-api.md` 1.4; that of 20.05 is assumption REST-A05).
    pub const fn api(self) -> ApiVersion {
        match self {
            Self::V20_05 => ApiVersion::OS_20_05,
            Self::V22_09 => ApiVersion::new(4, 5, 0),
            Self::V24_06 => ApiVersion::OS_24_06,
        }
    }

    /// What images may ask for (assumptions REST-A20 and REST-A21); 22.09 is taken to offer what 24.06 does.
    pub const fn abi(self) -> AbiVersions {
        match self {
            Self::V20_05 => assume::ABI_OF_OS_20_05,
            Self::V22_09 | Self::V24_06 => assume::ABI_OF_OS_24_06,
        }
    }

    /// What it consists of.
    pub fn components(self) -> &'static [OsComponent] {
        static ALL: [OnceLock<Vec<OsComponent>>; 3] = [const { OnceLock::new() }; 3];
        ALL[self as usize].get_or_init(|| COMPONENTS.into_iter().map(|part| self.component(part)).collect())
    }

    fn component(self, (name, image_type, size): (&'static str, ImageType, u64)) -> OsComponent {
        let component = match name {
            "NW Kernel" => NW_KERNEL,
            "NW Root Filesystem" => NW_ROOT_FILESYSTEM,
            _ => ComponentId::from_u128(made_up("component", name)),
        };
        let image = ImageId::from_u128(made_up(self.name(), name));
        OsComponent {
            component,
            image,
            image_type,
            name,
            size,
        }
    }
}

impl std::fmt::Display for OsProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for OsProfile {
    type Err = SimulatorError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|os| os.name() == text)
            .ok_or_else(|| SimulatorError::NoSuchOs {
                name: text.chars().take(20).flat_map(char::escape_default).collect(),
            })
    }
}

/// The list of OS versions that fits these devices, in the form of `mt3620an.json` (`image-package.md` 9.3), old to
/// new.
pub fn list_json() -> String {
    #[derive(Serialize)]
    struct List {
        versions: Vec<Version>,
    }
    #[derive(Serialize)]
    struct Version {
        name: &'static str,
        images: Vec<Pair>,
    }
    #[derive(Serialize)]
    struct Pair {
        cid: ComponentId,
        iid: ImageId,
    }
    let version = |os: OsProfile| Version {
        name: os.name(),
        images: os
            .components()
            .iter()
            .map(|part| Pair {
                cid: part.component,
                iid: part.image,
            })
            .collect(),
    };
    let list = List {
        versions: OsProfile::ALL.into_iter().map(version).collect(),
    };
    serde_json::to_string(&list).expect("ids and names are text")
}

/// An id that no real thing has: a hash with the marks of a random UUID.
pub(crate) fn made_up(scope: &str, name: &str) -> u128 {
    let hash = Sha256::digest(format!("simulated-os/{scope}/{name}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_share_components_and_no_image() {
        let [old, _, new] = OsProfile::ALL.map(OsProfile::components);
        for (a, b) in old.iter().zip(new) {
            assert_eq!(a.component, b.component);
            assert_ne!(a.image, b.image);
        }
        assert!(
            new.iter()
                .any(|part| part.component == NW_KERNEL && part.image_type == ImageType::NORMAL_WORLD_KERNEL)
        );
    }

    #[test]
    fn names_read_back() {
        for os in OsProfile::ALL {
            assert_eq!(os.name().parse::<OsProfile>().unwrap(), os);
            assert_eq!(serde_json::to_string(&os).unwrap(), format!("\"{os}\""));
        }
        assert!("25.01".parse::<OsProfile>().is_err());
    }
}
