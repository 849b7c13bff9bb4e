//! Making packages: any kind of section, in the SDK's order, padded and signed (`image-package.md` 1).

use std::borrow::Cow;

use lineside_terms::{Blame, ComponentId, Explain, ImageId, ImageType};

use crate::metadata::{
    AbiVersion, BuildInfo, Compression, Identity, ImagePolicy, Section, SectionId, SigningInfo,
    TemporaryFlags,
};
use crate::package::{MAGIC, SIGNATURE};
use crate::{Signer, Thumbprint};

/// What is to be written around a body. Sections are written in the SDK's order whatever the order of the calls; a
/// second call for the same kind replaces the first.
#[derive(Debug, Clone)]
pub struct Composer {
    identity: Identity,
    sections: Vec<Section<'static>>,
    fixed_size: Option<usize>,
}

impl Composer {
    /// A package with an identity and a signature and nothing else.
    pub fn new(image_type: ImageType, component: ComponentId, image: ImageId) -> Self {
        let identity = Identity {
            image_type,
            reserved: 0,
            component,
            image,
        };
        Self {
            identity,
            sections: Vec::new(),
            fixed_size: None,
        }
    }

    /// Name (31 bytes of it are kept) and build time in Unix seconds.
    #[must_use]
    pub fn build(self, name: &str, built: u64) -> Self {
        self.section(Section::Build(BuildInfo::new(name, built)))
    }

    /// Flags of a temporary image. Production images have no such section: do not call this for them.
    #[must_use]
    pub fn temporary(self, flags: TemporaryFlags) -> Self {
        self.section(Section::Temporary(flags))
    }

    /// Interfaces that the image needs.
    #[must_use]
    pub fn depends(self, on: Vec<AbiVersion>) -> Self {
        self.section(Section::Depends(on))
    }

    /// Interfaces that the image provides.
    #[must_use]
    pub fn provides(self, what: Vec<AbiVersion>) -> Self {
        self.section(Section::Provides(what))
    }

    /// Says that the body is a compressed image.
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        self.section(Section::Compression(compression))
    }

    /// Security version for revocation by fuse.
    #[must_use]
    pub fn revocation(self, version: u32) -> Self {
        self.section(Section::Revocation(version))
    }

    /// Flash offset in bytes at which the image must live.
    #[must_use]
    pub fn required_offset(self, offset: u32) -> Self {
        self.section(Section::RequiredOffset(offset))
    }

    /// What the application core may do with the image.
    #[must_use]
    pub fn policy(self, policy: ImagePolicy) -> Self {
        self.section(Section::Policy(policy))
    }

    /// Any section. Identity and signature are made by the composer itself and cannot be set here: such a section is
    /// passed over.
    #[must_use]
    pub fn section(mut self, section: Section<'static>) -> Self {
        let id = section.id();
        if matches!(id, SectionId::IDENTITY | SectionId::SIGNATURE) {
            return self;
        }
        if id.is_known() {
            self.sections.retain(|other| other.id() != id);
        }
        self.sections.push(section);
        self
    }

    /// Fills the file with zeros between body and metadata to a total size in bytes.
    #[must_use]
    pub fn fixed_size(mut self, total: usize) -> Self {
        self.fixed_size = Some(total);
        self
    }

    /// The whole file, signed.
    ///
    /// # Errors
    /// See [`ComposeError`].
    pub fn compose(&self, body: &[u8], signer: &Signer) -> Result<Vec<u8>, ComposeError> {
        let mut out = self.unsigned(body, signer.thumbprint())?;
        let signature = signer.sign(&out);
        out.extend(signature);
        Ok(out)
    }

    /// What a signature is to cover: body, padding and metadata. For signers that live elsewhere.
    ///
    /// # Errors
    /// See [`ComposeError`].
    pub fn unsigned(&self, body: &[u8], thumbprint: Thumbprint) -> Result<Vec<u8>, ComposeError> {
        let metadata = self.metadata(thumbprint)?;
        let padded = body.len().next_multiple_of(4);
        let total = padded + metadata.len() + SIGNATURE;
        let padding = match self.fixed_size {
            Some(size) => size
                .checked_sub(total)
                .ok_or(ComposeError::FixedSizeTooSmall { size, needed: total })?,
            None => 0,
        };
        let mut out = Vec::with_capacity(total + padding);
        out.extend_from_slice(body);
        out.resize(padded + padding, 0);
        out.extend(metadata);
        Ok(out)
    }

    fn metadata(&self, thumbprint: Thumbprint) -> Result<Vec<u8>, ComposeError> {
        let signing = SigningInfo {
            thumbprint,
            kind: SigningInfo::ECDSA_P256,
        };
        let mut sections = vec![
            Cow::Owned(Section::Identity(self.identity)),
            Cow::Owned(Section::Signing(signing)),
        ];
        sections.extend(self.sections.iter().map(Cow::Borrowed));
        sections.sort_by_key(|section| {
            let place = SectionId::IN_WRITING_ORDER
                .iter()
                .position(|id| *id == section.id());
            place.unwrap_or(SectionId::IN_WRITING_ORDER.len())
        });

        let mut out = MAGIC.to_vec();
        out.extend((sections.len() as u32).to_le_bytes());
        for section in sections {
            let (id, payload) = (section.id(), section.payload());
            let length = u16::try_from(payload.len()).ok().filter(|&length| length > 0);
            let length = length.ok_or(ComposeError::SectionSize {
                id,
                size: payload.len(),
            })?;
            out.extend(id.0.to_le_bytes());
            out.extend(length.to_le_bytes());
            out.extend(payload);
        }
        let length = u32::try_from(out.len() + 4).map_err(|_| ComposeError::MetadataTooLarge)?;
        out.extend(length.to_le_bytes());
        Ok(out)
    }
}

/// Why a package cannot be made as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// The wanted total size does not hold the content.
    #[error("the package needs {needed} bytes and was asked to have {size}")]
    FixedSizeTooSmall {
        /// What was asked for.
        size: usize,
        /// What the content takes.
        needed: usize,
    },
    /// A section must have 1 to 65535 bytes.
    #[error("section {id} would have {size} bytes; 1 to 65535 are possible")]
    SectionSize {
        /// Its id.
        id: SectionId,
        /// Its size in bytes.
        size: usize,
    },
    /// All sections together are too large for the length field.
    #[error("the metadata is too large")]
    MetadataTooLarge,
    /// An image whose component id is all zeros cannot be installed (`ImageUpdateError` 47).
    #[error("the component id is all zeros")]
    NilComponent,
}

impl Explain for ComposeError {
    fn code(&self) -> &'static str {
        match self {
            Self::FixedSizeTooSmall { .. } => "image.fixed-size",
            Self::SectionSize { .. } | Self::MetadataTooLarge => "image.metadata-size",
            Self::NilComponent => "image.nil-component",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::FixedSizeTooSmall { needed, .. } => {
                format!("Ask for at least {needed} bytes, or for no fixed size.")
            }
            Self::SectionSize { .. } | Self::MetadataTooLarge => "Give the section less content.".into(),
            Self::NilComponent => {
                "Give the application a ComponentId of its own in app_manifest.json.".into()
            }
        }
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}
