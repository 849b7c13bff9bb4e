//! A leased board: its wires and its lines.

use lineside_terms::SlotPath;

use crate::assume::{RESET_HOLD, STRAP_HOLD};
use crate::{Clock, LinkError, Wire};

/// Which UART of a board (`chip-to-pc-and-recovery.md` 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// SLIP and with it the device's REST interface (FTDI channel C).
    Service,
    /// Recovery and boot messages (FTDI channel D).
    Recovery,
    /// Vendor diagnostics (FTDI channel A).
    Debug,
}

/// A line that the board's interface chip drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Line {
    /// `SYSRST_N`. Asserted means held in reset.
    Reset,
    /// The strap that is sampled when reset is released. Asserted means recovery.
    RecoveryStrap,
}

/// A board that this process has leased: nobody else reaches it until this value is dropped or its process ends.
pub trait Board {
    /// The socket that the board sits in.
    fn slot(&self) -> &SlotPath;

    /// Opens one UART. At most one wire per port is open at a time; dropping the wire closes it.
    ///
    /// # Errors
    /// When the port is open already, cannot be opened, or the board is gone.
    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError>;

    /// Drives a line, in order with what is sent on the wires.
    ///
    /// # Errors
    /// When the board is gone or has no such line.
    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError>;
}

/// Resets the chip by its reset line with the strap low: an ordinary boot. What was under way on the chip is gone.
/// The line is held for 20 ms, assumption A-01 (`chip-to-pc-and-recovery.md` 1.4).
///
/// # Errors
/// When a line cannot be driven.
pub async fn reset(board: &mut dyn Board, clock: &Clock) -> Result<(), LinkError> {
    board.set_line(Line::RecoveryStrap, false)?;
    board.set_line(Line::Reset, true)?;
    clock.sleep(RESET_HOLD).await;
    board.set_line(Line::Reset, false)
}

/// Resets the chip with the strap high: its ROM comes up and waits for a file (`chip-to-pc-and-recovery.md` 1.4). What was
/// under way on the chip is gone; nothing is erased by it. Times are assumption A-01.
///
/// # Errors
/// When a line cannot be driven.
pub async fn enter_recovery(board: &mut dyn Board, clock: &Clock) -> Result<(), LinkError> {
    board.set_line(Line::RecoveryStrap, true)?;
    board.set_line(Line::Reset, true)?;
    clock.sleep(RESET_HOLD).await;
    board.set_line(Line::Reset, false)?;
    clock.sleep(STRAP_HOLD).await;
    board.set_line(Line::RecoveryStrap, false)
}
