//! The engine, scenario by scenario.

#[path = "../line_kit/mod.rs"]
mod line_kit;

mod floor;

mod acts;
mod admission;
mod instruments;
mod plugging;
mod replies;
mod stopping;
mod way;
