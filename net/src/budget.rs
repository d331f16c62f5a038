//! A shard's budget of bytes for requests under way.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[cfg(test)]
mod tests;

/// A budget of bytes, on one thread. A frame reserves its bytes step by step, before they are read;
/// who comes when nothing is left waits, and so reads no more. Frames that wait are served in the
/// order in which they began, not in that of their steps.
///
/// Many frames of which only a part has come could hold all of the budget and each wait for the
/// others. Therefore one frame at a time, the first that waits, may go on over the limit, up to an
/// allowance of one frame of the largest size. No more than limit and allowance is ever reserved.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: &'static str,
    limit_bytes: usize,
    allowance_bytes: usize,
    used_bytes: Cell<usize>,
    next_place: Cell<u64>,
    /// The place of the frame whose rest is promised, limit or not.
    promised: Cell<Option<u64>>,
    /// Who waits, by the places of their frames.
    waiting: RefCell<BTreeMap<u64, Waker>>,
}

impl ByteBudget {
    /// A budget of `limit_bytes`, with the name under which it appears in logs. `allowance_bytes`
    /// is the length of the largest frame; a larger one is counted as one of that length.
    pub fn new(name: &'static str, limit_bytes: usize, allowance_bytes: usize) -> ByteBudget {
        let inner = Inner {
            name,
            limit_bytes,
            allowance_bytes,
            used_bytes: Cell::new(0),
            next_place: Cell::new(0),
            promised: Cell::new(None),
            waiting: RefCell::default(),
        };
        ByteBudget { inner: Rc::new(inner) }
    }

    /// The name given.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Bytes reserved now; at most the limit and the allowance together.
    pub fn used_bytes(&self) -> usize {
        self.inner.used_bytes.get()
    }

    /// What may be reserved, the allowance aside.
    pub fn limit_bytes(&self) -> usize {
        self.inner.limit_bytes
    }

    /// Frames waiting now.
    pub fn waiting(&self) -> usize {
        self.inner.waiting.borrow().len()
    }

    /// A frame of `frame_bytes` begins: its place among those that wait, and as yet no bytes.
    pub fn begin(&self, frame_bytes: usize) -> Reservation {
        let place = self.inner.next_place.get();
        self.inner.next_place.set(place + 1);
        let frame_bytes = frame_bytes.min(self.inner.allowance_bytes);
        Reservation { budget: self.clone(), place, frame_bytes, bytes: 0 }
    }
}

impl Inner {
    /// True if the frame at `place`, of which `missing_bytes` are not reserved, gets `bytes` now.
    fn admits(&self, place: u64, bytes: usize, missing_bytes: usize) -> bool {
        if self.promised.get() == Some(place) {
            return true;
        }
        if self.waiting.borrow().range(..place).next().is_some() {
            return false;
        }
        if self.used_bytes.get() + bytes <= self.limit_bytes {
            return true;
        }
        let most_bytes = self.limit_bytes.saturating_add(self.allowance_bytes);
        if self.promised.get().is_some() || self.used_bytes.get() + missing_bytes > most_bytes {
            return false;
        }
        self.promised.set(Some(place));
        true
    }

    /// Something has changed for the first that waits.
    fn wake_first(&self) {
        let first = self.waiting.borrow().values().next().cloned();
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// Bytes reserved for one frame; dropped, they are free again, and the frame's place is given up.
#[derive(Debug)]
pub struct Reservation {
    budget: ByteBudget,
    place: u64,
    frame_bytes: usize,
    bytes: usize,
}

impl Reservation {
    /// Bytes reserved so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True if half of the limit would still be free after all of the frame.
    pub fn is_ample(&self) -> bool {
        let inner = &self.budget.inner;
        inner.used_bytes.get() + (self.frame_bytes - self.bytes) <= inner.limit_bytes / 2
    }

    /// Grows to `bytes` of the frame, all of it at most, if that is possible at once; says whether
    /// it was.
    pub fn try_grow_to(&mut self, bytes: usize) -> bool {
        let step_bytes = bytes.min(self.frame_bytes).saturating_sub(self.bytes);
        let inner = &self.budget.inner;
        if step_bytes == 0 {
            return true;
        }
        if !inner.admits(self.place, step_bytes, self.frame_bytes - self.bytes) {
            return false;
        }
        self.bytes += step_bytes;
        inner.used_bytes.set(inner.used_bytes.get() + step_bytes);
        if self.bytes == self.frame_bytes && inner.promised.get() == Some(self.place) {
            inner.promised.set(None);
            inner.wake_first();
        }
        true
    }

    /// Grows to `bytes` of the frame, all of it at most: when all frames that began earlier have
    /// what they wait for, and there is enough. Dropping the future reserves nothing.
    pub async fn grow_to(&mut self, bytes: usize) {
        let mut waiting = InQueue(self);
        poll_fn(|context| waiting.poll(context, bytes)).await;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let inner = &self.budget.inner;
        inner.used_bytes.set(inner.used_bytes.get() - self.bytes);
        if inner.promised.get() == Some(self.place) {
            inner.promised.set(None);
        }
        inner.wake_first();
    }
}

/// A frame that may be among those that wait, and is not when this is dropped.
struct InQueue<'a>(&'a mut Reservation);

impl InQueue<'_> {
    fn poll(&mut self, context: &mut Context<'_>, bytes: usize) -> Poll<()> {
        if self.0.try_grow_to(bytes) {
            return Poll::Ready(());
        }
        let mut waiting = self.0.budget.inner.waiting.borrow_mut();
        waiting.insert(self.0.place, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        let inner = &self.0.budget.inner;
        let waited = inner.waiting.borrow_mut().remove(&self.0.place);
        if waited.is_some() {
            inner.wake_first();
        }
    }
}
