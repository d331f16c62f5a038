//! Pauses of long work: a shard must not be held for more than 500 us.

use corelane_storage::runtime::Runtime;

use crate::runtime::ShardRuntime;

/// Steps that are taken before others get their turn: they wait for most of it.
const BEFORE_A_PAUSE: usize = 100;

/// Steps of a tenth of a microsecond in one of a microsecond.
const CHEAP_PER_STEP: usize = 10;

/// Steps of about a tenth of a microsecond each, taken since others had their turn.
pub struct Pauses<'a> {
    runtime: &'a ShardRuntime,
    steps: usize,
}

impl<'a> Pauses<'a> {
    /// For work that begins.
    pub fn new(runtime: &'a ShardRuntime) -> Pauses<'a> {
        Pauses { runtime, steps: 0 }
    }

    /// Counts `steps`, and lets others have their turn once there are many. Nothing that others
    /// need may be borrowed across it.
    pub async fn after(&mut self, steps: usize) {
        self.after_cheap(CHEAP_PER_STEP * steps).await;
    }

    /// As [`Pauses::after`], for steps of about a tenth of that.
    pub async fn after_cheap(&mut self, steps: usize) {
        self.steps += steps;
        if self.steps >= BEFORE_A_PAUSE * CHEAP_PER_STEP {
            self.steps = 0;
            self.runtime.yield_now().await;
        }
    }
}
