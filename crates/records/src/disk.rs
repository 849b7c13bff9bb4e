//! The few things that the journal asks of a disk, so that a disk which lies can stand in for the real one.

mod dice;
mod fake;
mod real;

use std::fmt;
use std::io;

pub use fake::{DiskCounts, FakeDisk};
pub use real::RealDisk;

/// A folder of files that only ever grow at their end.
///
/// Promises that the journal relies on: what [`DiskFile::sync`] returned `Ok` for survives a loss of power, together
/// with the file's name; bytes that were not synced may survive in part, in any order, or not at all; and one
/// folder is open for writing by one process only.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Names of all files in the folder, sorted.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// The whole content of a file as a reader sees it now, durable or not.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a new, empty file.
    ///
    /// # Errors
    /// When the name is taken, or what the system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file whose end is doubtful: writes `tail` at byte `from` once more, so that a later sync really
    /// carries it to the disk even if an earlier one failed, and lets the file end behind it. Nothing of this is
    /// durable before the next sync.
    ///
    /// # Errors
    /// What the system says.
    fn reopen(&self, name: &str, from: u64, tail: &[u8]) -> io::Result<Box<dyn DiskFile>>;
}

/// A file open for appending.
pub trait DiskFile: Send + fmt::Debug {
    /// Writes at the end. After an error any part of it may have been written.
    ///
    /// # Errors
    /// What the system says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once all that was appended, and the file's name, will survive a loss of power.
    ///
    /// # Errors
    /// What the system says. Then nothing that was appended since the last success may be relied upon, not even
    /// after a later success: the system may have forgotten that it was never written.
    fn sync(&mut self) -> io::Result<()>;
}
