//! The container of every signed file: a body, a metadata block, a signature (`image-package.md` 1). Read from the end,
//! strictly, by the rules of section 11.3.

use lineside_terms::{Blame, ComponentId, Digest, Explain, ImageId, ImageType};
use ring::digest;

use crate::keys::Signer;
use crate::little_endian::{array_at, u16_at, u32_at};
use crate::metadata::{
    AbiVersion, BuildInfo, Compression, Identity, ImagePolicy, Section, SectionId, SigningInfo,
    TemporaryFlags,
};
use crate::signature::{Classification, TrustList};

/// `4X4M`, the first four bytes of a metadata block.
pub(crate) const MAGIC: [u8; 4] = *b"4X4M";
/// Magic, section count and the closing length field.
pub(crate) const FRAME: usize = 12;
/// The section count.
const COUNT: usize = 4;
/// Section id and payload length.
pub(crate) const SECTION_HEADER: usize = 4;
/// An ECDSA P-256 signature.
pub(crate) const SIGNATURE: usize = 64;
/// What stands behind the metadata of a file that MT3620 packages are not: a P-384 signature, or the boot loader's
/// information block with a P-256 signature. The two have the same length.
const FOREIGN_TRAILER: usize = 96;

/// A package that kept every rule, as a view of its bytes. Nothing is known of its signature yet: see
/// [`Package::classify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package<'a> {
    bytes: &'a [u8],
    metadata_start: usize,
    sections: Vec<Section<'a>>,
    identity: Identity,
    signing: SigningInfo,
}

impl<'a> Package<'a> {
    /// Reads a whole file.
    ///
    /// # Errors
    /// Each broken rule of `image-package.md` 11.3 has its own name. A file that is sound in a form which MT3620
    /// packages do not have (first boot loader, P-384) is named as such.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PackageError> {
        Self::read(bytes).map_err(|error| recognise_foreign(bytes).unwrap_or(error))
    }

    /// What the package carries, padding included.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[..self.metadata_start]
    }

    /// All sections in file order.
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    /// What the image is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The kind of software.
    pub fn image_type(&self) -> ImageType {
        self.identity.image_type
    }

    /// The component.
    pub fn component(&self) -> ComponentId {
        self.identity.component
    }

    /// The build.
    pub fn image(&self) -> ImageId {
        self.identity.image
    }

    /// Who claims to have signed it.
    pub fn signing(&self) -> &SigningInfo {
        &self.signing
    }

    /// Name and build time.
    pub fn build(&self) -> Option<&BuildInfo> {
        self.first(|section| {
            if let Section::Build(build) = section {
                Some(build)
            } else {
                None
            }
        })
    }

    /// The flags of a temporary image; `None` without such a section, as production images have it.
    pub fn temporary(&self) -> Option<TemporaryFlags> {
        self.first(|section| {
            if let Section::Temporary(flags) = section {
                Some(*flags)
            } else {
                None
            }
        })
    }

    /// The interfaces that the image needs.
    pub fn depends(&self) -> &[AbiVersion] {
        self.first(|section| {
            if let Section::Depends(list) = section {
                Some(&list[..])
            } else {
                None
            }
        })
        .unwrap_or(&[])
    }

    /// The interfaces that the image provides.
    pub fn provides(&self) -> &[AbiVersion] {
        self.first(|section| {
            if let Section::Provides(list) = section {
                Some(&list[..])
            } else {
                None
            }
        })
        .unwrap_or(&[])
    }

    /// Present when the body is a compressed image.
    pub fn compression(&self) -> Option<Compression> {
        self.first(|section| {
            if let Section::Compression(found) = section {
                Some(*found)
            } else {
                None
            }
        })
    }

    /// The policy of the image.
    pub fn policy(&self) -> Option<ImagePolicy> {
        self.first(|section| {
            if let Section::Policy(policy) = section {
                Some(*policy)
            } else {
                None
            }
        })
    }

    /// What the signature covers: everything before it, as it stands in the file.
    pub fn signed_bytes(&self) -> &'a [u8] {
        &self.bytes[..self.bytes.len() - SIGNATURE]
    }

    /// The signature, r‖s big-endian. Never an identity: (r, n − s) is as good as (r, s).
    pub fn signature(&self) -> &'a [u8; SIGNATURE] {
        self.bytes
            .last_chunk()
            .expect("parsing made sure that there is room for a signature")
    }

    /// The metadata block as it stands in the file.
    pub fn raw_metadata(&self) -> &'a [u8] {
        &self.bytes[self.metadata_start..self.bytes.len() - SIGNATURE]
    }

    /// The whole file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// SHA-256 of the whole file.
    pub fn digest(&self) -> Digest {
        let hash = digest::digest(&digest::SHA256, self.bytes);
        Digest::from_bytes(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// What a reader should see although it breaks no rule.
    pub fn oddities(&self) -> Vec<Oddity> {
        let mut odd = Vec::new();
        if self.identity.image_type.name().is_none() {
            odd.push(Oddity::UnassignedImageType(self.identity.image_type));
        }
        if self.identity.reserved != 0 {
            odd.push(Oddity::ReservedNotZero(self.identity.reserved));
        }
        odd.extend(
            self.sections
                .iter()
                .map(Section::id)
                .filter(|id| !id.is_known())
                .map(Oddity::UnknownSection),
        );
        odd
    }

    /// Whose signature it is, and whether it holds.
    pub fn classify(&self, trust: &TrustList) -> Classification {
        crate::signature::classify_package(self, trust)
    }

    /// The same package signed by somebody else: only the thumbprint of the signer and the signature change.
    pub fn signed_by(&self, signer: &Signer) -> Vec<u8> {
        let mut out = self.signed_bytes().to_vec();
        let at = self.metadata_start + self.thumbprint_in_metadata();
        let thumbprint = signer.thumbprint();
        out[at..at + thumbprint.as_bytes().len()].copy_from_slice(thumbprint.as_bytes());
        let signature = signer.sign(&out);
        out.extend(signature);
        out
    }

    /// Where in the metadata the payload of the signature section stands, which begins with the thumbprint.
    fn thumbprint_in_metadata(&self) -> usize {
        let mut at = MAGIC.len() + COUNT;
        for section in &self.sections {
            at += SECTION_HEADER;
            if section.id() == SectionId::SIGNATURE {
                break;
            }
            at += section.payload().len();
        }
        at
    }

    fn first<'s, T>(&'s self, pick: impl FnMut(&'s Section<'a>) -> Option<T>) -> Option<T> {
        self.sections.iter().find_map(pick)
    }

    fn read(bytes: &'a [u8]) -> Result<Self, PackageError> {
        let (metadata_start, sections) = read_metadata(bytes, SIGNATURE)?;
        let mut identity = None;
        let mut signing = None;
        for (at, section) in sections.iter().enumerate() {
            let id = section.id();
            if id.is_known() && sections[..at].iter().any(|earlier| earlier.id() == id) {
                return Err(PackageError::DuplicateSection { id });
            }
            match section {
                Section::Identity(found) => identity = Some(*found),
                Section::Signing(found) => signing = Some(*found),
                _ => {}
            }
        }
        let identity = identity.ok_or(PackageError::NoIdentity)?;
        let signing = signing.ok_or(PackageError::Unsigned)?;
        if signing.kind != SigningInfo::ECDSA_P256 {
            return Err(PackageError::UnsupportedSignature { kind: signing.kind });
        }
        Ok(Self {
            bytes,
            metadata_start,
            sections,
            identity,
            signing,
        })
    }
}

/// Something unusual that breaks no rule (`image-package.md` 11.3 rule 7, 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// The image type has no name in the reference.
    UnassignedImageType(ImageType),
    /// The reserved field of the identity is not 0.
    ReservedNotZero(u16),
    /// A section that nobody described; it was kept.
    UnknownSection(SectionId),
}

impl std::fmt::Display for Oddity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnassignedImageType(image_type) => {
                write!(f, "image type {} has no known meaning", image_type.0)
            }
            Self::ReservedNotZero(value) => {
                write!(f, "the reserved field of the identity holds {value}, not 0")
            }
            Self::UnknownSection(id) => write!(f, "section {id} is unknown and was not read"),
        }
    }
}

/// How a file fails to be a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// Too short for the smallest trailer.
    #[error("the file has {size} bytes; the smallest package has {}", SIGNATURE + FRAME)]
    TooSmall {
        /// Its size in bytes.
        size: usize,
    },
    /// The length of the metadata block cannot be.
    #[error("the metadata block claims {length} bytes, which the file of {size} bytes cannot hold")]
    MetadataLength {
        /// What the length field says.
        length: u32,
        /// Size of the file in bytes.
        size: usize,
    },
    /// No metadata block where one should begin.
    #[error("there is no metadata block at byte {at}")]
    NoMagic {
        /// Offset in the file.
        at: usize,
    },
    /// The number of sections cannot be.
    #[error("the metadata claims {count} sections; its length has room for 1 to {limit}")]
    SectionCount {
        /// What the count field says.
        count: u32,
        /// The most that could fit.
        limit: usize,
    },
    /// A section reaches past the end of the metadata.
    #[error("section {index} reaches past the end of the metadata")]
    SectionOverflow {
        /// Its place, from 0.
        index: usize,
    },
    /// A section without payload.
    #[error("section {id} is empty")]
    EmptySection {
        /// Its id.
        id: SectionId,
    },
    /// A payload of the wrong size.
    #[error("section {id} has {size} bytes instead of {wanted}")]
    SectionSize {
        /// Its id.
        id: SectionId,
        /// Its size in bytes.
        size: usize,
        /// What it should be by its kind and content.
        wanted: usize,
    },
    /// The sections end before the metadata does.
    #[error("{bytes} bytes stand between the last section and the end of the metadata")]
    JunkAfterSections {
        /// How many bytes.
        bytes: usize,
    },
    /// Nothing says what the image is.
    #[error("the package has no identity section")]
    NoIdentity,
    /// A section that may stand once stands twice.
    #[error("section {id} stands more than once")]
    DuplicateSection {
        /// Its id.
        id: SectionId,
    },
    /// There is no signature section.
    #[error("the package is not signed")]
    Unsigned,
    /// A way of signing that MT3620 does not know.
    #[error("the package is signed in a way that MT3620 does not support (signing type {kind})")]
    UnsupportedSignature {
        /// The signing type: 2 is ECDSA P-384.
        kind: u32,
    },
    /// A first boot loader: sound, but in a form of its own.
    #[error("the file is a first boot loader, not an image package")]
    BootLoader,
}

impl PackageError {
    /// The id of the `ImageMetadataError` (category 42) that a device would give (`image-package.md` 11.3, 12).
    pub fn image_metadata_error(&self) -> u16 {
        match self {
            Self::SectionOverflow { .. } => 2,
            Self::EmptySection { .. } => 3,
            Self::SectionSize { size, wanted, .. } if size > wanted => 4,
            Self::NoIdentity | Self::Unsigned => 5,
            _ => 1,
        }
    }
}

impl Explain for PackageError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unsigned => "image.unsigned",
            Self::UnsupportedSignature { .. } => "image.unsupported-signature",
            Self::BootLoader => "image.boot-loader",
            _ => "image.malformed",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unsigned => "Have the package signed; a device accepts no unsigned software.".into(),
            Self::UnsupportedSignature { .. } => "Get the package for MT3620, signed with ECDSA P-256.".into(),
            Self::BootLoader => "Boot loaders travel only inside a recovery set; name the package of an application, \
                                 board configuration or OS component instead."
                .into(),
            _ => "The file is not an image package, or was damaged on its way: get it again from its origin and compare \
                  the SHA-256. Do not send it to a device."
                .into(),
        }
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}

/// Finds the metadata block in front of `trailer` bytes and splits it into sections: rules 1 to 5.
fn read_metadata(bytes: &[u8], trailer: usize) -> Result<(usize, Vec<Section<'_>>), PackageError> {
    let size = bytes.len();
    let too_small = PackageError::TooSmall { size };
    let end = size.checked_sub(trailer).ok_or(too_small.clone())?;
    let sections_end = end
        .checked_sub(4)
        .filter(|_| end >= FRAME)
        .ok_or(too_small.clone())?;
    let length = u32_at(bytes, sections_end).ok_or(too_small)?;
    let start = usize::try_from(length)
        .ok()
        .filter(|&length| length >= FRAME)
        .and_then(|length| end.checked_sub(length))
        .ok_or(PackageError::MetadataLength { length, size })?;
    if array_at(bytes, start) != Some(&MAGIC) {
        return Err(PackageError::NoMagic { at: start });
    }

    let count = u32_at(bytes, start + 4).ok_or(PackageError::NoMagic { at: start })?;
    let limit = (end - start - FRAME) / SECTION_HEADER;
    if count == 0 || count as usize > limit {
        return Err(PackageError::SectionCount { count, limit });
    }
    let mut rest = &bytes[start + 8..sections_end];
    // The count is bounded by the bytes that are there, yet a section is larger than its header: reserve nothing.
    let mut sections = Vec::new();
    for index in 0..count as usize {
        let overflow = PackageError::SectionOverflow { index };
        let (Some(id), Some(length)) = (u16_at(rest, 0), u16_at(rest, 2)) else {
            return Err(overflow);
        };
        let id = SectionId(id);
        if length == 0 {
            return Err(PackageError::EmptySection { id });
        }
        let (payload, after) = rest[SECTION_HEADER..]
            .split_at_checked(length.into())
            .ok_or(overflow)?;
        let section = Section::read(id, payload).map_err(|wanted| PackageError::SectionSize {
            id,
            size: payload.len(),
            wanted,
        })?;
        sections.push(section);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(PackageError::JunkAfterSections { bytes: rest.len() });
    }
    Ok((start, sections))
}

/// What a first boot loader in its own form says that it is; its signature is not looked into.
pub(crate) fn boot_loader_identity(bytes: &[u8]) -> Option<Identity> {
    let (_, sections) = read_metadata(bytes, FOREIGN_TRAILER).ok()?;
    sections.iter().find_map(|section| match section {
        Section::Identity(identity) => Some(*identity),
        _ => None,
    })
}

/// Names a file that is sound in another form (`image-package.md` 1, 1.9).
fn recognise_foreign(bytes: &[u8]) -> Option<PackageError> {
    let (_, sections) = read_metadata(bytes, FOREIGN_TRAILER).ok()?;
    sections.iter().find_map(|section| match section {
        Section::Identity(identity) if identity.image_type == ImageType::ONE_BL => {
            Some(PackageError::BootLoader)
        }
        Section::Signing(signing) if signing.kind == SigningInfo::ECDSA_P384 => {
            Some(PackageError::UnsupportedSignature { kind: signing.kind })
        }
        _ => None,
    })
}
