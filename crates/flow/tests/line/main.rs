//! The engine, scenario by scenario.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

#[path = "../line_kit/mod.rs"]
mod line_kit;

mod floor;

mod acts;
mod admission;
mod instruments;
mod many;
mod plugging;
mod replies;
mod stopping;
mod way;
