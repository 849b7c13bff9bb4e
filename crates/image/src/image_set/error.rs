//! How a recovery set fails, each way with a name: a bad set must be found out before anything is erased.

use lineside_terms::{Blame, Explain};

use crate::{PackageError, RecoveryManifestError};

/// How a recovery set fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageSetError {
    /// No ZIP, or one that cannot be unpacked whole.
    #[error("the ZIP cannot be unpacked: {reason}")]
    NotZip {
        /// What is wrong with it.
        reason: String,
    },
    /// More or larger files than any recovery set has.
    #[error("this holds more than a recovery set can be")]
    TooLarge,
    /// Two files of one name.
    #[error("`{file}` is there twice")]
    Twice {
        /// The name.
        file: String,
    },
    /// A file that every set has, or that the manifest names, is not there.
    #[error("`{file}` is missing")]
    Missing {
        /// The file.
        file: String,
    },
    /// A file without content.
    #[error("`{file}` is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// The manifest is no list of images.
    #[error("the manifest is none")]
    Manifest(#[source] RecoveryManifestError),
    /// The manifest lists nothing.
    #[error("the manifest lists no image")]
    NoImages,
    /// Two entries of the manifest say different things of one image.
    #[error("the manifest says two different things of image {image}")]
    Contradiction {
        /// The image.
        image: String,
    },
    /// A file is no package.
    #[error("`{file}` is no image package")]
    Malformed {
        /// The file.
        file: String,
        /// Why not.
        #[source]
        source: PackageError,
    },
    /// A file is another than the one that is meant.
    #[error("`{file}`: the {what} is {found}, not {expected}")]
    Mismatch {
        /// The file.
        file: String,
        /// What differs.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The signer is known and has not signed this.
    #[error("`{file}` is not what its signer signed")]
    Tampered {
        /// The file.
        file: String,
    },
    /// Signed with a key for development: no device takes it as its OS.
    #[error("`{file}` is signed for development")]
    Development {
        /// The file.
        file: String,
    },
}

impl Explain for ImageSetError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotZip { .. } => "image-set.zip",
            Self::TooLarge => "image-set.too-large",
            Self::Twice { .. } => "image-set.twice",
            Self::Missing { .. } | Self::Empty { .. } => "image-set.missing",
            Self::Manifest(_) | Self::NoImages | Self::Contradiction { .. } => "image-set.manifest",
            Self::Malformed { .. } => "image-set.malformed",
            Self::Mismatch { .. } => "image-set.mismatch",
            Self::Tampered { .. } | Self::Development { .. } => "image-set.signature",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NotZip { .. } => "Get the ZIP again from its origin and compare its SHA-256.",
            Self::TooLarge | Self::Twice { .. } => "Name the folder or ZIP of one recovery set, unchanged.",
            Self::Missing { .. } | Self::Empty { .. } => {
                "Unpack the set again from its archive, whole and with its file names; see which files \
                 `lineside image-set show` lists."
            }
            Self::Manifest(_) | Self::NoImages | Self::Contradiction { .. } => {
                "Get the set again from its origin. If it is unchanged, its form is newer than this program."
            }
            Self::Malformed { .. } | Self::Mismatch { .. } | Self::Tampered { .. } => {
                "Get the set again from its origin, and do not mix files of two sets. Nothing was sent to a device."
            }
            Self::Development { .. } => {
                "Take the recovery set of the OS's maker: devices refuse one that is signed for development."
            }
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}
