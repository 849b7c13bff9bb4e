//! The engine, scenario by scenario.

#![allow(
    clippy::disallowed_methods,
    reason = "a report of how long it took; the engine reads no clock"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

#[path = "../line_kit/mod.rs"]
mod line_kit;

mod floor;

mod acts;
mod admission;
mod approvals;
mod found;
mod instruments;
mod many;
mod plugging;
mod recovery;
mod replies;
mod stopping;
mod way;
