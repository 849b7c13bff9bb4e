//! Writing the OS of many boards anew, side by side, without a plan.
//!
//! Each board is leased, asked who it is while it still answers, brought into recovery, written and read back. Before a
//! device is answered the journal holds that it may be erased from now on; what becomes of it is recorded after. So the
//! records know every device that works again only after a recovery, by its id, whatever happened to this program.
//!
//! Dropping the returned future at any moment is the same as a power cut.

mod board;
mod book;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lineside_device::DeviceError;
use lineside_device::recovery::{Capability, Recovery, RecoveryCell, RecoveryProgress, Trace};
use lineside_flow::interlock::{Facts, OsRelease, Protected, Reading, release_held};
use lineside_flow::{Event, RecoveryOutcome};
use lineside_terms::{Blame, DeviceId, Explain, Instant, SlotPath, Told};

use crate::batch::Cancel;
use crate::error::RunnerError;
use crate::history::History;
use crate::place::Place;
use crate::slot::Stop;
use crate::store::Store;
use crate::wall::WallClock;
use book::Book;

/// How often recovery is entered: once more when nothing was lost.
pub(crate) const TRIES: u32 = 2;

/// People cannot read faster than this.
const SHOW: Duration = Duration::from_millis(100);

/// How long a device is asked who it is before its OS is written. Boards whose OS is broken cost this long.
pub const FIRST_LOOK: Duration = Duration::from_secs(3);

/// What is to be done.
pub struct Order {
    /// The sockets.
    pub slots: Vec<SlotPath>,
    /// What is written.
    pub recovery: Recovery,
    /// The OS that it holds, if a list says so.
    pub os: Option<String>,
    /// Releases by their images, for an OS that does not name itself.
    pub releases: Vec<OsRelease>,
    /// Capability files by the device that each names.
    pub capabilities: BTreeMap<DeviceId, Capability>,
    /// Devices that nobody may write to.
    pub protected: Protected,
    /// How long a device is asked who it is before, see [`FIRST_LOOK`].
    pub first_look: Duration,
    /// How long a device is waited for afterwards, see [`lineside_device::recovery::FIRST_BOOT`].
    pub boot_ceiling: Duration,
    /// Makes what records the recovery UART, anew for each try.
    pub trace: Option<Rc<dyn Fn() -> Trace>>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order")
            .field("slots", &self.slots)
            .field("recovery", &self.recovery)
            .finish_non_exhaustive()
    }
}

/// Something worth showing.
#[derive(Debug)]
pub enum Notice<'a> {
    /// Events that are durable now, in order.
    Durable(&'a [Event]),
    /// How far a board has come; sampled, never recorded.
    Progress(&'a SlotPath, RecoveryProgress),
    /// A board is done with.
    Ended(&'a Ended),
}

/// How it ended on one board.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The socket.
    pub slot: SlotPath,
    /// The device, if one said who it is.
    pub device: Option<DeviceId>,
    /// How the device is left.
    pub outcome: RecoveryOutcome,
    /// The OS that it says it runs now.
    pub os: Option<String>,
    /// What went wrong.
    pub error: Option<Told>,
    /// How often recovery was entered.
    pub tries: u32,
    /// How long it took.
    pub took: Duration,
}

/// How it ended.
#[derive(Debug)]
pub struct Summary {
    /// Every board, in the order in which they were named.
    pub boards: Vec<Ended>,
    /// True when somebody asked to stop.
    pub is_cancelled: bool,
    /// What the journal said when it failed; then nothing after it is recorded.
    pub store_error: Option<Told>,
    /// Devices that, by the records, work again only after a recovery: on this station's boards or elsewhere.
    pub needing_recovery: Vec<DeviceId>,
}

impl Summary {
    /// True when every board runs the new OS, that is recorded, and nobody asked to stop.
    pub fn is_good(&self) -> bool {
        let all = self
            .boards
            .iter()
            .all(|board| board.outcome == RecoveryOutcome::Recovered);
        all && !self.boards.is_empty() && self.store_error.is_none() && !self.is_cancelled
    }
}

/// What is found wrong after everything was written, or before anything was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Fault {
    /// It does not answer after all was written.
    #[error("everything was written, and the device was not seen to boot")]
    NotSeenToBoot(#[source] DeviceError),
    /// It runs another OS than was written.
    #[error("the device says that it runs OS {found}; {expected} was written")]
    OtherOs {
        /// What it says.
        found: String,
        /// What was written.
        expected: String,
    },
    /// It runs, and does not say what.
    #[error("{expected} was written, and the device does not say which OS it runs")]
    OsNotTold {
        /// What was written.
        expected: String,
    },
    /// The same device is being recovered in another socket.
    #[error("the same device is being recovered in slot {elsewhere}")]
    Twice {
        /// The other socket.
        elsewhere: SlotPath,
    },
    /// Somebody asked to stop.
    #[error("somebody asked to stop")]
    Stopped,
}

impl Explain for Fault {
    fn code(&self) -> &'static str {
        match self {
            Self::NotSeenToBoot(_) => "recovery.not-seen-to-boot",
            Self::OtherOs { .. } => "recovery.other-os",
            Self::OsNotTold { .. } => "recovery.os-not-told",
            Self::Twice { .. } => "recovery.id-twice",
            Self::Stopped => "recovery.stopped",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NotSeenToBoot(_) => {
                "Unplug the board, plug it in again and look with `lineside devices`: if it answers, all is well; if it \
                 does not, recover it again."
            }
            Self::OtherOs { .. } => "Restart the device and look again; if it stays so, recover it again.",
            Self::OsNotTold { .. } => {
                "All of it was written and the device boots. A locked device with an OS too old to name itself cannot be \
                 asked: set it aside until somebody has looked at what it does."
            }
            Self::Twice { .. } => "Look for one board that is seen twice (two cables). Nothing was erased here.",
            Self::Stopped => "Run the same command again. `lineside recover` tells which devices need recovery.",
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        match self {
            Self::NotSeenToBoot(_) | Self::OtherOs { .. } | Self::OsNotTold { .. } => Blame::Device,
            Self::Twice { .. } => Blame::Board,
            Self::Stopped => Blame::Station,
        }
    }
}

/// The OS of a device by its own name, or by its images.
pub(crate) fn os_of(facts: &Facts, releases: &[OsRelease]) -> Option<String> {
    if let Reading::Read(os) = &facts.os_version {
        // What a device says is shown short and printable.
        return Some(os.chars().filter(|c| !c.is_control()).take(40).collect());
    }
    let images = facts.images.read()?;
    release_held(releases, images).map(|release| release.name.clone())
}

/// What is wrong with the OS that a device says it runs after `expected` was written.
pub(crate) fn judge_os(found: Option<&str>, expected: Option<&str>) -> Option<Fault> {
    let expected = expected?.to_owned();
    match found {
        Some(found) if found == expected => None,
        Some(found) => Some(Fault::OtherOs {
            found: found.to_owned(),
            expected,
        }),
        None => Some(Fault::OsNotTold { expected }),
    }
}

/// Recovers all boards of the order, until each is done with.
///
/// `history` is what the journal holds; `store` takes what follows it.
///
/// # Errors
/// When the history cannot be followed. Trouble with single boards is no error here: it stands in the summary.
pub async fn recover(
    place: Place,
    order: Order,
    history: impl Into<History>,
    store: &mut dyn Store,
    cancel: &Cancel,
    mut notice: impl FnMut(Notice<'_>),
) -> Result<Summary, RunnerError> {
    let (line, started) = place.resume(order.protected.clone(), history.into())?;
    let book = Rc::new(Book::new(line, started, place.wall.clone()));
    let (place, order) = (Rc::new(place), Rc::new(order));
    let workers = FuturesUnordered::new();
    let mut desks = Vec::new();
    for slot in &order.slots {
        let desk = Desk {
            slot: slot.clone(),
            stop: Stop::default(),
            progress: RecoveryCell::default(),
            shown: RecoveryProgress::default(),
        };
        workers.push(board::work(
            Rc::clone(&place),
            Rc::clone(&order),
            Rc::clone(&book),
            desk.slot.clone(),
            desk.stop.clone(),
            Rc::clone(&desk.progress),
        ));
        desks.push(desk);
    }
    let mut shell = Shell {
        book: Rc::clone(&book),
        desks,
        workers,
        ended: Vec::new(),
        is_cancelled: false,
        shown_at: place.wall.clock().now(),
        wall: place.wall.clone(),
    };
    poll_fn(|cx| shell.turn(cx, store, cancel, &mut notice)).await;
    let mut boards = shell.ended;
    boards.sort_by_key(|ended| order.slots.iter().position(|slot| *slot == ended.slot));
    Ok(Summary {
        boards,
        is_cancelled: shell.is_cancelled,
        store_error: book.store_error(),
        needing_recovery: book.needing_recovery(),
    })
}

/// One board, as it is seen from outside.
struct Desk {
    slot: SlotPath,
    stop: Stop,
    progress: RecoveryCell,
    shown: RecoveryProgress,
}

struct Shell<W> {
    book: Rc<Book>,
    desks: Vec<Desk>,
    workers: FuturesUnordered<W>,
    ended: Vec<Ended>,
    is_cancelled: bool,
    shown_at: Instant,
    wall: WallClock,
}

impl<W: Future<Output = Ended>> Shell<W> {
    /// Does everything that can be done now.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        store: &mut dyn Store,
        cancel: &Cancel,
        notice: &mut dyn FnMut(Notice<'_>),
    ) -> Poll<()> {
        loop {
            if !self.is_cancelled && cancel.poll_asked(cx) {
                self.is_cancelled = true;
                self.desks.iter().for_each(|desk| desk.stop.ask());
            }
            let mut is_busy = self
                .book
                .keep(cx, store, |events| notice(Notice::Durable(events)));
            while let Poll::Ready(Some(ended)) = self.workers.poll_next_unpin(cx) {
                notice(Notice::Ended(&ended));
                self.ended.push(ended);
                is_busy = true;
            }
            self.show_progress(notice);
            if self.workers.is_empty() && self.book.is_settled() {
                return Poll::Ready(());
            }
            if !is_busy && !self.book.has_outgoing() {
                return Poll::Pending;
            }
        }
    }

    /// Boards at work wake us all the time, so this needs no clock of its own.
    fn show_progress(&mut self, notice: &mut dyn FnMut(Notice<'_>)) {
        let now = self.wall.clock().now();
        if now < self.shown_at + SHOW {
            return;
        }
        self.shown_at = now;
        for desk in &mut self.desks {
            let progress = desk.progress.get();
            if progress != desk.shown {
                desk.shown = progress;
                notice(Notice::Progress(&desk.slot, progress));
            }
        }
    }
}
