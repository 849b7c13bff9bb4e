//! Simulated chips, boards and benches that can be believed, with faults and counters.
//!
//! ```text
//! World ──► Board ──► Chip ──► Firmware          Supplies: what plans for these devices need
//!   │         │         │         └ state, images, applications, Wi-Fi; refuses as a device does
//!   │         │         └ power, SLIP, IP, TLS, HTTP, faults
//!   │         └ slot, lease, wires, lines, plug
//!   └ bench handle (what a station sees), control (what a judge asks), ftdi (what USB sees of the boards)
//! ```
//!
//! A world speaks the real protocols byte by byte and shares no code with the client but the tables and types of
//! `lineside_protocol`. Everything up to [`Chip`] has no clock and no wire of its own: time and bytes come in, bytes
//! and the next wake-up come out, and the same seed gives the same devices. Only the TLS library draws randomness of
//! its own.
//!
//! What a device does is cited as `device-rest-api.md` with a section. What no source tells is taken from
//! `lineside_protocol::rest::assume`; where two answers matter, [`Assumptions`] switches between them.

#![forbid(unsafe_code)]

mod air;
mod assume;
mod assumptions;
mod authority;
mod bench;
mod board;
mod chip;
pub mod control;
mod counters;
mod error;
mod faults;
mod firmware;
pub mod ftdi;
mod image_set;
mod lane;
mod os;
mod pace;
mod seed;
mod supplies;
mod trust;
mod usb;
mod world;

pub use air::{AccessPoint, Air};
pub use assumptions::Assumptions;
pub use authority::Authority;
pub use bench::BenchHandle;
pub use chip::{BodyKind, BootMode, Chip, ChipConfig, ChipEvent, Request, Response};
pub use counters::Counters;
pub use error::SimulatorError;
pub use faults::{Fault, FaultScript, RecoveryStage, What, When};
pub use firmware::{Firmware, FirmwareConfig, GDBSERVER, WritesExpected};
pub use image_set::SetSize;
pub use lane::Lateness;
pub use os::{OsComponent, OsProfile, list_json};
pub use pace::{DeviceTimes, Pace, WirePace};
pub use seed::{Draws, Seed};
pub use supplies::Supplies;
pub use trust::Trust;
pub use usb::UsbTimes;
pub use world::{World, WorldConfig};
