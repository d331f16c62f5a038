//! A shard's budget of bytes for requests under way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

#[cfg(test)]
mod tests;

/// A first-come-first-served semaphore of bytes, on one thread. A connection reserves a frame's
/// bytes before it reads them; who comes when nothing is left waits, and so reads no more.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: &'static str,
    limit_bytes: usize,
    free_bytes: Cell<usize>,
    waiting: RefCell<VecDeque<Rc<Waiter>>>,
}

#[derive(Debug)]
struct Waiter {
    bytes: usize,
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl ByteBudget {
    /// A budget of `limit_bytes`, with the name under which it appears in logs.
    pub fn new(name: &'static str, limit_bytes: usize) -> ByteBudget {
        let inner = Inner {
            name,
            limit_bytes,
            free_bytes: Cell::new(limit_bytes),
            waiting: RefCell::default(),
        };
        ByteBudget { inner: Rc::new(inner) }
    }

    /// The name given.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Bytes reserved now.
    pub fn used_bytes(&self) -> usize {
        self.inner.limit_bytes - self.inner.free_bytes.get()
    }

    /// Reservations waiting now.
    pub fn waiting(&self) -> usize {
        self.inner.waiting.borrow().len()
    }

    /// Reserves `bytes`, when all earlier callers have theirs and enough is free. What exceeds the
    /// whole budget reserves the whole budget. Dropping the future gives up the place in the queue.
    pub async fn reserve(&self, bytes: usize) -> Reservation {
        let bytes = bytes.min(self.inner.limit_bytes);
        if let Some(free) = self.try_take(bytes) {
            return free;
        }
        let waiter =
            Rc::new(Waiter { bytes, granted: Cell::new(false), waker: RefCell::new(None) });
        self.inner.waiting.borrow_mut().push_back(waiter.clone());
        let place = Place { budget: self, waiter };
        poll_fn(|context| {
            if place.waiter.granted.get() {
                return Poll::Ready(());
            }
            place.waiter.waker.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
        place.waiter.granted.set(false);
        Reservation { budget: self.clone(), bytes }
    }

    fn try_take(&self, bytes: usize) -> Option<Reservation> {
        if !self.inner.waiting.borrow().is_empty() {
            return None;
        }
        let free_bytes = self.inner.free_bytes.get().checked_sub(bytes)?;
        self.inner.free_bytes.set(free_bytes);
        Some(Reservation { budget: self.clone(), bytes })
    }

    fn release(&self, bytes: usize) {
        let inner = &self.inner;
        inner.free_bytes.set(inner.free_bytes.get() + bytes);
        self.grant();
    }

    /// Grants to the first in the queue for as long as there is enough.
    fn grant(&self) {
        loop {
            let mut waiting = self.inner.waiting.borrow_mut();
            let Some(first) = waiting.front() else { return };
            let Some(free_bytes) = self.inner.free_bytes.get().checked_sub(first.bytes) else {
                return;
            };
            let Some(first) = waiting.pop_front() else { return };
            drop(waiting);
            self.inner.free_bytes.set(free_bytes);
            first.granted.set(true);
            let waker = first.waker.take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// A place in the queue; dropped, it is given up, with what was granted and not taken.
struct Place<'a> {
    budget: &'a ByteBudget,
    waiter: Rc<Waiter>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.waiter.granted.get() {
            return self.budget.release(self.waiter.bytes);
        }
        self.budget.inner.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.waiter));
        self.budget.grant();
    }
}

/// Bytes reserved; dropped, they are free again.
#[derive(Debug)]
pub struct Reservation {
    budget: ByteBudget,
    bytes: usize,
}

impl Reservation {
    /// How many.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}
