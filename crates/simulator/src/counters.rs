//! What was asked of a chip. The judge in crash and storm tests: nothing resets it but the end of the world.

use std::collections::BTreeMap;

use lineside_protocol::rest::Operation;
use lineside_terms::Effect;
use serde::{Deserialize, Serialize};

/// What was asked of one chip since the world began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Requests for something irreversible that reached the device, whatever became of them.
    pub irreversible_asked: u64,
    /// Those that changed the device for good.
    pub irreversible_applied: u64,
    /// Those that were refused or changed nothing.
    pub irreversible_refused: u64,
    /// Writes that reached this chip while the board was not to be written, or while another device was expected
    /// in its place.
    pub wrong_target_writes: u64,
    /// Requests of any kind that write.
    pub writes: u64,
    /// Requests by `METHOD /path`.
    pub requests: BTreeMap<String, u64>,
    /// Requests that no operation fits, or that could not be read.
    pub foreign_requests: u64,
    /// Installations that changed what is installed.
    pub installs: u64,
    /// Images deleted.
    pub deletes: u64,
    /// Resets with the strap high.
    pub recoveries_begun: u64,
    /// Recoveries that were brought to their end.
    pub recoveries: u64,
    /// Recoveries that the device gave up.
    pub recoveries_failed: u64,
    /// Times that flash was erased.
    pub erases: u64,
    /// Boots, the first one included.
    pub boots: u64,
    /// TLS handshakes that were completed.
    pub handshakes: u64,
    /// TLS connections that broke before or in a handshake.
    pub failed_handshakes: u64,
    /// Times that whoever had leased the board let go of it while a connection was open: a killed host looks so.
    pub kills_survived: u64,
    /// Faults that were put into effect.
    pub faults: u64,
    /// Bytes that came in on the service wire while the device could hear them.
    pub bytes_received: u64,
}

impl Counters {
    pub(crate) fn request(&mut self, operation: Operation) {
        *self.requests.entry(operation.to_string()).or_default() += 1;
        match operation.spec().effect {
            Effect::Reads => {}
            Effect::Irreversible => {
                self.writes += 1;
                self.irreversible_asked += 1;
            }
            Effect::Repeatable | Effect::LookFirst => self.writes += 1,
        }
    }

    /// How often an operation was asked for.
    pub fn requests_for(&self, operation: Operation) -> u64 {
        self.requests.get(&operation.to_string()).copied().unwrap_or(0)
    }
}
