//! Points in time, handed in by whoever owns a clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A point on a monotonic clock: nanoseconds since that clock began, good for 584 years. Points of different
/// clocks (another start of the program, another process) must never be compared.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Instant(u64);

impl Instant {
    /// When the clock began.
    pub const ZERO: Self = Self(0);
    /// Later than anything that will happen.
    pub const FAR: Self = Self(u64::MAX);

    /// From nanoseconds since the clock began.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock began.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to here, zero when `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

/// How far the wall clock can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClockTrust {
    /// The system says that it is synchronised.
    Synchronised,
    /// Plausible, but nobody vouches for it.
    Unverified,
    /// It went backwards, or lies before this program was built.
    Wrong,
}

/// When something was decided: monotonic time of this start of the program and the wall clock with its trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stamp {
    /// Monotonic, comparable only within one start of the program.
    pub mono: Instant,
    /// Milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
    /// How far `wall_ms` can be believed.
    pub trust: ClockTrust,
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} s", self.0 as f64 / 1e9)
    }
}
