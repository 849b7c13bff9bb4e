//! The journal cannot be written for a while: when it is tried again, and for how long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lineside_link::{Clock, Sleep};
use lineside_terms::{Instant, Told};

/// How often it is tried again. Somebody who frees space sees the line go on at once.
const AGAIN: Duration = Duration::from_millis(500);

/// The journal cannot be written for now.
pub(crate) struct Outage {
    pub(crate) error: Told,
    ends: Instant,
    again: Option<Sleep>,
}

/// What is to be done about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again.
    Retry,
    /// Nobody waits any longer.
    GiveUp,
}

impl Outage {
    pub(crate) fn begin(error: Told, clock: &Clock, patience: Duration) -> Self {
        Self {
            error,
            ends: clock.now() + patience,
            again: Some(clock.sleep_until(clock.now() + AGAIN)),
        }
    }

    /// It failed once more.
    pub(crate) fn goes_on(&mut self, clock: &Clock) {
        if self.again.is_none() {
            self.again = Some(clock.sleep_until(clock.now() + AGAIN));
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, clock: &Clock) -> Poll<Next> {
        let Some(again) = &mut self.again else {
            return Poll::Pending;
        };
        std::task::ready!(Pin::new(again).poll(cx));
        self.again = None;
        Poll::Ready(if clock.now() >= self.ends {
            Next::GiveUp
        } else {
            Next::Retry
        })
    }
}
