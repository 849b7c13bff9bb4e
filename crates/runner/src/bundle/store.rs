//! Imported bundles: a folder for each, named by its hash, with its list and its files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lineside_records::SealKey;
use lineside_terms::Digest;

use super::{Bundle, BundleError, BundleList, MAX_BUNDLE_BYTES, MAX_LIST_BYTES, hash_of, read_list};

/// The file with the sealed list, beside the folder with the files.
const LIST: &str = "bundle.json";
const FILES: &str = "files";

/// Whose signature counts: one of these keys, or any where a station is not provisioned.
pub type Trust<'a> = Option<&'a [SealKey]>;

fn check_signer(trusted: Trust<'_>, signer: &SealKey) -> Result<(), BundleError> {
    match trusted {
        Some(keys) if !keys.contains(signer) => Err(BundleError::Foreign {
            found: signer.short(),
        }),
        _ => Ok(()),
    }
}

/// Where imported bundles are kept.
#[derive(Debug, Clone)]
pub struct BundleStore {
    folder: PathBuf,
}

/// A bundle that was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What it says of itself.
    pub list: BundleList,
    /// Its hash.
    pub hash: Digest,
    /// Who signed it.
    pub signer: SealKey,
    folder: PathBuf,
}

impl Imported {
    /// The plan in it.
    pub fn plan(&self) -> PathBuf {
        place(&self.folder.join(FILES), &self.list.plan)
    }
}

impl BundleStore {
    /// The bundles in this folder; it need not be there yet.
    pub fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Takes a bundle in, if its signature counts. It is whole or not there: a crash leaves nothing that counts.
    ///
    /// # Errors
    /// [`BundleError::Unsigned`], [`BundleError::Foreign`], and what the disk says.
    pub fn import(&self, bundle: &Bundle, trusted: Trust<'_>) -> Result<Imported, BundleError> {
        let signer = bundle.signer.ok_or(BundleError::Unsigned)?;
        check_signer(trusted, &signer)?;
        let target = self.folder.join(bundle.hash.to_string());
        let unfinished = self.folder.join(format!("{}.unfinished", bundle.hash));
        for old in [&unfinished, &target] {
            match fs::remove_dir_all(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(old)(error)),
                _ => {}
            }
        }
        for (file, content) in bundle.files() {
            let path = place(&unfinished.join(FILES), &file.path);
            write(&path, content)?;
        }
        write(&unfinished.join(LIST), bundle.list_text.as_bytes())?;
        fs::rename(&unfinished, &target).map_err(failed(&target))?;
        self.read(&target, trusted)
    }

    /// All that were imported and whose signature counts, in the order of their names.
    ///
    /// # Errors
    /// What the disk says.
    pub fn all(&self, trusted: Trust<'_>) -> Result<Vec<Imported>, BundleError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed(&self.folder))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed(&self.folder))?.path();
            // Whatever else lies there was not imported.
            found.extend(self.read(&path, trusted).ok());
        }
        found.sort_by(|a, b| (&a.list.name, a.hash).cmp(&(&b.list.name, b.hash)));
        Ok(found)
    }

    /// The bundle of this name, or whose hash begins so, with every file checked again: what somebody changed after the
    /// import is not run.
    ///
    /// # Errors
    /// [`BundleError::Unknown`], [`BundleError::Changed`], and what the disk says.
    pub fn find(&self, name: &str, trusted: Trust<'_>) -> Result<Imported, BundleError> {
        let is_meant = |one: &Imported| {
            one.list.name == name
                || (name.len() >= 6 && one.hash.to_string().starts_with(&name.to_lowercase()))
        };
        let mut found: Vec<_> = self.all(trusted)?.into_iter().filter(is_meant).collect();
        let unknown = |count| BundleError::Unknown {
            name: name.escape_default().to_string(),
            count,
        };
        let one = match found.len() {
            1 => found.remove(0),
            count => return Err(unknown(count)),
        };
        self.check(&one)?;
        Ok(one)
    }

    fn check(&self, one: &Imported) -> Result<(), BundleError> {
        for file in &one.list.files {
            let path = place(&one.folder.join(FILES), &file.path);
            let changed = || BundleError::Changed {
                path: file.path.clone(),
            };
            let size = fs::metadata(&path).map_err(|_| changed())?.len();
            if size != file.size || size > MAX_BUNDLE_BYTES {
                return Err(changed());
            }
            if hash_of(&fs::read(&path).map_err(failed(&path))?) != file.sha256 {
                return Err(changed());
            }
        }
        let mut count = 0;
        count_files(&one.folder.join(FILES), &mut count).map_err(failed(&one.folder))?;
        // A file too much could be taken up by a folder that a plan names.
        if count != one.list.files.len() {
            return Err(BundleError::Surplus);
        }
        Ok(())
    }

    fn read(&self, folder: &Path, trusted: Trust<'_>) -> Result<Imported, BundleError> {
        let path = folder.join(LIST);
        let size = fs::metadata(&path).map_err(failed(&path))?.len();
        if size > MAX_LIST_BYTES as u64 {
            return Err(BundleError::TooLarge);
        }
        let (list, hash, signer) = read_list(&fs::read(&path).map_err(failed(&path))?)?;
        let signer = signer.ok_or(BundleError::Unsigned)?;
        check_signer(trusted, &signer)?;
        let is_named_so = folder.file_name().is_some_and(|name| *name == *hash.to_string());
        if !is_named_so {
            return Err(BundleError::NoBundle);
        }
        Ok(Imported {
            list,
            hash,
            signer,
            folder: folder.to_owned(),
        })
    }
}

fn place(folder: &Path, path: &str) -> PathBuf {
    path.split('/')
        .fold(folder.to_owned(), |folder, part| folder.join(part))
}

fn write(path: &Path, content: &[u8]) -> Result<(), BundleError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    fs::write(path, content).map_err(failed(path))
}

fn count_files(folder: &Path, count: &mut usize) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => count_files(&entry.path(), count)?,
            false => *count += 1,
        }
    }
    Ok(())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> BundleError {
    let path = path.to_owned();
    move |source| BundleError::File { path, source }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use lineside_image::SigningKey;
    use lineside_records::{Sealer, Signature};
    use lineside_terms::Explain as _;

    /// A key in memory.
    pub(in crate::bundle) struct TestKey(SigningKey);

    impl TestKey {
        pub(in crate::bundle) fn new(byte: u8) -> Self {
            Self(SigningKey::from_secret(&[byte; 32]).unwrap())
        }
    }

    impl Sealer for TestKey {
        fn key(&self) -> SealKey {
            SealKey::from_bytes(self.0.public_key().to_xy())
        }
        fn kept_in(&self) -> &str {
            "memory"
        }
        fn sign(&self, message: &[u8]) -> io::Result<Signature> {
            Ok(Signature(self.0.sign(message)))
        }
    }

    fn bundle(byte: u8) -> Bundle {
        let files = vec![
            ("plan.toml".to_owned(), b"version = 1\n".to_vec()),
            ("images/app.bin".to_owned(), vec![byte; 40]),
        ];
        Bundle::make("Sample", "plan.toml", files).unwrap()
    }

    #[test]
    fn only_what_a_trusted_key_signed_is_imported_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = BundleStore::of(&folder.path().join("bundles"));
        let (ours, foreign) = (TestKey::new(7), TestKey::new(8));
        let keys = [ours.key()];
        let trusted = Some(keys.as_slice());
        assert!(store.all(trusted).unwrap().is_empty());
        let mut one = bundle(1);
        assert_eq!(store.import(&one, trusted).unwrap_err().code(), "bundle.unsigned");
        one.sign(&foreign).unwrap();
        assert_eq!(
            store.import(&one, trusted).unwrap_err().code(),
            "bundle.foreign-key"
        );
        one.sign(&ours).unwrap();
        let imported = store.import(&one, trusted).unwrap();
        assert_eq!(store.import(&one, trusted).unwrap(), imported, "twice is once");
        assert_eq!(store.find("Sample", trusted).unwrap(), imported);
        assert_eq!(fs::read(imported.plan()).unwrap(), b"version = 1\n");
        // A station that no longer trusts the key runs none of its bundles.
        assert_eq!(
            store.find("Sample", Some(&[foreign.key()])).unwrap_err().code(),
            "bundle.unknown"
        );

        let mut two = bundle(2);
        two.sign(&ours).unwrap();
        store.import(&two, trusted).unwrap();
        assert_eq!(
            store.find("Sample", trusted).unwrap_err().code(),
            "bundle.unknown"
        );
        let hash = two.hash.to_string();
        assert_eq!(store.find(&hash[..8], trusted).unwrap().hash, two.hash);
    }

    #[test]
    fn what_was_changed_after_the_import_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let store = BundleStore::of(folder.path());
        let key = TestKey::new(7);
        let keys = [key.key()];
        let trusted = Some(keys.as_slice());
        let mut one = bundle(1);
        one.sign(&key).unwrap();
        let files = store.import(&one, trusted).unwrap().folder.join(FILES);
        fs::write(files.join("more.txt"), "x").unwrap();
        assert_eq!(
            store.find("Sample", trusted).unwrap_err().code(),
            "bundle.surplus"
        );
        fs::remove_file(files.join("more.txt")).unwrap();
        fs::write(files.join("plan.toml"), "version = 2\n").unwrap();
        assert_eq!(
            store.find("Sample", trusted).unwrap_err().code(),
            "bundle.changed"
        );
        fs::remove_file(files.join("plan.toml")).unwrap();
        assert_eq!(
            store.find("Sample", trusted).unwrap_err().code(),
            "bundle.changed"
        );
    }
}
