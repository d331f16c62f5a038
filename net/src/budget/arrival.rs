//! Frames of which a part has come, and which of them are ended while others wait.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::limits::Limits;

/// While a frame waits, those that come are looked at so often. One is judged by what it gained
/// from one look to the next, so it is ended in its third second of being too slow at the latest.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Between looks that are further apart nobody waited, or the broker itself stood still.
const LOOKS_APART_MAX: Duration = Duration::from_secs(2);

/// The frames that wait for their clients with bytes reserved.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    by_place: RefCell<BTreeMap<u64, Rc<Arrival>>>,
    last_look: Cell<Option<Duration>>,
}

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    frame_bytes: Cell<usize>,
    reserved_bytes: Cell<usize>,
    came_bytes: Cell<usize>,
    /// What had come at the last look, if it was there.
    seen_bytes: Cell<Option<usize>>,
    ended: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Arrivals {
    /// The frame at `place` begins to wait for its client.
    pub fn join(&self, place: u64) -> Rc<Arrival> {
        let arrival = Rc::<Arrival>::default();
        self.by_place.borrow_mut().insert(place, arrival.clone());
        arrival
    }

    /// It ends to.
    pub fn leave(&self, place: u64) {
        self.by_place.borrow_mut().remove(&place);
    }

    /// Ends frames that gained too little since the last look: those that gained least first, until
    /// the ended ones hold `wanted_bytes`.
    pub fn look(&self, now: Duration, wanted_bytes: usize, limits: &Limits) {
        let passed = self.last_look.get().map(|last| now.saturating_sub(last));
        if passed.is_some_and(|passed| passed < LOOK_EVERY) {
            return;
        }
        self.last_look.set(Some(now));
        let passed = passed.filter(|passed| *passed <= LOOKS_APART_MAX);
        let mut slow = Vec::new();
        for arrival in self.by_place.borrow().values() {
            let came_bytes = arrival.came_bytes.get();
            let seen_bytes = arrival.seen_bytes.replace(Some(came_bytes));
            let (Some(passed), Some(seen_bytes)) = (passed, seen_bytes) else { continue };
            let gained_bytes = came_bytes - seen_bytes;
            if gained_bytes < gain_min_bytes(arrival.frame_bytes.get(), passed, limits) {
                slow.push((gained_bytes, arrival.clone()));
            }
        }
        slow.sort_by_key(|(gained_bytes, _)| *gained_bytes);
        let mut freed_bytes = 0;
        for (_, arrival) in slow {
            if freed_bytes >= wanted_bytes {
                break;
            }
            freed_bytes += arrival.reserved_bytes.get();
            arrival.end();
        }
    }
}

/// What a frame has to gain while it keeps others waiting: the pace of the slowest client, and a
/// pace at which it would be complete within [`Limits::read_timeout`].
fn gain_min_bytes(frame_bytes: usize, passed: Duration, limits: &Limits) -> usize {
    let seconds = usize::try_from(limits.read_timeout.as_secs()).unwrap_or(usize::MAX).max(1);
    let per_second = limits.read_bytes_per_second_min.max(frame_bytes / seconds);
    let passed_ms = usize::try_from(passed.as_millis()).unwrap_or(usize::MAX);
    per_second.saturating_mul(passed_ms) / 1000
}

impl Arrival {
    /// So much of the frame has come, and is reserved.
    pub fn came(&self, came_bytes: usize, reserved_bytes: usize, frame_bytes: usize) {
        self.came_bytes.set(came_bytes);
        self.reserved_bytes.set(reserved_bytes);
        self.frame_bytes.set(frame_bytes);
    }

    /// True if it was ended; otherwise the task is woken when it is.
    pub fn is_ended(&self, context: &Context<'_>) -> bool {
        if !self.ended.get() {
            let mut waker = self.waker.borrow_mut();
            match &mut *waker {
                Some(known) => known.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
        }
        self.ended.get()
    }

    fn end(&self) {
        self.ended.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
