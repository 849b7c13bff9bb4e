//! Follows a bench that can only be asked what is there now.

use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::stream;
use lineside_terms::SlotPath;

use crate::{BenchEvent, BoardInfo, Clock, LinkError, Watch};

/// How often one looks whether boards came or went.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A bench that is asked again and again.
pub(crate) trait Look: 'static {
    /// The boards that are there now.
    fn look(self: Rc<Self>) -> LocalBoxFuture<'static, Result<Vec<BoardInfo>, LinkError>>;
}

/// Follows a bench until it is dropped.
pub(crate) fn watch<B: Look>(bench: &Rc<B>, clock: &Clock) -> Watch {
    let watcher = Watcher {
        bench: Rc::downgrade(bench),
        clock: clock.clone(),
        known: BTreeMap::new(),
        events: Vec::new().into_iter(),
        is_first: true,
    };
    Box::pin(stream::unfold(watcher, async |mut watcher| {
        let event = watcher.next().await?;
        Some((event, watcher))
    }))
}

/// Counts how often boards were attached, by whatever tells one attachment at a slot from the next.
#[derive(Debug)]
pub(crate) struct Attachments<M> {
    seen: BTreeMap<SlotPath, (u64, Option<M>)>,
}

impl<M> Default for Attachments<M> {
    fn default() -> Self {
        Self {
            seen: BTreeMap::new(),
        }
    }
}

impl<M: PartialEq> Attachments<M> {
    /// Takes note of all boards that are there.
    pub(crate) fn note(&mut self, found: Vec<(SlotPath, M)>) {
        for (slot, (_, mark)) in &mut self.seen {
            if !found.iter().any(|(there, _)| there == slot) {
                *mark = None;
            }
        }
        for (slot, mark) in found {
            let (count, last) = self.seen.entry(slot).or_insert((0, None));
            if last.as_ref() != Some(&mark) {
                *count += 1;
                *last = Some(mark);
            }
        }
    }

    /// How often something was attached there.
    pub(crate) fn count(&self, slot: &SlotPath) -> u64 {
        self.seen.get(slot).map_or(0, |(count, _)| *count)
    }
}

struct Watcher<B> {
    bench: Weak<B>,
    clock: Clock,
    known: BTreeMap<SlotPath, BoardInfo>,
    events: std::vec::IntoIter<BenchEvent>,
    is_first: bool,
}

impl<B: Look> Watcher<B> {
    async fn next(&mut self) -> Option<BenchEvent> {
        loop {
            if let Some(event) = self.events.next() {
                return Some(event);
            }
            if !std::mem::take(&mut self.is_first) {
                self.clock.sleep(LOOK_AGAIN).await;
            }
            // What cannot be read now can be read the next time; `list` tells why not.
            if let Ok(boards) = self.bench.upgrade()?.look().await {
                self.events = self.changes(boards).into_iter();
            }
        }
    }

    fn changes(&mut self, boards: Vec<BoardInfo>) -> Vec<BenchEvent> {
        let now: BTreeMap<SlotPath, BoardInfo> = boards
            .into_iter()
            .map(|board| (board.slot.clone(), board))
            .collect();
        let same = |a: &BoardInfo, b: &BoardInfo| a.attachment == b.attachment;
        let gone = self
            .known
            .iter()
            .filter(|(slot, old)| !now.get(*slot).is_some_and(|new| same(old, new)));
        let mut events: Vec<BenchEvent> = gone.map(|(slot, _)| BenchEvent::Detached(slot.clone())).collect();
        let came = now
            .iter()
            .filter(|(slot, new)| !self.known.get(*slot).is_some_and(|old| same(old, new)));
        events.extend(came.map(|(_, board)| BenchEvent::Attached(board.clone())));
        self.known = now;
        events
    }
}
