//! Simulated boards that are on time, whatever the machine does otherwise.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use lineside_link::Hands;
use lineside_terms::Instant;

/// Lets simulated boards live in real time without ever asking the system to be woken: a chip's wires are on time
/// however coarse the machine's timers are. That takes a processor of its own, which is not the host's.
/// Ends when `is_over`.
pub(crate) fn live_without_sleep(
    life: impl Future<Output = Infallible>,
    hands: &Hands,
    is_over: &AtomicBool,
) {
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut life = pin!(life);
    let began = std::time::Instant::now();
    while !is_over.load(Ordering::Acquire) {
        hands.move_to(Instant::ZERO + began.elapsed());
        if woken.0.swap(false, Ordering::AcqRel) {
            let Poll::Pending = life.as_mut().poll(&mut cx);
        }
        std::hint::spin_loop();
    }
}

/// Whether something wants to go on.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}
