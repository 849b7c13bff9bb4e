//! The manifest of a recovery set: which images go where (`image-package.md` 8.1).

use std::fmt;

use lineside_terms::{Blame, ComponentId, Explain, ImageId, ImageType};

use crate::little_endian::{array_at, u16_at, u32_at, u64_at};
use crate::{AbiKind, AbiVersion};

const VERSION: u16 = 3;
const HEADER: usize = 16;
const ENTRY: usize = 76;
/// Interfaces that one entry can name in each direction.
const ABI_SLOTS: usize = 2;

/// The body of `recovery.imagemanifest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryManifest {
    /// Build time, Unix seconds.
    pub built: u64,
    /// One per place in flash: an image that goes to two places stands twice, and counts twice in progress.
    pub entries: Vec<RecoveryEntry>,
}

/// One image at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryEntry {
    /// The build. In these entries it stands before the component.
    pub image: ImageId,
    /// The component.
    pub component: ComponentId,
    /// What kind of software.
    pub image_type: ImageType,
    /// Where it goes.
    pub partition: PartitionType,
    /// Size of the file in bytes, trailer included.
    pub file_size: u32,
    /// Size after decompression in bytes.
    pub uncompressed_size: u32,
    /// Interfaces that it provides, at most two.
    pub provides: Vec<AbiVersion>,
    /// Interfaces that it needs, at most two.
    pub depends: Vec<AbiVersion>,
}

/// A place in flash; unknown numbers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionType(pub u16);

impl PartitionType {
    /// Where most of the OS lives.
    pub const FIRMWARE: Self = Self(1);
    /// Where customer software lives.
    pub const APPLICATIONS: Self = Self(4);
    /// The first boot loader.
    pub const BOOTLOADER_ONE: Self = Self(7);
    /// Its second copy.
    pub const BOOTLOADER_ONE_BACKUP: Self = Self(8);

    /// The name in the reference, or `None` for a number without one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "Invalid",
            1 => "Firmware",
            2 => "Backups",
            4 => "Applications",
            5 => "LogStorage",
            6 => "NWConfig",
            7 => "BootloaderOne",
            8 => "BootloaderOneBackup",
            9 => "LocatorTable",
            10 => "LocatorTableBackup",
            11 => "BlockHashes",
            12 => "BlockHashesBackup",
            13 => "BootManifest",
            14 => "BootManifestBackup",
            15 => "TelemetryStorage",
            16384 => "EC_RuntimeProtectedRange",
            _ => return None,
        })
    }
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "Unknown({})", self.0),
        }
    }
}

impl RecoveryManifest {
    /// Reads the body. Header and entry sizes larger than the known ones are honoured: a later version may have grown.
    ///
    /// # Errors
    /// See [`RecoveryManifestError`].
    pub fn parse(body: &[u8]) -> Result<Self, RecoveryManifestError> {
        let truncated = RecoveryManifestError::Truncated;
        let version = u16_at(body, 0).ok_or(truncated.clone())?;
        if version != VERSION {
            return Err(RecoveryManifestError::Version { version });
        }
        let field = |offset| u16_at(body, offset).map(usize::from).ok_or(truncated.clone());
        let (count, header, entry) = (field(2)?, field(4)?, field(6)?);
        let built = u64_at(body, 8).ok_or(truncated.clone())?;
        if header < HEADER || entry < ENTRY {
            return Err(RecoveryManifestError::Sizes { header, entry });
        }
        // Three numbers of 16 bits: neither the product nor the sum can overflow where Rust programs run.
        let entries = body
            .get(header..header + count * entry)
            .ok_or(truncated.clone())?;
        let entries = entries
            .chunks_exact(entry)
            .map(RecoveryEntry::read)
            .collect::<Option<_>>()
            .ok_or(truncated)?;
        Ok(Self { built, entries })
    }

    /// The body.
    ///
    /// # Errors
    /// With more than 65535 entries, or more than two interfaces in one direction.
    pub fn compose(&self) -> Result<Vec<u8>, RecoveryManifestError> {
        let count = u16::try_from(self.entries.len()).map_err(|_| RecoveryManifestError::TooMany)?;
        let mut out = Vec::with_capacity(HEADER + self.entries.len() * ENTRY);
        for number in [VERSION, count, HEADER as u16, ENTRY as u16] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.built.to_le_bytes());
        for entry in &self.entries {
            entry.write(&mut out)?;
        }
        Ok(out)
    }

    /// The bytes that a recovery has to move, counted by entry as the vendor's tool does.
    pub fn total_size(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.file_size)).sum()
    }
}

impl RecoveryEntry {
    /// The name of the image's file in a recovery set.
    pub fn file_name(&self) -> String {
        format!("{}.bin", self.image.to_string().replace('-', ""))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            image: ImageId::from_bytes_le(*array_at(bytes, 0)?),
            component: ComponentId::from_bytes_le(*array_at(bytes, 16)?),
            image_type: ImageType(u16_at(bytes, 32)?),
            partition: PartitionType(u16_at(bytes, 34)?),
            file_size: u32_at(bytes, 36)?,
            uncompressed_size: u32_at(bytes, 40)?,
            provides: read_slots(bytes.get(44..60)?)?,
            depends: read_slots(bytes.get(60..76)?)?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), RecoveryManifestError> {
        out.extend(self.image.to_bytes_le());
        out.extend(self.component.to_bytes_le());
        out.extend(self.image_type.0.to_le_bytes());
        out.extend(self.partition.0.to_le_bytes());
        out.extend(self.file_size.to_le_bytes());
        out.extend(self.uncompressed_size.to_le_bytes());
        for list in [&self.provides, &self.depends] {
            if list.len() > ABI_SLOTS {
                return Err(RecoveryManifestError::TooMany);
            }
            for slot in 0..ABI_SLOTS {
                let abi = list.get(slot).copied().unwrap_or(AbiVersion {
                    kind: AbiKind::NONE,
                    version: 0,
                });
                out.extend(abi.version.to_le_bytes());
                out.extend(abi.kind.0.to_le_bytes());
            }
        }
        Ok(())
    }
}

/// The used slots of two.
fn read_slots(bytes: &[u8]) -> Option<Vec<AbiVersion>> {
    let slots = bytes.chunks_exact(8);
    let slots = slots.map(|slot| {
        Some(AbiVersion {
            version: u32_at(slot, 0)?,
            kind: AbiKind(u32_at(slot, 4)?),
        })
    });
    let slots: Vec<_> = slots.collect::<Option<_>>()?;
    Some(
        slots
            .into_iter()
            .filter(|abi| (abi.version, abi.kind) != (0, AbiKind::NONE))
            .collect(),
    )
}

/// How a recovery manifest fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryManifestError {
    /// It ends before what it claims.
    #[error("the recovery manifest ends before its entries do")]
    Truncated,
    /// Another version.
    #[error("the recovery manifest has version {version}; only {VERSION} is known")]
    Version {
        /// What it says.
        version: u16,
    },
    /// Header or entries smaller than what they must hold.
    #[error(
        "the recovery manifest claims headers of {header} and entries of {entry} bytes; at least {HEADER} and {ENTRY} are needed"
    )]
    Sizes {
        /// What it says of its header.
        header: usize,
        /// What it says of its entries.
        entry: usize,
    },
    /// On composing: more entries or interfaces than fit.
    #[error("the recovery manifest would have more entries or interfaces than it can hold")]
    TooMany,
}

impl Explain for RecoveryManifestError {
    fn code(&self) -> &'static str {
        "image.recovery-manifest"
    }

    fn help(&self) -> String {
        match self {
            Self::TooMany => "Give at most 65535 entries with two interfaces in each direction.".into(),
            _ => "Get the recovery set again from its origin; do not start a recovery with this one.".into(),
        }
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> RecoveryEntry {
        RecoveryEntry {
            image: "fedcba98-7654-3210-fedc-ba9876543210".parse().unwrap(),
            component: "01234567-89ab-cdef-0123-456789abcdef".parse().unwrap(),
            image_type: ImageType::ROOT_FS,
            partition: PartitionType::FIRMWARE,
            file_size: 1_577_196,
            uncompressed_size: 1_577_196,
            provides: vec![AbiVersion {
                kind: AbiKind::OS_RUNTIME,
                version: 12,
            }],
            depends: vec![AbiVersion {
                kind: AbiKind::SECURE_WORLD_RUNTIME,
                version: 1,
            }],
        }
    }

    /// `image-package.md` 11.2, manifest entry vector.
    #[test]
    fn the_golden_entry() {
        let body = RecoveryManifest {
            built: 0x1122_3344,
            entries: vec![entry()],
        }
        .compose()
        .unwrap();
        assert_eq!(hex::encode(&body[..16]), "0300010010004c004433221100000000");
        assert_eq!(
            hex::encode(&body[16..]),
            "98badcfe54761032fedcba987654321067452301ab89efcd0123456789abcdef08000100ec101800ec1018000c000000020000000000\
             00000000000001000000010000000000000000000000"
        );
    }

    #[test]
    fn the_fuzz_cases_of_the_reference() {
        let good = RecoveryManifest {
            built: 7,
            entries: vec![entry(), entry()],
        };
        let body = good.compose().unwrap();
        let with = |at: usize, value: u16| {
            let mut bad = body.clone();
            bad[at..at + 2].copy_from_slice(&value.to_le_bytes());
            RecoveryManifest::parse(&bad)
        };
        assert_eq!(with(0, 2), Err(RecoveryManifestError::Version { version: 2 }));
        assert_eq!(
            with(6, 0),
            Err(RecoveryManifestError::Sizes { header: 16, entry: 0 })
        );
        assert_eq!(with(2, 3), Err(RecoveryManifestError::Truncated));
        assert_eq!(with(2, 0xFFFF), Err(RecoveryManifestError::Truncated));
        assert_eq!(
            with(4, 15),
            Err(RecoveryManifestError::Sizes {
                header: 15,
                entry: 76
            })
        );
        for cut in 0..body.len() {
            assert!(RecoveryManifest::parse(&body[..cut]).is_err(), "cut at {cut}");
        }
        let mut wide = body[..16].to_vec();
        wide[4] = 32;
        wide.extend([0; 16]);
        wide.extend(&body[16..]);
        assert_eq!(RecoveryManifest::parse(&wide), Ok(good));
        assert_eq!(PartitionType(3).to_string(), "Unknown(3)");
    }

    #[test]
    fn a_file_is_named_by_its_image() {
        assert_eq!(entry().file_name(), "fedcba9876543210fedcba9876543210.bin");
    }

    fn abis() -> impl Strategy<Value = Vec<AbiVersion>> {
        proptest::collection::vec((1..u32::MAX, any::<u32>()), 0..=2).prop_map(|list| {
            list.into_iter()
                .map(|(version, kind)| AbiVersion {
                    version,
                    kind: AbiKind(kind),
                })
                .collect()
        })
    }

    prop_compose! {
        fn entries()(image: [u8; 16], component: [u8; 16], kinds: [u16; 2], sizes: [u32; 2], provides in abis(), depends in abis()) -> RecoveryEntry {
            RecoveryEntry {
                image: ImageId::from_bytes_le(image), component: ComponentId::from_bytes_le(component),
                image_type: ImageType(kinds[0]), partition: PartitionType(kinds[1]),
                file_size: sizes[0], uncompressed_size: sizes[1], provides, depends,
            }
        }
    }

    proptest! {
        #[test]
        fn a_manifest_survives(built: u64, entries in proptest::collection::vec(entries(), 0..20)) {
            let manifest = RecoveryManifest { built, entries };
            prop_assert_eq!(RecoveryManifest::parse(&manifest.compose().unwrap()), Ok(manifest));
        }

        #[test]
        fn any_bytes_are_answered(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), sound: bool) {
            if sound && bytes.len() > 8 { bytes[..8].copy_from_slice(&[3, 0, 2, 0, 16, 0, 76, 0]); }
            let _ = RecoveryManifest::parse(&bytes);
        }
    }
}
