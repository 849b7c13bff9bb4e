//! Bundles: a plan and everything that it names, under one hash, signed by engineering.
//!
//! A bundle is one file:
//!
//! ```text
//! lineside-bundle 1 LENGTH\n     bytes of the list that follows
//! list                           JSON: name, plan, files with size and SHA-256; sealed, or not yet
//! files                          their bytes, in the order of the list, without anything between
//! ```
//!
//! The hash of a bundle is that of its list without the seal; each file's hash stands in the list, so it covers all.
//! [`Bundle`] turns bytes into bundles and back and touches no file; [`files_of`] finds what belongs into one;
//! [`BundleStore`] keeps imported ones.

mod error;
mod gather;
mod store;

use std::collections::BTreeSet;

use lineside_records::{SealError, SealKey, Sealer, seal, unseal};
use lineside_terms::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use error::BundleError;
pub use gather::files_of;
pub use store::{BundleStore, Imported, Trust};

const MAGIC: &str = "lineside-bundle 1 ";
const KIND: &str = "bundle";
const VERSION: u32 = 1;

/// The largest list that is read, in bytes.
pub const MAX_LIST_BYTES: usize = 4 << 20;
/// The most files in a bundle.
pub const MAX_FILES: usize = 4_096;
/// The largest bundle, in bytes: an OS with all that belongs to it stays far below.
pub const MAX_BUNDLE_BYTES: u64 = 512 << 20;

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleFile {
    /// Its place below the plan's folder, with `/` between its parts.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its content.
    pub sha256: Digest,
}

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleList {
    kind: String,
    version: u32,
    /// What people call it: product and revision.
    pub name: String,
    /// Which of the files is the plan.
    pub plan: String,
    /// All files, sorted by path.
    pub files: Vec<BundleFile>,
}

/// A bundle whose every byte was checked against its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// What it says of itself.
    pub list: BundleList,
    /// Hash of the list: of the whole bundle.
    pub hash: Digest,
    /// The key that signed it; absent before that.
    pub signer: Option<SealKey>,
    /// The list as it was stored, with its seal.
    list_text: String,
    contents: Vec<Vec<u8>>,
}

impl Bundle {
    /// Puts files together, unsigned.
    ///
    /// # Errors
    /// When a name or path cannot stand in a bundle, the plan is not among the files, or it is too large.
    pub fn make(name: &str, plan: &str, mut files: Vec<(String, Vec<u8>)>) -> Result<Self, BundleError> {
        files.sort();
        let list = BundleList {
            kind: KIND.to_owned(),
            version: VERSION,
            name: name.to_owned(),
            plan: plan.to_owned(),
            files: files
                .iter()
                .map(|(path, content)| BundleFile {
                    path: path.clone(),
                    size: content.len() as u64,
                    sha256: hash_of(content),
                })
                .collect(),
        };
        check(&list)?;
        let text = serde_json::to_string_pretty(&list).expect("every field has a JSON form") + "\n";
        Ok(Self {
            list,
            hash: hash_of(text.as_bytes()),
            signer: None,
            list_text: text,
            contents: files.into_iter().map(|(_, content)| content).collect(),
        })
    }

    /// Signs it, in place of an earlier signature.
    ///
    /// # Errors
    /// What the place of the key says.
    pub fn sign(&mut self, sealer: &dyn Sealer) -> std::io::Result<()> {
        self.list_text = seal(self.signed_text(), sealer)?;
        self.signer = Some(sealer.key());
        Ok(())
    }

    fn signed_text(&self) -> &str {
        match self.signer {
            None => &self.list_text,
            Some(_) => {
                let end = self.list_text.trim_end().rfind('\n').map_or(0, |cut| cut + 1);
                &self.list_text[..end]
            }
        }
    }

    /// As the bytes of its file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{MAGIC}{}\n{}", self.list_text.len(), self.list_text).into_bytes();
        for content in &self.contents {
            bytes.extend_from_slice(content);
        }
        bytes
    }

    /// Reads a bundle and checks every byte against its list, and the list against its seal if it has one. Any bytes get
    /// an answer.
    ///
    /// # Errors
    /// [`BundleError`], with what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() as u64 > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge);
        }
        let rest = bytes
            .strip_prefix(MAGIC.as_bytes())
            .ok_or(BundleError::NoBundle)?;
        let end = rest
            .iter()
            .take(12)
            .position(|byte| *byte == b'\n')
            .ok_or(BundleError::NoBundle)?;
        let length: usize = std::str::from_utf8(&rest[..end])
            .ok()
            .filter(|text| !text.starts_with('+'))
            .and_then(|text| text.parse().ok())
            .ok_or(BundleError::NoBundle)?;
        if length > MAX_LIST_BYTES {
            return Err(BundleError::TooLarge);
        }
        let (text, mut rest) = rest[end + 1..]
            .split_at_checked(length)
            .ok_or(BundleError::Truncated)?;
        let (list, hash, signer) = read_list(text)?;
        let mut contents = Vec::with_capacity(list.files.len());
        for file in &list.files {
            let size = usize::try_from(file.size).map_err(|_| BundleError::TooLarge)?;
            let (content, behind) = rest.split_at_checked(size).ok_or(BundleError::Truncated)?;
            if hash_of(content) != file.sha256 {
                return Err(BundleError::Changed {
                    path: file.path.clone(),
                });
            }
            contents.push(content.to_vec());
            rest = behind;
        }
        if !rest.is_empty() {
            return Err(BundleError::Surplus);
        }
        Ok(Self {
            list,
            hash,
            signer,
            list_text: String::from_utf8_lossy(text).into_owned(),
            contents,
        })
    }

    /// Every file with its content.
    pub fn files(&self) -> impl Iterator<Item = (&BundleFile, &[u8])> {
        self.list
            .files
            .iter()
            .zip(self.contents.iter().map(Vec::as_slice))
    }
}

/// Reads a list: what it says, its hash, and who signed it.
fn read_list(text: &[u8]) -> Result<(BundleList, Digest, Option<SealKey>), BundleError> {
    let (content, signer) = match unseal(text, None) {
        Ok(sealed) => (sealed.text, Some(sealed.key)),
        // Not signed yet, or no list at all: the next lines tell.
        Err(SealError::Form) => (
            std::str::from_utf8(text).map_err(|_| BundleError::NoBundle)?,
            None,
        ),
        Err(error) => return Err(BundleError::Seal(error)),
    };
    let list: BundleList = serde_json::from_str(content).map_err(|_| BundleError::NoBundle)?;
    if list.kind != KIND {
        return Err(BundleError::NoBundle);
    }
    if list.version != VERSION {
        return Err(BundleError::Newer { found: list.version });
    }
    check(&list)?;
    Ok((list, hash_of(content.as_bytes()), signer))
}

/// Whether a list may stand in a bundle at all.
fn check(list: &BundleList) -> Result<(), BundleError> {
    if list.name.is_empty() || list.name.len() > 80 || list.name.chars().any(char::is_control) {
        return Err(BundleError::Name);
    }
    if list.files.len() > MAX_FILES {
        return Err(BundleError::TooLarge);
    }
    let mut total: u64 = 0;
    let mut seen = BTreeSet::new();
    for file in &list.files {
        // Two names that differ in case alone are one file on some systems.
        if !is_safe(&file.path) || !seen.insert(file.path.to_lowercase()) {
            return Err(BundleError::Path {
                path: file.path.escape_default().to_string(),
            });
        }
        total = total.checked_add(file.size).ok_or(BundleError::TooLarge)?;
    }
    // A file cannot be a folder for another.
    let is_folder = |path: &String| {
        let folder = format!("{path}/");
        seen.range(folder.clone()..)
            .next()
            .is_some_and(|next| next.starts_with(&folder))
    };
    if let Some(path) = seen.iter().find(|path| is_folder(path)) {
        return Err(BundleError::Path {
            path: path.escape_default().to_string(),
        });
    }
    if total > MAX_BUNDLE_BYTES {
        return Err(BundleError::TooLarge);
    }
    match list.files.iter().any(|file| file.path == list.plan) {
        true => Ok(()),
        false => Err(BundleError::NoPlan),
    }
}

/// Names that Windows keeps for devices, whatever follows behind a dot.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

/// True for a path that stays below its folder on every system, and means the same file on all of them.
pub fn is_safe(path: &str) -> bool {
    let is_part = |part: &str| {
        let stem = part.split('.').next().unwrap_or_default().to_lowercase();
        let is_port = stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.ends_with(|c: char| c.is_ascii_digit());
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | ' ');
        !part.is_empty()
            && part.chars().all(is_allowed)
            && !part.starts_with([' ', '.'])
            && !part.ends_with([' ', '.'])
            && !RESERVED.contains(&stem.as_str())
            && !is_port
    };
    !path.is_empty() && path.len() <= 180 && path.split('/').count() <= 16 && path.split('/').all(is_part)
}

fn hash_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::store::tests::TestKey;
    use lineside_terms::Explain as _;
    use proptest::prelude::*;

    fn bundle() -> Bundle {
        let files = vec![
            ("plan.toml".to_owned(), b"version = 1\n".to_vec()),
            ("images/app.imagepackage".to_owned(), vec![7; 40]),
            ("empty.txt".to_owned(), Vec::new()),
        ];
        Bundle::make("Sample 1.0", "plan.toml", files).unwrap()
    }

    #[test]
    fn a_bundle_survives_signed_or_not_and_its_hash_stays() {
        let mut bundle = bundle();
        assert_eq!(Bundle::parse(&bundle.to_bytes()).unwrap(), bundle);
        let hash = bundle.hash;
        assert_eq!(
            hash.to_string(),
            hash_of(bundle.list_text.as_bytes()).to_string(),
            "the hash is that of the list"
        );
        for byte in [7, 8] {
            let key = TestKey::new(byte);
            bundle.sign(&key).unwrap();
            let read = Bundle::parse(&bundle.to_bytes()).unwrap();
            assert_eq!((read.hash, read.signer), (hash, Some(key.key())));
            assert_eq!(read, bundle);
        }
    }

    #[test]
    fn every_change_and_cut_is_found() {
        let mut bundle = bundle();
        bundle.sign(&TestKey::new(7)).unwrap();
        let bytes = bundle.to_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let is_same_but_for_case = changed.eq_ignore_ascii_case(&bytes);
            if let Ok(found) = Bundle::parse(&changed) {
                // Without its seal it is an unsigned bundle; with it, every byte counts.
                assert!(found.signer.is_none() || is_same_but_for_case, "byte {at}");
            }
            assert!(Bundle::parse(&bytes[..at]).is_err(), "cut at {at}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(Bundle::parse(&longer).unwrap_err().code(), "bundle.surplus");
    }

    #[test]
    fn a_path_never_leads_out_of_its_folder() {
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "./a",
            "a/.",
            "a\\b",
            "C:/x",
            "C:x",
            "a/b ",
            "con",
            "NUL.txt",
            "com1",
            "LPT9.log",
            "a\u{0}",
            "ä",
            ".hidden",
            "x:stream",
            "a/",
        ] {
            assert!(!is_safe(bad), "{bad:?}");
            let files = vec![("plan.toml".to_owned(), Vec::new()), (bad.to_owned(), Vec::new())];
            assert_eq!(
                Bundle::make("x", "plan.toml", files).unwrap_err().code(),
                "bundle.path",
                "{bad:?}"
            );
        }
        for good in [
            "plan.toml",
            "thermostat/application/bin/app",
            "a b.txt",
            "comet.bin",
            "x-1.0+2",
        ] {
            assert!(is_safe(good), "{good:?}");
        }
        for twice in [["a.txt", "A.TXT"], ["a", "a/b"]] {
            let mut files = vec![("plan.toml".to_owned(), Vec::new())];
            files.extend(twice.map(|path| (path.to_owned(), Vec::new())));
            assert_eq!(
                Bundle::make("x", "plan.toml", files).unwrap_err().code(),
                "bundle.path"
            );
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_read() {
        let huge = format!("{MAGIC}99999999999\n");
        assert_eq!(
            Bundle::parse(huge.as_bytes()).unwrap_err().code(),
            "bundle.too-large"
        );
        let mut bundle = bundle();
        bundle.list.files[0].size = u64::MAX;
        let text = serde_json::to_string(&bundle.list).unwrap();
        let bytes = format!("{MAGIC}{}\n{text}", text.len());
        assert_eq!(
            Bundle::parse(bytes.as_bytes()).unwrap_err().code(),
            "bundle.too-large"
        );
        assert_eq!(
            Bundle::make("x", "other.toml", Vec::new()).unwrap_err().code(),
            "bundle.no-plan"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), length in any::<u32>()) {
            let _ = Bundle::parse(&bytes);
            let mut behind = format!("{MAGIC}{length}\n").into_bytes();
            behind.extend_from_slice(&bytes);
            let _ = Bundle::parse(&behind);
        }
    }
}
