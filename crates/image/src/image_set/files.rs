//! The files of a recovery set by their names, from a folder's listing or out of a ZIP.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use miniz_oxide::inflate::decompress_to_vec_with_limit;
use rawzip::{CompressionMethod, ZipArchive};
use std::sync::Arc;

use super::ImageSetError;

/// More files than this are no recovery set: real ones hold under twenty (`image-package.md` 9).
const MOST_FILES: usize = 256;

/// More bytes than this are no recovery set: the chip has 16 MiB of flash, and real sets hold under 6 MB.
const MOST_BYTES: usize = 64 << 20;

/// Files by name, without folders. Nothing is known of what is in them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SetFiles {
    files: BTreeMap<String, Arc<[u8]>>,
}

impl fmt::Debug for SetFiles {
    /// Names and sizes: the content is megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.files.iter().map(|(name, bytes)| (name, bytes.len())))
            .finish()
    }
}

impl SetFiles {
    /// Takes the files of a folder. Those that no set holds are passed over, see [`SetFiles::is_wanted`].
    ///
    /// # Errors
    /// [`ImageSetError::TooLarge`], and [`ImageSetError::Twice`] when two have the same name.
    pub fn from_listing(
        listing: impl IntoIterator<Item = (String, Arc<[u8]>)>,
    ) -> Result<Self, ImageSetError> {
        let mut files = Self::default();
        for (name, bytes) in listing {
            if Self::is_wanted(&name) {
                files.add(name, bytes)?;
            }
        }
        Ok(files)
    }

    /// Takes the files out of a ZIP, stored or deflated. Folders inside do not matter: the vendor's archives are flat,
    /// and who packs one anew often packs the folder.
    ///
    /// # Errors
    /// [`ImageSetError::NotZip`] for anything that cannot be unpacked whole, else as [`SetFiles::from_listing`].
    pub fn from_zip(zip: &[u8]) -> Result<Self, ImageSetError> {
        let broken = |error: rawzip::Error| ImageSetError::NotZip {
            reason: error.to_string(),
        };
        let archive = ZipArchive::from_slice(zip).map_err(broken)?;
        let mut entries = archive.entries();
        let mut files = Self::default();
        let (mut seen, mut room) = (0_u64, MOST_BYTES);
        while let Some(entry) = entries.next_entry().map_err(broken)? {
            seen += 1;
            let path = entry.file_path();
            let name = String::from_utf8_lossy(path.as_bytes());
            let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
            if entry.is_dir() || !Self::is_wanted(&name) {
                continue;
            }
            let damaged = |reason: &str| ImageSetError::NotZip {
                reason: format!("{} {reason}", shown(&name)),
            };
            let packed = archive.get_entry(entry.wayfinder()).map_err(broken)?;
            let bytes = match entry.compression_method() {
                CompressionMethod::STORE => packed.data().to_vec(),
                CompressionMethod::DEFLATE => decompress_to_vec_with_limit(packed.data(), room)
                    .map_err(|_| damaged("cannot be unpacked"))?,
                _ => return Err(damaged("is packed in a way that is not supported")),
            };
            let promised = packed.claim_verifier();
            if bytes.len() as u64 != promised.uncompressed_size || crc32fast::hash(&bytes) != promised.crc {
                return Err(damaged("is not what was packed"));
            }
            room = room.checked_sub(bytes.len()).ok_or(ImageSetError::TooLarge)?;
            files.add(name, bytes.into())?;
        }
        if seen != archive.entries_hint() {
            return Err(ImageSetError::NotZip {
                reason: "its directory is cut short".into(),
            });
        }
        Ok(files)
    }

    /// True for a name that a set may hold: `*.bin`, `*.imagemanifest`, and `*.json` for the OS list beside it.
    pub fn is_wanted(name: &str) -> bool {
        let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
        matches!(suffix, Some("bin" | "imagemanifest" | "json")) && !name.contains(['/', '\\', '\0'])
    }

    /// The file of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<[u8]>> {
        self.files.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes))
    }

    fn add(&mut self, name: String, bytes: Arc<[u8]>) -> Result<(), ImageSetError> {
        let held: usize = self.files.values().map(|bytes| bytes.len()).sum();
        if self.files.len() >= MOST_FILES || bytes.len() > MOST_BYTES - held.min(MOST_BYTES) {
            return Err(ImageSetError::TooLarge);
        }
        match self.files.entry(name) {
            Entry::Vacant(place) => {
                place.insert(bytes);
                Ok(())
            }
            Entry::Occupied(place) => Err(ImageSetError::Twice {
                file: shown(place.key()),
            }),
        }
    }
}

/// A name from outside, short and printable.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(60).flat_map(char::escape_debug).collect()
}
