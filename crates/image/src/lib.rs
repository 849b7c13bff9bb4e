//! What is inside Azure Sphere files: image packages, capability files, manifests, OS lists, ASXipFS, signatures.
//!
//! ```text
//! Package::parse ──► Package ──► classify(&TrustList) ──► Verdict
//!                       └──────► Application::open ──► AppManifest, Filesystem, findings
//! SetFiles ──► Examination ──► ImageSet (all that one recovery needs)
//! pack_application, pack_board_config, CapabilityRecord, RecoveryManifest ──► Composer ──► bytes
//! ```
//!
//! Everything here is pure: bytes in, values or a named error out. Nothing reads a file, a clock or randomness; build
//! times, image ids and key material are arguments. Parsers are strict on purpose: a package that a real device might
//! choke on is refused here, before it can be sent (`image-package.md` 13, background).
//!
//! What this crate does *not* do: it never decompresses images and never composes first boot loaders. Packing takes a
//! manifest that names peripherals by their final values; [`HardwareDefinition`] makes one of a manifest with names.
//!
//! Facts about the formats are cited as `image-package.md` with a section; what that reference only assumes stands in
//! the private module `assume`, with its number.

#![forbid(unsafe_code)]

mod application;
mod assume;
mod capability;
mod compose;
mod error;
mod filesystem;
mod hardware;
mod image_set;
mod json;
mod keys;
mod keystore;
mod little_endian;
mod manifest;
mod metadata;
mod os_list;
mod package;
mod recovery_manifest;
mod signature;

pub use application::{
    Application, ApplicationSource, BoardConfigSource, Finding, pack_application, pack_board_config,
};
pub use capability::{CAPABILITY_FILE_NAME, CapabilityError, CapabilityRecord};
pub use compose::{ComposeError, Composer};
pub use error::ImageError;
pub use filesystem::{Entry, Filesystem, FilesystemError, Node, pack_filesystem};
pub use hardware::{HardwareDefinition, HardwareError, HardwareFile};
pub use image_set::{
    BOOT_LOADER_FILE, Examination, ImageSet, ImageSetError, MANIFEST_FILE, OS_LIST_FILE, Part, RUNTIME_FILE,
    Role, SetFiles,
};
pub use keys::{KeyError, PublicKey, Signer, SigningKey, Thumbprint};
pub use keystore::{Keystore, KeystoreError, TrustedKey};
pub use manifest::{AppManifest, ApplicationType, Capabilities, ManifestError};
pub use metadata::{
    AbiKind, AbiVersion, BuildInfo, Compression, Identity, ImagePolicy, Section, SectionId, SigningInfo,
    TemporaryFlags,
};
pub use os_list::{OsImage, OsList, OsListError, OsVersion};
pub use package::{Oddity, Package, PackageError};
pub use recovery_manifest::{PartitionType, RecoveryEntry, RecoveryManifest, RecoveryManifestError};
pub use signature::{
    Classification, SDK_PUBLIC_KEY, SDK_THUMBPRINT, SDK_THUMBPRINT_OLD, TrustList, Verdict, Warning, classify,
};
