//! Interface boards on USB, as far as the kernel's own driver for their serial ports can serve them.
//!
//! On Linux boards are found in sysfs by USB ids **and** product string (`chip-to-pc-and-recovery.md` 1.1); their
//! four channels are terminals there. Reset and strap lines need the interface chip's bit-bang mode, which the
//! kernel's driver does not offer: [`Board::set_line`] answers [`LinkError::Lacking`]. On other systems no board is
//! listed yet.
//!
//! A lease is a lock of the kernel on the board's service terminal, so it ends with the process.

#[cfg(target_os = "linux")]
mod board;
#[cfg(target_os = "linux")]
mod holders;
mod sysfs;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::stream;
use lineside_terms::SlotPath;

use self::sysfs::Found;
use crate::{Bench, BenchEvent, Board, BoardInfo, Clock, LinkError, Watch};

/// What [`LinkError::Lacking`] says of the lines of these boards.
pub(crate) const NO_LINES: &str = "reset line without the FTDI driver";

/// How often one looks whether boards came or went. A board that leaves and comes back in between is noticed all
/// the same, by its number on the bus.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Where the kernel tells about devices. Tests build their own.
#[derive(Debug, Clone)]
pub struct Places {
    /// Usually `/sys`.
    pub sysfs: PathBuf,
    /// Where terminals are, usually `/dev`.
    pub dev: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            sysfs: "/sys".into(),
            dev: "/dev".into(),
        }
    }
}

/// All interface boards on this computer's USB.
pub struct UsbBench {
    inner: Rc<Inner>,
}

impl fmt::Debug for UsbBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsbBench")
            .field("places", &self.inner.places)
            .finish_non_exhaustive()
    }
}

impl UsbBench {
    /// The boards found at `places`. The clock tells when to look again and paces the wires.
    pub fn new(places: Places, clock: Clock) -> Self {
        let seen = RefCell::default();
        Self {
            inner: Rc::new(Inner {
                places,
                clock,
                seen,
                leased: Rc::default(),
            }),
        }
    }
}

impl Bench for UsbBench {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async { self.inner.look() })
    }

    fn watch(&self) -> Watch {
        let watcher = Watcher {
            bench: Rc::downgrade(&self.inner),
            clock: self.inner.clock.clone(),
            known: BTreeMap::new(),
            events: Vec::new().into_iter(),
            is_first: true,
        };
        Box::pin(stream::unfold(watcher, async |mut watcher| {
            let event = watcher.next().await?;
            Some((event, watcher))
        }))
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let (slot, holder) = (slot.clone(), holder.to_owned());
        Box::pin(async move { self.inner.lease(&slot, &holder) })
    }
}

/// Who has leased what in this process, by the board's name in sysfs.
type Leased = Rc<RefCell<BTreeMap<String, String>>>;

struct Inner {
    places: Places,
    clock: Clock,
    seen: RefCell<BTreeMap<SlotPath, Presence>>,
    leased: Leased,
}

/// How often something was attached at a slot, and what distinguishes the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Presence {
    attachment: u64,
    /// `None` while nothing is there.
    device_number: Option<String>,
}

impl Inner {
    fn look(&self) -> Result<Vec<BoardInfo>, LinkError> {
        let found = sysfs::boards(&self.places)?;
        self.note(&found);
        let seen = self.seen.borrow();
        let boards = found.into_iter().map(|board| BoardInfo {
            attachment: seen.get(&board.slot).map_or(0, |presence| presence.attachment),
            leased_by: self.holder(&board),
            trouble: self.trouble(&board),
            slot: board.slot,
            board_serial: board.serial,
        });
        Ok(boards.collect())
    }

    /// Counts what came anew.
    fn note(&self, found: &[Found]) {
        let mut seen = self.seen.borrow_mut();
        for (slot, presence) in seen.iter_mut() {
            if !found.iter().any(|board| board.slot == *slot) {
                presence.device_number = None;
            }
        }
        for board in found {
            let presence = seen.entry(board.slot.clone()).or_insert(Presence {
                attachment: 0,
                device_number: None,
            });
            if presence.device_number.as_ref() != Some(&board.device_number) {
                presence.attachment += 1;
                presence.device_number = Some(board.device_number.clone());
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn holder(&self, board: &Found) -> Option<String> {
        let ours = self.leased.borrow().get(&board.name).cloned();
        ours.or_else(|| holders::of(board.service_terminal(&self.places)?))
    }

    #[cfg(target_os = "linux")]
    fn trouble(&self, board: &Found) -> Option<String> {
        board::trouble(board, &self.places)
    }

    #[cfg(target_os = "linux")]
    fn lease(&self, slot: &SlotPath, holder: &str) -> Result<Box<dyn Board>, LinkError> {
        let found = sysfs::boards(&self.places)?;
        let board = found
            .into_iter()
            .find(|board| board.slot == *slot || board.is_alias(slot));
        let board = board.ok_or_else(|| LinkError::NoBoard { slot: slot.clone() })?;
        let leased = || LinkError::Leased {
            slot: board.slot.clone(),
            holder: self.holder(&board).unwrap_or_else(|| "another program".into()),
        };
        let hold = board::Hold::take(&board, &self.places)?.ok_or_else(leased)?;
        self.leased
            .borrow_mut()
            .insert(board.name.clone(), holder.to_owned());
        let board = board::UsbBoard::new(hold, board, &self.places, &self.clock, Rc::clone(&self.leased));
        Ok(Box::new(board))
    }

    #[cfg(not(target_os = "linux"))]
    fn holder(&self, _board: &Found) -> Option<String> {
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn trouble(&self, _board: &Found) -> Option<String> {
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn lease(&self, slot: &SlotPath, _holder: &str) -> Result<Box<dyn Board>, LinkError> {
        Err(LinkError::NoBoard { slot: slot.clone() })
    }
}

/// Follows one bench for one watch.
struct Watcher {
    bench: Weak<Inner>,
    clock: Clock,
    known: BTreeMap<SlotPath, BoardInfo>,
    events: std::vec::IntoIter<BenchEvent>,
    is_first: bool,
}

impl Watcher {
    async fn next(&mut self) -> Option<BenchEvent> {
        loop {
            if let Some(event) = self.events.next() {
                return Some(event);
            }
            if !std::mem::take(&mut self.is_first) {
                self.clock.sleep(LOOK_AGAIN).await;
            }
            // What cannot be read now can be read the next time; `list` tells why not.
            if let Ok(boards) = self.bench.upgrade()?.look() {
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

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
