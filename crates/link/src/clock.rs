//! The clock of a station: precise, or moved by hand.
//!
//! A precise clock wakes its sleepers from one thread of its own that waits on a condition variable: some tens of
//! microseconds late at most on an idle machine, where the timer wheel of the async runtime is a millisecond late
//! (`dependencies.md` section 8). A clock moved by hand never goes by itself, so hours pass in no time and the same
//! seed gives the same events.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lineside_terms::Instant;

#[derive(Default)]
struct Sleepers {
    /// Who wants to be woken when; the second part of the key only keeps equal times apart.
    wakers: BTreeMap<(Instant, u64), Waker>,
    next_key: u64,
    /// The time, if it is moved by hand.
    by_hand: Option<Instant>,
    closed: bool,
}

struct Shared {
    began: std::time::Instant,
    sleepers: Mutex<Sleepers>,
    changed: Condvar,
}

impl Shared {
    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        // Nothing that runs under this lock can leave the map half changed.
        self.sleepers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn real_now(&self) -> Instant {
        Instant::ZERO + self.began.elapsed()
    }
}

/// Ends the thread of a precise clock with its last handle.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.sleepers().closed = true;
        self.0.changed.notify_all();
    }
}

/// A handle to a clock; clones show the same time.
#[derive(Clone)]
pub struct Clock {
    owner: Arc<Owner>,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

impl Clock {
    /// A clock that goes by itself, starting at zero now.
    pub fn precise() -> Self {
        let clock = Self::with(Sleepers::default());
        let shared = Arc::downgrade(&clock.owner.0);
        std::thread::Builder::new()
            .name("clock".into())
            .spawn(move || keep_time(&shared))
            .expect("a process that cannot start one thread cannot work at all");
        clock
    }

    /// A clock that stands still at zero until its [`Hands`] are moved.
    pub fn by_hand() -> (Self, Hands) {
        let clock = Self::with(Sleepers { by_hand: Some(Instant::ZERO), ..Sleepers::default() });
        (clock.clone(), Hands { clock })
    }

    fn with(sleepers: Sleepers) -> Self {
        let shared = Shared {
            began: std::time::Instant::now(),
            sleepers: Mutex::new(sleepers),
            changed: Condvar::new(),
        };
        Self { owner: Arc::new(Owner(Arc::new(shared))) }
    }

    fn shared(&self) -> &Shared {
        &self.owner.0
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.shared().sleepers().by_hand.unwrap_or_else(|| self.shared().real_now())
    }

    /// Waits until `at`.
    pub fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep { clock: self.clone(), at, key: None }
    }

    /// Waits for `duration`.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }
}

fn keep_time(shared: &Weak<Shared>) {
    loop {
        // Only the owners keep the clock alive; this thread must not.
        let Some(shared) = shared.upgrade() else { return };
        let mut sleepers = shared.sleepers();
        if sleepers.closed {
            return;
        }
        let now = shared.real_now();
        let later = sleepers.wakers.split_off(&(now + Duration::from_nanos(1), 0));
        let due = std::mem::replace(&mut sleepers.wakers, later);
        if !due.is_empty() {
            drop(sleepers);
            due.into_values().for_each(Waker::wake);
            continue;
        }
        let next = sleepers.wakers.keys().next().map(|(at, _)| *at);
        match next {
            Some(at) => drop(shared.changed.wait_timeout(sleepers, at - now)),
            None => drop(shared.changed.wait(sleepers)),
        }
    }
}

/// Moves a clock that does not go by itself.
#[derive(Debug)]
pub struct Hands {
    clock: Clock,
}

impl Hands {
    /// When the next sleeper wants to be woken.
    pub fn next(&self) -> Option<Instant> {
        self.clock.shared().sleepers().wakers.keys().next().map(|(at, _)| *at)
    }

    /// Moves to `at` and wakes everyone who is due, in order. Time never goes backwards.
    pub fn move_to(&self, at: Instant) {
        let due = {
            let mut sleepers = self.clock.shared().sleepers();
            let now = sleepers.by_hand.unwrap_or_default().max(at);
            sleepers.by_hand = Some(now);
            let later = sleepers.wakers.split_off(&(now + Duration::from_nanos(1), 0));
            std::mem::replace(&mut sleepers.wakers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Moves to the next sleeper's time and wakes it; false when nobody sleeps.
    pub fn step(&self) -> bool {
        let next = self.next();
        if let Some(at) = next {
            self.move_to(at);
        }
        next.is_some()
    }
}

/// A wait that [`Clock::sleep_until`] began. Dropping it ends the wait.
#[must_use = "a wait does nothing until it is awaited"]
pub struct Sleep {
    clock: Clock,
    at: Instant,
    key: Option<u64>,
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep(until {})", self.at)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.clock.now() >= this.at {
            return Poll::Ready(());
        }
        let shared = this.clock.shared();
        let mut sleepers = shared.sleepers();
        let key = *this.key.get_or_insert_with(|| {
            sleepers.next_key += 1;
            sleepers.next_key
        });
        let is_first = sleepers.wakers.keys().next().is_none_or(|(first, _)| *first > this.at);
        sleepers.wakers.insert((this.at, key), cx.waker().clone());
        if is_first && sleepers.by_hand.is_none() {
            shared.changed.notify_all();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.shared().sleepers().wakers.remove(&(self.at, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::{LocalPool, block_on};
    use futures::task::LocalSpawnExt;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[test]
    fn a_precise_clock_wakes_no_sleeper_early() {
        let clock = Clock::precise();
        let until = clock.now() + Duration::from_millis(3);
        block_on(clock.sleep_until(until));
        assert!(clock.now() >= until);
    }

    #[test]
    fn moved_by_hand_sleepers_wake_in_order_and_only_then() {
        let (clock, hands) = Clock::by_hand();
        let woken = Rc::new(RefCell::new(Vec::new()));
        let mut pool = LocalPool::new();
        for hours in [3_u64, 1, 2] {
            let (clock, woken) = (clock.clone(), Rc::clone(&woken));
            let sleeper = async move {
                clock.sleep(Duration::from_secs(hours * 3600)).await;
                woken.borrow_mut().push(hours);
            };
            pool.spawner().spawn_local(sleeper).unwrap();
        }
        pool.run_until_stalled();
        assert!(woken.borrow().is_empty());
        while hands.step() {
            pool.run_until_stalled();
        }
        assert_eq!(*woken.borrow(), [1, 2, 3]);
        assert_eq!(clock.now(), Instant::ZERO + Duration::from_secs(3 * 3600));
    }

    #[test]
    fn a_dropped_wait_leaves_nothing_behind() {
        let (clock, hands) = Clock::by_hand();
        let mut sleep = clock.sleep(Duration::from_secs(1));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
        assert!(hands.next().is_some());
        drop(sleep);
        assert_eq!(hands.next(), None);
    }
}
