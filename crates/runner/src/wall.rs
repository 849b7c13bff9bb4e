//! Wall time beside monotonic time: the only place of the runner that asks the system what day it is.

use lineside_link::Clock;
use lineside_terms::{ClockTrust, Instant, Stamp};

/// Milliseconds from 1970 to 2026-01-01, before which no Lineside was built: an earlier wall clock is wrong.
const BUILT_AFTER_MS: i64 = 1_767_225_600_000;

/// A clock that the network keeps is put right by so little, time and again.
const SLACK_MS: i64 = 120_000;

/// Makes stamps: a monotonic clock, and the wall time at which it began.
#[derive(Debug, Clone)]
pub struct WallClock {
    clock: Clock,
    began_ms: i64,
    trust: ClockTrust,
}

impl WallClock {
    /// Reads the system's wall clock once; from then on it goes with the monotonic clock, so that stamps never go
    /// backwards within one start of the program.
    pub fn of_system(clock: Clock) -> Self {
        let since_1970 = jiff::Timestamp::now().as_millisecond();
        let began_ms = since_1970 - millis(clock.now());
        // Whether somebody keeps the clock right is not known here, only whether it is plainly wrong.
        let trust = if since_1970 < BUILT_AFTER_MS {
            ClockTrust::Wrong
        } else {
            ClockTrust::Unverified
        };
        Self {
            clock,
            began_ms,
            trust,
        }
    }

    /// The same clock on a station whose newest record is from then: a clock that is behind it was set back, or was wrong
    /// before, so nobody should trust it.
    #[must_use]
    pub fn after_record(mut self, newest_ms: Option<i64>) -> Self {
        if newest_ms.is_some_and(|newest| self.is_behind(newest)) {
            self.trust = ClockTrust::Wrong;
        }
        self
    }

    /// True when the clock shows a time that is plainly before this one.
    pub fn is_behind(&self, wall_ms: i64) -> bool {
        self.stamp().wall_ms < wall_ms - SLACK_MS
    }

    /// Begins at a told wall time, for simulated time.
    pub const fn beginning_at(clock: Clock, began_ms: i64) -> Self {
        Self {
            clock,
            began_ms,
            trust: ClockTrust::Unverified,
        }
    }

    /// Now.
    pub fn stamp(&self) -> Stamp {
        let mono = self.clock.now();
        Stamp {
            mono,
            wall_ms: self.began_ms + millis(mono),
            trust: self.trust,
        }
    }

    /// The monotonic clock behind it.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }
}

fn millis(at: Instant) -> i64 {
    i64::try_from(at.as_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
