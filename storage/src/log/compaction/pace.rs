//! How much of the shard and of the disk compaction may take.
//!
//! It works in steps of a fraction of a millisecond. After each it lets others run; and while
//! others do something, appends or fetches, it rests four times as long as the step took, so that
//! it has a fifth of the disk and of the core at most. On an idle shard it goes as fast as it can.

use std::rc::Rc;
use std::time::Duration;

use super::error::CompactionError;
use crate::log::Log;
use crate::runtime::Runtime;
use crate::store::shared::Shared;

/// A step ends when it has dealt with so many bytes or records.
const STEP_BYTES: usize = 32 << 10;
const STEP_RECORDS: usize = 256;

/// Rests are so many times as long as work while the shard is busy.
const REST_RATIO: u32 = 4;

/// The longest rest at once: a stop must not wait for it.
const REST_MAX: Duration = Duration::from_millis(100);

/// A shard is busy until nobody has appended or fetched for so long: most steps are shorter than
/// the time between two requests.
const BUSY: Duration = Duration::from_millis(200);

/// The pace of one compaction.
pub(crate) struct Pace<R: Runtime> {
    shared: Rc<Shared<R>>,
    log: Log<R>,
    /// When work went on after the last rest.
    resumed: Duration,
    /// What others had done then.
    foreground: u64,
    /// The shard is busy until then, at least.
    busy_until: Duration,
    bytes: usize,
    records: usize,
    /// Bytes read and written since `since`, for the limit.
    moved: u64,
    since: Duration,
}

impl<R: Runtime> Pace<R> {
    /// Of a compaction of `log`.
    pub(crate) fn new(shared: &Rc<Shared<R>>, log: &Log<R>) -> Self {
        let now = shared.runtime.monotonic();
        Pace {
            shared: shared.clone(),
            log: log.clone(),
            resumed: now,
            foreground: shared.foreground.get(),
            // Who looks for logs to compact has not looked at who else is there.
            busy_until: now + BUSY,
            bytes: 0,
            records: 0,
            moved: 0,
            since: now,
        }
    }

    /// Counts work that was done; rests if it was enough for a step.
    ///
    /// # Errors
    /// [`CompactionError::Stopped`], [`CompactionError::Superseded`]: it is to be given up.
    pub(super) async fn worked(
        &mut self,
        bytes: usize,
        records: usize,
    ) -> Result<(), CompactionError> {
        self.bytes += bytes;
        self.records += records;
        if self.bytes >= STEP_BYTES || self.records >= STEP_RECORDS {
            return self.step().await;
        }
        Ok(())
    }

    /// Ends a step: others get their turn.
    ///
    /// # Errors
    /// As [`Pace::worked`].
    pub(super) async fn step(&mut self) -> Result<(), CompactionError> {
        self.rest().await;
        self.check()
    }

    /// Counts bytes that were read; waits until the limit allows more.
    ///
    /// # Errors
    /// As [`Pace::worked`].
    pub(super) async fn read(&mut self, bytes: usize) -> Result<(), CompactionError> {
        self.shared.meters.compaction.read_bytes.add(bytes as u64);
        self.moved(bytes).await
    }

    /// Counts bytes that were written; waits until the limit allows more.
    ///
    /// # Errors
    /// As [`Pace::worked`].
    pub(super) async fn wrote(&mut self, bytes: usize) -> Result<(), CompactionError> {
        self.shared.meters.compaction.written_bytes.add(bytes as u64);
        self.moved(bytes).await
    }

    async fn moved(&mut self, bytes: usize) -> Result<(), CompactionError> {
        self.moved += bytes as u64;
        self.rest().await;
        loop {
            self.check()?;
            let limit = self.shared.compaction.get().bytes_per_second.max(1);
            let took = self.shared.runtime.monotonic() - self.since;
            let allowed = Duration::from_secs_f64(self.moved as f64 / limit as f64);
            let ahead = allowed.saturating_sub(took);
            if ahead < Duration::from_millis(1) {
                break;
            }
            self.shared.runtime.sleep(ahead.min(REST_MAX)).await;
        }
        self.resumed = self.shared.runtime.monotonic();
        Ok(())
    }

    /// Whether it may go on: the store goes on, and the log is there and still to be compacted.
    fn check(&self) -> Result<(), CompactionError> {
        if self.shared.ending.get() || !self.shared.compaction.get().enabled {
            return Err(CompactionError::Stopped);
        }
        let goes_on = |compact_policy, is_online| compact_policy && is_online;
        match self.log.with_state(|s| goes_on(s.config.compact_policy, s.offline.is_none())) {
            true => Ok(()),
            false => Err(CompactionError::Superseded),
        }
    }

    /// Lets others run, and rests if there are any.
    pub(super) async fn rest(&mut self) {
        let runtime = &self.shared.runtime;
        let now = runtime.monotonic();
        let foreground = self.shared.foreground.get();
        if foreground != self.foreground {
            self.foreground = foreground;
            self.busy_until = now + BUSY;
        }
        if now < self.busy_until {
            let worked = now.saturating_sub(self.resumed);
            runtime.sleep((worked * REST_RATIO).min(REST_MAX)).await;
        } else {
            runtime.yield_now().await;
        }
        self.resumed = runtime.monotonic();
        (self.bytes, self.records) = (0, 0);
    }
}
