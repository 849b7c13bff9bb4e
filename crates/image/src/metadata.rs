//! The sections of a package's metadata block (`image-package.md` 1.1 to 1.8): one value type per kind, and one table
//! that reads and writes them all.

use std::borrow::Cow;
use std::fmt;

use lineside_terms::{ComponentId, ImageId, ImageType};

use crate::Thumbprint;
use crate::little_endian::{array_at, u16_at, u32_at, u64_at};

/// One section of the metadata block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Section<'a> {
    /// `ID`: what the image is.
    Identity(Identity),
    /// `SG`: who signed it.
    Signing(SigningInfo),
    /// `DB`: name and build time.
    Build(BuildInfo),
    /// `TP`: whether it is meant to stay.
    Temporary(TemporaryFlags),
    /// `ND`: the interfaces it needs.
    Depends(Vec<AbiVersion>),
    /// `NP`: the interfaces it provides (OS images).
    Provides(Vec<AbiVersion>),
    /// `CM`: the body is a compressed image.
    Compression(Compression),
    /// `RV`: security version for revocation by fuse.
    Revocation(u32),
    /// `RO`: flash offset in bytes at which the image must live.
    RequiredOffset(u32),
    /// `IP`: what the application core may do with the image.
    Policy(ImagePolicy),
    /// Anything else, kept as it is: legacy sections and ids that nobody described.
    Opaque {
        /// Its id.
        id: SectionId,
        /// Its payload.
        payload: Cow<'a, [u8]>,
    },
}

/// A section id: two ASCII letters, the first in the low byte (`image-package.md` 1.2). Prints as the letters in file
/// order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SectionId(pub u16);

impl SectionId {
    /// Identity.
    pub const IDENTITY: Self = Self(0x4449);
    /// Signature.
    pub const SIGNATURE: Self = Self(0x4753);
    /// Debug: name and build time.
    pub const DEBUG: Self = Self(0x4244);
    /// Temporary image.
    pub const TEMPORARY: Self = Self(0x5054);
    /// ABI depends.
    pub const DEPENDS: Self = Self(0x444E);
    /// ABI provides.
    pub const PROVIDES: Self = Self(0x504E);
    /// Compression.
    pub const COMPRESSION: Self = Self(0x4D43);
    /// Revocation.
    pub const REVOCATION: Self = Self(0x5652);
    /// Required flash offset.
    pub const REQUIRED_OFFSET: Self = Self(0x4F52);
    /// Image policy.
    pub const POLICY: Self = Self(0x5049);
    /// Legacy footer, opaque.
    pub const LEGACY: Self = Self(0x474C);
    /// Legacy ABI depends, opaque.
    pub const LEGACY_DEPENDS: Self = Self(0x4441);
    /// Legacy ABI provides, opaque.
    pub const LEGACY_PROVIDES: Self = Self(0x5041);

    /// The ids that have a meaning, in the order in which the SDK's packer writes the first five; the others follow.
    pub(crate) const IN_WRITING_ORDER: [Self; 13] = [
        Self::IDENTITY,
        Self::SIGNATURE,
        Self::DEBUG,
        Self::TEMPORARY,
        Self::DEPENDS,
        Self::PROVIDES,
        Self::COMPRESSION,
        Self::REVOCATION,
        Self::REQUIRED_OFFSET,
        Self::POLICY,
        Self::LEGACY,
        Self::LEGACY_DEPENDS,
        Self::LEGACY_PROVIDES,
    ];

    /// True for an id of the reference's table that has a name. Such a section may stand only once.
    pub fn is_known(self) -> bool {
        Self::IN_WRITING_ORDER.contains(&self)
    }
}

impl fmt::Display for SectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_le_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                write!(f, "{}{}", char::from(a), char::from(b))
            }
            _ => write!(f, "{:#06x}", self.0),
        }
    }
}

/// What the image is (`image-package.md` 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The kind of software.
    pub image_type: ImageType,
    /// 0 in every file seen.
    pub reserved: u16,
    /// The component, stable across versions.
    pub component: ComponentId,
    /// The build.
    pub image: ImageId,
}

/// Who signed it and how (`image-package.md` 1.4). The thumbprint selects a key; it proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SigningInfo {
    /// SHA-1 of the signing certificate.
    pub thumbprint: Thumbprint,
    /// The way of signing; [`SigningInfo::ECDSA_P256`] is the only one that MT3620 uses.
    pub kind: u32,
}

impl SigningInfo {
    /// ECDSA on P-256 with SHA-256.
    pub const ECDSA_P256: u32 = 1;
    /// ECDSA on P-384 with SHA-384: described, not used by MT3620.
    pub const ECDSA_P384: u32 = 2;
}

/// Name and build time (`image-package.md` 1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BuildInfo {
    /// Build time, Unix seconds, as the file holds it; any value is possible.
    pub built: u64,
    name: [u8; 32],
}

impl BuildInfo {
    /// How many bytes of a name are kept.
    pub const NAME_LIMIT: usize = 31;

    /// A name and a build time in Unix seconds. Of the name at most 31 bytes are kept, whole characters only, and
    /// nothing from a NUL on.
    pub fn new(name: &str, built: u64) -> Self {
        let name = name.split('\0').next().unwrap_or_default();
        let mut bytes = [0; 32];
        let kept = &name[..name.floor_char_boundary(Self::NAME_LIMIT)];
        bytes[..kept.len()].copy_from_slice(kept.as_bytes());
        Self { built, name: bytes }
    }

    /// The name up to its first NUL; what is not UTF-8 is shown as U+FFFD.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.name_bytes())
    }

    /// The bytes of the name up to its first NUL.
    pub fn name_bytes(&self) -> &[u8] {
        let end = self.name.iter().position(|&b| b == 0).unwrap_or(self.name.len());
        &self.name[..end]
    }
}

/// Whether an image is meant to stay (`image-package.md` 1.6). Unknown bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TemporaryFlags(pub u32);

impl TemporaryFlags {
    /// The image is dropped at the next boot.
    pub const REMOVE_AT_BOOT: Self = Self(1);
    /// A development image: needs the appDevelopment capability. The SDK sets it in all that it packs.
    pub const UNDER_DEVELOPMENT: Self = Self(2);

    /// True when all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for TemporaryFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// An interface and its version (`image-package.md` 1.7). Prints as `ApplicationRuntime@12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AbiVersion {
    /// Which interface.
    pub kind: AbiKind,
    /// Its version.
    pub version: u32,
}

impl AbiVersion {
    /// The interface of customer applications at this version.
    pub const fn application_runtime(version: u32) -> Self {
        Self {
            kind: AbiKind::APPLICATION_RUNTIME,
            version,
        }
    }
}

impl fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.kind, self.version)
    }
}

/// An interface between layers of software; unknown numbers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AbiKind(pub u32);

impl AbiKind {
    /// No dependency; also marks an unused slot.
    pub const NONE: Self = Self(0);
    /// Runtime of the secure world.
    pub const SECURE_WORLD_RUNTIME: Self = Self(1);
    /// Runtime of the OS.
    pub const OS_RUNTIME: Self = Self(2);
    /// Runtime of customer applications.
    pub const APPLICATION_RUNTIME: Self = Self(3);
}

impl fmt::Display for AbiKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.pad("NoDependency"),
            Self::SECURE_WORLD_RUNTIME => f.pad("SecureWorldRuntime"),
            Self::OS_RUNTIME => f.pad("OSRuntime"),
            Self::APPLICATION_RUNTIME => f.pad("ApplicationRuntime"),
            Self(other) => write!(f, "Unknown({other})"),
        }
    }
}

/// The body is a compressed, itself complete and signed, image (`image-package.md` 1.8). Decompression is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Compression {
    /// Size of the inner image in bytes.
    pub uncompressed_size: u32,
    /// 1 is LZMA.
    pub kind: u32,
}

/// What the application core may do with the image (`image-package.md` 1.8). Unknown bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImagePolicy(pub u32);

impl ImagePolicy {
    /// The application core may invalidate it.
    pub const INVALIDATE_FROM_NORMAL_WORLD: Self = Self(1);
    /// The application core may sideload it.
    pub const SIDELOAD_FROM_NORMAL_WORLD: Self = Self(2);
}

impl<'a> Section<'a> {
    /// The id under which the section stands.
    pub fn id(&self) -> SectionId {
        match self {
            Self::Identity(_) => SectionId::IDENTITY,
            Self::Signing(_) => SectionId::SIGNATURE,
            Self::Build(_) => SectionId::DEBUG,
            Self::Temporary(_) => SectionId::TEMPORARY,
            Self::Depends(_) => SectionId::DEPENDS,
            Self::Provides(_) => SectionId::PROVIDES,
            Self::Compression(_) => SectionId::COMPRESSION,
            Self::Revocation(_) => SectionId::REVOCATION,
            Self::RequiredOffset(_) => SectionId::REQUIRED_OFFSET,
            Self::Policy(_) => SectionId::POLICY,
            Self::Opaque { id, .. } => *id,
        }
    }

    /// Reads one payload. `Err` holds the size in bytes that it should have had.
    pub(crate) fn read(id: SectionId, payload: &'a [u8]) -> Result<Self, usize> {
        let word = |wrap: fn(u32) -> Self| match payload {
            [a, b, c, d] => Ok(wrap(u32::from_le_bytes([*a, *b, *c, *d]))),
            _ => Err(4),
        };
        match id {
            SectionId::IDENTITY => Identity::read(payload).map(Self::Identity).ok_or(Identity::SIZE),
            SectionId::SIGNATURE => SigningInfo::read(payload)
                .map(Self::Signing)
                .ok_or(SigningInfo::SIZE),
            SectionId::DEBUG => BuildInfo::read(payload).map(Self::Build).ok_or(BuildInfo::SIZE),
            SectionId::COMPRESSION => Compression::read(payload)
                .map(Self::Compression)
                .ok_or(Compression::SIZE),
            SectionId::TEMPORARY => word(|flags| Self::Temporary(TemporaryFlags(flags))),
            SectionId::REVOCATION => word(Self::Revocation),
            SectionId::REQUIRED_OFFSET => word(Self::RequiredOffset),
            SectionId::POLICY => word(|flags| Self::Policy(ImagePolicy(flags))),
            SectionId::DEPENDS => read_abi_list(payload).map(Self::Depends),
            SectionId::PROVIDES => read_abi_list(payload).map(Self::Provides),
            _ => Ok(Self::Opaque {
                id,
                payload: Cow::Borrowed(payload),
            }),
        }
    }

    /// The payload as files hold it.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Identity(identity) => {
                out.extend(identity.image_type.0.to_le_bytes());
                out.extend(identity.reserved.to_le_bytes());
                out.extend(identity.component.to_bytes_le());
                out.extend(identity.image.to_bytes_le());
            }
            Self::Signing(signing) => {
                out.extend(signing.thumbprint.as_bytes());
                out.extend(signing.kind.to_le_bytes());
            }
            Self::Build(build) => {
                out.extend(build.built.to_le_bytes());
                out.extend(build.name);
            }
            Self::Depends(list) | Self::Provides(list) => {
                out.extend((list.len() as u32).to_le_bytes());
                for abi in list {
                    out.extend(abi.version.to_le_bytes());
                    out.extend(abi.kind.0.to_le_bytes());
                }
            }
            Self::Compression(compression) => {
                out.extend(compression.uncompressed_size.to_le_bytes());
                out.extend(compression.kind.to_le_bytes());
            }
            Self::Temporary(TemporaryFlags(word))
            | Self::Policy(ImagePolicy(word))
            | Self::Revocation(word)
            | Self::RequiredOffset(word) => out.extend(word.to_le_bytes()),
            Self::Opaque { payload, .. } => out.extend_from_slice(payload),
        }
        out
    }
}

impl Identity {
    const SIZE: usize = 36;

    fn read(payload: &[u8]) -> Option<Self> {
        (payload.len() == Self::SIZE).then_some(())?;
        Some(Self {
            image_type: ImageType(u16_at(payload, 0)?),
            reserved: u16_at(payload, 2)?,
            component: ComponentId::from_bytes_le(*array_at(payload, 4)?),
            image: ImageId::from_bytes_le(*array_at(payload, 20)?),
        })
    }
}

impl SigningInfo {
    const SIZE: usize = 24;

    fn read(payload: &[u8]) -> Option<Self> {
        (payload.len() == Self::SIZE).then_some(())?;
        Some(Self {
            thumbprint: Thumbprint::from_bytes(*array_at(payload, 0)?),
            kind: u32_at(payload, 20)?,
        })
    }
}

impl BuildInfo {
    const SIZE: usize = 40;

    fn read(payload: &[u8]) -> Option<Self> {
        (payload.len() == Self::SIZE).then_some(())?;
        Some(Self {
            built: u64_at(payload, 0)?,
            name: *array_at(payload, 8)?,
        })
    }
}

impl Compression {
    const SIZE: usize = 8;

    fn read(payload: &[u8]) -> Option<Self> {
        (payload.len() == Self::SIZE).then_some(())?;
        Some(Self {
            uncompressed_size: u32_at(payload, 0)?,
            kind: u32_at(payload, 4)?,
        })
    }
}

/// The count must fit the payload exactly: the loop is bounded by bytes that are there, never by the count.
fn read_abi_list(payload: &[u8]) -> Result<Vec<AbiVersion>, usize> {
    let count = u32_at(payload, 0).ok_or(4_usize)? as usize;
    let wanted = count.saturating_mul(8).saturating_add(4);
    if wanted != payload.len() {
        return Err(wanted);
    }
    let pair = |pair: &[u8]| {
        Some(AbiVersion {
            version: u32_at(pair, 0)?,
            kind: AbiKind(u32_at(pair, 4)?),
        })
    };
    payload[4..]
        .chunks_exact(8)
        .map(pair)
        .collect::<Option<_>>()
        .ok_or(wanted)
}
