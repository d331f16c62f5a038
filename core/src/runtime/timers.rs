//! Who sleeps until when.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Longest sleep; longer ones (a caller's "forever") would overflow the clock.
const SLEEP_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Those who sleep on one shard, by their time, then in the order in which they lay down.
#[derive(Default)]
pub(super) struct Timers {
    sleeping: RefCell<BTreeMap<(Instant, u64), Waker>>,
    begun: Cell<u64>,
}

impl Timers {
    /// Ends `duration` from now, at the earliest, and not before the shard's other tasks had their turn.
    pub(super) fn sleep(self: &Rc<Self>, duration: Duration) -> Sleep {
        self.sleep_until(Instant::now(), duration)
    }

    /// The same, `duration` after `since`.
    pub(super) fn sleep_until(self: &Rc<Self>, since: Instant, duration: Duration) -> Sleep {
        let number = self.begun.replace(self.begun.get() + 1);
        let until = since + duration.min(SLEEP_MAX);
        Sleep { timers: Rc::clone(self), key: (until, number), state: State::New }
    }

    /// When the next one wakes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.sleeping.borrow().first_key_value().map(|((until, _), _)| *until)
    }

    /// Wakes all whose time has come.
    pub(super) fn wake_until(&self, now: Instant) {
        loop {
            let mut sleeping = self.sleeping.borrow_mut();
            let Some(first) = sleeping.first_entry().filter(|first| first.key().0 <= now) else {
                return;
            };
            let waker = first.remove();
            drop(sleeping);
            waker.wake();
        }
    }
}

enum State {
    New,
    Asleep,
    Over,
}

/// One sleep.
pub(super) struct Sleep {
    timers: Rc<Timers>,
    key: (Instant, u64),
    state: State,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut sleeping = self.timers.sleeping.borrow_mut();
        match self.state {
            State::New => {
                sleeping.insert(self.key, cx.waker().clone());
                drop(sleeping);
                self.state = State::Asleep;
                Poll::Pending
            }
            State::Asleep => match sleeping.get_mut(&self.key) {
                Some(waker) if waker.will_wake(cx.waker()) => Poll::Pending,
                Some(waker) => {
                    let stale = mem::replace(waker, cx.waker().clone());
                    drop(sleeping);
                    // Outside the borrow: it may drop whatever its owner likes.
                    drop(stale);
                    Poll::Pending
                }
                None => {
                    drop(sleeping);
                    self.state = State::Over;
                    Poll::Ready(())
                }
            },
            State::Over => Poll::Ready(()),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // Bound to a name: dropped after the borrow.
        let _waker = match self.state {
            State::Asleep => self.timers.sleeping.borrow_mut().remove(&self.key),
            State::New | State::Over => None,
        };
    }
}
