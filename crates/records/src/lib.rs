//! The journal on disk, its chain, the views rebuilt from it, and exports.
//!
//! | type | job |
//! |---|---|
//! | [`Disk`] | what is asked of a folder; [`RealDisk`], and [`FakeDisk`] which lies as real ones may |
//! | [`Journal`] | the durable sequence of events: append, commit, [receipt](lineside_flow::Receipt) |
//! | [`JournalHandle`] | the journal kept by a thread (group commit) or by the caller (simulated time) |
//! | [`Replay`] | stored events, each link of the chain checked |
//! | [`verify`] | the check of the whole chain on all cores |
//! | [`Checkpoint`] | a signed point of the journal, for places outside |
//! | [`Certificate`] | what is known of one unit, to be signed ([`seal`]) and checked by anybody ([`unseal`]) |
//! | [`View`] | a database for questions, made from the journal and good to delete |
//! | [`write_runs`], [`write_devices`], [`write_claims`] | records for other programs |
//!
//! The journal is the only truth. What it acknowledged survives; what a crash left unfinished is cut off and told;
//! what was changed afterwards is found; after a failed write or sync it takes nothing more until it is opened
//! again. It does not keep anybody from replacing a whole journal by another sound one: a point known from
//! elsewhere ([`Head`], [`Checkpoint`]) shows that.

#![forbid(unsafe_code)]

mod certificate;
mod chain;
mod checkpoint;
mod disk;
mod error;
mod export;
pub mod hand;
mod journal;
mod log;
mod replay;
mod seal;
mod segment;
mod verify;
mod view;
mod writer;

pub use certificate::{Certificate, CertificateCheck, CertificateStep};
pub use chain::{Head, Inspection, inspect};
pub use checkpoint::{Checkpoint, parse_checkpoints};
pub use disk::{Disk, DiskCounts, DiskFile, FakeDisk, RealDisk};
pub use error::{Damage, DamageKind, RecordsError, TornTail};
pub use export::{
    CLAIM_COLUMNS, DEVICE_COLUMNS, RUN_LINE_VERSION, RunLine, write_claims, write_devices, write_runs,
};
pub use journal::Journal;
pub use log::SEGMENT_BYTES;
pub use replay::{Replay, Stored};
pub use seal::{MAX_SEALED_BYTES, SealError, SealKey, Sealer, Signature, Unsealed, seal, unseal};
pub use segment::{FORMAT, MAX_EVENT_BYTES};
pub use verify::{Verification, point_at, tip, verify, verify_through};
pub use view::{
    CaughtUp, DeviceRecord, HandRecord, Incident, IntentRecord, JudgementRecord, RunFilter, RunRecord,
    RunSummary, StepRecord, View,
};
pub use writer::{JournalCounts, JournalHandle, JournalThread, Receipts};
