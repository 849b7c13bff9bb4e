//! A board all of whose channels are spoken to through one transport.

use std::fmt;

use lineside_terms::SlotPath;

use super::driver::{Channels, Lines};
use super::pump::{Open, Pump, WireWatch};
use super::{Channel, Chip, Transport};
use crate::{Board, Line, LineSettings, LinkError, Port, Wire};

/// A leased board whose chip is ours alone: wires over channels A, C and D, lines by bit-bang
/// (`chip-to-pc-and-recovery.md` 1.2, 1.4). Dropping it lets go of all lines and closes all channels.
///
/// [`Board::set_line`] waits for the chip, some milliseconds: a line that is driven later than told would be held for
/// less than it must be.
pub struct FtdiBoard {
    slot: SlotPath,
    channels: Channels,
    lines: Lines,
    pump: Pump,
    wires: [WireWatch; 4],
}

impl fmt::Debug for FtdiBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FtdiBoard")
            .field("slot", &self.slot)
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

impl FtdiBoard {
    /// The board in a slot. Its service channel is open already: having it is the lease.
    pub fn new(slot: SlotPath, chip: Box<dyn Chip>, service: Box<dyn Transport>) -> Self {
        Self::on(&Pump::new(), slot, chip, service)
    }

    /// As [`FtdiBoard::new`], with bytes moved by a thread that serves other boards too.
    pub(super) fn on(pump: &Pump, slot: SlotPath, chip: Box<dyn Chip>, service: Box<dyn Transport>) -> Self {
        let mut channels = Channels::new(chip);
        channels.keep(Channel::C, Open::new(service));
        Self {
            slot,
            channels,
            lines: Lines::default(),
            pump: pump.clone(),
            wires: Default::default(),
        }
    }
}

impl Board for FtdiBoard {
    fn slot(&self) -> &SlotPath {
        &self.slot
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        let channel = Channel::from(port);
        if self.wires[channel as usize].is_open() {
            return Err(LinkError::PortOpen);
        }
        let settings = match port {
            Port::Service => LineSettings::SERVICE,
            Port::Recovery | Port::Debug => LineSettings::CONSOLE,
        };
        let open = self.channels.get(channel)?;
        let wire = self.pump.wire(open, settings)?;
        self.wires[channel as usize] = wire.watch();
        Ok(Box::new(wire))
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        self.lines.set(&mut self.channels, line, asserted)
    }
}

impl Drop for FtdiBoard {
    fn drop(&mut self) {
        self.lines.release(&mut self.channels);
    }
}
