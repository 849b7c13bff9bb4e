//! The words of Lineside, one type per word, so that a device can never be mistaken for the slot it sits in.
//!
//! This crate is a leaf and stays tiny: identifiers ([`DeviceId`], [`ComponentId`], [`ImageId`], [`UnitSerial`],
//! [`SlotPath`], [`RunId`]…), states ([`ManufacturingState`], [`SecurityState`], [`Capability`]), what a step does
//! and how it ended ([`Effect`], [`Outcome`]), points in time ([`Instant`], [`Stamp`]) and what every error must be
//! able to say ([`Explain`]). It reads no clock, no environment and no file.
//!
//! The meaning of each word is fixed in design section 1; the same word is used in code, command line and records.

#![forbid(unsafe_code)]

mod explain;
mod ids;
mod outcome;
mod state;
mod time;

pub use explain::{Blame, Explain, Told};
pub use ids::{
    BootId, ComponentId, DeviceId, Digest, Epoch, ImageId, ParseIdError, RunId, SlotPath, StationName,
    StepId, UnitSerial,
};
pub use outcome::{Effect, Outcome};
pub use state::{Capability, ImageType, ManufacturingState, SecurityState};
pub use time::{ClockTrust, Instant, Stamp};
