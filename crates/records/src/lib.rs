//! The journal on disk, its chain, the views rebuilt from it, and exports.

#![forbid(unsafe_code)]

mod disk;
mod error;
mod journal;
mod log;
mod replay;
mod segment;
mod verify;
mod writer;

pub use disk::{Disk, DiskCounts, DiskFile, FakeDisk, RealDisk};
pub use error::{Damage, DamageKind, RecordsError, TornTail};
pub use journal::Journal;
pub use log::SEGMENT_BYTES;
pub use replay::{Replay, Stored};
pub use segment::{FORMAT, Head, Inspection, MAX_EVENT_BYTES, inspect};
pub use verify::{Verification, verify};
pub use writer::{JournalCounts, JournalHandle, JournalThread, Receipts};
