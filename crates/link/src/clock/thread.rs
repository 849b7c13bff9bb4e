//! The thread that wakes the sleepers of a precise clock.

use std::sync::MutexGuard;
use std::task::Waker;
use std::time::Duration;

use super::{Shared, Sleepers};

/// Wakes everyone who is due until the clock is closed.
pub(super) fn keep_time(shared: &Shared) {
    os::wake_on_time();
    let mut due: Vec<Waker> = Vec::new();
    let mut sleepers = shared.sleepers();
    while !sleepers.closed {
        let now = shared.real_now();
        sleepers.take_due(now, &mut due);
        if !due.is_empty() {
            drop(sleepers);
            due.drain(..).for_each(Waker::wake);
            sleepers = shared.sleepers();
            continue;
        }
        // The lock is released only by waiting, so nobody can come or go unseen between the look and the wait.
        sleepers = match sleepers.first() {
            Some(at) => os::wait(shared, sleepers, at - now),
            None => shared
                .changed
                .wait(sleepers)
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        };
    }
}

/// Waits until the list of sleepers has changed or `time` has passed, whichever is first.
fn wait_for_change<'a>(
    shared: &Shared,
    sleepers: MutexGuard<'a, Sleepers>,
    time: Duration,
) -> MutexGuard<'a, Sleepers> {
    shared
        .changed
        .wait_timeout(sleepers, time)
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .0
}

#[cfg(unix)]
mod os {
    pub(super) use super::wait_for_change as wait;

    /// Linux lets a thread oversleep by 50 µs to wake several at once; this one must be on time.
    pub(super) fn wake_on_time() {
        #[cfg(target_os = "linux")]
        // Where it is refused the clock is as late as others: no reason to fail.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}

#[cfg(not(unix))]
mod os {
    use super::{Duration, MutexGuard, Shared, Sleepers, wait_for_change};

    /// Windows waits on condition variables in ticks of up to 15.6 ms.
    const TICK: Duration = Duration::from_millis(16);
    /// How long this thread sleeps at a time when the next sleeper is closer than a tick. Sleeping uses a
    /// high-resolution timer there, but cannot be ended early; so this is also how late an even earlier one may be.
    const NAP: Duration = Duration::from_micros(250);

    pub(super) fn wake_on_time() {}

    pub(super) fn wait<'a>(
        shared: &'a Shared,
        sleepers: MutexGuard<'a, Sleepers>,
        time: Duration,
    ) -> MutexGuard<'a, Sleepers> {
        if time > TICK {
            return wait_for_change(shared, sleepers, time - TICK);
        }
        drop(sleepers);
        std::thread::sleep(time.min(NAP));
        shared.sleepers()
    }
}
