//! What a journal came to when it was folded last, kept in a file beside it, so that a start folds only what followed.
//!
//! A journal is never cut, and a station works for years: folding all of it at each start would take longer every day. The
//! file is a view, as the tables for looking are: it may be deleted at any time, and costs one fold. It is used only when it
//! is whole, was made by this version of the program, and is of the very journal at hand: its point must be on the chain.
//! That nobody changed it, and its seal with it, `lineside records verify` shows: it folds the whole journal and compares.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lineside_flow::Past;
use lineside_records::{Disk, Head, RecordsError, Replay};
use lineside_terms::{Digest, StationName};
use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::program::digest_of;

/// The file in a data folder.
pub const FILE: &str = "snapshot.json";

/// So many events are folded at a start before it is worth the disk to keep what they came to: some 0.15 s of folding on a
/// factory PC, or a day of some hundred units.
pub const WORTH: u64 = 20_000;

const VERSION: u32 = 1;

/// The first line; the second is the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    /// The form of the second line, and the program that wrote it: both must be ours.
    layout: u32,
    program: String,
    station: StationName,
    /// The last event that is in it, and its hash.
    sequence: u64,
    hash: Digest,
    /// SHA-256 of the second line.
    digest: Digest,
}

impl Header {
    fn of(station: &StationName, at: Head, body: &[u8]) -> Self {
        Self {
            version: VERSION,
            layout: Past::LAYOUT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            station: station.clone(),
            sequence: at.sequence,
            hash: at.hash,
            digest: digest_of(body),
        }
    }

    fn at(&self) -> Head {
        Head {
            sequence: self.sequence,
            hash: self.hash,
        }
    }
}

fn path(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// What was kept, if it may be used for a journal of this station. It is for the journal to say whether its point is on
/// the chain.
pub(crate) fn read(data: &Path, station: &StationName) -> Option<(History, Head)> {
    let bytes = fs::read(path(data)).ok()?;
    let (header, body) = usable(&bytes, station)?;
    let history: History = serde_json::from_slice(body).ok()?;
    let is_its = history
        .past()
        .is_ok_and(|past| past.sequence() == header.sequence);
    is_its.then(|| (history, header.at()))
}

/// The two lines of a file that is whole, of this station, and of this very program.
fn usable<'a>(bytes: &'a [u8], station: &StationName) -> Option<(Header, &'a [u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let header: Header = serde_json::from_slice(&bytes[..end]).ok()?;
    let body = &bytes[end + 1..];
    (header == Header::of(station, header.at(), body)).then_some((header, body))
}

/// Keeps what the events up to this point came to. Only who has the journal may do that.
///
/// # Errors
/// When the folder cannot be written; what was there before stays.
pub(crate) fn write(data: &Path, station: &StationName, history: &History, at: Head) -> io::Result<()> {
    // A history that cannot be gone on with is folded, and refused, every time.
    let Some(body) = body_of(history) else {
        return Ok(());
    };
    let mut bytes = serde_json::to_vec(&Header::of(station, at, &body)).map_err(io::Error::other)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(&body);
    let unfinished = data.join(format!("{FILE}.new"));
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(&bytes)?;
    // Without a sync: after a power cut the seal does not fit, and it is made anew.
    drop(file);
    fs::rename(&unfinished, path(data))
}

fn body_of(history: &History) -> Option<Vec<u8>> {
    history.past().ok()?;
    serde_json::to_vec(history).ok()
}

/// What a snapshot is, seen beside its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// There is none, or none that this program would use.
    None,
    /// It is what the events up to this one come to.
    Agrees(u64),
    /// It is sealed, and it is not what the events up to this one come to.
    Differs(u64),
}

/// Folds a whole journal and compares what is kept beside it.
///
/// # Errors
/// When the journal cannot be read.
pub fn check(data: &Path, station: &StationName, disk: Arc<dyn Disk>) -> Result<Checked, RecordsError> {
    let Ok(bytes) = fs::read(path(data)) else {
        return Ok(Checked::None);
    };
    let Some((header, _)) = usable(&bytes, station) else {
        return Ok(Checked::None);
    };
    drop(bytes);
    let at = header.at();
    let mut history = History::default();
    for stored in Replay::of(disk, Head::ORIGIN)? {
        let stored = stored?;
        history.take(stored.event);
        if stored.head.sequence == at.sequence {
            let is_same =
                stored.head == at && body_of(&history).is_some_and(|body| digest_of(&body) == header.digest);
            return Ok(match is_same {
                true => Checked::Agrees(at.sequence),
                // One of another journal is not used.
                false if stored.head != at => Checked::None,
                false => Checked::Differs(at.sequence),
            });
        }
    }
    Ok(Checked::None)
}
