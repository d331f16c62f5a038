//! How much of the shard and of the disk compaction may take.
//!
//! It works in steps of a fraction of a millisecond. After each it lets others run; and where
//! others did something meanwhile, appends or fetches, it rests four times as long as the step took, so that
//! it has a fifth of the disk and of the core at most. On an idle shard it goes as fast as it can.

use std::rc::Rc;
use std::time::Duration;

use crate::runtime::Runtime;
use crate::store::shared::Shared;

/// A step ends when it has dealt with so many bytes or records.
const STEP_BYTES: usize = 32 << 10;
const STEP_RECORDS: usize = 256;

/// Rests are so many times as long as work while the shard is busy.
const REST_RATIO: u32 = 4;

/// The longest rest at once: a stop must not wait for it.
const REST_MAX: Duration = Duration::from_millis(100);

/// The pace of one compaction.
pub(crate) struct Pace<R: Runtime> {
    shared: Rc<Shared<R>>,
    /// When work went on after the last rest.
    resumed: Duration,
    /// What others had done then.
    foreground: u64,
    bytes: usize,
    records: usize,
    /// Bytes read and written since `since`, for the limit.
    moved: u64,
    since: Duration,
}

impl<R: Runtime> Pace<R> {
    pub(crate) fn new(shared: &Rc<Shared<R>>) -> Self {
        let now = shared.runtime.monotonic();
        Pace {
            shared: shared.clone(),
            resumed: now,
            foreground: shared.foreground.get(),
            bytes: 0,
            records: 0,
            moved: 0,
            since: now,
        }
    }

    /// Counts work that was done; rests if it was enough for a step.
    pub(super) async fn worked(&mut self, bytes: usize, records: usize) {
        self.bytes += bytes;
        self.records += records;
        if self.bytes >= STEP_BYTES || self.records >= STEP_RECORDS {
            self.rest().await;
        }
    }

    /// Counts bytes that were read or written; waits until the limit allows more.
    pub(super) async fn moved(&mut self, bytes: usize) {
        self.moved += bytes as u64;
        self.rest().await;
        let limit = self.shared.compaction.get().bytes_per_second.max(1);
        while !self.must_stop() {
            let took = self.shared.runtime.monotonic() - self.since;
            let allowed = Duration::from_secs_f64(self.moved as f64 / limit as f64);
            let ahead = allowed.saturating_sub(took);
            if ahead < Duration::from_millis(1) {
                break;
            }
            self.shared.runtime.sleep(ahead.min(REST_MAX)).await;
        }
        self.resumed = self.shared.runtime.monotonic();
    }

    /// True if the store is about to stop: nothing is worth being waited for.
    pub(super) fn must_stop(&self) -> bool {
        self.shared.ending.get() || !self.shared.compaction.get().enabled
    }

    async fn rest(&mut self) {
        let runtime = &self.shared.runtime;
        let worked = runtime.monotonic().saturating_sub(self.resumed);
        if self.shared.foreground.get() == self.foreground {
            runtime.yield_now().await;
        } else {
            runtime.sleep((worked * REST_RATIO).min(REST_MAX)).await;
        }
        self.resumed = runtime.monotonic();
        self.foreground = self.shared.foreground.get();
        (self.bytes, self.records) = (0, 0);
    }
}
