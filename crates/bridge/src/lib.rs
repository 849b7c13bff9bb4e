//! The bridge: one process owns the boards of a bench and lets any program on the PC reach every device.
//!
//! * A `Relay` carries one connection of a foreign program to one port of one device, as plain TCP. TLS stays between
//!   that program and the device.
//! * An `Attendant` looks after one board: it reads once which device answers, carries its relays, and steps aside while
//!   somebody has leased the board.
//! * `Doors` are the places where programs come in: an address of its own for each board, or ports on loopback
//!   ([`Ways`]).
//! * [`View::bench`] is the same boards as a bench, to be lent to Lineside's own programs: who leases a board there has
//!   it alone.
//! * [`service`] answers the vendor's clients, and ours, over HTTP.
//! * [`Picture`] is what all of that looks like now.
//!
//! Everything runs on the thread of one `tokio` `LocalSet` with I/O enabled.

#![forbid(unsafe_code)]

mod arbiter;
mod assume;
mod attendant;
mod bridge;
mod datagrams;
mod doors;
mod error;
mod picture;
mod relay;
pub mod service;
mod state;

pub use bridge::{Bridge, Config, Table, View};
pub use doors::Ways;
pub use error::BridgeError;
pub use picture::{BoardPicture, Carries, Door, Picture, Standing};
