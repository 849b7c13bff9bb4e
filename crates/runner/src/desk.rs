//! Approvals that come while a batch is under way: each becomes an event, and units that waited for it go on.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::oneshot;
use futures::{Stream, StreamExt as _};
use lineside_flow::interlock::Grant;
use lineside_flow::line::Standing;
use lineside_flow::{Event, Input, Line, Receipt};
use lineside_link::{Clock, Sleep};
use lineside_terms::{Stamp, Told};

/// An approval that somebody brings. Who that is was checked before.
#[derive(Debug)]
pub struct Submitted {
    /// The leave.
    pub grant: Grant,
    /// What was signed.
    pub proof: String,
    /// Hears that it is durable, or why it does not count.
    pub answer: oneshot::Sender<Result<(), Told>>,
}

/// Where approvals are brought while a batch is under way.
pub struct Desk {
    /// What is brought.
    pub submissions: Pin<Box<dyn Stream<Item = Submitted>>>,
    /// For how long the batch waits when nothing but approvals is missing.
    pub patience: Duration,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// Takes what is brought.
pub(crate) struct Clerk {
    desk: Option<Desk>,
    /// Written down and not durable yet.
    open: Vec<(u64, oneshot::Sender<Result<(), Told>>)>,
    until: Option<Sleep>,
}

impl Clerk {
    pub(crate) const fn at(desk: Option<Desk>) -> Self {
        Self {
            desk,
            open: Vec::new(),
            until: None,
        }
    }

    /// Decides about one that was brought; what is to go to the journal.
    pub(crate) fn take(&mut self, cx: &mut Context<'_>, line: &mut Line, stamp: Stamp) -> Option<Vec<Event>> {
        let Poll::Ready(Some(submitted)) = self.desk.as_mut()?.submissions.poll_next_unpin(cx) else {
            return None;
        };
        let Submitted { grant, proof, answer } = submitted;
        match line.take(Input::Approve { grant, proof }, stamp) {
            Ok(events) => {
                if let Some(event) = events.first() {
                    self.open.push((event.sequence, answer));
                }
                Some(events)
            }
            Err(refusal) => {
                // Nobody hears it when whoever brought it has gone.
                drop(answer.send(Err(Told::of(&refusal))));
                Some(Vec::new())
            }
        }
    }

    pub(crate) fn durable(&mut self, receipt: &Receipt) {
        let is_durable = |open: &mut (u64, _)| open.0 <= receipt.through();
        for (_, answer) in self.open.extract_if(.., is_durable) {
            drop(answer.send(Ok(())));
        }
    }

    /// True while units wait for an approval that may still come.
    pub(crate) fn waits(&mut self, cx: &mut Context<'_>, line: &Line, clock: &Clock) -> bool {
        let Some(desk) = self.desk.as_ref().filter(|desk| !desk.patience.is_zero()) else {
            return false;
        };
        let mut slots = line.picture().slots.into_iter();
        if !slots
            .any(|slot| slot.is_present && slot.standing == Standing::Interrupted && slot.waits_for_leave())
        {
            self.until = None;
            return false;
        }
        let until = self
            .until
            .get_or_insert_with(|| clock.sleep_until(clock.now() + desk.patience));
        Pin::new(until).poll(cx).is_pending()
    }
}
