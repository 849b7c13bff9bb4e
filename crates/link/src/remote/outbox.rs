//! What is to be written to the other end. Many tasks put frames in; one writes them, all that there are at once.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::task::{Poll, Waker};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::frame::{Message, encode};

/// Above this, those who can wait do so ([`Outbox::room`]).
const FULL: usize = 256 * 1024;
/// An empty buffer larger than this is given back.
const KEPT: usize = 256 * 1024;

#[derive(Default)]
pub(super) struct Outbox {
    waiting: RefCell<BytesMut>,
    /// Bytes that are being written.
    under_way: Cell<usize>,
    writer: RefCell<Option<Waker>>,
    patient: RefCell<Vec<Waker>>,
    closed: Cell<bool>,
}

impl Outbox {
    /// Puts a message in. It never waits: what is put in without waiting for [room](Self::room) is bounded by
    /// credit and by what the other end asked for.
    pub(super) fn send(&self, message: &Message<'_>) {
        if !self.closed.get() {
            encode(message, &mut self.waiting.borrow_mut());
            self.wake_writer();
        }
    }

    /// Waits until the other end has taken enough of what is there.
    pub(super) async fn room(&self) {
        poll_fn(|cx| {
            if self.closed.get() || self.waiting.borrow().len() + self.under_way.get() < FULL {
                return Poll::Ready(());
            }
            self.patient.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Nothing more is taken; what is there will be written, and then the writer ends.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.wake_writer();
        self.wake_patient();
    }

    /// Writes until closed and empty.
    ///
    /// # Errors
    /// When the other end is gone.
    pub(super) async fn write_to(&self, writer: &mut (dyn AsyncWrite + Unpin)) -> io::Result<()> {
        let mut batch = BytesMut::new();
        while self.next_batch(&mut batch).await {
            while batch.has_remaining() {
                self.under_way.set(batch.len());
                let written = writer.write(&batch).await?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                batch.advance(written);
            }
            self.under_way.set(0);
            self.wake_patient();
            if batch.capacity() > KEPT {
                batch = BytesMut::new();
            } else {
                batch.clear();
            }
        }
        writer.flush().await
    }

    /// Swaps what is waiting with the empty `batch`; false when there will be nothing more.
    async fn next_batch(&self, batch: &mut BytesMut) -> bool {
        poll_fn(|cx| {
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.is_empty() {
                std::mem::swap(&mut *waiting, batch);
                return Poll::Ready(true);
            }
            if self.closed.get() {
                return Poll::Ready(false);
            }
            *self.writer.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn wake_writer(&self) {
        let waker = self.writer.borrow_mut().take();
        waker.into_iter().for_each(Waker::wake);
    }

    fn wake_patient(&self) {
        let patient = self.patient.take();
        patient.into_iter().for_each(Waker::wake);
    }
}
