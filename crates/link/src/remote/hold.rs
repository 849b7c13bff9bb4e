//! Who lends in a directory: decided by the kernel.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Read;
use std::path::Path;

use crate::LinkError;

/// The file that is locked. It is never deleted: two processes must never lock two different files of this name.
const LOCK_FILE: &str = "bench.lock";
/// The file that names who has locked the other: on Windows nobody else can read a locked one.
const HOLDER_FILE: &str = "bench.holder";

/// The right to lend in a directory. The kernel takes it back when this process ends.
#[derive(Debug)]
pub(super) struct Hold {
    _locked: File,
}

impl Hold {
    /// Takes the right.
    ///
    /// # Errors
    /// [`LinkError::BenchTaken`] while another process (or this one) has it.
    pub(super) fn take(dir: &Path) -> Result<Self, LinkError> {
        let path = dir.join(LOCK_FILE);
        let io = |error: &std::io::Error| LinkError::io(format!("lock {}", path.display()), error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| io(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let place = dir.display().to_string();
                return Err(LinkError::BenchTaken {
                    place,
                    holder: holder(dir),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io(&error)),
        }
        // For people only: who it is. That the lock is held is what counts.
        let _ = fs::write(dir.join(HOLDER_FILE), std::process::id().to_string());
        Ok(Self { _locked: file })
    }
}

/// Who has the lock, as far as it can be told.
fn holder(dir: &Path) -> String {
    let mut text = String::new();
    let read = File::open(dir.join(HOLDER_FILE)).and_then(|file| file.take(20).read_to_string(&mut text));
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(process)) => format!("process {process}"),
        _ => "another process".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_is_exclusive_until_dropped_and_the_holder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let hold = Hold::take(dir.path()).unwrap();
        let refused = Hold::take(dir.path()).unwrap_err();
        let expected = LinkError::BenchTaken {
            place: dir.path().display().to_string(),
            holder: format!("process {}", std::process::id()),
        };
        assert_eq!(refused, expected);
        drop(hold);
        Hold::take(dir.path()).unwrap();
    }
}
