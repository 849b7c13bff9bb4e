//! All boards together: who is attached, and which address stands for whom.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use futures::StreamExt as _;
use lineside_device::SessionConfig;
use lineside_link::{Address, Addresses, Bench, BenchEvent, BoardInfo, Clock, claim_network};
use lineside_protocol::rest::http::PORT;
use lineside_terms::{Epoch, SlotPath};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::arbiter::{Arbiter, Attendants};
use crate::attendant::{Attendant, Command, Common};
use crate::doors::Ways;
use crate::error::BridgeError;
use crate::picture::{BoardPicture, Picture, Standing};
use crate::state::Shared;

/// Gives the table of addresses for the boards that are attached now: whoever keeps it keeps what is new in it.
pub type Table = Box<dyn FnMut(&[BoardInfo]) -> Addresses>;

/// What a bridge needs to know.
pub struct Config {
    /// The boards.
    pub bench: Rc<dyn Bench>,
    /// The clock that everything runs by.
    pub clock: Clock,
    /// How programs come in.
    pub ways: Ways,
    /// Ports of devices beside those of the device itself (443, and 2342 and 2345 of a debugger).
    pub ports: Vec<u16>,
    /// Ports of devices to which datagrams are carried: those of applications, as nothing of the device itself takes any.
    pub datagram_ports: Vec<u16>,
    /// For each connection to a device anew: whom to trust, randomness, and the time at which certificates are judged.
    pub session: Box<dyn Fn() -> SessionConfig>,
    /// Which address stands for which slot.
    pub addresses: Table,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("ways", &self.ways)
            .field("ports", &self.ports)
            .field("datagram_ports", &self.datagram_ports)
            .finish_non_exhaustive()
    }
}

/// What every device may listen on: its own service, and a debugged application's output and debugger
/// (`chip-to-pc-and-recovery.md` 2.2).
const PORTS: [u16; 3] = [PORT, 2342, 2345];

/// A bridge. It works while [`run`](Self::run) is awaited.
pub struct Bridge {
    common: Rc<Common>,
    attendants: Attendants,
    addresses: Table,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge")
            .field("boards", &self.attendants.borrow().len())
            .finish_non_exhaustive()
    }
}

/// Looks at a bridge, and is its boards for others.
#[derive(Clone)]
pub struct View {
    common: Rc<Common>,
    attendants: Attendants,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl View {
    /// What everything looks like now.
    pub fn picture(&self) -> Picture {
        self.common.shared.picture()
    }

    /// Rings at each change, of which several may come as one. Bytes that are carried do not ring.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.common.shared.subscribe()
    }

    /// The same boards as a bench for Lineside's own programs.
    pub fn bench(&self) -> Rc<dyn Bench> {
        Rc::new(Arbiter {
            bench: Rc::clone(&self.common.bench),
            shared: Rc::clone(&self.common.shared),
            attendants: Rc::clone(&self.attendants),
        })
    }

    /// True when the first answer about each of these boards is known, or it is gone.
    pub fn is_decided(&self, slots: &[SlotPath]) -> bool {
        slots.iter().all(|slot| {
            let board = self.common.shared.board(slot);
            board.is_none_or(|board| board.standing.is_decided())
        })
    }
}

impl Bridge {
    /// Looks whether such a bridge can be here. Nothing is touched on any board yet.
    ///
    /// # Errors
    /// When addresses are wanted and the network of the devices is in use on this PC, or this user lacks the right.
    pub fn new(config: Config) -> Result<Self, BridgeError> {
        let Config {
            bench,
            clock,
            ways,
            ports,
            mut datagram_ports,
            session,
            addresses,
        } = config;
        datagram_ports.sort_unstable();
        datagram_ports.dedup();
        if ways == Ways::Addresses {
            claim_network()?;
            // The right is shown now, and not when the first board comes.
            drop(lineside_link::HeldAddress::take(Address::FIRST)?);
        }
        let mut all = PORTS.to_vec();
        for port in ports {
            if !all.contains(&port) {
                all.push(port);
            }
        }
        Ok(Self {
            common: Rc::new(Common {
                bench,
                clock,
                shared: Rc::new(Shared::new()),
                ways,
                ports: all,
                datagram_ports,
                session,
            }),
            attendants: Attendants::default(),
            addresses,
        })
    }

    /// Looks at it, and lends its boards.
    pub fn view(&self) -> View {
        View {
            common: Rc::clone(&self.common),
            attendants: Rc::clone(&self.attendants),
        }
    }

    /// Follows the boards that come and go, until the bench ends or this future is dropped; relays and leases end with
    /// it. Must run on a `LocalSet`. `found` is told the boards that are there at the beginning.
    ///
    /// # Errors
    /// When the boards cannot be listed.
    pub async fn run(mut self, found: impl FnOnce(&[SlotPath])) -> Result<(), BridgeError> {
        let there = self.common.bench.list().await?;
        let mut watch = self.common.bench.watch();
        let mut tasks = JoinSet::new();
        let mut attached: BTreeMap<SlotPath, (BoardInfo, AbortHandle)> = BTreeMap::new();
        let mut epochs: BTreeMap<SlotPath, Epoch> = BTreeMap::new();
        let mut leaving = BTreeMap::new();
        let slots: Vec<_> = there.iter().map(|board| board.slot.clone()).collect();
        for info in there {
            self.attach(info, &mut attached, &mut epochs, &mut tasks, &mut leaving);
        }
        self.address(&attached);
        found(&slots);
        while let Some(event) = watch.next().await {
            while tasks.try_join_next().is_some() {}
            match event {
                BenchEvent::Attached(info) => {
                    // The watch begins with those that are there already.
                    let is_known = attached
                        .get(&info.slot)
                        .is_some_and(|(known, _)| known.attachment == info.attachment);
                    if is_known {
                        continue;
                    }
                    self.detach(&info.slot, &mut attached, &mut epochs);
                    self.attach(info, &mut attached, &mut epochs, &mut tasks, &mut leaving);
                }
                BenchEvent::Detached(slot) => self.detach(&slot, &mut attached, &mut epochs),
            }
            self.address(&attached);
        }
        Ok(())
    }

    fn attach(
        &self,
        info: BoardInfo,
        attached: &mut BTreeMap<SlotPath, (BoardInfo, AbortHandle)>,
        epochs: &mut BTreeMap<SlotPath, Epoch>,
        tasks: &mut JoinSet<()>,
        leaving: &mut BTreeMap<SlotPath, oneshot::Receiver<()>>,
    ) {
        let slot = info.slot.clone();
        let epoch = epochs.get(&slot).copied().unwrap_or(Epoch(0));
        self.common.shared.insert(BoardPicture {
            slot: slot.clone(),
            board_serial: info.board_serial.clone(),
            address: None,
            standing: Standing::Identifying,
            trouble: None,
            device: None,
            epoch,
            doors: Vec::new(),
            connections: 0,
            to_device: 0,
            from_device: 0,
        });
        let (send, commands) = mpsc::unbounded_channel();
        self.attendants.borrow_mut().insert(slot.clone(), send);
        let (gone, is_gone) = oneshot::channel();
        let before = leaving.insert(slot.clone(), is_gone);
        let attendant = Attendant::new(Rc::clone(&self.common), slot.clone(), epoch, commands, before);
        let task = tasks.spawn_local(async move {
            // Dropped last, however the attendant ends.
            let _gone: oneshot::Sender<()> = gone;
            attendant.attend().await;
        });
        attached.insert(slot, (info, task));
    }

    fn detach(
        &self,
        slot: &SlotPath,
        attached: &mut BTreeMap<SlotPath, (BoardInfo, AbortHandle)>,
        epochs: &mut BTreeMap<SlotPath, Epoch>,
    ) {
        if let Some((_, task)) = attached.remove(slot) {
            task.abort();
        }
        self.attendants.borrow_mut().remove(slot);
        if let Some(board) = self.common.shared.board(slot) {
            epochs.insert(slot.clone(), board.epoch);
            self.common.shared.remove(slot);
        }
    }

    /// Tells every attendant which addresses stand for its board now.
    fn address(&mut self, attached: &BTreeMap<SlotPath, (BoardInfo, AbortHandle)>) {
        let boards: Vec<_> = attached.values().map(|(info, _)| info.clone()).collect();
        let table = (self.addresses)(&boards);
        for (slot, attendant) in self.attendants.borrow().iter() {
            let own = table.of(slot);
            // With one board attached .2 reaches it, whatever its slot has.
            let is_only = table.reach(Address::FIRST) == Some(slot) && own != Some(Address::FIRST);
            let also = is_only.then_some(Address::FIRST);
            // An attendant that has ended is about to be removed.
            let _ = attendant.send(Command::Address { own, also });
        }
    }
}
