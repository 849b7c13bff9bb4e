//! A recovery set: everything that one device is given when its OS is written anew (`image-package.md` 9).
//!
//! ```text
//! SetFiles::from_listing, from_zip ──► Examination (every file, every problem) ──► ImageSet (no problem)
//! ```
//!
//! A set is looked through before anything is erased: afterwards a device has nothing to fall back to. What is checked:
//! the manifest is one and is signed, every image that it names is there with its size, ids and kind, and no signature is
//! broken or for development. What cannot be checked offline is whether a device trusts a signer that nobody named; it
//! looks for itself.
//!
//! The two files that run from memory, boot loader and runtime, stand in no manifest. The boot loader has a form of its
//! own that is not looked into (`image-package.md` 1.9), and what form the runtime has is told nowhere, so of these two
//! only broken signatures are problems.

mod error;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lineside_terms::{Digest, ImageId, ImageType};
use ring::digest;
use std::sync::Arc;

pub use error::ImageSetError;
pub use files::SetFiles;

use crate::package::boot_loader_identity;
use crate::{
    Identity, OsImage, OsList, OsVersion, Package, PackageError, PartitionType, RecoveryEntry,
    RecoveryManifest, TrustList, Verdict,
};

/// The file with the boot loader that the ROM takes (`image-package.md` 9).
pub const BOOT_LOADER_FILE: &str = "recovery-1bl-rtm.bin";
/// The file with the program that erases and writes flash.
pub const RUNTIME_FILE: &str = "recovery-runtime.bin";
/// The file that lists the images.
pub const MANIFEST_FILE: &str = "recovery.imagemanifest";
/// The OS list, as the vendor names it; it is no part of a set, but says which OS a set is when it lies beside.
pub const OS_LIST_FILE: &str = "mt3620an.json";

/// A set in which no problem was found.
#[derive(Clone)]
pub struct ImageSet {
    files: BTreeMap<String, Arc<[u8]>>,
    manifest: RecoveryManifest,
    digest: Digest,
    os_list: Option<(Arc<[u8]>, OsList)>,
}

impl fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageSet")
            .field("digest", &self.digest)
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

/// What was found of a set, good or not.
#[derive(Clone)]
pub struct Examination {
    /// The manifest, if it could be read.
    pub manifest: Option<RecoveryManifest>,
    /// Every file that belongs to the set, in the order in which a device asks for them.
    pub parts: Vec<Part>,
    /// Everything that keeps the set from being used.
    pub problems: Vec<ImageSetError>,
    /// Files that lie beside and belong to no set.
    pub strangers: Vec<String>,
    files: BTreeMap<String, Arc<[u8]>>,
    os_list: Option<(Arc<[u8]>, OsList)>,
}

impl fmt::Debug for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Examination")
            .field("parts", &self.parts)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// One file of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name in the set.
    pub file: String,
    /// What it is for.
    pub role: Role,
    /// Its size in bytes, or `None` when it is missing.
    pub size: Option<usize>,
    /// The name that its metadata gives, if any.
    pub name: Option<String>,
    /// What its signature is worth; `None` when there is nothing that could be looked into.
    pub verdict: Option<Verdict>,
}

/// What a file of a set is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// What the ROM runs.
    BootLoader,
    /// What erases and writes flash.
    Runtime,
    /// The list of images.
    Manifest,
    /// An image.
    Image {
        /// The build.
        image: ImageId,
        /// What kind of software.
        image_type: ImageType,
        /// Where it goes; an image that goes to two places stands once here, with both.
        partitions: Vec<PartitionType>,
    },
}

impl Examination {
    /// Looks through the files of a set. The signatures are held against `trust`.
    pub fn of(files: &SetFiles, trust: &TrustList) -> Self {
        let mut this = Self {
            manifest: None,
            parts: Vec::new(),
            problems: Vec::new(),
            strangers: Vec::new(),
            files: BTreeMap::new(),
            os_list: os_list_in(files),
        };
        for (file, role) in [
            (BOOT_LOADER_FILE, Role::BootLoader),
            (RUNTIME_FILE, Role::Runtime),
        ] {
            this.take_program(files, file, role, trust);
        }
        this.take_manifest(files, trust);
        let entries = this.manifest.clone().map(|manifest| manifest.entries);
        let mut taken: BTreeMap<ImageId, (RecoveryEntry, usize)> = BTreeMap::new();
        for entry in entries.iter().flatten() {
            match taken.get(&entry.image) {
                None => {
                    taken.insert(entry.image, (entry.clone(), this.parts.len()));
                    this.take_image(files, entry, trust);
                }
                Some((first, part)) if is_same_image(first, entry) => {
                    if let Role::Image { partitions, .. } = &mut this.parts[*part].role {
                        partitions.push(entry.partition);
                    }
                }
                Some(_) => this.problems.push(ImageSetError::Contradiction {
                    image: entry.image.to_string(),
                }),
            }
        }
        let belonging: BTreeSet<&str> = this.parts.iter().map(|part| part.file.as_str()).collect();
        let strangers = files.iter().map(|(name, _)| name);
        this.strangers = strangers
            .filter(|name| !belonging.contains(name) && !name.ends_with(".json"))
            .map(files::shown)
            .collect();
        this
    }

    /// Which OS this is, as far as a list knows: the newest version of which the set holds every image.
    pub fn os_by<'a>(&self, list: &'a OsList) -> Option<&'a OsVersion> {
        list.newest_running(&images_of(self.manifest.as_ref()?))
    }

    /// The OS list that lay beside, if one did.
    pub fn os_list(&self) -> Option<&OsList> {
        self.os_list.as_ref().map(|(_, list)| list)
    }

    /// The set, if nothing is wrong with it.
    ///
    /// # Errors
    /// The first problem.
    pub fn into_set(self) -> Result<ImageSet, ImageSetError> {
        if let Some(problem) = self.problems.into_iter().next() {
            return Err(problem);
        }
        let manifest = self.manifest.ok_or_else(|| missing(MANIFEST_FILE))?;
        Ok(ImageSet {
            digest: digest_of(&self.files),
            files: self.files,
            manifest,
            os_list: self.os_list,
        })
    }

    fn take_program(&mut self, files: &SetFiles, file: &str, role: Role, trust: &TrustList) {
        let Some(bytes) = self.take(files, file) else {
            return self.add(file, role, None, None, None);
        };
        let package = Package::parse(&bytes).ok();
        self.add_package(file, role, bytes.len(), package.as_ref(), trust);
    }

    fn take_manifest(&mut self, files: &SetFiles, trust: &TrustList) {
        let Some(bytes) = self.take(files, MANIFEST_FILE) else {
            return self.add(MANIFEST_FILE, Role::Manifest, None, None, None);
        };
        let package = match Package::parse(&bytes) {
            Ok(package) => package,
            Err(source) => {
                self.problems.push(malformed(MANIFEST_FILE, source));
                return self.add(MANIFEST_FILE, Role::Manifest, Some(bytes.len()), None, None);
            }
        };
        self.add_package(MANIFEST_FILE, Role::Manifest, bytes.len(), Some(&package), trust);
        self.hold(
            MANIFEST_FILE,
            "kind",
            &ImageType::RECOVERY_MANIFEST,
            &package.image_type(),
        );
        match RecoveryManifest::parse(package.body()) {
            Ok(manifest) if manifest.entries.is_empty() => self.problems.push(ImageSetError::NoImages),
            Ok(manifest) => self.manifest = Some(manifest),
            Err(error) => self.problems.push(ImageSetError::Manifest(error)),
        }
    }

    fn take_image(&mut self, files: &SetFiles, entry: &RecoveryEntry, trust: &TrustList) {
        let file = entry.file_name();
        let role = Role::Image {
            image: entry.image,
            image_type: entry.image_type,
            partitions: vec![entry.partition],
        };
        let Some(bytes) = self.take(files, &file) else {
            return self.add(&file, role, None, None, None);
        };
        self.hold(&file, "size in bytes", &(entry.file_size as usize), &bytes.len());
        match Package::parse(&bytes) {
            Ok(package) => {
                self.add_package(&file, role, bytes.len(), Some(&package), trust);
                self.hold_identity(&file, entry, package.identity());
            }
            // Sound in a form of its own: its signature cannot be checked, its identity can.
            Err(PackageError::BootLoader) if entry.image_type == ImageType::ONE_BL => {
                self.add(&file, role, Some(bytes.len()), None, None);
                if let Some(identity) = boot_loader_identity(&bytes) {
                    self.hold_identity(&file, entry, &identity);
                }
            }
            Err(source) => {
                self.problems.push(malformed(&file, source));
                self.add(&file, role, Some(bytes.len()), None, None);
            }
        }
    }

    /// The bytes of a file, kept for the set; a problem when there are none.
    fn take(&mut self, files: &SetFiles, file: &str) -> Option<Arc<[u8]>> {
        let found = files.get(file).cloned();
        match &found {
            None => self.problems.push(missing(file)),
            Some(bytes) if bytes.is_empty() => {
                self.problems.push(ImageSetError::Empty {
                    file: file.to_owned(),
                });
                return None;
            }
            Some(bytes) => _ = self.files.insert(file.to_owned(), bytes.clone()),
        }
        found
    }

    fn add_package(
        &mut self,
        file: &str,
        role: Role,
        size: usize,
        package: Option<&Package<'_>>,
        trust: &TrustList,
    ) {
        let verdict = package.map(|package| package.classify(trust).verdict);
        match &verdict {
            Some(Verdict::Tampered) => self.problems.push(ImageSetError::Tampered {
                file: file.to_owned(),
            }),
            Some(Verdict::SdkSigned) => self.problems.push(ImageSetError::Development {
                file: file.to_owned(),
            }),
            _ => {}
        }
        let name = package
            .and_then(Package::build)
            .map(|build| build.name().into_owned());
        self.add(file, role, Some(size), name, verdict);
    }

    fn add(
        &mut self,
        file: &str,
        role: Role,
        size: Option<usize>,
        name: Option<String>,
        verdict: Option<Verdict>,
    ) {
        self.parts.push(Part {
            file: file.to_owned(),
            role,
            size,
            name,
            verdict,
        });
    }

    fn hold_identity(&mut self, file: &str, entry: &RecoveryEntry, found: &Identity) {
        self.hold(file, "image id", &entry.image, &found.image);
        self.hold(file, "component id", &entry.component, &found.component);
        self.hold(file, "kind", &entry.image_type, &found.image_type);
    }

    fn hold<T: PartialEq + ToString>(&mut self, file: &str, what: &'static str, expected: &T, found: &T) {
        if expected != found {
            self.problems.push(ImageSetError::Mismatch {
                file: file.to_owned(),
                what,
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
    }
}

impl ImageSet {
    /// Looks through the files and takes them if nothing is wrong.
    ///
    /// # Errors
    /// The first problem; [`Examination`] tells of all.
    pub fn read(files: &SetFiles, trust: &TrustList) -> Result<Self, ImageSetError> {
        Examination::of(files, trust).into_set()
    }

    /// What the ROM is sent.
    pub fn boot_loader(&self) -> &Arc<[u8]> {
        &self.files[BOOT_LOADER_FILE]
    }

    /// A file that a device may ask for by its name: runtime, manifest, images; never the boot loader or what lay beside.
    pub fn asked_for(&self, name: &str) -> Option<&Arc<[u8]>> {
        self.files.get(name).filter(|_| name != BOOT_LOADER_FILE)
    }

    /// Every file of the set by its name, the boot loader included.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes))
    }

    /// The list of images.
    pub fn manifest(&self) -> &RecoveryManifest {
        &self.manifest
    }

    /// Names this set: SHA-256 over names, lengths and contents of its files in order of their names. What lies beside
    /// is no part of it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes that a recovery moves in images, counted as devices count them.
    pub fn total_size(&self) -> u64 {
        self.manifest.total_size()
    }

    /// Which OS this is, as far as a list knows: the newest version of which the set holds every image.
    pub fn os_by<'a>(&self, list: &'a OsList) -> Option<&'a OsVersion> {
        list.newest_running(&images_of(&self.manifest))
    }

    /// The name of the OS by the list that lay beside.
    pub fn os(&self) -> Option<&str> {
        let (_, list) = self.os_list.as_ref()?;
        self.os_by(list).map(|version| version.name.as_str())
    }

    /// The OS list that lay beside, as it was read.
    pub fn os_list_bytes(&self) -> Option<&Arc<[u8]>> {
        self.os_list.as_ref().map(|(bytes, _)| bytes)
    }
}

fn images_of(manifest: &RecoveryManifest) -> Vec<OsImage> {
    let pair = |entry: &RecoveryEntry| OsImage {
        component: entry.component,
        image: entry.image,
    };
    manifest.entries.iter().map(pair).collect()
}

/// The list of the vendor's name, or the only other file that is one.
fn os_list_in(files: &SetFiles) -> Option<(Arc<[u8]>, OsList)> {
    let read = |bytes: &Arc<[u8]>| OsList::parse(bytes).ok().map(|list| (bytes.clone(), list));
    if let Some(bytes) = files.get(OS_LIST_FILE) {
        return read(bytes);
    }
    let mut lists = files
        .iter()
        .filter(|(name, _)| name.ends_with(".json"))
        .filter_map(|(_, bytes)| read(bytes));
    lists.next().filter(|_| lists.next().is_none())
}

fn is_same_image(one: &RecoveryEntry, other: &RecoveryEntry) -> bool {
    let but_partition = |entry: &RecoveryEntry| RecoveryEntry {
        partition: PartitionType::FIRMWARE,
        ..entry.clone()
    };
    but_partition(one) == but_partition(other)
}

fn digest_of(files: &BTreeMap<String, Arc<[u8]>>) -> Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    for (name, bytes) in files {
        hash.update(name.as_bytes());
        hash.update(&[0]);
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    Digest::from_bytes(hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

fn missing(file: &str) -> ImageSetError {
    ImageSetError::Missing {
        file: file.to_owned(),
    }
}

fn malformed(file: &str, source: PackageError) -> ImageSetError {
    ImageSetError::Malformed {
        file: file.to_owned(),
        source,
    }
}
