//! The leave to do one irreversible act once.

use std::time::Duration;

use lineside_terms::{DeviceId, Epoch, Instant, ManufacturingState};

use crate::facts::SessionTag;
use crate::ledger::OnceKey;

/// How long a permit is good for after the look it rests on: long enough for a slow disk, short enough that
/// nobody can have worked on the device by hand in between.
pub const PERMIT_LIFE: Duration = Duration::from_secs(30);

/// The journal's word that everything up to a sequence number is durable. It lives only in memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) through: u64,
}

impl Receipt {
    /// For the keeper of the journal alone, after a successful sync; a test of the whole repository lists who
    /// calls this.
    pub const fn issued_by_the_journal(through: u64) -> Self {
        Self { through }
    }

    /// The last sequence number that is durable.
    pub const fn through(&self) -> u64 {
        self.through
    }
}

/// The leave to do one irreversible act once, on one device, over one connection. Made only by
/// [`crate::Ledger::permit`]; it cannot be cloned, stored or read back:
///
/// ```compile_fail
/// fn twice(permit: lineside_interlock::Permit) -> (lineside_interlock::Permit, lineside_interlock::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
/// ```compile_fail
/// fn forge() -> lineside_interlock::Permit {
///     lineside_interlock::Permit { ..unreachable!() }
/// }
/// ```
/// ```compile_fail
/// fn restore(text: &str) -> lineside_interlock::Permit {
///     serde_json::from_str(text).unwrap()
/// }
/// ```
#[derive(Debug)]
#[must_use = "an unused permit leaves its intent open until somebody looks"]
pub struct Permit {
    pub(crate) key: OnceKey,
    pub(crate) epoch: Epoch,
    pub(crate) session: SessionTag,
    pub(crate) writes: u64,
    pub(crate) uptime_s: u64,
    pub(crate) from: ManufacturingState,
    pub(crate) expires: Instant,
}

impl Permit {
    /// The act.
    pub const fn key(&self) -> &OnceKey {
        &self.key
    }

    /// The only device that it is for.
    pub const fn device(&self) -> &DeviceId {
        &self.key.device
    }

    /// The only epoch in which it is good.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The only connection on which it is good.
    pub const fn session(&self) -> SessionTag {
        self.session
    }

    /// How many writes that connection may have carried: not one more than when the facts were read.
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// Seconds since boot that the device must at least show, or it has restarted.
    pub const fn uptime_s(&self) -> u64 {
        self.uptime_s
    }

    /// The state that the device must still be in.
    pub const fn from(&self) -> ManufacturingState {
        self.from
    }

    /// The state that it is brought to.
    pub const fn target(&self) -> ManufacturingState {
        self.key.target
    }

    /// When it ceases to be good.
    pub const fn expires(&self) -> Instant {
        self.expires
    }
}
