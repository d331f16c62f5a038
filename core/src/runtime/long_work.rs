//! Turns of long work: whoever has had one waits here for the next.
//!
//! Together they would hold the shard for a turn each before anybody else is served, again and again: a
//! request that takes four steps would wait for four turns of every one of them. So they go on one at a
//! time, in order, when nobody else has anything to do; and, where somebody always has, now and then.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// For so long others may keep long work waiting: of a shard that is never idle it has about a tenth.
const NEGLECT_MAX: Duration = Duration::from_millis(1);

/// Those who wait for their next turn on one shard.
#[derive(Default)]
pub(super) struct LongWork {
    /// In the order in which they came.
    waiting: RefCell<BTreeMap<u64, Waker>>,
    came: Cell<u64>,
    last_turn: Cell<Option<Instant>>,
}

impl LongWork {
    /// Ends when it is the caller's turn again.
    pub(super) fn next_turn(self: &Rc<Self>) -> NextTurn {
        NextTurn { of: Rc::clone(self), state: State::New }
    }

    /// Whether anybody waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }

    /// Wakes whoever came first, if it is time: `others` says whether anybody else has something to do.
    pub(super) fn go_on(&self, now: Instant, others: bool) {
        let waits_long = |last| now.saturating_duration_since(last) >= NEGLECT_MAX;
        if others && self.last_turn.get().is_some_and(|last| !waits_long(last)) {
            return;
        }
        let first = self.waiting.borrow_mut().pop_first();
        if let Some((_, waker)) = first {
            self.last_turn.set(Some(now));
            waker.wake();
        }
    }
}

enum State {
    New,
    Waits(u64),
    Over,
}

/// A place among those who wait.
pub(super) struct NextTurn {
    of: Rc<LongWork>,
    state: State,
}

impl Future for NextTurn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let place = match self.state {
            State::New => {
                let place = self.of.came.replace(self.of.came.get() + 1);
                self.of.waiting.borrow_mut().insert(place, cx.waker().clone());
                self.state = State::Waits(place);
                return Poll::Pending;
            }
            State::Waits(place) => place,
            State::Over => return Poll::Ready(()),
        };
        let mut waiting = self.of.waiting.borrow_mut();
        // Bound to a name: dropped after the borrow, as it may drop whatever its owner likes.
        let _stale = match waiting.get_mut(&place) {
            Some(waker) if waker.will_wake(cx.waker()) => return Poll::Pending,
            Some(waker) => mem::replace(waker, cx.waker().clone()),
            None => {
                drop(waiting);
                self.state = State::Over;
                return Poll::Ready(());
            }
        };
        drop(waiting);
        Poll::Pending
    }
}

impl Drop for NextTurn {
    fn drop(&mut self) {
        // Bound to a name: as above.
        let _waker = match self.state {
            State::Waits(place) => self.of.waiting.borrow_mut().remove(&place),
            State::New | State::Over => None,
        };
    }
}
