//! Taking turns: a lock for tasks of one shard, first come first served.
//!
//! For short sequences of I/O that must not interleave (write, then sync, then publish). No
//! threads and no atomics: a shard is one thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Whose turn it is. Clones are the same queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    queue: Rc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The ticket that may go on.
    serving: Cell<u64>,
    /// The ticket given to the next comer.
    next_ticket: Cell<u64>,
    /// Wakers of waiting tickets.
    waiting: RefCell<VecDeque<(u64, Waker)>>,
    /// Tickets whose holders gave up before their turn came.
    abandoned: RefCell<Vec<u64>>,
}

impl Turns {
    /// Waits until everybody who asked before is done; the turn ends with the guard.
    pub(crate) async fn take(&self) -> Turn {
        let ticket = self.queue.next_ticket.get();
        self.queue.next_ticket.set(ticket + 1);
        let turn = Turn { queue: self.queue.clone(), ticket };
        poll_fn(|cx| {
            if turn.queue.serving.get() == ticket {
                return Poll::Ready(());
            }
            let mut waiting = turn.queue.waiting.borrow_mut();
            match waiting.iter_mut().find(|(t, _)| *t == ticket) {
                Some((_, waker)) => waker.clone_from(cx.waker()),
                None => waiting.push_back((ticket, cx.waker().clone())),
            }
            Poll::Pending
        })
        .await;
        turn
    }
}

/// A place in the queue, and the turn itself once [`Turns::take`] has returned it.
#[derive(Debug)]
pub(crate) struct Turn {
    queue: Rc<Queue>,
    ticket: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let queue = &self.queue;
        let mut waiting = queue.waiting.borrow_mut();
        if queue.serving.get() != self.ticket {
            waiting.retain(|(ticket, _)| *ticket != self.ticket);
            queue.abandoned.borrow_mut().push(self.ticket);
            return;
        }
        let mut next = self.ticket + 1;
        let mut abandoned = queue.abandoned.borrow_mut();
        while let Some(at) = abandoned.iter().position(|ticket| *ticket == next) {
            abandoned.swap_remove(at);
            next += 1;
        }
        queue.serving.set(next);
        let at = waiting.iter().position(|(ticket, _)| *ticket == next);
        let waker = at.and_then(|at| waiting.remove(at)).map(|(_, waker)| waker);
        drop((waiting, abandoned));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
