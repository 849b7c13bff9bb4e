//! The USB socket of a simulated board: who has claimed which channel, and what crosses it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use lineside_link::{Clock, LineSettings, Port, Wire as _};
use lineside_terms::SlotPath;

use super::{Answer, Level, Nets, Setup};
use crate::World;
use crate::board::{BoardCell, BoardState};
use crate::lane::NearWire;

/// Bytes that are carried at once between the interface chip and the other.
const PIECE: usize = 512;

/// The board was unplugged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// Why a channel cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimError {
    /// No board is there.
    Gone,
    /// Somebody has it.
    Busy,
    /// The chip has four.
    NoSuchChannel,
}

/// A USB socket of the world, with a board in it or without.
#[derive(Debug, Clone)]
pub struct UsbPort {
    cell: Arc<BoardCell>,
    clock: Clock,
}

impl UsbPort {
    pub(crate) fn new(world: &World, cell: &Arc<BoardCell>) -> Self {
        Self {
            cell: Arc::clone(cell),
            clock: world.clock().clone(),
        }
    }

    /// The slot.
    pub fn slot(&self) -> &SlotPath {
        &self.cell.slot
    }

    /// The serial number of the interface board that is there.
    pub fn serial(&self) -> Option<String> {
        let state = self.cell.state();
        state.is_plugged.then(|| state.serial.clone())
    }

    /// True while somebody has claimed a channel (from 0).
    pub fn is_claimed(&self, channel: usize) -> bool {
        let state = self.cell.state();
        state.claims.get(channel).is_some_and(|claim| *claim)
    }

    /// Looks at the interface chip.
    pub fn with_chip<R>(&self, look: impl FnOnce(&super::InterfaceChip) -> R) -> R {
        look(&self.cell.state().interface)
    }

    /// Claims a channel (from 0) until the returned value is dropped.
    ///
    /// # Errors
    /// When nothing is there, or somebody has it.
    pub fn claim(&self, channel: usize) -> Result<Claimed, ClaimError> {
        let mut state = self.cell.state();
        if !state.is_plugged {
            return Err(ClaimError::Gone);
        }
        let claim = state.claims.get_mut(channel).ok_or(ClaimError::NoSuchChannel)?;
        if std::mem::replace(claim, true) {
            return Err(ClaimError::Busy);
        }
        let port = match channel {
            2 => Some(Port::Service),
            3 => Some(Port::Recovery),
            _ => None,
        };
        let wire = match port.map(|port| state.open(port)) {
            None => None,
            Some(Ok(wire)) => Some(wire),
            // Somebody reaches the board by the simulated bench's own way.
            Some(Err(_)) => {
                state.claims[channel] = false;
                return Err(ClaimError::Busy);
            }
        };
        let attachment = state.attachment;
        drop(state);
        Ok(Claimed {
            port: self.clone(),
            channel,
            attachment,
            wire,
        })
    }
}

/// A claimed channel, and the requests and transfers that may be sent to the board by whoever has it.
#[derive(Debug)]
pub struct Claimed {
    port: UsbPort,
    channel: usize,
    attachment: u64,
    /// The channel's end of the wire to the other chip.
    wire: Option<NearWire>,
}

impl Claimed {
    /// A vendor request on the control endpoint.
    ///
    /// # Errors
    /// When the board is gone.
    pub fn control(&mut self, setup: Setup) -> Result<Answer, Gone> {
        self.act(|state| state.interface.control(setup))
    }

    /// A bulk OUT transfer to this channel. Returns how many bytes were taken.
    ///
    /// # Errors
    /// When the board is gone.
    pub fn bulk_out(&mut self, bytes: &[u8]) -> Result<usize, Gone> {
        let endpoint = 0x02 + 2 * self.channel as u8;
        self.act(|state| state.interface.bulk_out(endpoint, bytes).unwrap_or(0))
    }

    /// A bulk IN transfer from this channel. Nothing while nothing has come.
    ///
    /// # Errors
    /// When the board is gone.
    pub fn bulk_in(&mut self) -> Result<Option<Vec<u8>>, Gone> {
        let endpoint = 0x81 + 2 * self.channel as u8;
        self.act(|state| state.interface.bulk_in(endpoint))
    }

    /// Does something to the chip, and lets the board see what follows from it.
    fn act<R>(&mut self, act: impl FnOnce(&mut BoardState) -> R) -> Result<R, Gone> {
        let cell = Arc::clone(&self.port.cell);
        let mut state = cell.state();
        if !state.is_plugged || state.attachment != self.attachment {
            return Err(Gone);
        }
        let before = state.interface.nets();
        self.carry(&mut state);
        let result = act(&mut state);
        self.carry(&mut state);
        let nets = state.interface.nets();
        self.follow(&mut state, before, nets);
        state.wake();
        Ok(result)
    }

    /// Carries bytes between the channel and the wire, as far as both can.
    fn carry(&mut self, state: &mut BoardState) {
        let Some(wire) = &mut self.wire else {
            // Nothing answers there.
            state.interface.channel_mut(self.channel).unsent().clear();
            return;
        };
        let mut cx = Context::from_waker(Waker::noop());
        let channel = state.interface.channel_mut(self.channel);
        if let Some((baud, rts_cts)) = channel.uart() {
            // A wire in memory can have any settings.
            let _ = wire.configure(LineSettings { baud, rts_cts });
        }
        while !channel.unsent().is_empty() {
            let (front, _) = channel.unsent().as_slices();
            let Poll::Ready(Ok(count)) = wire.poll_write(&mut cx, front) else {
                break;
            };
            channel.unsent().drain(..count);
        }
        let mut piece = [0; PIECE];
        loop {
            let room = channel.room().min(PIECE);
            if room == 0 {
                break;
            }
            let Poll::Ready(Ok(count)) = wire.poll_read(&mut cx, &mut piece[..room]) else {
                break;
            };
            channel.take(&piece[..count]);
        }
    }

    /// The strap first: it is sampled when reset is let go of.
    fn follow(&self, state: &mut BoardState, before: Nets, nets: Nets) {
        if nets == before {
            return;
        }
        state.chip.set_strap(nets.strap == Level::High);
        if nets.reset != before.reset {
            state
                .chip
                .set_reset(self.port.clock.now(), nets.reset == Level::Low);
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut state = self.port.cell.state();
        if state.attachment == self.attachment {
            state.claims[self.channel] = false;
        }
        state.wake();
    }
}
