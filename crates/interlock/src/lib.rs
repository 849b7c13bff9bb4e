//! What must be true before something irreversible.
//!
//! One sentence per type, in the order in which a device meets them:
//!
//! * [`Facts`] are what was read of one device, on one connection, in one epoch.
//! * [`judge`] compares them with an [`Expectation`], check by check; only if every check passes on live facts does
//!   it yield a [`ReadyProof`].
//! * An [`Intent`] names the act by its [`OnceKey`]; the [`Ledger`] proposes it only if no earlier intent for the same
//!   act is confirmed, unclear or unresolved.
//! * Where the plan wants somebody's leave for the act, the same record says which [`Grant`]s it spends; [`Approved`] is
//!   the word of the [`Approvals`] that this was done, or that nobody is to be asked.
//! * When the journal hands out the [`Receipt`] that the intent is durable, the ledger turns intent, proof, [`Look`] and
//!   [`Approved`] into the one [`Permit`] that the `device` crate demands.
//! * What came of it is a [`Verdict`]: confirmed, disproved by a later look when nothing could be in flight any more,
//!   or unclear, which a person decides.
//!
//! Erasing a device to write its OS anew is destructive and can be repeated: [`Erasure`] asks for the right target and
//! gives an [`ErasePermit`] once that is durable.
//!
//! Proofs and permits cannot be made elsewhere, cloned, stored or read back, so after a restart there are none, by
//! construction; then the only way on is to look. This crate is pure: no I/O, clock, environment or randomness.
//!
//! What it does not promise: to see through a device that lies about its id.

#![forbid(unsafe_code)]

mod approval;
mod erasure;
mod expectation;
mod facts;
mod judge;
mod ledger;
mod permit;
mod protected;

pub use approval::{Approvals, Approved, Grant, Requirement};
pub use erasure::{ErasePermit, EraseRefusal, EraseRule, EraseTarget, Erasure};
pub use expectation::{Expectation, OsRelease, Pair};
pub use facts::{ComponentFact, EpochCause, Facts, ImageFacts, Look, ProxyFact, Reading, SessionTag};
pub use judge::{
    Check, CheckName, Class, Earlier, FORBIDDEN, Judgement, ReadyProof, RunFacts, classify, judge,
    release_held,
};
pub use ledger::{IllegalHistory, Intent, Ledger, OnceKey, Refusal, Standing, Verb, Verdict};
pub use permit::{PERMIT_LIFE, Permit, Receipt};
pub use protected::{Protected, ProtectedId};
