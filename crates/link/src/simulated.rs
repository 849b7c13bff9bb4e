//! Runs futures in simulated time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::executor::LocalPool;

use crate::Hands;

/// Set when the main future wants to be polled.
struct Wanted(AtomicBool);

impl Wake for Wanted {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `until` and the tasks of `pool` on this thread until `until` is done: first everything that can go on now,
/// and only when nothing can, the clock moves to its next sleeper. The same futures give the same events.
///
/// `None` when nothing is left to do and nobody sleeps (everybody waits for somebody else), or when the clock has
/// been moved `max_steps` times. The tasks of the pool stay in it, so one can look what they wait for.
pub fn run_simulated<T>(
    hands: &Hands,
    pool: &mut LocalPool,
    max_steps: u64,
    until: impl Future<Output = T>,
) -> Option<T> {
    let mut until = pin!(until);
    let wanted = Arc::new(Wanted(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&wanted));
    let mut steps = 0;
    loop {
        if wanted.0.swap(false, Ordering::Acquire)
            && let Poll::Ready(value) = until.as_mut().poll(&mut Context::from_waker(&waker))
        {
            return Some(value);
        }
        pool.run_until_stalled();
        if wanted.0.load(Ordering::Acquire) {
            continue;
        }
        if steps == max_steps || !hands.step() {
            return None;
        }
        steps += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, memory, read_some, write_all};
    use futures::task::LocalSpawnExt;
    use std::time::Duration;

    #[test]
    fn a_dialogue_with_a_slow_partner_takes_simulated_days_only() {
        let (clock, hands) = Clock::by_hand();
        let (mut near, mut far) = memory::pair(8);
        let mut pool = LocalPool::new();
        let slow = clock.clone();
        let partner = async move {
            let mut byte = [0];
            while read_some(&mut far, &mut byte).await.is_ok() {
                slow.sleep(Duration::from_secs(86_400)).await;
                write_all(&mut far, &byte).await.unwrap();
            }
        };
        pool.spawner().spawn_local(partner).unwrap();
        let answered = run_simulated(&hands, &mut pool, 100, async {
            for question in 0..3 {
                write_all(&mut near, &[question]).await.unwrap();
                let mut answer = [0];
                read_some(&mut near, &mut answer).await.unwrap();
                assert_eq!(answer, [question]);
            }
            clock.now()
        });
        assert_eq!(
            answered.unwrap() - lineside_terms::Instant::ZERO,
            Duration::from_secs(3 * 86_400)
        );
    }

    #[test]
    fn everybody_waiting_for_somebody_else_is_told() {
        let (_clock, hands) = Clock::by_hand();
        let (mut near, _far) = memory::pair(8);
        let mut pool = LocalPool::new();
        assert!(run_simulated(&hands, &mut pool, 100, read_some(&mut near, &mut [0])).is_none());
    }

    #[test]
    fn a_clock_that_ticks_for_ever_is_stopped() {
        let (clock, hands) = Clock::by_hand();
        let mut pool = LocalPool::new();
        let ticking = clock.clone();
        let ticker = async move {
            loop {
                ticking.sleep(Duration::from_secs(1)).await;
            }
        };
        pool.spawner().spawn_local(ticker).unwrap();
        assert!(run_simulated(&hands, &mut pool, 1_000, std::future::pending::<()>()).is_none());
        assert_eq!(
            clock.now() - lineside_terms::Instant::ZERO,
            Duration::from_secs(1_000)
        );
    }

    #[test]
    fn what_needs_no_time_needs_no_step() {
        let (_clock, hands) = Clock::by_hand();
        assert_eq!(
            run_simulated(&hands, &mut LocalPool::new(), 0, async { 7 }),
            Some(7)
        );
    }
}
