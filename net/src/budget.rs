//! A shard's budget of bytes for requests under way.
//!
//! - `arrival.rs`: frames that come slowly, and which of them are ended while others wait

mod arrival;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::future::{Either, select};

use crate::limits::Limits;
use crate::stream::Timer;
use arrival::{Arrival, Arrivals, LOOK_EVERY};

/// A budget of bytes, on one thread. A frame reserves its bytes step by step, before they are read;
/// who comes when nothing is left waits, and so reads no more. Frames that wait are served in the
/// order in which they began, not in that of their steps.
///
/// Many frames of which only a part has come could hold all of the budget and each wait for the
/// others. Therefore one frame at a time, the first that waits, may go on over the limit, up to an
/// allowance of one frame of the largest size. No more than limit and allowance is ever reserved.
///
/// Two rules keep those who send slowly from keeping the others waiting:
///
/// - A part of the limit is for small frames. They take from it what they can't have at once, so
///   that large ones, however slow, never hold them up. All of a small frame is reserved in one step.
/// - While a frame waits, those are ended that come too slowly ([`Reservation::unless_ended`]): the
///   slowest first, and no more of them than hold what is waited for. While none waits, each may be
///   as slow as the connection's own limits allow.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: &'static str,
    /// What is for all frames.
    limit_bytes: usize,
    allowance_bytes: usize,
    reserve: Reserve,
    /// Of the limit and the allowance.
    used_bytes: Cell<usize>,
    /// Of the reserve.
    reserve_used_bytes: Cell<usize>,
    next_place: Cell<u64>,
    /// The place of the frame whose rest is promised, limit or not.
    promised: Cell<Option<u64>>,
    /// Who waits, by the places of their frames.
    waiting: RefCell<BTreeMap<u64, Waiter>>,
    /// The places of the small ones among them.
    small_waiting: RefCell<BTreeSet<u64>>,
    arrivals: Arrivals,
}

/// What is for small frames alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reserve {
    /// The longest frame that counts as small.
    frame_bytes_max: usize,
    bytes: usize,
}

impl Reserve {
    /// `bytes` of a budget's limit for frames of at most `frame_bytes_max`.
    pub fn new(bytes: usize, frame_bytes_max: usize) -> Reserve {
        Reserve { frame_bytes_max, bytes }
    }
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    /// What its frame lacks.
    missing_bytes: usize,
}

/// Where a frame's bytes are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool {
    All,
    Reserve,
}

impl ByteBudget {
    /// A budget of `limit_bytes`, with the name under which it appears in logs. `allowance_bytes`
    /// is the length of the largest frame; a larger one is counted as one of that length.
    pub fn new(name: &'static str, limit_bytes: usize, allowance_bytes: usize) -> ByteBudget {
        ByteBudget::with_reserve(name, limit_bytes, allowance_bytes, Reserve::default())
    }

    /// As [`ByteBudget::new`]; the reserve is a part of `limit_bytes`.
    pub fn with_reserve(
        name: &'static str,
        limit_bytes: usize,
        allowance_bytes: usize,
        reserve: Reserve,
    ) -> ByteBudget {
        let inner = Inner {
            name,
            limit_bytes: limit_bytes.saturating_sub(reserve.bytes),
            allowance_bytes,
            reserve,
            used_bytes: Cell::new(0),
            reserve_used_bytes: Cell::new(0),
            next_place: Cell::new(0),
            promised: Cell::new(None),
            waiting: RefCell::default(),
            small_waiting: RefCell::default(),
            arrivals: Arrivals::default(),
        };
        ByteBudget { inner: Rc::new(inner) }
    }

    /// The name given.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Bytes reserved now; at most the limit and the allowance together.
    pub fn used_bytes(&self) -> usize {
        self.inner.used_bytes.get() + self.inner.reserve_used_bytes.get()
    }

    /// What may be reserved, the allowance aside.
    pub fn limit_bytes(&self) -> usize {
        self.inner.limit_bytes + self.inner.reserve.bytes
    }

    /// Frames waiting now.
    pub fn waiting(&self) -> usize {
        self.inner.waiting.borrow().len()
    }

    /// A frame of `frame_bytes` begins: its place among those that wait, and as yet no bytes.
    pub fn begin(&self, frame_bytes: usize) -> Reservation {
        let place = self.inner.next_place.get();
        self.inner.next_place.set(place + 1);
        let is_small = frame_bytes <= self.inner.reserve.frame_bytes_max;
        let frame_bytes = frame_bytes.min(self.inner.allowance_bytes);
        Reservation {
            budget: self.clone(),
            place,
            frame_bytes,
            is_small,
            pool: Pool::All,
            bytes: 0,
            arrival: None,
        }
    }

    /// Ends frames that come too slowly, if any frame waits; at most once in [`LOOK_EVERY`].
    fn look<T: Timer>(&self, limits: &Limits, timer: &T) {
        let missing = |waiter: &Waiter| waiter.missing_bytes;
        let wanted_bytes = self.inner.waiting.borrow().values().map(missing).sum();
        self.inner.arrivals.look(timer.now(), wanted_bytes, limits);
    }
}

impl Inner {
    /// Where the frame gets its next `bytes` from, if it gets them now.
    fn admits(&self, frame: &Reservation, bytes: usize) -> Option<Pool> {
        let (place, missing_bytes) = (frame.place, frame.missing_bytes());
        if self.promised.get() == Some(place) {
            return Some(Pool::All);
        }
        let is_first = self.waiting.borrow().range(..place).next().is_none();
        if is_first && self.used_bytes.get() + bytes <= self.limit_bytes {
            return Some(Pool::All);
        }
        if frame.is_small
            && self.small_waiting.borrow().range(..place).next().is_none()
            && self.reserve_used_bytes.get() + bytes <= self.reserve.bytes
        {
            return Some(Pool::Reserve);
        }
        let most_bytes = self.limit_bytes.saturating_add(self.allowance_bytes);
        let is_promised = self.promised.get().is_some();
        if !is_first || is_promised || self.used_bytes.get() + missing_bytes > most_bytes {
            return None;
        }
        self.promised.set(Some(place));
        Some(Pool::All)
    }

    fn used(&self, pool: Pool) -> &Cell<usize> {
        match pool {
            Pool::All => &self.used_bytes,
            Pool::Reserve => &self.reserve_used_bytes,
        }
    }

    /// Something has changed for the first that waits, and for the first small one.
    fn wake_first(&self) {
        let waiting = self.waiting.borrow();
        let first = waiting.first_key_value();
        let small = self.small_waiting.borrow().first().copied();
        let small = small.filter(|place| first.is_none_or(|(first, _)| first != place));
        let small = small.and_then(|place| waiting.get(&place));
        let both = [first.map(|(_, waiter)| waiter), small];
        let wakers: Vec<Waker> = both.into_iter().flatten().map(|w| w.waker.clone()).collect();
        drop(waiting);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Bytes reserved for one frame; dropped, they are free again, and the frame's place is given up.
#[derive(Debug)]
pub struct Reservation {
    budget: ByteBudget,
    place: u64,
    frame_bytes: usize,
    is_small: bool,
    pool: Pool,
    bytes: usize,
    /// While it waits for its client, with bytes reserved.
    arrival: Option<Rc<Arrival>>,
}

impl Reservation {
    /// Bytes reserved so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn missing_bytes(&self) -> usize {
        self.frame_bytes - self.bytes
    }

    /// True if all of the frame is to be reserved at once: it is small, or half of the limit would
    /// still be free after it.
    pub fn is_ample(&self) -> bool {
        let inner = &self.budget.inner;
        self.is_small || inner.used_bytes.get() + self.missing_bytes() <= inner.limit_bytes / 2
    }

    /// Grows to `bytes` of the frame, all of it at most, if that is possible at once; says whether
    /// it was.
    pub fn try_grow_to(&mut self, bytes: usize) -> bool {
        let bytes = if self.is_small { self.frame_bytes } else { bytes.min(self.frame_bytes) };
        let step_bytes = bytes.saturating_sub(self.bytes);
        let inner = &self.budget.inner;
        if step_bytes == 0 {
            return true;
        }
        let Some(pool) = inner.admits(self, step_bytes) else { return false };
        self.pool = pool;
        self.bytes += step_bytes;
        let used = inner.used(pool);
        used.set(used.get() + step_bytes);
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

    /// As [`Reservation::grow_to`]. As long as it waits, those who come too slowly are ended.
    pub async fn wait_for<T: Timer>(&mut self, bytes: usize, limits: &Limits, timer: &T) {
        if self.try_grow_to(bytes) {
            return;
        }
        self.leave_arrivals();
        let budget = self.budget.clone();
        let mut grown = pin!(self.grow_to(bytes));
        while let Either::Right(_) = select(grown.as_mut(), pin!(timer.sleep(LOOK_EVERY))).await {
            budget.look(limits, timer);
        }
    }

    /// What `read` gives, which reads more of the frame, of which `came_bytes` have come; or `None`
    /// as soon as the frame is ended: it comes too slowly, and others wait.
    pub async fn unless_ended<T>(
        &mut self,
        came_bytes: usize,
        read: impl Future<Output = T>,
    ) -> Option<T> {
        let arrivals = &self.budget.inner.arrivals;
        let arrival = self.arrival.get_or_insert_with(|| arrivals.join(self.place));
        arrival.came(came_bytes, self.bytes, self.frame_bytes);
        let mut read = pin!(read);
        poll_fn(|context| match read.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if arrival.is_ended(context) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// It waits for its client no more: all of it has come, or it waits for the budget.
    pub fn leave_arrivals(&mut self) {
        if self.arrival.take().is_some() {
            self.budget.inner.arrivals.leave(self.place);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.leave_arrivals();
        let inner = &self.budget.inner;
        let used = inner.used(self.pool);
        used.set(used.get() - self.bytes);
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
        let (inner, place) = (&self.0.budget.inner, self.0.place);
        let missing_bytes = self.0.missing_bytes();
        let waiter = Waiter { waker: context.waker().clone(), missing_bytes };
        inner.waiting.borrow_mut().insert(place, waiter);
        if self.0.is_small {
            inner.small_waiting.borrow_mut().insert(place);
        }
        Poll::Pending
    }
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        let (inner, place) = (&self.0.budget.inner, self.0.place);
        let waited = inner.waiting.borrow_mut().remove(&place);
        inner.small_waiting.borrow_mut().remove(&place);
        if waited.is_some() {
            inner.wake_first();
        }
    }
}
