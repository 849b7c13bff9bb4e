//! One wire of a board: bytes both ways.

use std::future::poll_fn;
use std::task::{Context, Poll};

use crate::LinkError;

/// Speed and flow control of a wire. Frames are always eight data bits, no parity, one stop bit
/// (`chip-to-pc-and-recovery.md` 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSettings {
    /// Bits per second.
    pub baud: u32,
    /// True for RTS/CTS flow control.
    pub rts_cts: bool,
}

impl LineSettings {
    /// The service UART: SLIP (`chip-to-pc-and-recovery.md` 1.3).
    pub const SERVICE: Self = Self {
        baud: 921_600,
        rts_cts: true,
    };
    /// Boot messages and the first stage of recovery.
    pub const CONSOLE: Self = Self {
        baud: 115_200,
        rts_cts: false,
    };
}

/// What a wire noticed about itself. A rising number is a bad cable or a slow host, never a bad device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireHealth {
    /// Bytes lost because nobody fetched them in time.
    pub overruns: u64,
}

/// A wire that was opened by [`crate::Board::open`]. Reading and writing go on independently of each other; both
/// report the departure of the board as [`LinkError::Departed`] and stay that way.
pub trait Wire {
    /// Reads what is there, at least one byte, into `into` (which is not empty).
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>>;

    /// Takes some of `from`, at least one byte, to be sent in order.
    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>>;

    /// Changes the settings after everything taken before has left.
    ///
    /// # Errors
    /// When the wire cannot have these settings or is gone.
    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError>;

    /// Delivers what was received at this byte at once instead of waiting for more (FTDI event character).
    /// Wires without such a thing ignore it.
    fn set_packet_boundary(&mut self, _byte: Option<u8>) {}

    /// What the wire noticed about itself so far.
    fn health(&self) -> WireHealth {
        WireHealth::default()
    }
}

/// Reads what is there, at least one byte.
///
/// # Errors
/// As [`Wire::poll_read`].
pub async fn read_some(wire: &mut dyn Wire, into: &mut [u8]) -> Result<usize, LinkError> {
    poll_fn(|cx| wire.poll_read(cx, into)).await
}

/// Hands over all of `bytes`.
///
/// # Errors
/// As [`Wire::poll_write`].
pub async fn write_all(wire: &mut dyn Wire, mut bytes: &[u8]) -> Result<(), LinkError> {
    while !bytes.is_empty() {
        let taken = poll_fn(|cx| wire.poll_write(cx, bytes)).await?;
        bytes = &bytes[taken..];
    }
    Ok(())
}
