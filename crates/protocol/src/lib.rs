//! What goes over the wires, without I/O or clock: SLIP framing, the device's REST interface, and recovery.
//!
//! * [`slip`] frames IPv4 packets on the service UART.
//! * [`rest`] holds the one table of the device's 42 operations, the bodies that they carry, the error codes that
//!   they answer with and the versions of all this. Client, simulator, plan checker and help read the same table.
//! * [`recovery`] holds the messages by which a chip takes a new OS, [`xmodem`] the way in which files follow them.
//! * [`assume`] holds what the public sources do not tell about the link; [`rest::assume`] the same for REST,
//!   [`recovery::assume`] for recovery.
//!
//! This crate sends nothing, decides nothing and keeps no time: it only knows what bytes mean. HTTP itself is read
//! and written by the two ends, each in its own way, so that they cannot share a mistake.

#![forbid(unsafe_code)]

pub mod assume;
mod crc;
pub mod recovery;
pub mod rest;
pub mod slip;
pub mod xmodem;

pub use crc::crc16;
