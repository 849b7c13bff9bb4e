//! What the events of a station come to: what a line begins with.

use std::borrow::Borrow;

use lineside_interlock::{Approvals, Intent};
use lineside_terms::DeviceId;
use serde::{Deserialize, Serialize, Serializer};

use super::apply::IllegalHistory;
use super::found::OpenRun;
use super::state::{LAYOUT, State};
use crate::event::Event;

/// What the events of a station come to, folded one by one, so that a long journal need not be held as a whole. It can be
/// looked at; only a [`super::Line`] goes on from it, and takes it with it.
///
/// It can be kept, so that a long history need not be folded at each start. What is read back must not be believed without
/// a proof that it was made of the journal at hand and not changed since; that is the business of who keeps it. Whatever it
/// says, reading it ends in a state whose rules hold, or in an error. A permit never comes of it: an intent that was read
/// back can only be asked about.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "State")]
pub struct Past {
    pub(super) state: State,
}

impl Past {
    /// Which form of what is kept this program writes, and the only one that it reads: another is folded anew.
    pub const LAYOUT: u32 = LAYOUT;

    /// Folds a whole history.
    ///
    /// # Errors
    /// When it cannot have happened.
    pub fn of(history: impl IntoIterator<Item = impl Borrow<Event>>) -> Result<Self, IllegalHistory> {
        let mut past = Self::default();
        for event in history {
            past.take(event.borrow())?;
        }
        Ok(past)
    }

    /// Folds the next event in.
    ///
    /// # Errors
    /// When it cannot have happened after those before. What was folded until then is of no use any more.
    pub fn take(&mut self, event: &Event) -> Result<(), IllegalHistory> {
        self.state.apply(event, None)
    }

    /// The last event that was folded in; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.state.last_sequence()
    }

    /// The runs that are open, in the order in which they began.
    pub fn open_runs(&self) -> Vec<OpenRun> {
        self.state.open_runs()
    }

    /// The intents that nobody has resolved yet.
    pub fn unresolved(&self) -> impl Iterator<Item = &Intent> {
        self.state.ledger.unresolved().map(|(intent, _)| intent)
    }

    /// Every device that works again only after a recovery.
    pub fn needing_recovery(&self) -> impl Iterator<Item = &DeviceId> {
        self.state.needing_recovery()
    }

    /// What is left of approvals.
    pub fn approvals(&self) -> &Approvals {
        &self.state.approvals
    }
}

impl Serialize for Past {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.state.serialize(serializer)
    }
}

impl TryFrom<State> for Past {
    type Error = String;

    fn try_from(state: State) -> Result<Self, String> {
        match state.dangling().or_else(|| state.unsound()) {
            None => Ok(Self { state }),
            Some(why) => Err(why),
        }
    }
}
