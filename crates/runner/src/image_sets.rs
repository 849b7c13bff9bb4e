//! Recovery sets on disk: read from a folder or a ZIP, or kept by a station under their hash.
//!
//! A station keeps sets in `image-sets` of its data folder, one folder each, named by the set's digest. What is kept was
//! whole when it came and is held against its name whenever it is read. [`SetName`] tells how plans and commands name
//! sets.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lineside_flow::interlock::OsRelease;
use lineside_image::{ImageSet, ImageSetError, OS_LIST_FILE, SetFiles, TrustList};
use lineside_terms::Digest;
use std::sync::Arc;

use crate::error::RunnerError;

/// Larger folders and ZIPs are no recovery sets, and are not read to find that out. Real ones have 6 MB.
const MOST_BYTES: u64 = 64 << 20;

/// With fewer digits one set could be taken for another.
const FEWEST_DIGITS: usize = 6;

/// How a kept set is named begins so; no path on Windows can, and nobody calls a folder so elsewhere.
const KEPT: &str = "set:";

/// How a set is named: by a path, or `set:` with the first digits of its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetName {
    /// A folder or a ZIP.
    Path(PathBuf),
    /// Kept by this station: the hash or its first digits, in lower case.
    Kept(String),
}

impl FromStr for SetName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(digits) = text.strip_prefix(KEPT) else {
            return Ok(Self::Path(text.into()));
        };
        let is_hash = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash && (FEWEST_DIGITS..=64).contains(&digits.len()) {
            Ok(Self::Kept(digits.to_ascii_lowercase()))
        } else {
            Err(format!(
                "`{KEPT}` takes {FEWEST_DIGITS} to 64 hex digits, as `lineside image-set import` told them"
            ))
        }
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Kept(digits) => write!(f, "{KEPT}{digits}"),
        }
    }
}

impl SetName {
    /// How a set is named in short.
    pub fn of(digest: Digest) -> Self {
        Self::Kept(digest.short())
    }
}

/// The sets that a station keeps.
#[derive(Debug, Clone)]
pub struct ImageSets {
    folder: PathBuf,
}

/// What became of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is kept from now on.
    New,
    /// It was kept already; nothing was changed.
    Known,
}

impl ImageSets {
    /// Those in a data folder. Nothing is touched yet.
    pub fn in_data(data: &Path) -> Self {
        Self {
            folder: data.join("image-sets"),
        }
    }

    /// The files of a set by its name, unexamined. A kept set that no longer is what its name says is refused.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be read.
    pub fn files(&self, name: &SetName) -> Result<SetFiles, RunnerError> {
        match name {
            SetName::Path(path) => read(path),
            SetName::Kept(digits) => {
                let folder = self.find(digits)?;
                let files = read(&folder)?;
                let set = ImageSet::read(&files, &TrustList::new());
                let is_as_named = set.is_ok_and(|set| folder.ends_with(set.digest().to_string()));
                if is_as_named {
                    Ok(files)
                } else {
                    Err(RunnerError::SetChanged { folder })
                }
            }
        }
    }

    /// A set by its name, looked through.
    ///
    /// # Errors
    /// When there is none of this name, it cannot be read, or anything is wrong with it.
    pub fn set(&self, name: &SetName, trust: &TrustList) -> Result<ImageSet, RunnerError> {
        ImageSet::read(&self.files(name)?, trust).map_err(|source| RunnerError::ImageSet {
            path: match name {
                SetName::Path(path) => path.clone(),
                SetName::Kept(_) => self.folder.clone(),
            },
            source,
        })
    }

    /// Keeps a set, with the OS list that lay beside it. One that is kept already stays; if its files were damaged since,
    /// they are written anew.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn import(&self, set: &ImageSet) -> Result<Imported, RunnerError> {
        let digest = set.digest().to_string();
        let (place, new) = (
            self.folder.join(&digest),
            self.folder.join(format!("{digest}.new")),
        );
        if place.is_dir() && self.files(&SetName::Kept(digest)).is_ok() {
            let list = place.join(OS_LIST_FILE);
            match set.os_list_bytes() {
                Some(bytes) if !list.exists() => write(&list, bytes)?,
                _ => {}
            }
            return Ok(Imported::Known);
        }
        // Whatever is there was left by a run that was cut, or is damaged.
        for left_over in [&new, &place] {
            if left_over.exists() {
                fs::remove_dir_all(left_over).map_err(failed(left_over))?;
            }
        }
        fs::create_dir_all(&new).map_err(failed(&new))?;
        let list = set.os_list_bytes().map(|bytes| (OS_LIST_FILE, bytes));
        for (name, bytes) in set.files().chain(list) {
            write(&new.join(name), bytes)?;
        }
        fs::rename(&new, &place).map_err(failed(&place))?;
        Ok(Imported::New)
    }

    fn find(&self, digits: &str) -> Result<PathBuf, RunnerError> {
        let kept = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut found = kept.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            name.is_some_and(|name| name.len() == 64 && name.starts_with(digits))
        });
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (found, _) => Err(RunnerError::NoSuchSet {
                name: format!("{KEPT}{digits}"),
                is_ambiguous: found.is_some(),
            }),
        }
    }
}

/// The releases that the OS list beside a set names; none without a list.
pub fn releases_beside(set: &ImageSet) -> Vec<OsRelease> {
    let list = set.os_list_bytes();
    // It was read before, or it would not be the set's.
    list.and_then(|bytes| crate::program::releases_of(Path::new(OS_LIST_FILE), bytes).ok())
        .unwrap_or_default()
}

/// Reads the files of a folder, or of a ZIP.
///
/// # Errors
/// When it cannot be read, or is no ZIP.
pub fn read(path: &Path) -> Result<SetFiles, RunnerError> {
    let about = fs::metadata(path).map_err(failed(path))?;
    let refused = |source| RunnerError::ImageSet {
        path: path.to_owned(),
        source,
    };
    if !about.is_dir() {
        if about.len() > MOST_BYTES {
            return Err(refused(ImageSetError::TooLarge));
        }
        let zip = fs::read(path).map_err(failed(path))?;
        return SetFiles::from_zip(&zip).map_err(refused);
    }
    let mut room = MOST_BYTES;
    let mut listing = Vec::new();
    for entry in fs::read_dir(path).map_err(failed(path))? {
        let entry = entry.map_err(failed(path))?;
        let file = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let about = fs::metadata(&file).map_err(failed(&file))?;
        if !about.is_file() || !SetFiles::is_wanted(&name) {
            continue;
        }
        room = room
            .checked_sub(about.len())
            .ok_or_else(|| refused(ImageSetError::TooLarge))?;
        let bytes = fs::read(&file).map_err(failed(&file))?;
        listing.push((name, Arc::from(bytes)));
    }
    SetFiles::from_listing(listing).map_err(refused)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RunnerError> {
    let mut file = fs::File::create(path).map_err(failed(path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> RunnerError {
    let path = path.to_owned();
    move |source| RunnerError::SetFile { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_simulator::{OsProfile, Seed, SetSize, Supplies};

    fn made(dir: &Path, os: OsProfile) -> ImageSet {
        let supplies = Supplies::new(&Seed::new(1)).unwrap();
        fs::create_dir_all(dir).unwrap();
        for (name, bytes) in supplies.image_set(os, SetSize::Small).unwrap() {
            fs::write(dir.join(name), bytes).unwrap();
        }
        ImageSet::read(&read(dir).unwrap(), supplies.trust_list()).unwrap()
    }

    #[test]
    fn names_are_read_and_told() {
        assert_eq!("sets/24.06".parse(), Ok(SetName::Path("sets/24.06".into())));
        assert_eq!("set:ABCDEF".parse(), Ok(SetName::Kept("abcdef".into())));
        for bad in ["set:", "set:abc", "set:nothexnothex"] {
            assert!(bad.parse::<SetName>().is_err(), "{bad}");
        }
        assert_eq!(
            SetName::of(Digest::from_bytes([0xAB; 32])).to_string(),
            "set:abababababab"
        );
    }

    #[test]
    fn a_set_is_kept_once_found_by_its_first_digits_and_mended() {
        let temp = tempfile::tempdir().unwrap();
        let set = made(&temp.path().join("made"), OsProfile::V24_06);
        let sets = ImageSets::in_data(&temp.path().join("data"));
        assert_eq!(sets.import(&set).unwrap(), Imported::New);
        assert_eq!(sets.import(&set).unwrap(), Imported::Known);
        let name = SetName::of(set.digest());
        let again = ImageSet::read(&sets.files(&name).unwrap(), &TrustList::new()).unwrap();
        assert_eq!((again.digest(), again.os()), (set.digest(), Some("24.06")));

        let place = temp.path().join("data/image-sets").join(set.digest().to_string());
        fs::write(place.join(lineside_image::RUNTIME_FILE), b"another").unwrap();
        assert!(matches!(sets.files(&name), Err(RunnerError::SetChanged { .. })));
        // As if a run had been cut while it wrote.
        fs::create_dir_all(place.with_extension("new").join("x")).unwrap();
        assert_eq!(sets.import(&set).unwrap(), Imported::New);
        assert!(sets.files(&name).is_ok());
        let unknown = sets.files(&"set:000000".parse().unwrap()).unwrap_err();
        assert!(matches!(
            unknown,
            RunnerError::NoSuchSet {
                is_ambiguous: false,
                ..
            }
        ));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let temp = tempfile::tempdir().unwrap();
        assert!(matches!(
            read(&temp.path().join("none")),
            Err(RunnerError::SetFile { .. })
        ));
        let text = temp.path().join("text.zip");
        fs::write(&text, "no ZIP").unwrap();
        assert!(matches!(
            read(&text),
            Err(RunnerError::ImageSet {
                source: ImageSetError::NotZip { .. },
                ..
            })
        ));
        let huge = fs::File::create(temp.path().join("huge.bin")).unwrap();
        huge.set_len(MOST_BYTES + 1).unwrap();
        assert!(matches!(
            read(temp.path()),
            Err(RunnerError::ImageSet {
                source: ImageSetError::TooLarge,
                ..
            })
        ));
    }
}
