//! Who keeps the journal while work goes on: a thread of its own, or the caller where time is simulated.

use std::cell::RefCell;
use std::collections::VecDeque;
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
        let kept = Kept {
            journal,
            unacknowledged: VecDeque::new(),
            answers,
            counts: shared,
        };
        let thread = thread::Builder::new()
            .name("journal".into())
            .spawn(move || keep(kept, &queue))
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
        events: Option<mpsc::Sender<Job>>,
        thread: Option<JoinHandle<Journal>>,
    },
    Caller(Box<RefCell<Kept>>),
}

impl JournalHandle {
    /// Keeps the journal in the caller's thread: each call of [`JournalHandle::submit`] writes, syncs and answers
    /// before it returns. For simulated time, where the same seed must give the same order.
    pub fn inline(journal: Journal) -> (Self, Receipts) {
        let (answers, receipts) = channel::unbounded();
        let counts = Arc::new(Counts::default());
        let kept = Kept {
            journal,
            unacknowledged: VecDeque::new(),
            answers,
            counts: Arc::clone(&counts),
        };
        let keeper = Keeper::Caller(Box::new(RefCell::new(kept)));
        (Self { keeper, counts }, Receipts(receipts))
    }

    /// Hands over events that must stay together, in order, and returns at once. What becomes of them comes out of
    /// [`Receipts`].
    ///
    /// # Errors
    /// [`RecordsError::Closed`] when the keeper has ended.
    pub fn submit(&self, events: Vec<Event>) -> Result<(), RecordsError> {
        self.ask(Job::Write(events))
    }

    /// Asks for the journal to be opened anew after a failure, within this start of the program: the file that failed is
    /// closed, all is read again, and what has no receipt is written once more. The answer comes out of [`Receipts`]: a
    /// receipt for all that was submitted, or why it is still not possible. Ask again later then.
    ///
    /// # Errors
    /// [`RecordsError::Closed`] when the keeper has ended.
    pub fn reopen(&self) -> Result<(), RecordsError> {
        self.ask(Job::Reopen)
    }

    fn ask(&self, job: Job) -> Result<(), RecordsError> {
        match &self.keeper {
            Keeper::Thread { events: queue, .. } => queue
                .as_ref()
                .and_then(|queue| queue.send(job).ok())
                .ok_or(RecordsError::Closed),
            Keeper::Caller(kept) => {
                let mut kept = kept.borrow_mut();
                match job {
                    Job::Write(events) => {
                        kept.append(events);
                        kept.commit();
                    }
                    Job::Reopen => kept.reopen(),
                }
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
                    Keeper::Caller(kept) => Ok(kept.into_inner().journal),
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

/// What the keeper of a journal is asked for.
#[derive(Debug)]
enum Job {
    Write(Vec<Event>),
    Reopen,
}

/// The journal's thread: sleeps until there is something, then takes all there is, up to [`GROUP_BYTES`].
fn keep(mut kept: Kept, queue: &mpsc::Receiver<Job>) -> Journal {
    while let Ok(first) = queue.recv() {
        let mut next = Some(first);
        let mut reopens = false;
        while let Some(job) = next.take() {
            match job {
                Job::Write(events) => kept.append(events),
                Job::Reopen => reopens = true,
            }
            if !reopens && kept.journal.group_bytes() < GROUP_BYTES {
                next = queue.try_recv().ok();
            }
        }
        kept.commit();
        if reopens {
            kept.reopen();
        }
    }
    kept.journal
}

/// A journal, and what was handed to it.
#[derive(Debug)]
struct Kept {
    journal: Journal,
    /// Handed over, and no receipt was given for it: kept until there is one, so that it can be written once more.
    unacknowledged: VecDeque<Event>,
    answers: channel::UnboundedSender<Result<Receipt, RecordsError>>,
    counts: Arc<Counts>,
}

impl Kept {
    /// Somebody who no longer listens to answers does not keep events from being written.
    fn answer(&self, result: Result<Receipt, RecordsError>) {
        drop(self.answers.unbounded_send(result));
    }

    fn append(&mut self, events: Vec<Event>) {
        let result = self.journal.append(&events);
        let is_to_be_written = result.is_ok() || self.journal.is_broken();
        if let Err(error) = result {
            self.answer(Err(error));
        }
        if is_to_be_written {
            self.unacknowledged.extend(events);
        }
    }

    fn commit(&mut self) {
        let has_more = self.journal.next_sequence() > self.journal.durable().sequence + 1;
        if has_more {
            self.settle(Journal::commit);
        }
    }

    /// After a failure: opens the journal anew and writes what is missing. One that did not fail says how far it is.
    fn reopen(&mut self) {
        if !self.journal.is_broken() {
            return self.settle(Journal::commit);
        }
        let unacknowledged = std::mem::take(&mut self.unacknowledged);
        self.settle(|journal| journal.reopen(&unacknowledged));
        self.unacknowledged = unacknowledged;
        self.forget_acknowledged();
    }

    fn settle(&mut self, write: impl FnOnce(&mut Journal) -> Result<Receipt, RecordsError>) {
        let before = self.journal.durable().sequence;
        let result = write(&mut self.journal);
        let written = self.journal.durable().sequence - before;
        self.counts.events.fetch_add(written, Ordering::Relaxed);
        self.counts
            .groups
            .fetch_add(u64::from(written > 0), Ordering::Relaxed);
        self.counts.syncs.store(self.journal.syncs(), Ordering::Relaxed);
        self.answer(result);
        self.forget_acknowledged();
    }

    fn forget_acknowledged(&mut self) {
        let durable = self.journal.durable().sequence;
        while self
            .unacknowledged
            .pop_front_if(|event| event.sequence <= durable)
            .is_some()
        {}
    }
}
