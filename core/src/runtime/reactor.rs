//! What runs when no task does: one task of the executor, last in each round of its queue.
//!
//! glommio runs the tasks; its own rings stay empty, since their price is paid in every pass of its run
//! loop (five system calls and a memory barrier across all cores before each sleep) and since that
//! loop may lose wake-ups. It never comes to an end of its queue here: this task is always in it, behind
//! all that was runnable when it had its last turn. In a turn it lets the shard's own ring submit and
//! complete, ends sleeps and hears other threads; and if since its last turn nobody was woken, there is nobody
//! to run: then one of those who work long has its next turn, and if there is none, it sleeps in the ring until
//! something happens. So a request that finds its shard asleep
//! costs one system call besides its own reading and writing.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::long_work::LongWork;
use super::ring::{Ring, Watch};
use super::timers::Timers;
use super::wakes::Wakes;

/// Longest sleep in the ring, whatever there is to wait for.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The ring, the timers and the doorbell of one shard.
pub(super) struct Reactor {
    pub(super) ring: Rc<Ring>,
    pub(super) timers: Rc<Timers>,
    pub(super) long_work: Rc<LongWork>,
    pub(super) wakes: Rc<Wakes>,
    doorbell: Rc<Watch>,
    spin: Duration,
    started: Instant,
    slept: Cell<Duration>,
}

impl Reactor {
    /// With nothing under way. `spin`: how long a shard without work looks for some before it sleeps.
    pub(super) fn start(ring: Rc<Ring>, wakes: Rc<Wakes>, spin: Duration) -> io::Result<Rc<Self>> {
        let doorbell = Watch::new(wakes.events());
        ring.watch(&doorbell)?;
        Ok(Rc::new(Reactor {
            ring,
            timers: Rc::default(),
            long_work: Rc::default(),
            wakes,
            doorbell,
            spin,
            started: Instant::now(),
            slept: Cell::new(Duration::ZERO),
        }))
    }

    /// Time in which the shard was not asleep.
    pub(super) fn busy(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.slept.get())
    }

    /// The task; ends with the shard.
    pub(super) fn run(self: Rc<Self>) -> impl Future<Output = ()> {
        poll_fn(move |cx| {
            if self.wakes.has_ended() {
                return Poll::Ready(());
            }
            self.turn();
            // Behind every task that is runnable now.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    fn turn(&self) {
        let now = Instant::now();
        self.timers.wake_until(now);
        self.wakes.answer();
        let must_stay = self.wakes.is_anybody_up() || self.long_work.is_waiting();
        if must_stay || !self.spin_in_vain() || !self.wakes.lie_down() {
            self.ring.turn(now, None);
        } else {
            self.sleep();
        }
        self.long_work.go_on(now, self.wakes.is_anybody_up());
        if self.doorbell.key().is_none() {
            // Its poll ends when completions overflow.
            if let Err(error) = self.ring.watch(&self.doorbell) {
                tracing::error!(%error, "other threads are not heard");
            }
        }
        // Whoever was woken up to here runs before the next turn.
        self.wakes.round_begins();
    }

    fn sleep(&self) {
        let begun = Instant::now();
        let next = self.timers.next().into_iter().chain(self.ring.resume_at()).min();
        let longest = next.map_or(SLEEP_MAX, |at| at.saturating_duration_since(begun));
        self.ring.turn(begun, Some(longest.min(SLEEP_MAX)));
        self.wakes.get_up();
        let ended = Instant::now();
        self.slept.set(self.slept.get() + (ended - begun));
        self.timers.wake_until(ended);
        self.wakes.answer();
    }

    /// Looks for work for as long as is configured; true if there was none.
    fn spin_in_vain(&self) -> bool {
        if self.spin.is_zero() {
            return true;
        }
        let begun = Instant::now();
        // What tasks have begun must not wait for the spinning to end.
        self.ring.turn(begun, None);
        if self.wakes.is_anybody_up() {
            return false;
        }
        let until = self.timers.next().map_or(begun + self.spin, |at| at.min(begun + self.spin));
        while Instant::now() < until {
            if self.ring.has_completions() || self.wakes.is_called() {
                return false;
            }
            std::hint::spin_loop();
        }
        true
    }
}
