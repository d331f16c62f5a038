//! A counter that tasks of one shard wait for, strictly first come, first served.
//!
//! The place in the queue is taken when [`Semaphore::acquire`] is called, not when the future is
//! first polled: whoever calls in order is served in order, whatever its task does in between.
//! That is what keeps batches in arrival order, and it also means that a large request is never
//! starved by small ones.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The shared counter; clones are handles to the same one.
#[derive(Clone)]
pub struct Semaphore(Rc<Inner>);

struct Inner {
    capacity: usize,
    available: Cell<usize>,
    queue: RefCell<VecDeque<Rc<Waiter>>>,
}

struct Waiter {
    amount: usize,
    state: Cell<State>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Queued,
    Granted,
    Gone,
}

/// What was acquired; gives it back when dropped.
#[must_use]
pub struct Permit {
    semaphore: Semaphore,
    amount: usize,
}

/// A place in the queue; resolves to the permit. Dropping it leaves the queue.
#[must_use]
pub struct Acquire {
    semaphore: Semaphore,
    place: Place,
}

enum Place {
    /// Nobody was before it, and there was enough: so many units are its own.
    Served(usize),
    Queued(Rc<Waiter>),
    Gone,
}

impl Semaphore {
    /// One with `capacity` units, all free.
    pub fn new(capacity: usize) -> Semaphore {
        let available = Cell::new(capacity);
        Semaphore(Rc::new(Inner { capacity, available, queue: RefCell::default() }))
    }

    /// Queues for `amount` units; for all of them if it asks for more than there are.
    pub fn acquire(&self, amount: usize) -> Acquire {
        let amount = amount.min(self.0.capacity);
        if self.0.queue.borrow().is_empty()
            && let Some(left) = self.0.available.get().checked_sub(amount)
        {
            self.0.available.set(left);
            return Acquire { semaphore: self.clone(), place: Place::Served(amount) };
        }
        let waiter =
            Rc::new(Waiter { amount, state: Cell::new(State::Queued), waker: RefCell::default() });
        self.0.queue.borrow_mut().push_back(waiter.clone());
        self.serve();
        Acquire { semaphore: self.clone(), place: Place::Queued(waiter) }
    }

    /// Units that there are.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Units that nobody holds.
    pub fn available(&self) -> usize {
        self.0.available.get()
    }

    /// Grants to those at the head of the queue for whom there is enough.
    fn serve(&self) {
        let mut wake = Vec::new();
        {
            let mut queue = self.0.queue.borrow_mut();
            while let Some(waiter) = queue.front() {
                if waiter.state.get() == State::Queued {
                    let Some(left) = self.0.available.get().checked_sub(waiter.amount) else {
                        break;
                    };
                    self.0.available.set(left);
                    waiter.state.set(State::Granted);
                    wake.extend(waiter.waker.borrow_mut().take());
                }
                queue.pop_front();
            }
        }
        // After the borrow ends: a waker may run code that comes back here.
        wake.into_iter().for_each(Waker::wake);
    }

    /// Gives back what a [`Permit`] that was forgotten held.
    pub fn give_back(&self, amount: usize) {
        let available = self.0.available.get() + amount;
        assert!(available <= self.0.capacity, "released more than was acquired");
        self.0.available.set(available);
        self.serve();
    }
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let amount = match &self.place {
            Place::Served(amount) => *amount,
            Place::Queued(waiter) if waiter.state.get() == State::Granted => {
                waiter.state.set(State::Gone);
                waiter.amount
            }
            Place::Queued(waiter) => {
                waiter.waker.replace(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            Place::Gone => return Poll::Pending,
        };
        self.place = Place::Gone;
        Poll::Ready(Permit { semaphore: self.semaphore.clone(), amount })
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let waiter = match &self.place {
            Place::Served(amount) => return self.semaphore.give_back(*amount),
            Place::Queued(waiter) => waiter,
            Place::Gone => return,
        };
        match waiter.state.replace(State::Gone) {
            State::Granted => self.semaphore.give_back(waiter.amount),
            // It may have been what those behind it waited for.
            State::Queued => self.semaphore.serve(),
            State::Gone => {}
        }
    }
}

impl Permit {
    /// Keeps the units acquired, for [`Semaphore::give_back`] later; returns how many.
    pub fn forget(mut self) -> usize {
        std::mem::take(&mut self.amount)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.semaphore.give_back(self.amount);
    }
}
