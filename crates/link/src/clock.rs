//! The clock of a station: precise, or moved by hand.
//!
//! A precise clock wakes its sleepers from one thread of its own that waits on a condition variable: some tens of
//! microseconds late at most on an idle machine, where the timer wheel of the async runtime is a millisecond late
//! (`dependencies.md` section 8). A clock moved by hand never goes by itself, so hours pass in no time and the same
//! seed gives the same events.
//!
//! No waker is ever called, cloned or dropped while the list of sleepers is locked: wakers belong to strangers, and
//! dropping one may drop another wait of this clock.

mod thread;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lineside_terms::Instant;

/// Who wants to be woken when; the second part of the key keeps equal times apart, in order of their beginning.
type Key = (Instant, u64);

#[derive(Default)]
struct Sleepers {
    wakers: BTreeMap<Key, Waker>,
    next_key: u64,
    /// The time, if it is moved by hand.
    by_hand: Option<Instant>,
    closed: bool,
}

impl Sleepers {
    fn first(&self) -> Option<Instant> {
        self.wakers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Moves everyone who is due at `now` to `due`, in order.
    fn take_due(&mut self, now: Instant, due: &mut Vec<Waker>) {
        while let Some(entry) = self.wakers.first_entry().filter(|entry| entry.key().0 <= now) {
            due.push(entry.remove());
        }
    }
}

struct Shared {
    began: std::time::Instant,
    sleepers: Mutex<Sleepers>,
    changed: Condvar,
}

impl Shared {
    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        // Nothing that runs under this lock can leave the map half changed.
        self.sleepers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
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
        // The thread keeps the list alive, not the owner: with the last handle it is told to end.
        let shared = Arc::clone(&clock.owner.0);
        std::thread::Builder::new()
            .name("clock".into())
            .spawn(move || thread::keep_time(&shared))
            .expect("a process that cannot start one thread cannot work at all");
        clock
    }

    /// A clock that stands still at zero until its [`Hands`] are moved.
    pub fn by_hand() -> (Self, Hands) {
        let clock = Self::with(Sleepers {
            by_hand: Some(Instant::ZERO),
            ..Sleepers::default()
        });
        (clock.clone(), Hands { clock })
    }

    fn with(sleepers: Sleepers) -> Self {
        let shared = Shared {
            began: std::time::Instant::now(),
            sleepers: Mutex::new(sleepers),
            changed: Condvar::new(),
        };
        Self {
            owner: Arc::new(Owner(Arc::new(shared))),
        }
    }

    fn shared(&self) -> &Shared {
        &self.owner.0
    }

    /// The time.
    pub fn now(&self) -> Instant {
        let by_hand = self.shared().sleepers().by_hand;
        by_hand.unwrap_or_else(|| self.shared().real_now())
    }

    /// Waits until `at`.
    pub fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep {
            clock: self.clone(),
            at,
            key: None,
        }
    }

    /// Waits for `duration`, counted from this call and not from the first poll.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
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
        self.clock.shared().sleepers().first()
    }

    /// Moves to `at` and wakes everyone who is due, in order. Time never goes backwards.
    pub fn move_to(&self, at: Instant) {
        let mut due = Vec::new();
        {
            let mut sleepers = self.clock.shared().sleepers();
            let now = sleepers.by_hand.unwrap_or_default().max(at);
            sleepers.by_hand = Some(now);
            sleepers.take_due(now, &mut due);
        }
        due.into_iter().for_each(Waker::wake);
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
    /// What keeps it apart from waits until the same time, once it has been polled.
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
        let shared = this.clock.shared();
        let mut fresh = None;
        // Declared before the guard, hence dropped after the lock is released.
        let _replaced: Option<Waker>;
        loop {
            let mut sleepers = shared.sleepers();
            // Time is read under the lock: hands that move in between cannot pass by a wait that is about to begin.
            let now = sleepers.by_hand.unwrap_or_else(|| shared.real_now());
            if now >= this.at {
                return Poll::Ready(());
            }
            let known = this.key.and_then(|key| sleepers.wakers.get(&(this.at, key)));
            if known.is_some_and(|waker| waker.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            let Some(waker) = fresh.take() else {
                drop(sleepers);
                fresh = Some(cx.waker().clone());
                continue;
            };
            let key = *this.key.get_or_insert_with(|| {
                sleepers.next_key += 1;
                sleepers.next_key
            });
            let is_first = sleepers.first().is_none_or(|first| first > this.at);
            let thread_must_know = is_first && sleepers.by_hand.is_none();
            _replaced = sleepers.wakers.insert((this.at, key), waker);
            drop(sleepers);
            if thread_must_know {
                shared.changed.notify_one();
            }
            return Poll::Pending;
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let ended = self.clock.shared().sleepers().wakers.remove(&(self.at, key));
            drop(ended);
        }
    }
}

#[cfg(test)]
mod tests;
