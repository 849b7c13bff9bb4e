//! Who keeps the journal while work goes on: a thread of its own, or the caller where time is simulated.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use futures::Stream;
use futures::channel::mpsc as channel;
use lineside_flow::{Event, Receipt};

use crate::error::RecordsError;
use crate::journal::Journal;

/// A group of this size is written without waiting for more: a burst must not become one endless write.
const GROUP_BYTES: usize = 1 << 20;

/// Starts threads that keep journals.
#[derive(Debug)]
pub struct JournalThread;

impl JournalThread {
    /// Hands the journal to a thread of its own. All that is submitted while one sync runs is written and synced
    /// together by the next.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(journal: Journal) -> Result<(JournalHandle, Receipts), RecordsError> {
        let (events, queue) = mpsc::channel();
        let (answers, receipts) = channel::unbounded();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let thread = thread::Builder::new()
            .name("journal".into())
            .spawn(move || keep(journal, &queue, &answers, &shared))
            .map_err(|e| RecordsError::of_disk("starting the journal's thread", e))?;
        let keeper = Keeper::Thread {
            events: Some(events),
            thread: Some(thread),
        };
        Ok((JournalHandle { keeper, counts }, Receipts(receipts)))
    }
}

/// Takes events for a journal that somebody keeps. Dropping it, or closing it, ends the keeping after all that was
/// submitted has been written.
#[derive(Debug)]
pub struct JournalHandle {
    keeper: Keeper,
    counts: Arc<Counts>,
}

#[derive(Debug)]
enum Keeper {
    Thread {
        events: Option<mpsc::Sender<Vec<Event>>>,
        thread: Option<JoinHandle<Journal>>,
    },
    Caller(Box<RefCell<Inline>>),
}

#[derive(Debug)]
struct Inline {
    journal: Journal,
    answers: channel::UnboundedSender<Result<Receipt, RecordsError>>,
}

impl JournalHandle {
    /// Keeps the journal in the caller's thread: each call of [`JournalHandle::submit`] writes, syncs and answers
    /// before it returns. For simulated time, where the same seed must give the same order.
    pub fn inline(journal: Journal) -> (Self, Receipts) {
        let (answers, receipts) = channel::unbounded();
        let keeper = Keeper::Caller(Box::new(RefCell::new(Inline { journal, answers })));
        (
            Self {
                keeper,
                counts: Arc::default(),
            },
            Receipts(receipts),
        )
    }

    /// Hands over events that must stay together, in order, and returns at once. What becomes of them comes out of
    /// [`Receipts`].
    ///
    /// # Errors
    /// [`RecordsError::Closed`] when the keeper has ended.
    pub fn submit(&self, events: Vec<Event>) -> Result<(), RecordsError> {
        match &self.keeper {
            Keeper::Thread { events: queue, .. } => queue
                .as_ref()
                .and_then(|queue| queue.send(events).ok())
                .ok_or(RecordsError::Closed),
            Keeper::Caller(inline) => {
                let Inline { journal, answers } = &mut *inline.borrow_mut();
                write_group(journal, [events], answers, &self.counts);
                Ok(())
            }
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> JournalCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts {
            events,
            groups,
            syncs,
        } = &*self.counts;
        JournalCounts {
            events: read(events),
            groups: read(groups),
            syncs: read(syncs),
        }
    }

    /// Ends the keeping after all that was submitted has been written, and gives the journal back.
    ///
    /// # Errors
    /// [`RecordsError::Closed`] when the keeper had ended before its time.
    pub fn close(mut self) -> Result<Journal, RecordsError> {
        match &mut self.keeper {
            Keeper::Thread { .. } => self.end().ok_or(RecordsError::Closed),
            Keeper::Caller(_) => {
                let empty = Keeper::Thread {
                    events: None,
                    thread: None,
                };
                match std::mem::replace(&mut self.keeper, empty) {
                    Keeper::Caller(inline) => Ok(inline.into_inner().journal),
                    Keeper::Thread { .. } => Err(RecordsError::Closed),
                }
            }
        }
    }

    fn end(&mut self) -> Option<Journal> {
        let Keeper::Thread { events, thread } = &mut self.keeper else {
            return None;
        };
        drop(events.take());
        thread.take()?.join().ok()
    }
}

impl Drop for JournalHandle {
    /// Waits for the last sync: whoever opens the same folder next must find the lock free.
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// What a journal's keeper has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalCounts {
    /// Events made durable.
    pub events: u64,
    /// Groups in which they were written.
    pub groups: u64,
    /// Syncs since the journal was opened, that of opening included.
    pub syncs: u64,
}

#[derive(Debug, Default)]
struct Counts {
    events: AtomicU64,
    groups: AtomicU64,
    syncs: AtomicU64,
}

/// What became of submitted events, as a stream: one receipt for each group, covering all submitted events up to
/// its number, or the error that kept some from being written. It ends with the keeper.
#[derive(Debug)]
pub struct Receipts(channel::UnboundedReceiver<Result<Receipt, RecordsError>>);

impl Receipts {
    /// What is there already, without waiting.
    pub fn try_next(&mut self) -> Option<Result<Receipt, RecordsError>> {
        self.0.try_recv().ok()
    }
}

impl Stream for Receipts {
    type Item = Result<Receipt, RecordsError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(context)
    }
}

/// The journal's thread: sleeps until there is something, then takes all there is, up to [`GROUP_BYTES`].
fn keep(
    mut journal: Journal,
    queue: &mpsc::Receiver<Vec<Event>>,
    answers: &channel::UnboundedSender<Result<Receipt, RecordsError>>,
    counts: &Counts,
) -> Journal {
    while let Ok(first) = queue.recv() {
        let all = std::iter::once(first).chain(queue.try_iter());
        write_group(&mut journal, all, answers, counts);
    }
    journal
}

fn write_group(
    journal: &mut Journal,
    submitted: impl IntoIterator<Item = Vec<Event>>,
    answers: &channel::UnboundedSender<Result<Receipt, RecordsError>>,
    counts: &Counts,
) {
    // Somebody who no longer listens to answers does not keep events from being written.
    let answer = |result| drop(answers.unbounded_send(result));
    let before = journal.durable().sequence;
    for events in submitted {
        if let Err(error) = journal.append(&events) {
            answer(Err(error));
        }
        if journal.group_bytes() >= GROUP_BYTES {
            break;
        }
    }
    let has_more = journal.next_sequence() > before + 1;
    let result = has_more.then(|| journal.commit());
    let written = journal.durable().sequence - before;
    counts.events.fetch_add(written, Ordering::Relaxed);
    counts.groups.fetch_add(u64::from(written > 0), Ordering::Relaxed);
    counts.syncs.store(journal.syncs(), Ordering::Relaxed);
    if let Some(result) = result {
        answer(result);
    }
}
