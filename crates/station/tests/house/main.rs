//! The rules of the house that no lint knows: who may use whom, where platform code stands, what is pure, which
//! licences come in, that documents tell what the code does. They read the sources of the whole repository.
//!
//! What is generated is refreshed by `LINESIDE_UPDATE=1 cargo test -p lineside-station --test house`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod assumptions;
mod book;
mod codes;
mod events;
mod files;
mod fuzz;
mod generated;
mod layering;
mod metadata;
mod promises;
mod purity;
mod reference;
mod source;
mod supply;
mod tree;
