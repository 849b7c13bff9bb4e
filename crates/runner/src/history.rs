//! What a journal tells, as far as it is needed: all of it folded, and few of its events.
//!
//! A station works for years, and its journal is never cut. Read at the beginning of each command, it must not fill the
//! memory: each event is folded and let go, but for those that somebody asks for afterwards: the last batch, approvals and
//! writes by hand. What is kept of a unit of an earlier batch is what the engine knows of its device.

use std::collections::BTreeSet;

use lineside_flow::interlock::Grant;
use lineside_flow::{Body, Event, IllegalHistory, Past};
use lineside_terms::BootId;
use serde::{Deserialize, Serialize};

/// What a journal tells. It can be kept (`snapshot.rs`), unless it cannot be gone on with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    #[serde(with = "possible")]
    past: Result<Past, IllegalHistory>,
    /// From the start of the program that ordered the last batch on.
    recent: Vec<Event>,
    /// A batch was ordered.
    is_ordered: bool,
    approvals: Vec<(Grant, String)>,
    /// The starts of the program that wrote by hand.
    hands: BTreeSet<BootId>,
    newest_ms: Option<i64>,
}

/// Only a history that can have happened is kept.
mod possible {
    use lineside_flow::{IllegalHistory, Past};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Possible = Result<Past, IllegalHistory>;

    pub(super) fn serialize<S: Serializer>(past: &Possible, serializer: S) -> Result<S::Ok, S::Error> {
        past.as_ref().map_err(S::Error::custom)?.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Possible, D::Error> {
        Past::deserialize(deserializer).map(Ok)
    }
}

impl Default for History {
    fn default() -> Self {
        Self {
            past: Ok(Past::default()),
            recent: Vec::new(),
            is_ordered: false,
            approvals: Vec::new(),
            hands: BTreeSet::new(),
            newest_ms: None,
        }
    }
}

impl History {
    /// Takes the next event in. One that cannot have happened is told of by [`History::into_past`]: whoever only looks is
    /// not stopped by it.
    pub fn take(&mut self, event: Event) {
        if let Ok(past) = &mut self.past
            && let Err(error) = past.take(&event)
        {
            self.past = Err(error);
        }
        self.newest_ms = self.newest_ms.max(Some(event.at.wall_ms));
        match &event.body {
            Body::StationStarted { .. } if !self.is_ordered => self.recent.clear(),
            Body::Ordered { order } => {
                self.is_ordered = true;
                // One that goes on with an earlier batch is told with it.
                if order.resumes.is_none() {
                    let is_start = |event: &Event| matches!(event.body, Body::StationStarted { .. });
                    let started = self.recent.iter().rposition(is_start);
                    self.recent.drain(..started.unwrap_or(0));
                }
            }
            Body::Approved { grant, proof } => self.approvals.push((grant.clone(), proof.clone())),
            Body::HandWrite { .. } => {
                self.hands.insert(event.boot);
            }
            _ => {}
        }
        self.recent.push(event);
    }

    /// What the events come to.
    ///
    /// # Errors
    /// When they cannot have happened.
    pub fn into_past(self) -> Result<Past, IllegalHistory> {
        self.past
    }

    /// As [`History::into_past`], to look at.
    ///
    /// # Errors
    /// When they cannot have happened.
    pub fn past(&self) -> Result<&Past, IllegalHistory> {
        self.past.as_ref().map_err(Clone::clone)
    }

    /// The events since the start of the program that ordered the last batch, with that start; since the last start when
    /// none was ordered. An order that goes on with an earlier one belongs to that batch.
    pub fn since_order(&self) -> &[Event] {
        &self.recent
    }

    /// Every approval, with what was signed.
    pub fn approvals(&self) -> impl Iterator<Item = (&Grant, &str)> {
        self.approvals
            .iter()
            .map(|(grant, proof)| (grant, proof.as_str()))
    }

    /// True when what this start of the program wrote by hand is among the events.
    pub fn knows_hand(&self, boot: &BootId) -> bool {
        self.hands.contains(boot)
    }

    /// The newest time that an event has: milliseconds since 1970-01-01 UTC, by the station's clock.
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }
}

impl From<Vec<Event>> for History {
    fn from(events: Vec<Event>) -> Self {
        let mut history = Self::default();
        for event in events {
            history.take(event);
        }
        history
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use lineside_flow::order::Order;
    use lineside_flow::{Line, Shift};
    use lineside_terms::{ClockTrust, Digest, Instant, Stamp};

    /// What a start of the program writes that orders this: a new batch, what goes on with one, or nothing.
    fn start(history: &mut Vec<Event>, number: u8, resumes: Option<Option<u64>>) {
        let boot = BootId::from_bytes([number; 16]);
        let station = "line-1".parse().unwrap();
        let mut line = Line::resume(station, boot, Default::default(), Shift::default(), &*history).unwrap();
        let at = Stamp {
            mono: Instant::ZERO,
            wall_ms: i64::from(number),
            trust: ClockTrust::Unverified,
        };
        history.extend(line.start("1", "sim:1", at));
        if let Some(resumes) = resumes {
            let order = Order {
                named: "plan.toml".into(),
                plan: Digest::from_bytes([7; 32]),
                bundle: None,
                units: 1,
                rest: Vec::new(),
                continuous: None,
                has_hook: false,
                resumes,
            };
            history.extend(line.order(order, at));
        }
    }

    fn boots(events: &[Event]) -> Vec<u8> {
        events.iter().map(|event| event.boot.as_bytes()[0]).collect()
    }

    #[test]
    fn the_last_batch_is_kept_with_all_that_went_on_with_it_and_no_earlier_one() {
        let mut events = Vec::new();
        assert_eq!(History::from(events.clone()).since_order(), []);
        start(&mut events, 1, None);
        start(&mut events, 2, None);
        assert_eq!(boots(History::from(events.clone()).since_order()), [2]);
        start(&mut events, 3, Some(None));
        let base = events.last().unwrap().sequence;
        start(&mut events, 4, None);
        start(&mut events, 5, Some(Some(base)));
        assert_eq!(
            boots(History::from(events.clone()).since_order()),
            [3, 3, 4, 5, 5]
        );
        for number in 6..=100 {
            start(&mut events, number, Some(None));
            let history = History::from(events.clone());
            assert_eq!(boots(history.since_order()), [number, number]);
            assert_eq!(history.newest_ms(), Some(i64::from(number)));
        }
        let history = History::from(events.clone());
        assert_eq!(
            format!("{:?}", history.past().unwrap()),
            format!("{:?}", Past::of(&events).unwrap())
        );
    }

    #[test]
    fn a_history_that_cannot_be_is_told_of_by_whoever_goes_on_with_it() {
        let mut events = Vec::new();
        start(&mut events, 1, Some(None));
        events.remove(0);
        let history = History::from(events);
        assert_eq!(history.newest_ms(), Some(1));
        assert!(history.past().is_err() && history.into_past().is_err());
    }
}
