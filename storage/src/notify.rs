//! Waking tasks: [`Notify`] among the tasks of one shard, [`Signal`] from one shard to another.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use atomic_waker::AtomicWaker;

/// Tasks of one shard that wait for a condition to change.
#[derive(Default)]
pub(crate) struct Notify {
    waiting: RefCell<Vec<Waker>>,
}

impl Notify {
    /// Makes every waiter look at its condition again.
    pub(crate) fn notify_all(&self) {
        // Taken out first: a waker may run code that waits here again.
        let mut wakers = std::mem::take(&mut *self.waiting.borrow_mut());
        if wakers.is_empty() {
            return;
        }
        wakers.drain(..).for_each(Waker::wake);
        let mut waiting = self.waiting.borrow_mut();
        // The list's memory is used again.
        if waiting.capacity() == 0 {
            *waiting = wakers;
        }
    }

    /// Resolves once `condition` holds; it is asked now and after each [`Notify::notify_all`].
    pub(crate) fn until<'a>(
        &'a self,
        mut condition: impl FnMut() -> bool + 'a,
    ) -> impl Future<Output = ()> + 'a {
        poll_fn(move |cx| {
            if condition() {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }
}

/// Tells a fetch, on whatever shard it waits, that it is worth looking again. Fires once: however
/// many partitions it is subscribed to, the fetch is woken by the first only.
#[derive(Debug, Default)]
pub struct Signal {
    fired: AtomicBool,
    waker: AtomicWaker,
}

impl Signal {
    /// A signal that has not fired.
    pub fn new() -> Arc<Signal> {
        Arc::new(Signal::default())
    }

    /// Fires it; again has no effect.
    pub fn fire(&self) {
        if !self.fired.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// True once it has fired.
    pub fn has_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    /// Resolves once it has fired. One task at a time.
    pub fn fired(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| {
            if self.has_fired() {
                return Poll::Ready(());
            }
            self.waker.register(cx.waker());
            // Fired between the look and the registration: nobody would wake us.
            if self.has_fired() { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}
