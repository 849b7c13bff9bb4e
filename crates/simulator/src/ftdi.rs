//! The interface board as USB sees it: a model of its FT4232H and of the nets from its pins to the chip's
//! (`chip-to-pc-and-recovery.md` 1.1 to 1.4).
//!
//! ```text
//! requests, bytes ──► InterfaceChip ──► pins ──► Nets ──► reset and strap of the simulated chip
//!                        └ UART settings, bytes ◄──► service and recovery wire of the simulated board
//! ```
//!
//! It takes raw control requests, bulk transfers and bit-mode writes and knows nothing of who sends them or what they
//! are meant to do: settings, strap and reset are what follows from them. Whoever drives the wrong channel, mask or
//! level does not get what was wanted.

mod channel;
mod chip;
mod lines;
mod netlist;
mod port;

pub use chip::{Answer, InterfaceChip, Setup};
pub use lines::{UsbLines, serve};
pub use netlist::{Level, Nets};
pub use port::{ClaimError, Claimed, Gone, UsbPort};
