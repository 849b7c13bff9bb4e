//! A folder on a real disk, held by one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{Disk, DiskFile};
use crate::error::RecordsError;

/// The file whose lock, kept by the kernel, says who owns the folder. It ends with its process, however that ends.
const LOCK_FILE: &str = "lock";

/// The file that names the owner. It is another one because some systems let nobody read a locked file.
const OWNER_FILE: &str = "owner";

/// A folder on a real disk.
#[derive(Debug)]
pub struct RealDisk {
    folder: PathBuf,
    /// Held for its lock; `None` when the folder is only read.
    lock: Option<File>,
}

impl RealDisk {
    /// Opens a folder for writing, making it if needed, and keeps every other process out until this value is
    /// dropped or the process ends.
    ///
    /// # Errors
    /// [`RecordsError::Locked`] when another process has it; what the system says about the folder.
    pub fn open(folder: &Path) -> Result<Self, RecordsError> {
        let doing = || format!("opening {}", folder.display());
        fs::create_dir_all(folder).map_err(|e| RecordsError::of_disk(doing(), e))?;
        let path = folder.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| RecordsError::of_disk(doing(), e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RecordsError::Locked {
                    folder: folder.into(),
                    holder: holder(folder),
                });
            }
            Err(TryLockError::Error(e)) => return Err(RecordsError::of_disk(doing(), e)),
        }
        // Who holds it is a courtesy to the reader of a message; a full disk must not stand in the way here.
        let _ = fs::write(folder.join(OWNER_FILE), std::process::id().to_string());
        Ok(Self {
            folder: folder.into(),
            lock: Some(lock),
        })
    }

    /// Opens a folder for reading only, beside a process that may be writing to it.
    ///
    /// # Errors
    /// What the system says about the folder.
    pub fn read_only(folder: &Path) -> Result<Self, RecordsError> {
        fs::read_dir(folder)
            .map_err(|e| RecordsError::of_disk(format!("reading {}", folder.display()), e))?;
        Ok(Self {
            folder: folder.into(),
            lock: None,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(io::Error::new(
                io::ErrorKind::ReadOnlyFilesystem,
                "the folder was opened for reading",
            )),
        }
    }
}

/// Who has locked the folder, as far as it can be told.
fn holder(folder: &Path) -> Option<u32> {
    let mut text = String::new();
    let file = File::open(folder.join(OWNER_FILE)).ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            // A name that is not text was not made by us.
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.folder.join(name))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.check_writable()?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(self.folder.join(name))?;
        Ok(Box::new(RealFile {
            file,
            unsynced_name_in: Some(self.folder.clone()),
        }))
    }

    fn reopen(&self, name: &str, from: u64, tail: &[u8]) -> io::Result<Box<dyn DiskFile>> {
        self.check_writable()?;
        let mut file = OpenOptions::new().write(true).open(self.folder.join(name))?;
        file.seek(SeekFrom::Start(from))?;
        file.write_all(tail)?;
        file.set_len(from + tail.len() as u64)?;
        // The sync that should have made the name durable may be the one that failed.
        Ok(Box::new(RealFile {
            file,
            unsynced_name_in: Some(self.folder.clone()),
        }))
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    /// The folder that must be synced too, because the name in it is new.
    unsynced_name_in: Option<PathBuf>,
}

impl DiskFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(folder) = &self.unsynced_name_in else {
            return self.file.sync_data();
        };
        self.file.sync_all()?;
        match File::open(folder) {
            Ok(folder) => folder.sync_all()?,
            // Windows opens no folder as a file and needs no sync of it: its file system logs names. Elsewhere a
            // folder that was listed and written to can be opened.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
            Err(e) => return Err(e),
        }
        self.unsynced_name_in = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_terms::Explain as _;

    #[test]
    fn a_second_keeper_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = RealDisk::open(folder.path()).unwrap();
        let error = RealDisk::open(folder.path()).unwrap_err();
        assert_eq!(error.code(), "records.locked");
        assert!(
            matches!(error, RecordsError::Locked { holder, .. } if holder == Some(std::process::id())),
            "{error}"
        );
        assert!(
            error.to_string().contains(folder.path().to_str().unwrap()),
            "{error}"
        );
        assert!(RealDisk::read_only(folder.path()).is_ok());
        drop(first);
        assert!(RealDisk::open(folder.path()).is_ok());
    }

    #[test]
    fn what_is_appended_is_read_back_and_a_tail_can_be_mended() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        let mut file = disk.create("a").unwrap();
        file.append(b"one ").unwrap();
        file.append(b"two torn").unwrap();
        file.sync().unwrap();
        assert_eq!(disk.create("a").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let mut file = disk.reopen("a", 4, b"two ").unwrap();
        file.append(b"three").unwrap();
        file.sync().unwrap();
        assert_eq!(disk.read("a").unwrap(), b"one two three");
        assert_eq!(disk.list().unwrap(), ["a", LOCK_FILE, OWNER_FILE]);
    }

    #[test]
    fn a_folder_opened_for_reading_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::read_only(folder.path()).unwrap();
        assert_eq!(
            disk.create("a").unwrap_err().kind(),
            io::ErrorKind::ReadOnlyFilesystem
        );
        assert_eq!(
            RealDisk::read_only(&folder.path().join("none"))
                .unwrap_err()
                .code(),
            "records.disk"
        );
    }
}
