//! Work of unknown length in slices: each holds the shard for a fraction of a millisecond.

use std::time::Duration;

use corelane_storage::runtime::Runtime;

use crate::runtime::{ShardRuntime, thread_clock};

/// A slice ends when this has passed,
const SLICE_TIME_MAX: Duration = Duration::from_micros(200);

/// or after so many steps,
const SLICE_STEPS_MAX: usize = 500;

/// and is looked at every so many.
const LOOK_EVERY: usize = 16;

/// What decides when a slice ends. Pure. Times are the shard's processor time: that others have its
/// core now and then is not the slice's doing.
#[derive(Debug, Default)]
pub struct Slice {
    began: Duration,
    steps: usize,
    next_look: usize,
}

impl Slice {
    /// One that begins at `now`.
    pub fn new(now: Duration) -> Slice {
        Slice { began: now, steps: 0, next_look: LOOK_EVERY }
    }

    /// Counts a step of so much `weight`; true if it is time to look at the clock.
    fn step(&mut self, weight: usize) -> bool {
        self.steps += weight;
        self.steps >= self.next_look
    }

    /// True if the slice ends at `now`.
    fn ends(&mut self, now: Duration) -> bool {
        self.next_look = self.steps + LOOK_EVERY;
        self.steps >= SLICE_STEPS_MAX || self.held(now) >= SLICE_TIME_MAX
    }

    fn held(&self, now: Duration) -> Duration {
        now.saturating_sub(self.began)
    }
}

/// Slices of one piece of work on a shard, and the longest of them.
pub struct Slices<'a> {
    runtime: &'a ShardRuntime,
    slice: Slice,
    longest: Duration,
}

impl<'a> Slices<'a> {
    /// The work begins.
    pub fn new(runtime: &'a ShardRuntime) -> Slices<'a> {
        let slice = Slice::new(thread_clock());
        Slices { runtime, slice, longest: Duration::ZERO }
    }

    /// Counts a step of so much `weight` (1: a tenth of a microsecond to one), and lets others have
    /// their turn if the slice is over. Nothing that others need may be borrowed across it.
    pub async fn after(&mut self, weight: usize) {
        if !self.slice.step(weight) {
            return;
        }
        let now = thread_clock();
        if self.slice.ends(now) {
            self.longest = self.longest.max(self.slice.held(now));
            self.runtime.yield_now().await;
            self.slice = Slice::new(thread_clock());
        }
    }

    /// How long the longest slice was, if the work ends now.
    pub fn longest(&self) -> Duration {
        self.longest.max(self.slice.held(thread_clock()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps until the slice ends, at so much time a step.
    fn steps(each: Duration) -> usize {
        let (mut slice, mut now) = (Slice::new(Duration::ZERO), Duration::ZERO);
        for step in 1.. {
            now += each;
            if slice.step(1) && slice.ends(now) {
                return step;
            }
        }
        unreachable!()
    }

    #[test]
    fn a_slice_ends_by_time_or_by_steps() {
        assert!(steps(Duration::ZERO) <= SLICE_STEPS_MAX + LOOK_EVERY);
        assert_eq!(steps(Duration::from_micros(1)), 208, "the first look behind 200 us");
        assert_eq!(steps(Duration::from_micros(60)), LOOK_EVERY, "held for less than 1 ms");
        let mut slice = Slice::new(Duration::ZERO);
        assert!(slice.step(SLICE_STEPS_MAX) && slice.ends(Duration::ZERO), "one heavy step");
    }
}
