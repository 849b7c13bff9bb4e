//! Joins the halves: what a plan says, what the engine decides, what the journal keeps, and what is done to a device.
//!
//! | module | job |
//! |---|---|
//! | [`program`] | a plan with every byte that it refers to: paths end here |
//! | `check` | everything that is wrong with a plan and what it names, with its place |
//! | [`Place`] | the station: what a batch and a recovery have in common |
//! | [`batch`] | the async shell of the engine: one batch of boards through one program |
//! | [`gate`] | who may start, and when |
//! | `os_update` | the recovery sets that a plan's `update-os` steps write |
//! | `leave` | what a slot asks the journal in the middle of a step: leave to erase its device |
//! | `slot` | one socket: its lease, its connection, one thing at a time |
//! | `actions` | one file per kind of step |
//! | [`survey`] | looking at boards without a plan: who is there, is it ready |
//! | [`addresses`] | which IP address stands for which slot, kept |
//! | [`by_hand`] | one device, without a plan: what takes more than one request |
//! | [`image_sets`] | recovery sets on disk: read, kept, named |
//! | [`bundle`] | plan and all that it names under one hash, signed; imported ones |
//! | [`policy`] | what this station allows |
//! | [`manual`] | another manufacturing state by hand: one door for every command |
//! | [`recover`] | writing the OS of many boards anew, without a plan |
//! | [`store`] | what the shell needs of a journal |
//! | [`History`] | what a journal tells, as far as it is needed |
//! | [`snapshot`] | that, kept in a file, so that a start folds only what followed |
//!
//! Nothing here needs a particular async runtime: everything runs inside the futures that it returns, on one thread,
//! under the clock it is given. That is what lets whole factories run in simulated time.

#![forbid(unsafe_code)]

mod actions;
pub mod addresses;
pub mod batch;
pub mod bundle;
pub mod by_hand;
pub mod cables;
mod check;
pub mod desk;
mod error;
pub mod gate;
pub mod hardware;
mod history;
pub mod image_sets;
mod leave;
pub mod manual;
mod os_update;
mod outage;
mod place;
pub mod policy;
pub mod program;
pub mod recover;
mod slot;
pub mod snapshot;
pub mod store;
pub mod survey;
mod wall;

pub use batch::{Batch, Cancel, Notice, Summary};
pub use check::{Placed, check};
pub use error::{RunnerError, UnitFault};
pub use history::History;
pub use place::Place;
pub use program::{Program, Serials, Supplies};
pub use store::{Keeper, Store, journal_folder};
pub use wall::WallClock;
