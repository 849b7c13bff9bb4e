//! All boards that FTDI's driver offers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, mpsc};

use futures::channel::oneshot;
use futures::future::{FutureExt as _, LocalBoxFuture};
use lineside_terms::SlotPath;

use super::list::{Found, SystemBoard, boards};
use super::{D2xxChip, Driver};
use crate::ftdi::pump::Pump;
use crate::ftdi::{Channel, Chip as _, FtdiBoard, Transport};
use crate::watch::{Attachments, Look, watch};
use crate::{Bench, Board, BoardInfo, Clock, Line, LinkError, Port, Watch, Wire};

/// Tells where the operating system itself says that interface boards are. It is asked only when the driver does not
/// know, on a thread that may wait.
pub type SystemPaths = Arc<dyn Fn() -> Vec<SystemBoard> + Send + Sync>;

/// The boards that FTDI's driver offers. Boards come and go unannounced: the driver's list is looked at again.
pub struct D2xxBench {
    inner: Rc<Inner>,
}

impl fmt::Debug for D2xxBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("D2xxBench").finish_non_exhaustive()
    }
}

struct Inner {
    driver: Driver,
    system: SystemPaths,
    clock: Clock,
    worker: Worker,
    pump: Pump,
    attachments: RefCell<Attachments<Option<String>>>,
    leased: Leased,
}

/// Who has leased what in this process.
type Leased = Rc<RefCell<BTreeMap<SlotPath, String>>>;

impl D2xxBench {
    /// The boards of a driver. The clock tells when to look again.
    pub fn new(driver: Driver, system: SystemPaths, clock: Clock) -> Self {
        Self {
            inner: Rc::new(Inner {
                driver,
                system,
                clock,
                worker: Worker::default(),
                pump: Pump::new(),
                attachments: RefCell::default(),
                leased: Rc::default(),
            }),
        }
    }
}

impl Bench for D2xxBench {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Rc::clone(&self.inner).look()
    }

    fn watch(&self) -> Watch {
        watch(&self.inner, &self.inner.clock)
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let (slot, holder) = (slot.clone(), holder.to_owned());
        async move { self.inner.lease(slot, holder).await }.boxed_local()
    }
}

impl Look for Inner {
    fn look(self: Rc<Self>) -> LocalBoxFuture<'static, Result<Vec<BoardInfo>, LinkError>> {
        async move {
            let found = self.found().await?;
            let marks = found
                .iter()
                .map(|board| (board.slot.clone(), board.serial.clone()));
            self.attachments.borrow_mut().note(marks.collect());
            let (attachments, leased) = (self.attachments.borrow(), self.leased.borrow());
            let boards = found.into_iter().map(|board| BoardInfo {
                attachment: attachments.count(&board.slot),
                leased_by: leased
                    .get(&board.slot)
                    .cloned()
                    .or_else(|| board.is_taken.then(|| "another program".to_owned())),
                trouble: board.trouble,
                device: None,
                board_serial: board.serial,
                slot: board.slot,
            });
            Ok(boards.collect())
        }
        .boxed_local()
    }
}

impl Inner {
    async fn found(&self) -> Result<Vec<Found>, LinkError> {
        let (driver, system) = (self.driver.clone(), Arc::clone(&self.system));
        self.worker.run(move || look(&driver, &system)).await?
    }

    async fn lease(&self, slot: SlotPath, holder: String) -> Result<Box<dyn Board>, LinkError> {
        let leased = |holder: &str| LinkError::Leased {
            slot: slot.clone(),
            holder: holder.to_owned(),
        };
        if let Some(holder) = self.leased.borrow().get(&slot) {
            return Err(leased(holder));
        }
        // Others may ask while the driver works.
        self.leased.borrow_mut().insert(slot.clone(), holder);
        let lease = Lease {
            slot: slot.clone(),
            leased: Rc::clone(&self.leased),
        };
        let found = self.found().await?.into_iter().find(|board| board.slot == slot);
        let no_board = LinkError::NoBoard { slot: slot.clone() };
        let found = found.ok_or_else(|| no_board.clone())?;
        let Some(location) = found.location else {
            return Err(LinkError::Io {
                doing: format!("open the board at slot {slot}"),
                reason: found.trouble.unwrap_or_default(),
            });
        };
        let chip = D2xxChip::at(self.driver.clone(), location);
        let opening = chip.clone();
        let service = self
            .worker
            .run(move || {
                let service = opening.open_channel(Channel::C)?;
                opening.release_lines()?;
                Ok(service)
            })
            .await?;
        let service: Box<dyn Transport> = match service {
            Ok(service) => Box::new(service),
            Err(LinkError::PortOpen) => return Err(leased("another program")),
            // It vanished between the two looks.
            Err(LinkError::Departed) => return Err(no_board),
            Err(error) => return Err(error),
        };
        let board = FtdiBoard::on(&self.pump, slot, Box::new(chip), service);
        Ok(Box::new(LeasedBoard { board, _lease: lease }))
    }
}

fn look(driver: &Driver, system: &SystemPaths) -> Result<Vec<Found>, LinkError> {
    let nodes = driver.list()?;
    let found = boards(&nodes, &[]);
    // Only then is it needed, and it is the slower of the two.
    let is_somewhere_else = super::list::has_displaced(&nodes);
    Ok(if is_somewhere_else {
        boards(&nodes, &system())
    } else {
        found
    })
}

/// Ends a lease within this process; towards others the open channel is the lease.
struct Lease {
    slot: SlotPath,
    leased: Leased,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leased.borrow_mut().remove(&self.slot);
    }
}

struct LeasedBoard {
    board: FtdiBoard,
    /// Dropped after the board has closed its channels.
    _lease: Lease,
}

impl Board for LeasedBoard {
    fn slot(&self) -> &SlotPath {
        self.board.slot()
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        self.board.open(port)
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        self.board.set_line(line, asserted)
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// A thread for what takes its time: listing and opening can take the driver some tenths of a second.
#[derive(Default)]
struct Worker {
    jobs: RefCell<Option<mpsc::Sender<Job>>>,
}

impl Worker {
    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, LinkError> {
        let (tell, told) = oneshot::channel();
        let job = Box::new(move || {
            // Who asked may have gone.
            let _ = tell.send(job());
        });
        self.give(job)
            .map_err(|error| LinkError::io("start a thread", &error))?;
        told.await.map_err(|_| LinkError::Io {
            doing: "ask FTDI's driver".into(),
            reason: "it failed badly".into(),
        })
    }

    fn give(&self, job: Job) -> std::io::Result<()> {
        let mut jobs = self.jobs.borrow_mut();
        let job = match &*jobs {
            None => job,
            Some(sender) => match sender.send(job) {
                Ok(()) => return Ok(()),
                // A job panicked, and the thread ended with it.
                Err(mpsc::SendError(job)) => job,
            },
        };
        let (sender, receiver) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("ftdi-list".into())
            .spawn(move || receiver.into_iter().for_each(|job| job()))?;
        let _ = sender.send(job);
        *jobs = Some(sender);
        Ok(())
    }
}
