//! The interface chip of a board, an FT4232H (`chip-to-pc-and-recovery.md` 1): one model of its channels over two
//! transports.
//!
//! ```text
//! FtdiBoard ── wires ──┐                ┌─ usb   vendor requests and bulk transfers (Linux)
//!           ── lines ──┴─ Transport ────┤
//!                                       └─ d2xx  FTDI's own driver, loaded at run time (Windows)
//! ```
//!
//! [`Transport`] is what one channel can be asked. What is above it (which channel is what, settings, the order in
//! which strap and reset are driven) is the same on every system, and both transports are tested on each against a
//! model of the chip, one below the USB library and the other below the driver's functions.

mod assume;
mod board;
mod channel;
pub mod d2xx;
pub(crate) mod driver;
mod eeprom;
mod lines;
mod pump;
mod requests;
mod status;
mod transport;
pub mod usb;

pub use board::FtdiBoard;
pub use channel::Channel;
pub use eeprom::{Eeprom, Finding};
pub use lines::{Asserted, Step, Wiring, steps};
pub use requests::{FASTEST, Request, SLOWEST};
pub use status::{PACKET, Stripped, strip};
pub use transport::{BitMode, Chip, LATENCY_MS, ModemStatus, Transport};

/// What really identifies an interface board (`chip-to-pc-and-recovery.md` 1.1).
pub const PRODUCT_STRING: &str = "MSFT MT3620 Std Interface";

/// FTDI's own ids: thousands of other devices have them too (`chip-to-pc-and-recovery.md` 1.1).
pub const USB_IDS: (u16, u16) = (0x0403, 0x6011);
