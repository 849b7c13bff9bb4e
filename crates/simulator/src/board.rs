//! One board: an interface board in a slot, with a chip on it, and what crosses its wires.

use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Waker};

use lineside_link::{BoardInfo, LineSettings, LinkError, Port};
use lineside_terms::{Instant, SlotPath};

use crate::chip::{Chip, ChipEvent};
use crate::firmware::WritesExpected;
use crate::ftdi::InterfaceChip;
use crate::lane::{Lane, Lateness, NearWire};
use crate::pace::WirePace;
use crate::usb::UsbTimes;

/// A board of the world. Cheap to lock: nothing waits under the lock.
pub(crate) struct BoardCell {
    /// Its number in the world.
    pub(crate) index: usize,
    pub(crate) slot: SlotPath,
    state: Mutex<BoardState>,
}

impl std::fmt::Debug for BoardCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoardCell")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

/// What changes about a board.
#[derive(Debug)]
pub(crate) struct BoardState {
    pub(crate) chip: Chip,
    /// Serial number of the interface board: it moves with the chip.
    pub(crate) serial: String,
    /// The chip between USB and the other one, for who comes that way.
    pub(crate) interface: InterfaceChip,
    /// Which of its channels somebody has claimed.
    pub(crate) claims: [bool; 4],
    pub(crate) is_plugged: bool,
    pub(crate) attachment: u64,
    pub(crate) lease: Option<Lease>,
    leases_given: u64,
    pub(crate) writes_expected: WritesExpected,
    service: Lane,
    console: Lane,
    /// The board whose chip this slot's recovery cable goes to: as a rule its own. None when it hangs loose.
    pub(crate) cable: Option<usize>,
    pub(crate) replug_at: Option<Instant>,
    /// The host has closed the service wire; what it said last is still to be heard.
    is_abandoned: bool,
    /// Wakes the task that drives this board.
    waker: Option<Waker>,
    pub(crate) lateness: Lateness,
}

/// Who has the board.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub(crate) number: u64,
    pub(crate) holder: String,
}

impl BoardCell {
    pub(crate) fn new(
        index: usize,
        slot: SlotPath,
        serial: String,
        chip: Chip,
        (pace, usb): (WirePace, Option<UsbTimes>),
    ) -> Self {
        let state = BoardState {
            chip,
            interface: InterfaceChip::new(&serial),
            claims: [false; 4],
            serial,
            is_plugged: false,
            attachment: 0,
            lease: None,
            leases_given: 0,
            writes_expected: WritesExpected::Anywhere,
            service: Lane::new(LineSettings::SERVICE, pace, usb),
            console: Lane::new(LineSettings::CONSOLE, pace, usb),
            cable: Some(index),
            replug_at: None,
            is_abandoned: false,
            waker: None,
            lateness: Lateness::default(),
        };
        Self {
            index,
            slot,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, BoardState> {
        // A panic in one board's turn is a fault to be seen, not to be multiplied.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Where its recovery cable goes.
    pub(crate) fn cable(&self) -> Option<usize> {
        self.state().cable
    }

    pub(crate) fn info(&self, state: &BoardState) -> BoardInfo {
        BoardInfo {
            slot: self.slot.clone(),
            attachment: state.attachment,
            board_serial: Some(state.serial.clone()),
            leased_by: state.lease.as_ref().map(|lease| lease.holder.clone()),
            trouble: None,
            device: None,
        }
    }
}

/// What a turn of a board asks of its world.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) wake_at: Option<Instant>,
    pub(crate) events: Vec<ChipEvent>,
    pub(crate) is_replug_due: bool,
}

impl BoardState {
    /// Lets everything happen that can happen now.
    pub(crate) fn turn(&mut self, cx: &mut Context<'_>, now: Instant) -> Turn {
        self.waker = Some(cx.waker().clone());
        let mut events = Vec::new();
        let mut wake_at;
        loop {
            wake_at = self.chip.poll(now);
            if std::mem::take(&mut self.is_abandoned) && self.chip.is_connected() {
                self.chip.firmware_mut().counters_mut().kills_survived += 1;
            }
            let mut moved = self.pump(cx, now);
            while let Some(event) = self.chip.take_event() {
                moved = true;
                events.push(event);
            }
            if !moved || !events.is_empty() {
                break;
            }
        }
        let times = [
            wake_at,
            self.service.wake_at(),
            self.console.wake_at(),
            self.replug_at,
        ];
        let wake_at = times.into_iter().flatten().min();
        // Bytes that wait for a host which does not fetch them wake us by the wire, not by time.
        Turn {
            wake_at,
            events,
            is_replug_due: self.replug_at.is_some_and(|at| at <= now),
        }
    }

    fn pump(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Self {
            chip,
            service,
            console,
            lateness,
            is_abandoned,
            ..
        } = self;
        let was_open = service.has_wire();
        let mut moved = service.pump_inward(cx, now, lateness, |bytes| chip.receive(bytes));
        if service.has_wire() {
            moved |= service.pump_outward(cx, now, lateness, chip.output());
        } else {
            // A UART sends whether anybody listens or not; what nobody hears is gone.
            moved |= chip.discard_output();
        }
        *is_abandoned |= was_open && !service.has_wire();
        console.configure(chip.console_settings());
        moved |= console.pump_inward(cx, now, lateness, |bytes| chip.receive_console(bytes, now));
        if console.has_wire() {
            moved |= console.pump_outward(cx, now, lateness, chip.console());
        } else {
            chip.discard_console();
        }
        moved
    }

    /// Makes the driving task look again.
    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Gives the board to somebody.
    pub(crate) fn take(&mut self, holder: &str) -> u64 {
        self.leases_given += 1;
        self.lease = Some(Lease {
            number: self.leases_given,
            holder: holder.to_owned(),
        });
        self.leases_given
    }

    pub(crate) fn is_held_by(&self, number: u64) -> bool {
        self.is_plugged && self.lease.as_ref().is_some_and(|lease| lease.number == number)
    }

    /// Ends a lease; later ones are left alone.
    pub(crate) fn release(&mut self, number: u64) {
        if self.lease.as_ref().is_some_and(|lease| lease.number == number) {
            // What is still on the wires is heard; then their far ends find them closed.
            self.lease = None;
            self.wake();
        }
    }

    pub(crate) fn open(&mut self, port: Port) -> Result<NearWire, LinkError> {
        let lane = match port {
            Port::Service => &mut self.service,
            Port::Recovery => &mut self.console,
            Port::Debug => return Err(LinkError::Lacking { what: "debug port" }),
        };
        let had_wire = lane.has_wire();
        let wire = lane.open()?;
        self.is_abandoned |= port == Port::Service && had_wire;
        self.wake();
        Ok(wire)
    }

    /// Closes the recovery UART of this chip, whoever had it open.
    pub(crate) fn close_console(&mut self) {
        self.console.close();
        self.wake();
    }

    /// Cuts supply and wires.
    pub(crate) fn unplug(&mut self) {
        self.is_plugged = false;
        self.lease = None;
        self.service.close();
        self.console.close();
        self.chip.power_off();
        self.chip.set_strap(false);
        self.claims = [false; 4];
        self.wake();
    }

    pub(crate) fn plug(&mut self, now: Instant) {
        self.is_plugged = true;
        self.replug_at = None;
        self.attachment += 1;
        self.interface = InterfaceChip::new(&self.serial);
        self.chip.firmware_mut().expect_writes(self.writes_expected);
        self.chip.power_on(now);
        self.wake();
    }

    pub(crate) fn expect_writes(&mut self, expected: WritesExpected) {
        self.writes_expected = expected;
        self.chip.firmware_mut().expect_writes(expected);
    }
}
