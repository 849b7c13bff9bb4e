//! Reads the journal back, event by event, checking every link of the chain on the way.

use std::collections::VecDeque;
use std::sync::Arc;

use lineside_flow::event::{Event, VERSION};
use serde::Deserialize;

use crate::chain::{self, Head, Walk};
use crate::disk::Disk;
use crate::error::{RecordsError, TornTail};
use crate::log::{self, check_joint};
use crate::segment::{Frame, first_of};

/// An event as it was read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The event.
    pub event: Event,
    /// The point in the journal after it.
    pub head: Head,
}

/// Iterates over stored events, oldest first. After the first error there is nothing more.
///
/// Segments are read one at a time, so memory stays small however long the journal is.
#[derive(Debug)]
pub struct Replay {
    disk: Arc<dyn Disk>,
    names: VecDeque<String>,
    current: Option<Open>,
    /// The point that was reached.
    head: Head,
    /// Events up to here are passed over; the chain must lead through this point.
    after: Head,
    /// Nothing behind this event is read, if it is known where the journal ends.
    until: Option<u64>,
    torn: Option<TornTail>,
    is_over: bool,
}

#[derive(Debug)]
struct Open {
    name: String,
    bytes: Vec<u8>,
    at: usize,
    is_last: bool,
}

impl Replay {
    /// Reads from the point `after` on, beside a program that may be writing: an unfinished end is passed over.
    /// It may show events that are not durable yet, if they are being written right now.
    ///
    /// # Errors
    /// What the disk says.
    pub fn of(disk: Arc<dyn Disk>, after: Head) -> Result<Self, RecordsError> {
        Self::bounded(disk, after, None)
    }

    pub(crate) fn bounded(
        disk: Arc<dyn Disk>,
        after: Head,
        until: Option<u64>,
    ) -> Result<Self, RecordsError> {
        let mut names: VecDeque<String> = log::segments(disk.as_ref())?.into();
        // Whole segments before the point are passed over unread.
        while names
            .get(1)
            .and_then(|next| first_of(next))
            .is_some_and(|first| first <= after.sequence)
        {
            names.pop_front();
        }
        Ok(Self {
            disk,
            names,
            current: None,
            head: Head::ORIGIN,
            after,
            until,
            torn: None,
            is_over: false,
        })
    }

    /// The point that was reached: after the last event that came out, or passed over.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What the last segment ends in, if it is unfinished. Known once the iterator has ended.
    pub fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    fn advance(&mut self) -> Result<Option<Stored>, RecordsError> {
        loop {
            if self.until.is_some_and(|until| self.head.sequence >= until) {
                return self.finish();
            }
            let Some(open) = self.current.as_mut() else {
                let Some(name) = self.names.pop_front() else {
                    return self.finish();
                };
                self.open(name)?;
                continue;
            };
            let mut walk = Walk::resume(&open.name, &open.bytes, open.is_last, open.at, self.head);
            let Some(frame) = walk.step()? else {
                self.torn = walk.torn();
                self.current = None;
                continue;
            };
            let head = walk.head();
            open.at = walk.at();
            self.head = head;
            if head.sequence == self.after.sequence && head.hash != self.after.hash {
                return Err(RecordsError::OtherHistory {
                    sequence: head.sequence,
                });
            }
            if head.sequence > self.after.sequence {
                let event = understand(&frame, head.sequence)?;
                return Ok(Some(Stored { event, head }));
            }
        }
    }

    fn open(&mut self, name: String) -> Result<(), RecordsError> {
        let bytes = log::read(self.disk.as_ref(), &name)?;
        let is_last = self.names.is_empty();
        if is_last && chain::is_unborn(&bytes) {
            // A writer is just beginning it, or was cut off while doing so.
            return Ok(());
        }
        let (header, walk) = Walk::start(&name, &bytes, is_last)?;
        // The first one that is read tells where it begins; the point `after` checks it.
        let is_first = self.head == Head::ORIGIN && self.after.sequence > 0;
        let expected = if is_first { header.before } else { self.head };
        check_joint(&name, &header, expected)?;
        self.head = header.before;
        let at = walk.at();
        if self.head.sequence == self.after.sequence && self.head.hash != self.after.hash {
            return Err(RecordsError::OtherHistory {
                sequence: self.head.sequence,
            });
        }
        self.current = Some(Open {
            name,
            bytes,
            at,
            is_last,
        });
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Stored>, RecordsError> {
        self.is_over = true;
        if self.head.sequence < self.after.sequence {
            return Err(RecordsError::OtherHistory {
                sequence: self.after.sequence,
            });
        }
        Ok(None)
    }
}

impl Iterator for Replay {
    type Item = Result<Stored, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let result = self.advance();
        self.is_over |= result.is_err();
        result.transpose()
    }
}

/// Reads an event, and refuses one that a newer program wrote or that does not stand in its place.
fn understand(frame: &Frame<'_>, sequence: u64) -> Result<Event, RecordsError> {
    #[derive(Deserialize)]
    struct OnlyVersion {
        version: u64,
    }
    let event: Event = match serde_json::from_slice(frame.json()) {
        Ok(event) => event,
        Err(source) => {
            return Err(match serde_json::from_slice::<OnlyVersion>(frame.json()) {
                Ok(OnlyVersion { version }) if version > u64::from(VERSION) => RecordsError::NewerEvent {
                    sequence,
                    found: version,
                    known: VERSION,
                },
                _ => RecordsError::Unreadable { sequence, source },
            });
        }
    };
    if event.version != VERSION {
        return Err(RecordsError::NewerEvent {
            sequence,
            found: event.version.into(),
            known: VERSION,
        });
    }
    if event.sequence != sequence {
        return Err(RecordsError::Misnumbered {
            sequence,
            found: event.sequence,
        });
    }
    Ok(event)
}
