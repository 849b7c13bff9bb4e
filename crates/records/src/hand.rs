//! Notes of what was written to devices by hand, while somebody else may have the journal.
//!
//! A journal is kept by one process at a time, and commands that write to one device must not wait for a line that runs
//! all day. So each leaves a note: one small file in `hand/` beside the journal, durable before anything is sent, with a
//! second line once it is known how it ended. Whoever opens the journal next takes the notes in as events and removes them;
//! a note that is still being written (its file is locked) waits for the one after.
//!
//! Taking in twice is harmless: a note has the name of one start of a program, and the journal knows which it has.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use lineside_flow::event::VERSION;
use lineside_flow::{Body, Event, HandOutcome};
use lineside_terms::{BootId, DeviceId, SlotPath, Stamp, Told};
use serde::{Deserialize, Serialize};

use crate::error::RecordsError;
use crate::journal::Journal;

/// What is about to be written to a device. No secret may stand in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HandWrite {
    /// The start of the program, 16 random bytes: the note's name, too.
    pub boot: BootId,
    /// When.
    pub at: Stamp,
    /// Pseudonymous id of whoever does it, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Where.
    pub slot: SlotPath,
    /// To which device.
    pub device: DeviceId,
    /// What: the words of the command.
    pub verb: String,
    /// What the device passed before counts no more, unless it refuses.
    pub is_undoing: bool,
}

/// How it ended: the second line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ended {
    outcome: HandOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Told>,
}

/// A note whose write is under way.
#[derive(Debug)]
pub struct HandNote {
    file: File,
    path: PathBuf,
}

const NOTE: &str = "note";

fn folder_of(data: &Path) -> PathBuf {
    data.join("hand")
}

/// Notes down, durably, what is about to be written to a device. Nothing may be sent before this returned.
///
/// # Errors
/// When the data folder cannot be written.
pub fn begin(data: &Path, write: &HandWrite) -> Result<HandNote, RecordsError> {
    let folder = folder_of(data);
    let failed = |error| RecordsError::of_disk(format!("noting down in {}", folder.display()), error);
    fs::create_dir_all(&folder).map_err(failed)?;
    // Named when it is whole: half a note is none.
    let name = format!("{:020}-{}", write.at.wall_ms.max(0), write.boot);
    let (unfinished, path) = (
        folder.join(format!("{name}.new")),
        folder.join(format!("{name}.{NOTE}")),
    );
    let begun = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&unfinished)?;
        file.lock()?;
        file.write_all(&line(write))?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        sync_names(&folder)?;
        Ok(file)
    };
    let file = begun().map_err(failed)?;
    Ok(HandNote { file, path })
}

impl HandNote {
    /// Notes down how it ended. A note without an end is one of which nobody knows.
    ///
    /// # Errors
    /// When the file cannot be written: then the records will say that it is unclear.
    pub fn end(mut self, outcome: HandOutcome, error: Option<&Told>) -> Result<(), RecordsError> {
        let error = error.cloned();
        let written = self
            .file
            .write_all(&line(&Ended { outcome, error }))
            .and_then(|()| self.file.sync_all());
        written
            .map_err(|error| RecordsError::of_disk(format!("noting down in {}", self.path.display()), error))
    }
}

fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("a note holds nothing that JSON cannot");
    line.push(b'\n');
    line
}

fn sync_names(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        // As for the journal: some systems open no folder as a file, and need no sync of it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// A note that nobody writes any more.
struct Found {
    path: PathBuf,
    write: HandWrite,
    ended: Ended,
}

/// All notes, in the order in which they were begun. `None` stands for those that are still being written.
fn notes(data: &Path) -> Result<Vec<Option<Found>>, RecordsError> {
    let folder = folder_of(data);
    let failed = |error| RecordsError::of_disk(format!("reading {}", folder.display()), error);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    paths.retain(|path| path.extension() == Some(OsStr::new(NOTE)));
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        match read(&path) {
            Ok(note) => found.push(note),
            // Somebody else took it in meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                let why = error.to_string();
                return Err(RecordsError::HandNote { path, why });
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(found)
}

fn read(path: &Path) -> io::Result<Option<Found>> {
    // Locks need a file that can be written on some systems.
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let write = serde_json::from_str(lines.next().unwrap_or_default())?;
    // Cut off while it was noted down, or damaged: nobody can say.
    let ended = lines.next().and_then(|line| serde_json::from_str(line).ok());
    let path = path.to_owned();
    Ok(Some(Found {
        path,
        write,
        ended: ended.unwrap_or(Ended {
            outcome: HandOutcome::Unclear,
            error: None,
        }),
    }))
}

/// True when there is something to take in.
///
/// # Errors
/// When the notes cannot be read.
pub fn is_pending(data: &Path) -> Result<bool, RecordsError> {
    Ok(notes(data)?.iter().any(Option::is_some))
}

/// The devices of which the records do not know yet that what they passed counts no more.
///
/// # Errors
/// When the notes cannot be read.
pub fn undone(data: &Path) -> Result<BTreeSet<DeviceId>, RecordsError> {
    let all = notes(data)?.into_iter().flatten();
    let undone = all.filter(|found| found.write.is_undoing && found.ended.outcome != HandOutcome::Refused);
    Ok(undone.map(|found| found.write.device).collect())
}

/// Takes all notes into a journal and removes them. `known` are the notes that it holds already, by the starts of the
/// program that made them. Tells what it wrote.
///
/// # Errors
/// When a note cannot be read, or the journal cannot be written.
pub fn take_in(
    data: &Path,
    journal: &mut Journal,
    known: impl Fn(&BootId) -> bool,
) -> Result<Vec<Event>, RecordsError> {
    let found: Vec<Found> = notes(data)?.into_iter().flatten().collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let new = found.iter().filter(|found| !known(&found.write.boot));
    let events: Vec<Event> = new
        .zip(journal.next_sequence()..)
        .map(|(found, sequence)| event(found, sequence, journal))
        .collect();
    journal.append(&events)?;
    journal.commit()?;
    for found in found {
        // What stays is known by its name the next time.
        let _ = fs::remove_file(&found.path);
    }
    Ok(events)
}

fn event(found: &Found, sequence: u64, journal: &Journal) -> Event {
    let write = &found.write;
    Event {
        version: VERSION,
        sequence,
        station: journal.station().clone(),
        boot: write.boot,
        at: write.at,
        operator: write.operator.clone(),
        shift: None,
        work_order: None,
        slot: Some(write.slot.clone()),
        device: Some(write.device),
        run: None,
        body: Body::HandWrite {
            verb: write.verb.clone(),
            outcome: found.ended.outcome,
            is_undoing: write.is_undoing && found.ended.outcome != HandOutcome::Refused,
            error: found.ended.error.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use lineside_terms::{ClockTrust, Explain as _, Instant};

    use crate::disk::RealDisk;

    fn write(number: u8) -> HandWrite {
        HandWrite {
            boot: BootId::from_bytes([number; 16]),
            at: Stamp {
                mono: Instant::from_nanos(0),
                wall_ms: 1_790_000_000_000 + i64::from(number),
                trust: ClockTrust::Unverified,
            },
            operator: Some("17".into()),
            slot: SlotPath::new("1113").unwrap(),
            device: DeviceId::from_bytes([number; 64]),
            verb: "wifi add".into(),
            is_undoing: true,
        }
    }

    fn opened(data: &Path) -> Vec<Event> {
        let disk = Arc::new(RealDisk::open(&data.join("journal")).unwrap());
        let (mut journal, replay) = Journal::open(disk, "line-1".parse().unwrap()).unwrap();
        let mut history: Vec<Event> = replay.map(|stored| stored.unwrap().event).collect();
        let known = |boot: &BootId| history.iter().any(|event| event.boot == *boot);
        let taken = take_in(data, &mut journal, known).unwrap();
        history.extend(taken);
        history
    }

    #[test]
    fn notes_become_events_once_in_their_order_with_how_they_ended() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        assert!(opened(data).is_empty() && !is_pending(data).unwrap());
        begin(data, &write(2))
            .unwrap()
            .end(HandOutcome::Done, None)
            .unwrap();
        begin(data, &write(1))
            .unwrap()
            .end(HandOutcome::Refused, None)
            .unwrap();
        // Killed in the middle.
        drop(begin(data, &write(3)).unwrap());
        assert!(is_pending(data).unwrap());
        assert_eq!(undone(data).unwrap().len(), 2);
        let history = opened(data);
        let told: Vec<_> = history
            .iter()
            .map(|event| match &event.body {
                Body::HandWrite {
                    outcome, is_undoing, ..
                } => (event.boot.as_bytes()[0], *outcome, *is_undoing),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            told,
            [
                (1, HandOutcome::Refused, false),
                (2, HandOutcome::Done, true),
                (3, HandOutcome::Unclear, true)
            ]
        );
        assert!(!is_pending(data).unwrap() && undone(data).unwrap().is_empty());
        assert_eq!(opened(data), history);
        // A power cut between journal and removal: it is there again, and taken in no more.
        begin(data, &write(2))
            .unwrap()
            .end(HandOutcome::Done, None)
            .unwrap();
        assert_eq!(opened(data), history);
        let station = "line-1".parse().unwrap();
        lineside_flow::Line::resume(
            station,
            BootId::from_bytes([9; 16]),
            Default::default(),
            Default::default(),
            history,
        )
        .unwrap();
    }

    #[test]
    fn a_note_that_is_being_written_waits() {
        let folder = tempfile::tempdir().unwrap();
        let note = begin(folder.path(), &write(1)).unwrap();
        assert!(opened(folder.path()).is_empty());
        note.end(HandOutcome::Done, None).unwrap();
        assert_eq!(opened(folder.path()).len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_never_dropped() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("hand")).unwrap();
        let path = folder.path().join("hand").join("1.note");
        for text in ["", "{}\n", "{", "\u{0}\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(
                is_pending(folder.path()).unwrap_err().code(),
                "records.hand-note",
                "{text:?}"
            );
            assert!(path.exists());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_stops_the_write() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hand"), "in the way").unwrap();
        assert!(begin(folder.path(), &write(1)).is_err());
    }
}
