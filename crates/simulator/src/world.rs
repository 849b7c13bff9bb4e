//! A world: boards in their slots, the air around them, and the hands that plug and unplug.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedSender;
use futures::stream::FuturesUnordered;
use lineside_image::{Signer, TrustList};
use lineside_link::{BenchEvent, Clock, Sleep};
use lineside_terms::{DeviceId, ManufacturingState, SlotPath};

use crate::air::{AccessPoint, Air};
use crate::authority::Authority;
use crate::bench::BenchHandle;
use crate::board::{BoardCell, Turn};
use crate::chip::{Chip, ChipConfig, ChipEvent};
use crate::faults::{Fault, FaultScript};
use crate::firmware::{FirmwareConfig, WritesExpected, device_id};
use crate::ftdi::UsbPort;
use crate::lane::Lateness;
use crate::pace::{DeviceTimes, Pace, WirePace};
use crate::seed::Seed;
use crate::supplies::Supplies;
use crate::trust::Trust;
use crate::usb::UsbTimes;
use crate::{Assumptions, OsProfile, SimulatorError};

/// Ports of each simulated USB hub.
const HUB_PORTS: usize = 7;

/// USB buses of the simulated PC: more would not be written with one digit.
const BUSES: usize = 9;

/// How often one board goes on in one turn before others have theirs.
const TURNS: usize = 32;

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct WorldConfig {
    /// How many boards, each in its slot.
    pub boards: usize,
    /// The same number gives the same devices, keys and certificates.
    pub seed: u64,
    /// Which times are kept.
    pub pace: Pace,
    /// The pace of the wires, when it is not that of `pace`.
    pub wire: Option<WirePace>,
    /// How long USB and the interface chips keep bytes; none for not at all. It needs a paced wire to be felt.
    pub usb: Option<UsbTimes>,
    /// The times of the devices, when they are not those of `pace`.
    pub times: Option<DeviceTimes>,
    /// How far the devices have come.
    pub state: ManufacturingState,
    /// The OS that they run.
    pub os_profile: OsProfile,
    /// appDevelopment in force and the debugger installed, nothing else.
    pub development: bool,
    /// Answers to what no source tells.
    pub assumptions: Assumptions,
    /// What goes wrong.
    pub faults: FaultScript,
    /// Access points in reach.
    pub air: Vec<AccessPoint>,
}

impl Default for WorldConfig {
    /// Eight bought modules with the newest OS, the test access point, no faults, at the fast pace.
    fn default() -> Self {
        Self {
            boards: 8,
            seed: 1,
            pace: Pace::Fast,
            wire: None,
            usb: None,
            times: None,
            state: ManufacturingState::Module1Complete,
            os_profile: OsProfile::default(),
            development: false,
            assumptions: Assumptions::default(),
            faults: FaultScript::default(),
            air: vec![AccessPoint::test()],
        }
    }
}

/// A simulated world. Clones are handles to the same world and may be used from any thread.
#[derive(Debug, Clone)]
pub struct World {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    cells: Vec<Arc<BoardCell>>,
    air: Air,
    authority: Authority,
    supplies: Supplies,
    /// Held while boards come and go, so that every watcher sees all changes in order.
    watchers: Mutex<Vec<UnboundedSender<BenchEvent>>>,
}

impl World {
    /// Makes the world and plugs all boards in: they boot from now on by this clock, as soon as [`World::run`] is
    /// polled.
    ///
    /// # Errors
    /// A configuration that cannot be: no such board in a fault, more boards than slots, a certificate that cannot be
    /// made.
    pub fn new(config: WorldConfig, clock: Clock) -> Result<Self, SimulatorError> {
        config.faults.check(config.boards)?;
        let seed = Seed::new(config.seed);
        let authority = Authority::new(&seed, config.assumptions.tls)?;
        let supplies = Supplies::new(&seed)?;
        let air = Air::new(config.air);
        let chip_seed = |index: usize| seed.branch(&format!("chips/{index}"));
        let neighbours: Arc<[DeviceId]> = (0..config.boards)
            .map(|index| device_id(&chip_seed(index)))
            .collect();
        let assumptions = Arc::new(config.assumptions);
        let trust = Arc::new(Trust::new(supplies.trust_list().clone()));
        let wire = config.wire.unwrap_or(config.pace.wire());
        let mut cells = Vec::new();
        for index in 0..config.boards {
            let firmware = FirmwareConfig {
                seed: chip_seed(index),
                os: config.os_profile,
                state: config.state,
                development: config.development,
                times: config.times.unwrap_or(config.pace.device_times()),
                assumptions: Arc::clone(&assumptions),
                trust: Arc::clone(&trust),
                air: air.clone(),
            };
            let neighbours = Arc::clone(&neighbours);
            let mut chip = Chip::new(ChipConfig {
                firmware,
                authority: authority.clone(),
                neighbours,
            });
            for fault in config
                .faults
                .faults
                .iter()
                .filter(|fault| fault.board.is_none_or(|board| board == index))
            {
                chip.add_fault(fault);
            }
            let serial = format!(
                "AS{:06}",
                chip_seed(index).branch("serial").draws().number() % 1_000_000
            );
            cells.push(Arc::new(BoardCell::new(
                index,
                slot(index, config.boards)?,
                serial,
                chip,
                (wire, config.usb),
            )));
        }
        let world = Self {
            inner: Arc::new(Inner {
                clock,
                cells,
                air,
                authority,
                supplies,
                watchers: Mutex::default(),
            }),
        };
        for index in 0..config.boards {
            world.plug(index)?;
        }
        Ok(world)
    }

    /// Lives: everything that the boards do happens while this is polled. It never ends; dropping it stops the world.
    ///
    /// It may be polled on a thread of its own while the bench is used on another.
    pub fn run(&self) -> impl Future<Output = Infallible> + Send + 'static {
        let mut boards: FuturesUnordered<_> = self
            .inner
            .cells
            .iter()
            .map(|cell| drive(self.clone(), Arc::clone(cell)))
            .collect();
        async move {
            loop {
                if boards.next().await.is_none() {
                    // A world without boards.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// What a station sees of this world.
    pub fn bench(&self) -> BenchHandle {
        BenchHandle::new(self.clone())
    }

    /// The clock that this world goes by.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The radio around the boards.
    pub fn air(&self) -> &Air {
        &self.inner.air
    }

    /// Keys and lists for plans.
    pub fn supplies(&self) -> &Supplies {
        &self.inner.supplies
    }

    /// Signs production software that these devices accept.
    pub fn signing_key(&self) -> &Signer {
        self.inner.supplies.signing_key()
    }

    /// Whom these devices trust.
    pub fn trust_list(&self) -> &TrustList {
        self.inner.supplies.trust_list()
    }

    /// The OS list that fits these devices, as `mt3620an.json`.
    pub fn os_list(&self) -> String {
        crate::os::list_json()
    }

    /// The CA certificate that clients must pin, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.inner.authority.ca_pem()
    }

    /// How many boards there are, plugged or not.
    pub fn board_count(&self) -> usize {
        self.inner.cells.len()
    }

    /// The slot of a board.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn slot(&self, board: usize) -> Result<&SlotPath, SimulatorError> {
        Ok(&self.cell(board)?.slot)
    }

    /// Looks at the chip that sits in a slot now.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn with_chip<R>(&self, board: usize, look: impl FnOnce(&Chip) -> R) -> Result<R, SimulatorError> {
        Ok(look(&self.cell(board)?.state().chip))
    }

    /// The USB socket of a board, for who drives interface chips itself.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn usb_port(&self, board: usize) -> Result<UsbPort, SimulatorError> {
        Ok(UsbPort::new(self, self.cell(board)?))
    }

    /// Pulls a board's plug: supply and wires go, whoever had leased it has lost it. No effect when it is out.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn unplug(&self, board: usize) -> Result<(), SimulatorError> {
        let cell = self.cell(board)?;
        let mut watchers = self.watchers();
        let mut state = cell.state();
        if state.is_plugged {
            state.unplug();
            tell(&mut watchers, &BenchEvent::Detached(cell.slot.clone()));
        }
        Ok(())
    }

    /// Puts a board back: it boots. No effect when it is in.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn plug(&self, board: usize) -> Result<(), SimulatorError> {
        let cell = self.cell(board)?;
        let mut watchers = self.watchers();
        let mut state = cell.state();
        if !state.is_plugged {
            state.plug(self.inner.clock.now());
            tell(&mut watchers, &BenchEvent::Attached(cell.info(&state)));
        }
        Ok(())
    }

    /// Swaps two boards: both are unplugged, change slots and are plugged in again.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn swap(&self, board: usize, with: usize) -> Result<(), SimulatorError> {
        let (first, second) = (self.cell(board.min(with))?, self.cell(board.max(with))?);
        if board == with {
            return Ok(());
        }
        self.unplug(board)?;
        self.unplug(with)?;
        {
            // The lower one first, always, so that two swaps never wait for each other.
            let (mut one, mut other) = (first.state(), second.state());
            std::mem::swap(&mut one.chip, &mut other.chip);
            std::mem::swap(&mut one.serial, &mut other.serial);
        }
        self.plug(board)?;
        self.plug(with)
    }

    /// Plugs the recovery cables of two slots each into the other's chip: reset, strap and recovery UART. Whoever had
    /// such a UART open finds it closed.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn cross_cables(&self, board: usize, with: usize) -> Result<(), SimulatorError> {
        let (one, other) = (self.cell(board)?.cable(), self.cell(with)?.cable());
        self.lay_cable(board, other)?;
        self.lay_cable(with, one)
    }

    /// Pulls the recovery cable of a slot off its chip.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn loosen_cable(&self, board: usize) -> Result<(), SimulatorError> {
        self.lay_cable(board, None)
    }

    fn lay_cable(&self, board: usize, to: Option<usize>) -> Result<(), SimulatorError> {
        let cell = self.cell(board)?;
        let former = std::mem::replace(&mut cell.state().cable, to);
        for reached in [former, to].into_iter().flatten() {
            self.cell(reached)?.state().close_console();
        }
        Ok(())
    }

    /// Resets a chip, as its reset line does.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn reset(&self, board: usize) -> Result<(), SimulatorError> {
        let mut state = self.cell(board)?.state();
        if state.is_plugged {
            let now = self.inner.clock.now();
            state.chip.set_reset(now, true);
            state.chip.set_reset(now, false);
            state.wake();
        }
        Ok(())
    }

    /// Adds a fault; its counts begin now.
    ///
    /// # Errors
    /// When it names a board or an operation that does not exist.
    pub fn add_fault(&self, fault: &Fault) -> Result<(), SimulatorError> {
        fault.check(self.board_count())?;
        for cell in &self.inner.cells {
            if fault.board.is_none_or(|board| board == cell.index) {
                let mut state = cell.state();
                state.chip.add_fault(fault);
                state.wake();
            }
        }
        Ok(())
    }

    /// Says who may be written to in a slot: other writes are counted as hitting a wrong target.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn expect_writes(&self, board: usize, expected: WritesExpected) -> Result<(), SimulatorError> {
        self.cell(board)?.state().expect_writes(expected);
        Ok(())
    }

    /// Replaces the access points in reach.
    pub fn set_access_points(&self, points: Vec<AccessPoint>) {
        self.inner.air.set(points);
        for cell in &self.inner.cells {
            let mut state = cell.state();
            let now = self.inner.clock.now();
            state.chip.firmware_mut().tick(now);
            state.wake();
        }
    }

    /// How late the simulator itself was with paced bytes, all boards together.
    pub fn lateness(&self) -> Lateness {
        let mut all = Lateness::default();
        for cell in &self.inner.cells {
            all.add(cell.state().lateness);
        }
        all
    }

    pub(crate) fn cell(&self, board: usize) -> Result<&Arc<BoardCell>, SimulatorError> {
        let boards = self.inner.cells.len();
        self.inner
            .cells
            .get(board)
            .ok_or(SimulatorError::NoSuchBoard { board, boards })
    }

    pub(crate) fn cells(&self) -> &[Arc<BoardCell>] {
        &self.inner.cells
    }

    pub(crate) fn watchers(&self) -> MutexGuard<'_, Vec<UnboundedSender<BenchEvent>>> {
        self.inner
            .watchers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn happen(&self, board: usize, event: ChipEvent) {
        let result = match event {
            ChipEvent::Unplug { replug_after } => self.unplug(board).and_then(|()| {
                let now = self.inner.clock.now();
                let mut state = self.cell(board)?.state();
                state.replug_at = replug_after.map(|after| now + after);
                Ok(())
            }),
            ChipEvent::Swap { with } => self.swap(board, with),
            ChipEvent::CrossCables { with } => self.cross_cables(board, with),
            ChipEvent::LooseCable => self.loosen_cable(board),
        };
        if let Err(error) = result {
            // Faults are checked when they are added.
            tracing::error!(%error, board, "a fault of a simulated board cannot happen");
        }
    }
}

fn tell(watchers: &mut Vec<UnboundedSender<BenchEvent>>, event: &BenchEvent) {
    watchers.retain(|watcher| watcher.unbounded_send(event.clone()).is_ok());
}

/// Lets one board live.
async fn drive(world: World, cell: Arc<BoardCell>) -> Infallible {
    let mut sleep: Option<Pin<Box<Sleep>>> = None;
    poll_fn(move |cx| {
        for _ in 0..TURNS {
            if take_turn(&world, &cell, cx, &mut sleep).is_pending() {
                return Poll::Pending;
            }
        }
        // Others have their turn first.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

fn take_turn(
    world: &World,
    cell: &BoardCell,
    cx: &mut Context<'_>,
    sleep: &mut Option<Pin<Box<Sleep>>>,
) -> Poll<()> {
    let clock = world.clock();
    let Turn {
        wake_at,
        events,
        is_replug_due,
    } = cell.state().turn(cx, clock.now());
    if !events.is_empty() {
        events
            .into_iter()
            .for_each(|event| world.happen(cell.index, event));
        return Poll::Ready(());
    }
    if is_replug_due {
        // The number came from the world itself.
        let _ = world.plug(cell.index);
        return Poll::Ready(());
    }
    let Some(wake_at) = wake_at else {
        *sleep = None;
        return Poll::Pending;
    };
    sleep
        .insert(Box::pin(clock.sleep_until(wake_at)))
        .as_mut()
        .poll(cx)
}

/// Where a board sits: bus, hub ports, and the channel of the service UART (assumption A-02 in
/// `chip-to-pc-and-recovery.md` 1.5).
fn slot(index: usize, boards: usize) -> Result<SlotPath, SimulatorError> {
    let two_hubs = BUSES * HUB_PORTS * HUB_PORTS;
    let levels = if boards <= two_hubs { 2 } else { 3 };
    let mut rest = index;
    let mut digits = Vec::new();
    for _ in 0..levels {
        digits.push(rest % HUB_PORTS + 1);
        rest /= HUB_PORTS;
    }
    if rest >= BUSES {
        return Err(SimulatorError::BadConfig {
            reason: format!("{boards} boards do not fit into {} slots", two_hubs * HUB_PORTS),
        });
    }
    digits.push(rest + 1);
    let text: String = digits
        .iter()
        .rev()
        .map(ToString::to_string)
        .chain(["3".to_owned()])
        .collect();
    SlotPath::new(text).map_err(|error| SimulatorError::BadConfig {
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_crosses_threads() {
        fn crosses<T: Send + Sync>() {}
        crosses::<World>();
        crosses::<BenchHandle>();
    }

    #[test]
    fn slots_look_like_connection_paths_and_are_all_different() {
        let slots: Vec<String> = (0..1000)
            .map(|index| slot(index, 1000).unwrap().to_string())
            .collect();
        let mut sorted = slots.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted, slots);
        assert_eq!(slot(0, 8).unwrap().to_string(), "1113");
        assert_eq!(slot(7, 8).unwrap().to_string(), "1213");
        assert!(slot(3087, 3088).is_err());
    }
}
