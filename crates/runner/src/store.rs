//! What the shell needs of a journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt;
use lineside_flow::{Event, Receipt};
use lineside_records::{
    Disk, Head, Journal, JournalCounts, JournalHandle, JournalThread, RealDisk, Receipts, RecordsError,
    Replay, hand,
};
use lineside_terms::{StationName, Told};

use crate::history::History;
use crate::snapshot;

/// Keeps events, in order, and says when they are durable.
pub trait Store {
    /// Takes events to be written. It never waits.
    fn submit(&mut self, events: Vec<Event>);

    /// The next receipt: everything up to its number is durable. After an error nothing more is acknowledged, and what
    /// was submitted and has no receipt may or may not be there when the journal is opened again.
    fn poll_receipt(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, Told>>;

    /// Whether the last error may pass, so that [`Store::retry`] is worth asking; else it is final.
    fn can_retry(&self) -> bool {
        false
    }

    /// Closes what failed, reads it again and writes what has no receipt. What becomes of it comes as a receipt, or as
    /// another error.
    fn retry(&mut self) {}
}

/// Where in a data folder the journal is.
pub fn journal_folder(data: &Path) -> PathBuf {
    data.join("journal")
}

/// Opens the journal of a data folder for writing, takes in what was written by hand since, and folds what followed the
/// last snapshot: all of it, if there is none that is good.
///
/// What was folded before a snapshot is not read again, so damage there is found by `lineside records verify` and not here.
///
/// # Errors
/// When another process has it, it cannot be read, or it is damaged.
pub fn open(data: &Path, station: StationName) -> Result<(Journal, History), RecordsError> {
    open_keeping(data, station, snapshot::WORTH)
}

/// [`open`], where a snapshot is made when so many events had to be folded: for tests.
///
/// # Errors
/// As [`open`].
pub fn open_keeping(
    data: &Path,
    station: StationName,
    worth: u64,
) -> Result<(Journal, History), RecordsError> {
    let disk = RealDisk::open(&journal_folder(data))?;
    let (mut journal, _) = Journal::open(Arc::new(disk), station)?;
    let kept = snapshot::read(data, journal.station());
    let (mut history, at, folded) = fold_on(kept, |at| journal.replay(at))?;
    if folded >= worth
        && let Err(error) = snapshot::write(data, journal.station(), &history, at)
    {
        // The next start takes longer; nothing else depends on it.
        tracing::warn!("no snapshot was kept: {error}");
    }
    for event in hand::take_in(data, &mut journal, |boot| history.knows_hand(boot))? {
        history.take(event);
    }
    Ok((journal, history))
}

/// What the journal of a data folder tells, for who only looks. Somebody may be writing it meanwhile.
///
/// # Errors
/// When it cannot be read, or is damaged after the last snapshot.
pub fn look(data: &Path) -> Result<History, RecordsError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::read_only(&journal_folder(data))?);
    let station = lineside_records::tip(disk.as_ref())?.map(|(station, _)| station);
    let kept = station.and_then(|station| snapshot::read(data, &station));
    let (history, ..) = fold_on(kept, |at| Replay::of(Arc::clone(&disk), at))?;
    Ok(history)
}

/// Folds what followed what was kept; everything, if nothing was kept or it is of another journal.
fn fold_on(
    kept: Option<(History, Head)>,
    after: impl Fn(Head) -> Result<Replay, RecordsError>,
) -> Result<(History, Head, u64), RecordsError> {
    if let Some((history, at)) = kept {
        match after(at).and_then(|replay| fold(history, at, replay)) {
            // Of another one, or of one that went on after this one was copied.
            Err(RecordsError::OtherHistory { .. }) => {}
            folded => return folded,
        }
    }
    fold(History::default(), Head::ORIGIN, after(Head::ORIGIN)?)
}

/// Folds what a journal tells after a point: what it comes to, where it ends, and how many events that were.
fn fold(mut history: History, from: Head, replay: Replay) -> Result<(History, Head, u64), RecordsError> {
    let mut at = from;
    for stored in replay {
        let stored = stored?;
        history.take(stored.event);
        at = stored.head;
    }
    Ok((history, at, at.sequence - from.sequence))
}

/// A journal as a store: on its own thread, or in the caller's for simulated time.
#[derive(Debug)]
pub struct Keeper {
    handle: JournalHandle,
    receipts: Receipts,
    failed: Option<Told>,
    /// The last error was one of the disk.
    is_of_the_disk: bool,
}

impl Keeper {
    /// Keeps the journal on a thread of its own, one sync for all that came meanwhile.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(journal: Journal) -> Result<Self, RecordsError> {
        let (handle, receipts) = JournalThread::start(journal)?;
        Ok(Self {
            handle,
            receipts,
            failed: None,
            is_of_the_disk: false,
        })
    }

    /// Writes within [`Store::submit`], so that the same seed gives the same order.
    pub fn inline(journal: Journal) -> Self {
        let (handle, receipts) = JournalHandle::inline(journal);
        Self {
            handle,
            receipts,
            failed: None,
            is_of_the_disk: false,
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> JournalCounts {
        self.handle.counts()
    }

    /// Ends after all that was submitted is written, and gives the journal back.
    ///
    /// # Errors
    /// When the journal failed before.
    pub fn close(self) -> Result<Journal, RecordsError> {
        self.handle.close()
    }
}

impl Store for Keeper {
    fn submit(&mut self, events: Vec<Event>) {
        if let Err(error) = self.handle.submit(events) {
            self.failed.get_or_insert_with(|| Told::of(&error));
        }
    }

    fn poll_receipt(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, Told>> {
        match self.receipts.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(receipt))) => Poll::Ready(Ok(receipt)),
            Poll::Ready(Some(Err(error))) => {
                self.is_of_the_disk = error.is_of_the_disk();
                Poll::Ready(Err(Told::of(&error)))
            }
            Poll::Ready(None) => Poll::Ready(Err(self
                .failed
                .clone()
                .unwrap_or_else(|| Told::of(&RecordsError::Closed)))),
            Poll::Pending => match self.failed.clone() {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            },
        }
    }

    fn can_retry(&self) -> bool {
        self.is_of_the_disk && self.failed.is_none()
    }

    fn retry(&mut self) {
        if let Err(error) = self.handle.reopen() {
            self.failed.get_or_insert_with(|| Told::of(&error));
        }
    }
}
