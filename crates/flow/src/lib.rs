//! Plans and the engine: a fold over events, without I/O.
//!
//! | module | job |
//! |---|---|
//! | [`plan`] | the file that says what to do: format, checks, schema, explanation |
//! | [`recipe`] | what the engine needs of a plan |
//! | [`event`] | what happened: the one stream that the journal keeps |
//! | [`order`] | what somebody ordered, for who goes on with it |
//! | [`mod@line`] | the engine: inputs become events, durable events become effects |
//!
//! Nothing here opens a file, reads a clock or waits: text and facts come in as arguments, and what is to be done
//! goes out as values.

#![forbid(unsafe_code)]

pub mod event;
pub mod line;
pub mod order;
pub mod plan;
pub mod recipe;

pub use event::{Body, Event, HandOutcome, Measurement, RecoveryOutcome, Shift};
pub use line::{
    Effect, IllegalHistory, Input, Leave, Line, Past, Picture, Refusal, Report, SlotPicture, Standing,
};
pub use lineside_interlock as interlock;
pub use lineside_interlock::Receipt;
pub use recipe::{Recipe, RecipeStep, Work};
