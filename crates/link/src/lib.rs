//! Moves bytes. Every descriptor that leads to a board is opened here and nowhere else, and so is the clock.
//!
//! The shape, from the outside in: a [`Bench`] lists, watches and leases boards; a leased [`Board`] opens its
//! [`Wire`]s and drives its [`Line`]s; a [`Wire`] reads, writes and changes settings. Backends: memory
//! ([`memory`]), a serial port ([`serial`]), the interface chip itself ([`ftdi`]), and boards lent by another process
//! ([`remote`]). [`Clock`] is either precise or moved by hand, so that whole benches run in simulated time.
//!
//! Nothing here knows what the bytes mean.

mod addresses;
mod assume;
mod bench;
mod board;
mod clock;
mod error;
pub mod ftdi;
pub mod health;
mod local_address;
pub mod memory;
mod places;
mod private;
#[cfg(test)]
#[cfg(unix)]
mod pty;
pub mod remote;
pub mod serial;
mod simulated;
mod stop;
pub mod trace;
pub mod usb;
mod watch;
mod wire;

pub use addresses::{Address, Addresses, Full, NoAddress};
pub use bench::{Bench, BenchEvent, BoardInfo, Watch};
pub use board::{Board, Line, Port, enter_recovery, reset};
pub use clock::{Clock, Hands, Sleep};
pub use error::{DriverProblem, LinkError};
pub use local_address::{AddressError, HeldAddress, claim_network};
pub use places::{Whose, bridge_folder, data_folder, sdk_folder, station_file};
pub use private::{write_private, write_program};
pub use simulated::run_simulated;
pub use stop::asked_to_stop;
pub use wire::{LineSettings, Wire, WireHealth, read_some, write_all};
