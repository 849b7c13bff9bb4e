use super::*;
use futures::executor::{LocalPool, block_on};
use futures::task::LocalSpawnExt;
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

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

/// Counts its calls; holds another wait that ends when the last clone of the waker is dropped.
struct Counting {
    calls: AtomicUsize,
    _held: Mutex<Option<Sleep>>,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting(held: Option<Sleep>) -> (Arc<Counting>, Waker) {
    let counting = Arc::new(Counting {
        calls: AtomicUsize::new(0),
        _held: Mutex::new(held),
    });
    (Arc::clone(&counting), Waker::from(counting))
}

/// Polls a wait once so that it is among the sleepers.
fn begin(sleep: &mut Sleep, waker: &Waker) {
    assert!(Pin::new(sleep).poll(&mut Context::from_waker(waker)).is_pending());
}

#[test]
fn a_waker_that_owns_a_wait_of_the_same_clock_may_be_replaced_and_dropped() {
    let (clock, hands) = Clock::by_hand();
    let owning = || {
        let mut inner = clock.sleep(Duration::from_secs(5));
        begin(&mut inner, Waker::noop());
        counting(Some(inner)).1
    };
    let mut sleep = clock.sleep(Duration::from_secs(1));
    begin(&mut sleep, &owning());
    begin(&mut sleep, &owning());
    drop(sleep);
    assert_eq!(hands.next(), None);
}

#[test]
fn only_the_waker_of_the_last_poll_is_called_and_only_once() {
    let (clock, hands) = Clock::by_hand();
    let mut sleep = clock.sleep(Duration::from_secs(1));
    let (old, old_waker) = counting(None);
    let (new, new_waker) = counting(None);
    begin(&mut sleep, &old_waker);
    for _ in 0..3 {
        begin(&mut sleep, &new_waker);
    }
    assert!(hands.step());
    assert!(!hands.step());
    assert_eq!(
        (
            old.calls.load(Ordering::Relaxed),
            new.calls.load(Ordering::Relaxed)
        ),
        (0, 1)
    );
}

#[test]
fn the_thread_of_a_precise_clock_ends_with_its_last_handle() {
    let clock = Clock::precise();
    let shared = Arc::downgrade(&clock.owner.0);
    let other = clock.clone();
    drop(clock);
    block_on(other.sleep(Duration::from_micros(10)));
    drop(other);
    let patience = std::time::Instant::now();
    while shared.strong_count() > 0 {
        assert!(
            patience.elapsed() < Duration::from_secs(10),
            "the thread still lives"
        );
        std::thread::yield_now();
    }
}

#[test]
fn sleepers_of_many_threads_are_all_woken() {
    let clock = Clock::precise();
    let threads: Vec<_> = (0..8_u64)
        .map(|thread| {
            let clock = clock.clone();
            std::thread::spawn(move || {
                for turn in 0..200 {
                    let until = clock.now() + Duration::from_micros((thread * 37 + turn * 11) % 300);
                    block_on(clock.sleep_until(until));
                    assert!(clock.now() >= until);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// 64 chains of short sleeps, each with a long one that gets another waker every time: what a loaded station does.
#[test]
fn short_sleepers_all_wake_among_long_ones_whose_wakers_change() {
    const CHAINS: usize = 64;
    const TURNS: usize = 20;
    let clock = Clock::precise();
    let chain = |number: usize| {
        let clock = &clock;
        async move {
            let mut long = clock.sleep(Duration::from_secs(3600));
            let mut until = clock.now() + Duration::from_micros(7 * number as u64);
            for _ in 0..TURNS {
                until = until + Duration::from_micros(450);
                clock.sleep_until(until).await;
                assert!(clock.now() >= until);
                begin(&mut long, &counting(None).1);
            }
        }
    };
    block_on(futures::future::join_all((0..CHAINS).map(chain)));
    assert!(clock.shared().sleepers().wakers.is_empty());
}

/// What one simulated run saw: when each sleeper of each chain woke.
fn history(seed: &[(u32, bool)]) -> Vec<(usize, Instant)> {
    let (clock, hands) = Clock::by_hand();
    let events = Rc::new(RefCell::new(Vec::new()));
    let mut pool = LocalPool::new();
    for (chain, &(first, abandons)) in seed.iter().enumerate() {
        let (clock, events) = (clock.clone(), Rc::clone(&events));
        let work = async move {
            let mut span = first;
            for _ in 0..5 {
                let until = clock.now() + Duration::from_nanos(u64::from(span));
                let mut sleep = clock.sleep_until(until);
                if abandons && until > clock.now() {
                    // Begun, given up and begun again: the same deadline, another place in the list.
                    begin(&mut sleep, Waker::noop());
                    sleep = clock.sleep_until(until);
                }
                sleep.await;
                assert_eq!(
                    clock.now(),
                    until,
                    "moved by hand a sleeper wakes exactly on time"
                );
                events.borrow_mut().push((chain, clock.now()));
                span = span.wrapping_mul(2_654_435_761).wrapping_add(chain as u32) % 1_000;
            }
        };
        pool.spawner().spawn_local(work).unwrap();
    }
    pool.run_until_stalled();
    while hands.step() {
        pool.run_until_stalled();
    }
    assert_eq!(hands.next(), None);
    events.take()
}

proptest! {
    #[test]
    fn the_same_seed_gives_the_same_events_in_order_of_time(
        seed in proptest::collection::vec((0_u32..1_000, any::<bool>()), 1..40)
    ) {
        let events = history(&seed);
        prop_assert_eq!(events.len(), 5 * seed.len());
        prop_assert!(events.is_sorted_by_key(|(_, at)| *at));
        prop_assert_eq!(events, history(&seed));
    }
}
