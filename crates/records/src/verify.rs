//! Checks the whole chain, one segment per core at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lineside_terms::StationName;

use crate::chain::{self, Head, Walk};
use crate::disk::Disk;
use crate::error::{Damage, DamageKind, RecordsError, TornTail};
use crate::log::{self, check_joint};
use crate::segment::{self, Header};

/// What the check of a journal found.
///
/// The chain shows every edit, removal and exchange inside the journal. It cannot show by itself that the newest
/// events were taken away, or that somebody computed the whole chain anew: hand in a point that is known from
/// elsewhere for that.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "damage is not an error of the check: look at `damage`"]
pub struct Verification {
    /// Segment files.
    pub segments: usize,
    /// Bytes in them.
    pub bytes: u64,
    /// The journal is sound up to here; its number is that of the sound events.
    pub head: Head,
    /// The first place where it is not, if any.
    pub damage: Option<Damage>,
    /// What a crash left unfinished at the end. Not damage: opening the journal cuts it off.
    pub torn: Option<TornTail>,
    /// Threads that shared the work.
    pub threads: usize,
}

/// Checks every segment of a journal: frames, checksums, chain, joints between segments, and that the chain leads
/// through `known` if a point is known from elsewhere. Reads no event's content.
///
/// # Errors
/// When the disk fails or a segment is of a newer format. Damage is a finding, not an error.
pub fn verify(disk: &dyn Disk, known: Option<Head>) -> Result<Verification, RecordsError> {
    verify_through(disk, known.as_slice())
}

/// As [`verify`], through any number of known points.
///
/// # Errors
/// As [`verify`].
pub fn verify_through(disk: &dyn Disk, known: &[Head]) -> Result<Verification, RecordsError> {
    // Before the first event there is nothing that could be otherwise.
    let mut known: Vec<Head> = known.iter().copied().filter(|point| point.sequence > 0).collect();
    known.sort_unstable_by_key(|point| point.sequence);
    let known = known.as_slice();
    let names = log::segments(disk)?;
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(names.len())
        .max(1);
    let next = AtomicUsize::new(0);
    let parts: Mutex<Vec<Option<Result<Part, RecordsError>>>> =
        Mutex::new(names.iter().map(|_| None).collect());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = names.get(index) else { break };
            let part = check_segment(disk, name, index + 1 == names.len(), known);
            parts.lock().expect("no holder of this lock panics")[index] = Some(part);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let parts = parts.into_inner().expect("no holder of this lock panics");
    let parts = parts.into_iter().flatten().collect::<Result<Vec<_>, _>>()?;
    Ok(join(&names, parts, known, threads))
}

/// What was found in one segment.
struct Part {
    bytes: u64,
    /// `None` when it has no whole header.
    header: Option<Header>,
    /// The point up to which it is sound.
    end: Head,
    damage: Option<Damage>,
    torn: Option<TornTail>,
    /// The first known point that it holds with another hash.
    unlike: Option<u64>,
}

fn check_segment(disk: &dyn Disk, name: &str, is_last: bool, known: &[Head]) -> Result<Part, RecordsError> {
    let bytes = log::read(disk, name)?;
    let mut part = Part {
        bytes: bytes.len() as u64,
        header: None,
        end: Head::ORIGIN,
        damage: None,
        torn: None,
        unlike: None,
    };
    if is_last && chain::is_unborn(&bytes) {
        let sequence = segment::first_of(name).unwrap_or_default();
        part.torn = Some(TornTail {
            file: name.to_owned(),
            offset: 0,
            bytes: part.bytes,
            sequence,
        });
        return Ok(part);
    }
    let (header, mut walk) = match Walk::start(name, &bytes, is_last) {
        Ok(start) => start,
        Err(RecordsError::Damaged(damage)) => {
            part.damage = Some(damage);
            return Ok(part);
        }
        Err(other) => return Err(other),
    };
    let mut ahead = &known[known.partition_point(|point| point.sequence <= header.before.sequence)..];
    part.header = Some(header);
    loop {
        match walk.step() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(damage) => {
                part.damage = Some(damage);
                break;
            }
        }
        while let Some((point, rest)) = ahead
            .split_first()
            .filter(|(point, _)| point.sequence == walk.head().sequence)
        {
            if *point != walk.head() {
                part.unlike.get_or_insert(point.sequence);
            }
            ahead = rest;
        }
    }
    part.end = walk.head();
    part.torn = walk.torn();
    Ok(part)
}

/// Puts the segments together, in order, up to the first damage.
fn join(names: &[String], parts: Vec<Part>, known: &[Head], threads: usize) -> Verification {
    let mut found = Verification {
        segments: names.len(),
        bytes: parts.iter().map(|part| part.bytes).sum(),
        head: Head::ORIGIN,
        damage: None,
        torn: None,
        threads,
    };
    let mut unlike = None;
    for (name, part) in names.iter().zip(parts) {
        if let Some(header) = &part.header {
            if let Err(damage) = check_joint(name, header, found.head) {
                found.damage = Some(damage);
                return found;
            }
            found.head = part.end;
        }
        unlike = unlike.or(part.unlike);
        found.torn = part.torn;
        if part.damage.is_some() {
            found.damage = part.damage;
            return found;
        }
    }
    let beyond = known
        .iter()
        .map(|point| point.sequence)
        .find(|sequence| *sequence > found.head.sequence);
    if let Some(sequence) = unlike.or(beyond) {
        found.damage = Some(Damage {
            file: names.last().cloned().unwrap_or_default(),
            offset: 0,
            sequence,
            kind: DamageKind::Anchor,
        });
    }
    found
}

/// The point of a journal at this event, found without reading what comes before its segment. `None` when the journal
/// does not reach it.
///
/// # Errors
/// When the disk fails, or the segment is damaged before that event.
pub fn point_at(disk: &dyn Disk, sequence: u64) -> Result<Option<Head>, RecordsError> {
    if sequence == 0 {
        return Ok(Some(Head::ORIGIN));
    }
    let names = log::segments(disk)?;
    let place = names.partition_point(|name| segment::first_of(name).is_some_and(|first| first <= sequence));
    let Some(index) = place.checked_sub(1) else {
        return Ok(None);
    };
    let bytes = log::read(disk, &names[index])?;
    let is_last = index + 1 == names.len();
    if is_last && chain::is_unborn(&bytes) {
        return Ok(None);
    }
    let (_, mut walk) = Walk::start(&names[index], &bytes, is_last)?;
    while walk.head().sequence < sequence {
        if walk.step()?.is_none() {
            return Ok(None);
        }
    }
    Ok((walk.head().sequence == sequence).then(|| walk.head()))
}

/// Whose journal it is, and its last whole event as far as it can be seen now; `None` before anything was written. What a
/// program is just writing may be among it.
///
/// # Errors
/// When the disk fails, or the last segment is damaged.
pub fn tip(disk: &dyn Disk) -> Result<Option<(StationName, Head)>, RecordsError> {
    let names = log::segments(disk)?;
    for (index, name) in names.iter().enumerate().rev() {
        let bytes = log::read(disk, name)?;
        let is_last = index + 1 == names.len();
        if is_last && chain::is_unborn(&bytes) {
            continue;
        }
        let (header, mut walk) = Walk::start(name, &bytes, is_last)?;
        while walk.step()?.is_some() {}
        return Ok(Some((header.station, walk.head())));
    }
    Ok(None)
}
