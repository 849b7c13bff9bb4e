//! What the shell needs of a journal.

use std::task::{Context, Poll};

use futures::StreamExt;
use lineside_flow::{Event, Receipt};
use lineside_records::{Journal, JournalCounts, JournalHandle, JournalThread, Receipts, RecordsError};
use lineside_terms::Told;

/// Keeps events, in order, and says when they are durable.
pub trait Store {
    /// Takes events to be written. It never waits.
    fn submit(&mut self, events: Vec<Event>);

    /// The next receipt: everything up to its number is durable. An error is final: what was submitted and has no
    /// receipt may or may not be there when the journal is opened again.
    fn poll_receipt(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, Told>>;
}

/// A journal as a store: on its own thread, or in the caller's for simulated time.
#[derive(Debug)]
pub struct Keeper {
    handle: JournalHandle,
    receipts: Receipts,
    failed: Option<Told>,
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
        })
    }

    /// Writes within [`Store::submit`], so that the same seed gives the same order.
    pub fn inline(journal: Journal) -> Self {
        let (handle, receipts) = JournalHandle::inline(journal);
        Self {
            handle,
            receipts,
            failed: None,
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
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(Told::of(&error))),
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
}
