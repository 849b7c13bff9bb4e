//! Boards lent by another process: `at:DIR`.
//!
//! One process [lends](Lending) the boards of a bench in a directory; any number of processes reach them there
//! through a [`RemoteBench`]. Each client has one connection, over which everything goes as [frames](frame):
//!
//! * **Nobody deletes blindly.** Who lends holds a lock of the kernel on `DIR/bench.lock`. A second lender is refused
//!   while that process lives; whatever a dead one left behind is replaced.
//! * **Leases end with the connection**, and the kernel closes that with the process, however it dies.
//! * **One stalled wire never blocks another.** Each wire has its own credit each way ([`WINDOW`] bytes); who has no
//!   credit waits, and only there.
//! * **Order within a board**: opening, closing, lines and data are done in the order in which they were asked for.
//!   What a wire does not take within a short patience (flow control holds it) is overtaken by a line, so that a board
//!   that hangs can still be reset.
//! * **Versions**: both ends say theirs first; another major version is refused with [`LinkError::Foreign`].
//! * **Any bytes** from the other end give a clear error and end the connection; everything kept for it is bounded.
//!
//! A line or an opening that fails at the lender's is told by the next call on that board, because these calls do not
//! wait. Everything here runs on the thread of one `tokio` `LocalSet` with I/O enabled.

mod client;
mod connection;
pub mod control;
pub mod fault;
pub mod frame;
mod hold;
mod lent;
mod outbox;
mod server;
mod token;
mod transport;

use std::path::{Path, PathBuf};
use std::rc::Rc;

pub use client::RemoteBench;
pub use server::Lending;

use crate::{Bench, LinkError, Whose, bridge_folder};

/// Bytes that either end may have under way on one wire before the other one has made room again: at 3 Mbaud the
/// wire is fed for 100 ms.
pub const WINDOW: u32 = 32 * 1024;

/// Room is told when this much of it has been made, so that credit costs one frame for many.
const CREDIT_STEP: u32 = WINDOW / 4;

/// Lends the boards of `bench` in `dir` until the returned future is dropped: [`Lending::bind`] and
/// [`Lending::serve`] in one.
///
/// # Errors
/// Ends at once when they cannot be lent there, as [`Lending::bind`] says. It never ends otherwise.
pub async fn serve(dir: &Path, bench: Rc<dyn Bench>) -> Result<(), LinkError> {
    Lending::bind(dir)?.serve(bench).await;
    Ok(())
}

/// The folder in which a bridge lends now: this user's, else the system's. A folder that a bridge left behind does not
/// count.
pub fn running_bridge() -> Option<PathBuf> {
    [Whose::User, Whose::System]
        .into_iter()
        .filter_map(bridge_folder)
        .find(|folder| transport::is_answering(folder, transport::What::Bench))
}
