//! What a log knows of itself between two I/Os: pure state.

use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use crate::log::checkpoint_file::{Compacted, CompactedSegment};
use crate::log::remove::Condemned;
use crate::log::segment::{Segment, SegmentName};
use crate::log::write::{DIRECT_BATCH_BYTES_MIN, DIRECT_BYTES_MIN};
use crate::notify::Signal;
use crate::producers::ProducerStates;

/// When an acknowledgement may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The write has completed: survives a kill of the process.
    Written,
    /// A group-committed fdatasync covers it: survives a power loss.
    Flushed,
}

/// What one partition's log obeys; may change while it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Size at which a segment is closed and the next begins (`segment.bytes`).
    pub segment_bytes: u32,
    /// Age at which it is (`segment.ms`).
    pub segment_ms: i64,
    /// Largest batch taken (`max.message.bytes`).
    pub max_message_bytes: u32,
    /// What an acknowledgement waits for (`flush.messages` = 1: [`Durability::Flushed`]).
    pub durability: Durability,
    /// How long written bytes may stay unflushed (`flush.ms`).
    pub flush_ms: i64,
    /// True: the broker's clock stamps the batches (`message.timestamp.type` = LogAppendTime).
    pub log_append_time: bool,
    /// How far before the broker's clock a producer's timestamp may lie
    /// (`message.timestamp.before.max.ms`); `i64::MAX`: no limit.
    pub timestamp_before_max_ms: i64,
    /// How far after it (`message.timestamp.after.max.ms`).
    pub timestamp_after_max_ms: i64,
    /// False: nothing is deleted by time or size, only what lies below the log start
    /// (`cleanup.policy` without `delete`).
    pub delete_policy: bool,
    /// Age of its newest record at which a segment is deleted (`retention.ms`); -1: never.
    pub retention_ms: i64,
    /// Size of the log above which its oldest segments are deleted (`retention.bytes`); -1: never.
    pub retention_bytes: i64,
    /// True: of each key the last record is kept, and records without key are refused
    /// (`cleanup.policy` with `compact`).
    pub compact_policy: bool,
    /// Millionths of a log that must be dirty before it is compacted (`min.cleanable.dirty.ratio`).
    pub min_cleanable_dirty_ppm: u32,
    /// How long a record is safe from compaction (`min.compaction.lag.ms`).
    pub min_compaction_lag_ms: i64,
    /// How long a record may wait for compaction (`max.compaction.lag.ms`).
    pub max_compaction_lag_ms: i64,
    /// How long a tombstone stays once what it deletes is gone (`delete.retention.ms`).
    pub delete_retention_ms: i64,
}

impl Default for LogConfig {
    /// Kafka's defaults, but `flush.ms` = 1000.
    fn default() -> Self {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            max_message_bytes: 1_048_588,
            durability: Durability::Written,
            flush_ms: 1000,
            log_append_time: false,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3600 * 1000,
            delete_policy: true,
            retention_ms: 7 * 24 * 3600 * 1000,
            retention_bytes: -1,
            compact_policy: false,
            min_cleanable_dirty_ppm: 500_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 24 * 3600 * 1000,
        }
    }
}

/// A partition's offsets, read at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsets {
    /// First offset that can be read.
    pub log_start: i64,
    /// Next offset to be given; not yet readable.
    pub log_end: i64,
    /// End of what is acknowledged and readable (the high watermark).
    pub high_watermark: i64,
    /// End of what an fdatasync covers.
    pub flushed: i64,
}

/// A boundary between two batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// Next offset.
    pub offset: i64,
    /// The segment that ends here or goes on.
    pub segment_base: i64,
    /// Byte position in it.
    pub position: u64,
}

impl Mark {
    /// Order of places in the log.
    pub(crate) fn place(&self) -> (i64, u64) {
        (self.segment_base, self.position)
    }
}

/// Batches that were sent to the disk together, and what must have happened for them to be there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Where it ends.
    pub end: Mark,
    /// The segment file must have everything before this position; 0: nothing.
    pub segment_upto: u64,
    /// The journal must have this entry; 0: none.
    pub journal_sequence: u64,
}

/// A file of the journal that holds bytes of this log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JournalUse {
    pub file_index: u64,
    /// Where the last of them end.
    pub upto: (i64, u64),
}

/// A task that waits for the high watermark. Ordered so that the lowest offset is the greatest.
pub(crate) struct Waiter {
    pub offset: i64,
    pub waker: Waker,
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        self.offset == other.offset
    }
}
impl Eq for Waiter {}
impl PartialOrd for Waiter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.offset.cmp(&self.offset)
    }
}

pub(crate) struct LogState<F> {
    pub config: LogConfig,
    /// Set when the log can no longer keep its word: why.
    pub offline: Option<Arc<str>>,
    pub log_start: i64,
    /// Next offset.
    pub log_end: i64,
    /// Never empty; the last one is appended to.
    pub segments: VecDeque<Segment<F>>,
    /// Cut, not yet known to be written; in offset order.
    pub unwritten: VecDeque<Run>,
    /// Written, not yet known to be flushed, with the flush round that was current.
    pub unflushed: VecDeque<(Run, u64)>,
    pub written: Mark,
    pub flushed: Mark,
    pub high_watermark: Mark,
    pub waiters: BinaryHeap<Waiter>,
    pub subscribers: Vec<(i64, Weak<Signal>)>,
    pub producers: ProducerStates,
    /// (epoch, first offset), ascending.
    pub epochs: Vec<(i32, i64)>,
    pub journal_uses: VecDeque<JournalUse>,
    /// In the store's list of logs with batches to be cut.
    pub is_dirty: bool,
    /// In the store's list of logs whose run is long enough to go straight into the segment.
    pub is_long: bool,
    /// In the store's list of logs to be flushed, since then.
    pub unflushed_since: Option<Duration>,
    /// In the store's list of logs to be looked after.
    pub is_active: bool,
    pub last_append: Duration,
    /// End of the last checkpoint.
    pub checkpoint: Mark,
    /// Number of the last checkpoint: decides which slot the next one takes.
    pub checkpoint_sequence: u64,
    /// Slots to write until both are whole: one whose last write has failed, and may have left it in part; both
    /// if the newest was found damaged. There must be none before a clean stop.
    pub slots_torn: u8,
    /// Segments that are no longer part of the log, but whose files are still there.
    pub condemned: Vec<Condemned>,
    /// In the store's list of logs with segments to be removed.
    pub is_shrinking: bool,
    /// Everything below was compacted: of each key, the last record below it is the only one there.
    pub first_dirty: i64,
    /// The last generation that compaction has given to a segment.
    pub last_generation: u32,
    /// Compaction has met something that it can't get past; said once, and tried again when the
    /// config changes.
    pub is_uncleanable: bool,
}

impl<F> LogState<F> {
    /// A new log that begins with `log_start`.
    pub(crate) fn new(config: LogConfig, log_start: i64, now_ms: i64) -> Self {
        let begin = Mark { offset: log_start, segment_base: log_start, position: 0 };
        LogState {
            config,
            offline: None,
            log_start,
            log_end: log_start,
            segments: VecDeque::from([Segment::new(log_start, now_ms)]),
            unwritten: VecDeque::new(),
            unflushed: VecDeque::new(),
            written: begin,
            flushed: begin,
            high_watermark: begin,
            waiters: BinaryHeap::new(),
            subscribers: Vec::new(),
            producers: ProducerStates::default(),
            epochs: Vec::new(),
            journal_uses: VecDeque::new(),
            is_dirty: false,
            is_long: false,
            unflushed_since: None,
            is_active: false,
            last_append: Duration::ZERO,
            checkpoint: begin,
            checkpoint_sequence: 0,
            slots_torn: 0,
            condemned: Vec::new(),
            is_shrinking: false,
            first_dirty: log_start,
            last_generation: 0,
            is_uncleanable: false,
        }
    }

    pub(crate) fn offsets(&self) -> LogOffsets {
        LogOffsets {
            log_start: self.log_start,
            log_end: self.log_end,
            high_watermark: self.high_watermark.offset,
            flushed: self.flushed.offset,
        }
    }

    /// Where the next batch goes.
    pub(crate) fn end(&self) -> Mark {
        let active = self.active();
        Mark { offset: self.log_end, segment_base: active.base_offset, position: active.end }
    }

    pub(crate) fn active(&self) -> &Segment<F> {
        self.segments.back().expect("a log has a segment")
    }

    pub(crate) fn active_mut(&mut self) -> &mut Segment<F> {
        self.segments.back_mut().expect("a log has a segment")
    }

    /// What was appended since the last cut is enough to go straight into the segment.
    pub(crate) fn has_long_run(&self) -> bool {
        let active = self.active();
        let has_long_batch = active.run_batch_bytes_max >= DIRECT_BATCH_BYTES_MIN
            && self.config.durability == Durability::Written;
        active.run_bytes() >= DIRECT_BYTES_MIN || (has_long_batch && active.run_bytes() > 0)
    }

    /// The segment with this base offset; `None` once it was deleted.
    pub(crate) fn segment(&self, base_offset: i64) -> Option<&Segment<F>> {
        let i = self.segments.binary_search_by_key(&base_offset, |s| s.base_offset).ok()?;
        self.segments.get(i)
    }

    /// The segment, unless it was deleted or replaced.
    pub(crate) fn segment_named(&self, name: SegmentName) -> Option<&Segment<F>> {
        self.segment(name.base_offset).filter(|segment| segment.generation == name.generation)
    }

    pub(crate) fn segment_mut(&mut self, base_offset: i64) -> Option<&mut Segment<F>> {
        let i = self.segments.binary_search_by_key(&base_offset, |s| s.base_offset).ok()?;
        self.segments.get_mut(i)
    }

    /// Index of the segment that holds `offset`.
    pub(crate) fn segment_index_of(&self, offset: i64) -> Option<usize> {
        self.segments.partition_point(|s| s.base_offset <= offset).checked_sub(1)
    }

    /// About how many bytes of the log lie behind `offset`, judged by its place among the offsets of
    /// its segment; too many to matter if that is followed by a thousand others.
    pub(crate) fn bytes_behind(&self, offset: i64) -> u64 {
        const SEGMENTS_MAX: usize = 1000;
        let index = self.segment_index_of(offset).unwrap_or(0);
        if self.segments.len() - index > SEGMENTS_MAX {
            return u64::MAX;
        }
        let behind: u64 = self.segments.iter().skip(index + 1).map(|s| s.end).sum();
        let Some(segment) = self.segments.get(index) else { return behind };
        let next = self.segments.get(index + 1).map_or(self.log_end, |next| next.base_offset);
        let offsets = (next - segment.base_offset).max(1) as u128;
        let left = (next - offset).clamp(0, next - segment.base_offset) as u128;
        behind + (u128::from(segment.end) * left / offsets) as u64
    }

    /// What compaction has made of the log.
    pub(crate) fn compacted(&self) -> Compacted {
        let next_bases = self.segments.iter().skip(1).map(|s| s.base_offset);
        let segments = self.segments.iter().zip(next_bases).filter_map(|(segment, until)| {
            Some(CompactedSegment {
                name: segment.name(),
                until,
                records_end: segment.records_end?,
                bytes: segment.end,
                max_timestamp: segment.max_timestamp.unwrap_or(-1),
                last_append_ms: segment.last_append_ms,
            })
        });
        Compacted { first_dirty: self.first_dirty, segments: segments.collect() }
    }

    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let next = self.epochs.partition_point(|&(e, _)| e <= epoch);
        let (found, _) = *self.epochs.get(next.checked_sub(1)?)?;
        Some((found, self.epochs.get(next).map_or(self.log_end, |&(_, start)| start)))
    }

    pub(crate) fn epoch_of(&self, offset: i64) -> Option<i32> {
        let next = self.epochs.partition_point(|&(_, start)| start <= offset);
        Some(self.epochs.get(next.checked_sub(1)?)?.0)
    }

    /// Moves the log start up. Of the epochs, the one that it lies in begins with it from now on
    /// (as Kafka's `LeaderEpochFileCache.truncateFromStart`).
    pub(crate) fn raise_log_start(&mut self, log_start: i64) {
        assert!(log_start <= self.high_watermark.offset, "only what is acknowledged is deleted");
        self.log_start = self.log_start.max(log_start);
        let below = self.epochs.partition_point(|&(_, start)| start <= self.log_start);
        if let Some(last_below) = below.checked_sub(1) {
            self.epochs.drain(..last_below);
            self.epochs[0].1 = self.log_start;
        }
    }

    /// Notes that batches of `epoch` begin at `offset`, unless they already do.
    pub(crate) fn note_epoch(&mut self, epoch: i32, offset: i64) {
        if self.epochs.last().is_none_or(|&(last, _)| last < epoch) {
            self.epochs.push((epoch, offset));
        }
    }

    /// Notes that the journal file holds this log's bytes before `upto`; true if it is news.
    pub(crate) fn note_journal_use(&mut self, file_index: u64, upto: (i64, u64)) -> bool {
        match self.journal_uses.back_mut() {
            Some(last) if last.file_index == file_index => {
                last.upto = upto;
                false
            }
            _ => {
                self.journal_uses.push_back(JournalUse { file_index, upto });
                true
            }
        }
    }

    /// Forgets the journal's copies of what is safe elsewhere: before the checkpoint, or in a
    /// settled segment.
    pub(crate) fn release_journal(&mut self) {
        while let Some(front) = self.journal_uses.front() {
            let settled = self.segment(front.upto.0).is_none_or(|s| s.settled);
            if front.upto > self.checkpoint.place() && !settled {
                break;
            }
            self.journal_uses.pop_front();
        }
    }

    pub(crate) fn subscribe(&mut self, past_offset: i64, signal: &Arc<Signal>) {
        // Fetches that gave up leave their signals behind; they go before the list grows.
        if self.subscribers.len() == self.subscribers.capacity() {
            self.subscribers.retain(|(_, s)| s.upgrade().is_some_and(|s| !s.has_fired()));
        }
        self.subscribers.push((past_offset, Arc::downgrade(signal)));
    }
}
