//! What can go wrong with records, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use lineside_terms::{Blame, Explain, StationName};

/// Everything that this crate can refuse or fail at.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// Another process keeps the journal of this folder.
    #[error("the data folder {} is in use by another Lineside process{}", folder.display(), Holder(*holder))]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// Its process id, if it could be read.
        holder: Option<u32>,
    },
    /// The disk is full, or a quota is.
    #[error("the disk is full ({doing})")]
    Full {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The disk or folder cannot be written.
    #[error("the disk cannot be written ({doing})")]
    ReadOnly {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// Any other failure of the disk.
    #[error("the disk failed ({doing})")]
    Disk {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A segment was written by a newer Lineside.
    #[error("{file} has format {found}, and this program knows formats up to {known}")]
    NewerFormat {
        /// The segment file.
        file: String,
        /// Its format version.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// An event was written by a newer Lineside.
    #[error("event {sequence} has version {found}, and this program knows versions up to {known}")]
    NewerEvent {
        /// Which event.
        sequence: u64,
        /// Its version.
        found: u64,
        /// The newest that is known here.
        known: u16,
    },
    /// The chain holds, but an event cannot be understood: it was not written by this program.
    #[error("event {sequence} cannot be read")]
    Unreadable {
        /// Which event.
        sequence: u64,
        /// What the reader of its text said.
        source: serde_json::Error,
    },
    /// The chain holds, but an event says of itself that it belongs elsewhere.
    #[error("the event stored as number {sequence} says that it is number {found}")]
    Misnumbered {
        /// Where it stands.
        sequence: u64,
        /// What it says.
        found: u64,
    },
    /// What is stored is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The journal belongs to another station.
    #[error("the journal in this folder belongs to station {found}, not to {expected}")]
    OtherStation {
        /// Whose it is.
        found: StationName,
        /// Who asked.
        expected: StationName,
    },
    /// An earlier write or sync failed, so nothing is taken until the journal is opened again.
    #[error("the journal does not take events since an earlier failure: {since}")]
    Broken {
        /// The earlier failure, with its causes.
        since: String,
    },
    /// The event does not come after the last one.
    #[error("event {found} was handed to the journal where {expected} comes next")]
    OutOfOrder {
        /// The next sequence number.
        expected: u64,
        /// What was handed in.
        found: u64,
    },
    /// The event is bigger than a reader accepts.
    #[error("event {sequence} takes {size} bytes, more than the {limit} that a journal accepts")]
    TooLarge {
        /// Which event.
        sequence: u64,
        /// Its size in bytes.
        size: usize,
        /// The greatest size in bytes.
        limit: usize,
    },
    /// A view was made from another history than the one that the journal tells.
    #[error("the history up to event {sequence} is not the one that was read before")]
    OtherHistory {
        /// Up to where it was read before.
        sequence: u64,
    },
    /// The journal was read again after a failure, and does not hold what was written to it.
    #[error(
        "the journal was read again after a failure, and event {sequence} is not the one that was written"
    )]
    Changed {
        /// The first event that is another one, or missing.
        sequence: u64,
    },
    /// A note of what was written by hand cannot be read.
    #[error("the note {} of what was written by hand cannot be read: {why}", path.display())]
    HandNote {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The thread that keeps the journal has ended.
    #[error("the journal has been closed")]
    Closed,
    /// The view, which can be deleted, failed.
    #[error("the view {} failed ({doing})", path.display())]
    View {
        /// The database file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// What is asked for is not in the records.
    #[error("there is no {what} in the records")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// An export could not be written to where it was asked for.
    #[error("the export could not be written")]
    Export {
        /// What the writer said.
        source: io::Error,
    },
}

/// Prints ` (process 12)` when the holder of a lock is known.
struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |id| write!(f, " (process {id})"))
    }
}

impl RecordsError {
    /// Sorts what the system said into what a person can act upon.
    pub(crate) fn of_disk(doing: impl Into<String>, source: io::Error) -> Self {
        let doing = doing.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { doing, source }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { doing, source }
            }
            _ => Self::Disk { doing, source },
        }
    }
}

impl RecordsError {
    /// True when the disk is in the way: the journal may be opened again when that is mended.
    pub const fn is_of_the_disk(&self) -> bool {
        matches!(
            self,
            Self::Full { .. } | Self::ReadOnly { .. } | Self::Disk { .. } | Self::Broken { .. }
        )
    }
}

impl Explain for RecordsError {
    fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "records.locked",
            Self::Full { .. } => "records.full",
            Self::ReadOnly { .. } => "records.read-only",
            Self::Disk { .. } => "records.disk",
            Self::NewerFormat { .. } => "records.newer-format",
            Self::NewerEvent { .. } => "records.newer-event",
            Self::Unreadable { .. } => "records.unreadable",
            Self::Misnumbered { .. } => "records.misnumbered",
            Self::Damaged(_) => "records.damaged",
            Self::OtherStation { .. } => "records.other-station",
            Self::Broken { .. } => "records.broken",
            Self::OutOfOrder { .. } => "records.out-of-order",
            Self::TooLarge { .. } => "records.too-large",
            Self::OtherHistory { .. } => "records.other-history",
            Self::Changed { .. } => "records.changed",
            Self::HandNote { .. } => "records.hand-note",
            Self::Closed => "records.closed",
            Self::View { .. } => "records.view",
            Self::NotFound { .. } => "records.not-found",
            Self::Export { .. } => "records.export",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Locked { .. } => {
                "Wait until the other process has ended, or name another folder with --data.".into()
            }
            Self::Full { .. } => {
                "Free some space, then run again: nothing that was shown as done is lost, and units that were under \
                 way are looked at first."
                    .into()
            }
            Self::ReadOnly { .. } => {
                "Make the data folder writable for this user, or name another one with --data.".into()
            }
            Self::Disk { .. } => "Check the disk and its cable before anything else, then run again.".into(),
            Self::NewerFormat { .. } | Self::NewerEvent { .. } => {
                "Use the version of Lineside that wrote this journal, or a newer one. Nothing was changed.".into()
            }
            Self::Unreadable { .. } | Self::Misnumbered { .. } | Self::Damaged(_) => {
                "Keep a copy of the data folder as it is, put back the journal from a backup, and go on with that: \
                 every device is asked for its true state before anything is sent to it."
                    .into()
            }
            Self::OtherStation { .. } => {
                "Name the station as before, or a data folder of its own with --data.".into()
            }
            Self::Broken { .. } => {
                "Mend what the earlier message names and run again: the journal is then read anew from the disk."
                    .into()
            }
            Self::OutOfOrder { .. } | Self::TooLarge { .. } => {
                "Nothing of it was written. Run again; if it comes back, report it with the journal.".into()
            }
            Self::OtherHistory { .. } => {
                "The journal was replaced. Delete the view; it is made again from the journal.".into()
            }
            Self::Changed { .. } => {
                "Something else wrote to the data folder, or the disk lost what it had promised to keep. Keep a copy as \
                 it is, check the disk, and go on with the last backup."
                    .into()
            }
            Self::HandNote { .. } => {
                "Something was written to a device by hand, and nobody can read what. Keep the file elsewhere, and check \
                 the devices that were worked on with `lineside ready-check` before they are shipped."
                    .into()
            }
            Self::Closed => "Run again: the journal is opened anew.".into(),
            Self::View { .. } => {
                "Delete this file: it is a view only, and is made again from the journal.".into()
            }
            Self::NotFound { .. } => "See `lineside records list` for what there is.".into(),
            Self::Export { .. } => "Check the place that the export is written to.".into(),
        }
    }

    fn blame(&self) -> Blame {
        Blame::Station
    }
}

/// Where stored bytes are not what was written, and in which way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal is damaged at event {sequence} ({file}, byte {offset}): {kind}")]
pub struct Damage {
    /// The segment file.
    pub file: String,
    /// Byte offset in the file.
    pub offset: u64,
    /// The event that stands, or should stand, there.
    pub sequence: u64,
    /// In which way.
    pub kind: DamageKind,
}

/// In which way stored bytes are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// The start of the file is not that of a segment.
    Header,
    /// A frame's length cannot be one, or the file ends within it.
    Length,
    /// A frame's checksum does not fit its bytes.
    Checksum,
    /// An event does not follow from the one before: edited, removed, inserted or moved.
    Chain,
    /// Whole segments are missing before this one, or two claim the same place.
    Gap,
    /// The journal ends before a point that it is known to have reached, or holds another history there.
    Anchor,
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Header => "the start of the file is not that of a segment",
            Self::Length => "it is cut short or its length is wrong",
            Self::Checksum => "its checksum is wrong",
            Self::Chain => "it does not follow from the event before it",
            Self::Gap => "segments are missing, or out of place",
            Self::Anchor => "the journal does not lead to the known point",
        })
    }
}

/// The end of the last segment, left unfinished by a crash. Nothing in it was ever acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal ended in {bytes} bytes that were never finished ({file}, byte {offset})")]
pub struct TornTail {
    /// The segment file.
    pub file: String,
    /// Where the unfinished part begins.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// The sequence number that the first unfinished event would have had.
    pub sequence: u64,
}

impl Explain for TornTail {
    fn code(&self) -> &'static str {
        "records.torn-tail"
    }

    fn help(&self) -> String {
        "Nothing is to be done: it was cut off. The program or the power ended while it was being written, before it \
         was acknowledged."
            .into()
    }

    fn blame(&self) -> Blame {
        Blame::Station
    }
}
