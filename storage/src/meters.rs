//! What one shard's storage has done, counted where it happens: plain numbers of one thread.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest duration told apart from longer ones.
const DURATION_MAX: Duration = Duration::from_secs(100);

/// Two significant digits: within 1% of the truth, in 21 KiB.
const SIGNIFICANT_DIGITS: u8 = 2;

/// How long things of one kind took.
#[derive(Clone, Debug)]
pub struct Durations {
    histogram: Histogram<u64>,
    sum: Duration,
}

impl Default for Durations {
    fn default() -> Self {
        let longest_us = DURATION_MAX.as_micros() as u64;
        let histogram = Histogram::new_with_bounds(1, longest_us, SIGNIFICANT_DIGITS);
        Durations { histogram: histogram.expect("constant bounds"), sum: Duration::ZERO }
    }
}

impl Durations {
    /// One more.
    pub fn record(&mut self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(took_us);
        self.sum += took;
    }

    /// All of `other` as well.
    pub fn add(&mut self, other: &Durations) {
        self.histogram.add(&other.histogram).expect("all have the same bounds");
        self.sum += other.sum;
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// For each of `edges_us` (ascending, microseconds): how many took no longer. Up to 255 us that
    /// is exact; above, what took up to 1% longer may be counted in.
    pub fn counts_upto(&self, edges_us: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; edges_us.len()];
        for recorded in self.histogram.iter_recorded() {
            let lowest_us = self.histogram.lowest_equivalent(recorded.value_iterated_to());
            let edge = edges_us.partition_point(|edge_us| *edge_us < lowest_us);
            if let Some(count) = counts.get_mut(edge) {
                *count += recorded.count_at_value();
            }
        }
        let mut upto = 0;
        for count in &mut counts {
            upto += *count;
            *count = upto;
        }
        counts
    }
}

/// [`Durations`] that are recorded through a shared reference.
#[derive(Debug, Default)]
pub struct Latency(RefCell<Durations>);

impl Latency {
    /// One more.
    pub fn record(&self, took: Duration) {
        self.0.borrow_mut().record(took);
    }

    /// A copy: 21 KiB.
    pub fn durations(&self) -> Durations {
        self.0.borrow().clone()
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(Cell<u64>);

impl Count {
    /// So many more.
    #[inline]
    pub fn add(&self, more: u64) {
        self.0.set(self.0.get().wrapping_add(more));
    }

    /// How many by now.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Counters of one shard's storage since its start. Writes that failed are not counted.
#[derive(Debug, Default)]
pub struct Meters {
    /// Journal entries written.
    pub journal_writes: Latency,
    /// Bytes of those, in whole blocks.
    pub journal_written_bytes: Count,
    /// Direct writes to segments.
    pub segment_writes: Latency,
    /// Bytes of those, in whole blocks.
    pub segment_written_bytes: Count,
    /// fdatasyncs of journal files.
    pub journal_syncs: Latency,
    /// fdatasyncs of segments.
    pub segment_syncs: Latency,
    /// What compaction did.
    pub compaction: CompactionMeters,
    /// Writes that wait for space on a full disk, now.
    pub(crate) waiting_for_space: Cell<usize>,
    /// Logs that are offline and not deleted, now.
    pub(crate) offline_logs: Cell<usize>,
}

/// What compaction did, and how its logs stand.
#[derive(Debug, Default)]
pub struct CompactionMeters {
    /// Compactions of a log that came to their end.
    pub ended: Count,
    /// Those that met an error; not those that a stop or a deletion has ended.
    pub failed: Count,
    /// Bytes read from segments, twice what is in them.
    pub read_bytes: Count,
    /// Bytes written to segments, in whole blocks.
    pub written_bytes: Count,
    /// Bytes by which logs have become shorter.
    pub freed_bytes: Count,
    /// Time that compactions took, their rests included, in microseconds.
    pub took_us: Count,
    /// Logs that are left alone after an error that would come again, as of the last look.
    pub(crate) uncleanable_logs: Cell<usize>,
    /// The largest dirty share of a log, in millionths, as of the last look.
    pub(crate) dirty_ppm_max: Cell<u32>,
}

/// A write that waits for space; no longer when this is dropped.
pub(crate) struct WaitsForSpace<'a>(&'a Meters);

impl Meters {
    pub(crate) fn waits_for_space(&self) -> WaitsForSpace<'_> {
        self.waiting_for_space.set(self.waiting_for_space.get() + 1);
        WaitsForSpace(self)
    }
}

impl Drop for WaitsForSpace<'_> {
    fn drop(&mut self) {
        self.0.waiting_for_space.set(self.0.waiting_for_space.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_by_their_edges() {
        let mut durations = Durations::default();
        for took_us in [0, 1, 99, 100, 101, 5_000, 7_000_000, 500_000_000] {
            durations.record(Duration::from_micros(took_us));
        }
        let edges_us = [100, 1_000, 5_000, 10_000_000];
        assert_eq!(durations.counts_upto(&edges_us), [4, 5, 6, 7]);
        assert_eq!(durations.count(), 8, "the longest is beyond the last edge, and counted");
        assert_eq!(durations.sum(), Duration::from_micros(507_005_301));
    }

    #[test]
    fn what_is_added_counts() {
        let (mut one, mut other) = (Durations::default(), Durations::default());
        one.record(Duration::from_millis(1));
        other.record(Duration::from_millis(3));
        one.add(&other);
        assert_eq!(one.counts_upto(&[1_000, 2_000, 10_000]), [1, 1, 2]);
        assert_eq!(one.sum(), Duration::from_millis(4));
    }
}
