//! The journal: events in, receipts out.

use std::sync::Arc;

use lineside_flow::{Event, Receipt};
use lineside_terms::StationName;

use crate::chain::Head;
use crate::disk::Disk;
use crate::error::{RecordsError, TornTail};
use crate::log::{Log, SEGMENT_BYTES};
use crate::replay::Replay;

/// The durable sequence of events of one station.
///
/// What [`Journal::commit`] returned a receipt for survives any crash. After a failed write or sync the journal is
/// broken: every later call says so, until it is opened again and read anew.
#[derive(Debug)]
pub struct Journal {
    log: Log,
    torn: Option<TornTail>,
    json: Vec<u8>,
}

impl Journal {
    /// Opens the journal of a station, or begins it, and gives its events to fold.
    ///
    /// What a crash left unfinished at the very end is cut off and reported by [`Journal::torn`]; nothing of it was
    /// ever acknowledged. Everything that [`Replay`] yields is durable.
    ///
    /// # Errors
    /// When the disk fails or is read-only, the last segment is damaged, of a newer format or of another station.
    /// Damage further back is found by the replay.
    pub fn open(disk: Arc<dyn Disk>, station: StationName) -> Result<(Self, Replay), RecordsError> {
        Self::with_segments_of(disk, station, SEGMENT_BYTES)
    }

    /// As [`Journal::open`], with segments that end at another size in bytes: for tests of what happens between
    /// segments. Journals do not depend on it.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn with_segments_of(
        disk: Arc<dyn Disk>,
        station: StationName,
        segment_bytes: u64,
    ) -> Result<(Self, Replay), RecordsError> {
        let (log, torn) = Log::open(disk, station, segment_bytes)?;
        if let Some(torn) = &torn {
            tracing::warn!("{torn}");
        }
        let journal = Self {
            log,
            torn,
            json: Vec::new(),
        };
        let replay = journal.replay(Head::ORIGIN)?;
        Ok((journal, replay))
    }

    /// True when a write or sync failed: nothing is taken any more before it was opened again.
    pub fn is_broken(&self) -> bool {
        self.log.check().is_err()
    }

    /// Goes on after a failure, within the same start of the program. The file that failed is closed and never trusted
    /// again: the journal is opened and read anew, what it holds behind the last acknowledged event must be what was
    /// written, and what is missing of that is written once more.
    ///
    /// `unacknowledged` is all that was appended, in order, and has no receipt.
    ///
    /// # Errors
    /// When the disk still fails, or the journal holds something else. Nothing was acknowledged then, and it may be
    /// tried again.
    pub fn reopen<'a>(
        &mut self,
        unacknowledged: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Receipt, RecordsError> {
        let known = self.durable();
        let disk = Arc::clone(self.log.disk());
        let (log, torn) = Log::open(disk, self.station().clone(), self.log.segment_bytes())?;
        let ends = log.durable().sequence;
        let changed = |sequence| RecordsError::Changed { sequence };
        if ends < known.sequence {
            return Err(changed(ends + 1));
        }
        let mut missing: Vec<Event> = Vec::new();
        let mut there = Replay::bounded(Arc::clone(log.disk()), known, Some(ends))?;
        for event in unacknowledged
            .into_iter()
            .filter(|event| event.sequence > known.sequence)
        {
            match there.next().transpose()? {
                Some(stored) if stored.event == *event => {}
                Some(stored) => return Err(changed(stored.event.sequence)),
                None => missing.push(event.clone()),
            }
        }
        if let Some(stored) = there.next().transpose()? {
            return Err(changed(stored.event.sequence));
        }
        self.log = log;
        self.torn = torn;
        self.append(&missing)?;
        self.commit()
    }

    /// The station that it belongs to.
    pub fn station(&self) -> &StationName {
        self.log.station()
    }

    /// What was cut off when it was opened.
    pub fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// The point up to which everything is durable.
    pub fn durable(&self) -> Head {
        self.log.durable()
    }

    /// The number that the next event must have.
    pub fn next_sequence(&self) -> u64 {
        self.log.head().sequence + 1
    }

    /// How often the disk was asked to sync since the journal was opened.
    pub fn syncs(&self) -> u64 {
        self.log.syncs()
    }

    /// Bytes that wait for the next commit.
    pub fn group_bytes(&self) -> usize {
        self.log.group_bytes()
    }

    /// Its durable events behind a point.
    ///
    /// # Errors
    /// What the disk says.
    pub fn replay(&self, after: Head) -> Result<Replay, RecordsError> {
        Replay::bounded(Arc::clone(self.log.disk()), after, Some(self.durable().sequence))
    }

    /// Takes events for the next commit: all of them, or none after an error.
    ///
    /// # Errors
    /// When the journal is broken, or an event is too large or not the next one.
    pub fn append(&mut self, events: &[Event]) -> Result<(), RecordsError> {
        let mark = self.log.mark();
        let result = events.iter().try_for_each(|event| self.append_one(event));
        if result.is_err() {
            self.log.take_back(&mark);
        }
        result
    }

    fn append_one(&mut self, event: &Event) -> Result<(), RecordsError> {
        self.log.check()?;
        let expected = self.next_sequence();
        if event.sequence != expected {
            return Err(RecordsError::OutOfOrder {
                expected,
                found: event.sequence,
            });
        }
        self.json.clear();
        serde_json::to_writer(&mut self.json, event).expect("an event holds nothing that JSON cannot");
        self.log.append(&self.json)
    }

    /// Writes all that was appended and returns once it is durable, with one sync (and one more when a new segment
    /// begins). With nothing appended it does nothing.
    ///
    /// # Errors
    /// When a write or sync fails, now or earlier. Then nothing of the group is acknowledged and the journal is
    /// broken.
    pub fn commit(&mut self) -> Result<Receipt, RecordsError> {
        let head = self.log.commit()?;
        Ok(Receipt::issued_by_the_journal(head.sequence))
    }
}
