//! Every way in which reading or making a file of this crate can fail, in one type.

use lineside_terms::{Blame, Explain};

use crate::{
    CapabilityError, ComposeError, FilesystemError, ImageSetError, KeyError, KeystoreError, ManifestError,
    OsListError, PackageError, RecoveryManifestError,
};

/// What is wrong with a file, or with the material that one was to be made from.
///
/// Each kind of file has its own error type with named cases; this one joins them for callers that do not care which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The package's trailer is malformed.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The body is not a sound ASXipFS file system, or the tree cannot become one.
    #[error(transparent)]
    Filesystem(#[from] FilesystemError),
    /// The application manifest is missing or wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The recovery manifest is malformed.
    #[error(transparent)]
    RecoveryManifest(#[from] RecoveryManifestError),
    /// The recovery set cannot be used.
    #[error(transparent)]
    ImageSet(#[from] ImageSetError),
    /// The capability file is malformed.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The trusted keystore is malformed.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The list of OS versions is malformed.
    #[error(transparent)]
    OsList(#[from] OsListError),
    /// A key or certificate cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A package cannot be made as asked.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

impl ImageError {
    fn inner(&self) -> &dyn Explain {
        match self {
            Self::Package(error) => error,
            Self::Filesystem(error) => error,
            Self::Manifest(error) => error,
            Self::RecoveryManifest(error) => error,
            Self::ImageSet(error) => error,
            Self::Capability(error) => error,
            Self::Keystore(error) => error,
            Self::OsList(error) => error,
            Self::Key(error) => error,
            Self::Compose(error) => error,
        }
    }
}

impl Explain for ImageError {
    fn code(&self) -> &'static str {
        self.inner().code()
    }

    fn help(&self) -> String {
        self.inner().help()
    }

    fn blame(&self) -> Blame {
        self.inner().blame()
    }
}
