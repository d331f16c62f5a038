//! Who has a place at the HTTP port, and who gives it up when others want it.
//!
//! As long as there are places, whoever is silent or slow has time. When there are none, the one that
//! has been silent for longest goes, then the one that has been reading for longest: an orchestrator
//! that asks for `/healthz` must not wait for them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// What a place that is wanted waits for before it is looked for again.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long a connection may be silent, though its place is wanted: its request may be in the
/// kernel's buffers, and this thread not have come to it.
const ASK_PATIENCE: Duration = Duration::from_millis(250);

/// How long it may read an answer, though its place is wanted.
const PLACE_TAKE_PATIENCE: Duration = Duration::from_secs(5);

/// How long it may read a page, though others wait for the memory.
const PAGE_TAKE_PATIENCE: Duration = Duration::from_secs(2);

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// The head of its request is not whole.
    Asking,
    /// Its answer is being made.
    Waiting,
    /// It takes its answer.
    Taking,
}

/// All places of a port.
pub struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<Vec<Arc<Seat>>>,
}

/// A place and what is done there.
struct Seat {
    /// And since when.
    doing: Mutex<(Doing, Instant)>,
    is_wanted: AtomicBool,
    waker: AtomicWaker,
}

impl Places {
    /// So many.
    pub fn new(places: usize) -> Arc<Places> {
        let free = Arc::new(Semaphore::new(places));
        Arc::new(Places { free, taken: Mutex::default() })
    }

    /// A place, as soon as there is one.
    pub async fn take(self: &Arc<Self>) -> Place {
        loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                return self.sit(permit);
            }
            if !self.close_longest(Doing::Asking, ASK_PATIENCE) {
                self.close_longest(Doing::Taking, PLACE_TAKE_PATIENCE);
            }
            let given_up = timeout(LOOK_INTERVAL, self.free.clone().acquire_owned()).await;
            // The semaphore is never closed: what is left is that the time is over.
            if let Ok(Ok(permit)) = given_up {
                return self.sit(permit);
            }
        }
    }

    /// Closes the connection that has been taking its page for longest, if that is long; true if
    /// there was one.
    pub fn close_slowest_reader(&self) -> bool {
        self.close_longest(Doing::Taking, PAGE_TAKE_PATIENCE)
    }

    fn sit(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        let seat = Arc::new(Seat {
            doing: Mutex::new((Doing::Asking, Instant::now())),
            is_wanted: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        locked(&self.taken).push(seat.clone());
        Place { seat, places: self.clone(), doing: Doing::Asking, _permit: permit }
    }

    fn close_longest(&self, doing: Doing, patience: Duration) -> bool {
        let taken = locked(&self.taken);
        let staying = taken.iter().filter(|seat| !seat.is_wanted.load(Ordering::Relaxed));
        let seats: Vec<_> = staying.map(|seat| (*locked(&seat.doing), seat)).collect();
        let states = seats.iter().map(|(state, _)| *state);
        let Some(longest) = longest(states, doing, Instant::now(), patience) else { return false };
        let seat = seats[longest].1;
        seat.is_wanted.store(true, Ordering::Release);
        seat.waker.wake();
        true
    }
}

/// Of connections and since when they do what they do, the one that has done `doing` for longest,
/// and for `patience` at least.
fn longest(
    states: impl Iterator<Item = (Doing, Instant)>,
    doing: Doing,
    now: Instant,
    patience: Duration,
) -> Option<usize> {
    let such = states.enumerate().filter(|(_, (done, since))| {
        *done == doing && now.saturating_duration_since(*since) >= patience
    });
    such.min_by_key(|(_, (_, since))| *since).map(|(index, _)| index)
}

/// One connection's place, until dropped.
pub struct Place {
    seat: Arc<Seat>,
    places: Arc<Places>,
    doing: Doing,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// From now on the connection does this.
    pub fn note(&mut self, doing: Doing) {
        if self.doing != doing {
            self.doing = doing;
            *locked(&self.seat.doing) = (doing, Instant::now());
        }
    }

    /// True if the connection has to be closed; wakes the task of `context` when it has.
    pub fn is_wanted(&self, context: &Context<'_>) -> bool {
        self.seat.waker.register(context.waker());
        self.seat.is_wanted.load(Ordering::Acquire)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.places.taken).retain(|seat| !Arc::ptr_eq(seat, &self.seat));
    }
}

/// What is locked here is whole at any time, also where a panic ended its use.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_longest_that_has_had_its_time_goes() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let states = [
            (Doing::Waiting, at(0)),
            (Doing::Asking, at(30)),
            (Doing::Asking, at(20)),
            (Doing::Taking, at(10)),
        ];
        let patience = Duration::from_millis(100);
        let of = |doing, now| longest(states.into_iter(), doing, at(now), patience);
        assert_eq!(of(Doing::Asking, 119), None);
        assert_eq!(of(Doing::Asking, 120), Some(2));
        assert_eq!(of(Doing::Asking, 10_000), Some(2));
        assert_eq!(of(Doing::Taking, 109), None);
        assert_eq!(of(Doing::Taking, 110), Some(3));
    }

    #[test]
    fn a_wanted_place_is_given_up_and_taken() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let places = Places::new(2);
            let mut one = places.take().await;
            let other = places.take().await;
            one.note(Doing::Waiting);
            let context = Context::from_waker(Waker::noop());
            assert!(!one.is_wanted(&context) && !other.is_wanted(&context));
            // The second is silent; the first waits for what is not its fault.
            let given_up = std::future::poll_fn(|context| match other.is_wanted(context) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            });
            let taker = tokio::spawn({
                let places = places.clone();
                async move { places.take().await }
            });
            given_up.await;
            drop(other);
            let third = taker.await.unwrap();
            assert!(!one.is_wanted(&context) && !third.is_wanted(&context));
            assert_eq!(locked(&places.taken).len(), 2);
        });
    }
}
