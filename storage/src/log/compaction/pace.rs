//! How much of the shard and of the disk compaction may take.
//!
//! It works in steps of a fraction of a millisecond. After each it lets others run; and while
//! others do something, appends or fetches, it rests four times as long as the step took, so that
//! it has a fifth of the disk and of the core at most. On an idle shard it goes as fast as it can;
//! and it rests less, or not at all, if the log would grow faster than it is compacted.

use std::rc::Rc;
use std::time::Duration;

use super::error::CompactionError;
use super::plan::Cleanable;
use crate::log::Log;
use crate::runtime::Runtime;
use crate::store::shared::Shared;

/// A step ends when it has dealt with so many bytes or records.
const STEP_BYTES: usize = 32 << 10;
const STEP_RECORDS: usize = 256;

/// Rests are so many times as long as work while the shard is busy.
const REST_RATIO: f64 = 4.0;

/// What is dirty is read twice: so many bytes for each by which the log grows are the least with
/// which it does not grow for ever; and with so many there is no hurry.
const READ_MIN: f64 = 2.0;
const READ_ENOUGH: f64 = 4.0;

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
    growth: Growth,
}

impl<R: Runtime> Pace<R> {
    /// Of a compaction of `cleanable`, a part of `log`.
    pub(crate) fn new(shared: &Rc<Shared<R>>, log: &Log<R>, cleanable: &Cleanable) -> Self {
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
            growth: Growth::new(log.with_state(|state| state.log_end), cleanable),
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
        self.growth.read_bytes += bytes as u64;
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
            let rest_ratio = self.growth.rest_ratio(self.log.with_state(|state| state.log_end));
            match worked.mul_f64(rest_ratio).min(REST_MAX) {
                Duration::ZERO => runtime.yield_now().await,
                rest => runtime.sleep(rest).await,
            }
        } else {
            runtime.yield_now().await;
        }
        self.resumed = runtime.monotonic();
        (self.bytes, self.records) = (0, 0);
    }
}

/// How fast the log grows while it is compacted.
struct Growth {
    /// The log's end at the beginning.
    log_end: i64,
    /// Bytes of one offset, as they are in the dirty part.
    offset_bytes: f64,
    read_bytes: u64,
}

impl Growth {
    fn new(log_end: i64, cleanable: &Cleanable) -> Self {
        let dirty_end = cleanable.parts.last().map_or(0, |part| part.until);
        let dirty = cleanable.parts.iter().filter(|part| part.until > cleanable.first_dirty);
        let dirty_begin = dirty.map(|part| part.name.base_offset).next().unwrap_or(dirty_end);
        let offsets = (dirty_end - dirty_begin).max(1);
        let offset_bytes = cleanable.dirty_bytes as f64 / offsets as f64;
        Growth { log_end, offset_bytes, read_bytes: 0 }
    }

    /// How many times as long as work rests are on a busy shard.
    fn rest_ratio(&self, log_end: i64) -> f64 {
        let grown_bytes = (log_end - self.log_end).max(0) as f64 * self.offset_bytes;
        // In the first moments nothing can be told yet.
        if self.read_bytes == 0 || grown_bytes == 0.0 {
            return REST_RATIO;
        }
        let read = self.read_bytes as f64 / grown_bytes;
        REST_RATIO * ((read - READ_MIN) / (READ_ENOUGH - READ_MIN)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::compaction::plan::Part;
    use crate::log::segment::SegmentName;

    fn part(base_offset: i64, until: i64, bytes: u64) -> Part {
        Part { name: SegmentName { base_offset, generation: 0 }, until, bytes }
    }

    /// 300 offsets of 10 bytes are dirty; the log ends at 1,000.
    fn growth(read_bytes: u64) -> Growth {
        let cleanable = Cleanable {
            parts: vec![part(0, 500, 77), part(500, 600, 1_000), part(600, 800, 2_000)],
            first_dirty: 550,
            clean_bytes: 77,
            dirty_bytes: 3_000,
            is_overdue: false,
        };
        Growth { read_bytes, ..Growth::new(1_000, &cleanable) }
    }

    #[test]
    fn it_rests_while_it_is_faster_than_the_log_grows() {
        let log_end_after = |bytes: i64| 1_000 + bytes / 10;
        let ratio = |read, grown| growth(read).rest_ratio(log_end_after(grown));
        assert_eq!(ratio(0, 5_000), REST_RATIO, "not begun");
        assert_eq!(ratio(8_000, 0), REST_RATIO);
        assert_eq!(ratio(8_000, 2_000), REST_RATIO);
        assert_eq!(ratio(6_000, 2_000), REST_RATIO / 2.0);
        assert_eq!(ratio(4_000, 2_000), 0.0);
        assert_eq!(ratio(1_000, 2_000), 0.0);
    }
}
