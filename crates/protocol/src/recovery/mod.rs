//! The wire protocol by which a chip in recovery takes a new OS (`chip-to-pc-and-recovery.md` 5): the device asks, the
//! PC answers.
//!
//! * [`frame`] puts messages on the wire and finds them there: COBS, length, checksum.
//! * [`FromDevice`] and [`FromHost`] are the messages.
//! * [`ErrorCode`] names what a device reports when it gives up.
//! * [`host`] is the PC's end as a machine, [`device`] the device's.
//! * [`assume`] holds what no public source tells.
//!
//! Files travel by [XMODEM](crate::xmodem) after the message that announces them.

pub mod assume;
pub mod device;
mod error_code;
pub mod frame;
pub mod host;
mod message;

pub use error_code::ErrorCode;
pub use message::{Event, FromDevice, FromHost, MessageError, Refusal};

/// The version of the protocol that devices announce.
pub const VERSION: u32 = 1;

/// The file that the bootloader runs to do the rest of the recovery.
pub const RUNTIME: &str = "recovery-runtime.bin";

/// The file that lists the images.
pub const MANIFEST: &str = "recovery.imagemanifest";

/// What the ROM says when it takes the file that it was sent, without the line end.
pub const GOOD: &str = "+GOOD";

/// What the ROM says behind that, the same on every chip (`chip-to-pc-and-recovery.md` 5.1).
pub const CHIP: &str = "0000362000008A01020A00008FC8C833";

/// What the ROM says first, without the line end.
pub const BANNER: &str = "RECOVERY";
