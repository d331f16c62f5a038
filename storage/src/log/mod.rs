//! One partition's log: batches in, offsets out, whole batches back.
//!
//! ```text
//! append.rs      a batch is checked, numbered and copied into the tail; no I/O
//! append_in_steps.rs  the same for very large ones, in turns with others
//! write.rs       the tail's way to the disk: straight into the segment, or through the journal
//! publish.rs     what is written and flushed becomes the high watermark; who waits is woken
//! read.rs        a range becomes a plan of leases
//! find_time.rs   a timestamp becomes an offset
//! scan.rs        batch after batch, read back
//! check_records.rs  what a topic asks of records: timestamps near the clock, keys
//! gauges.rs      how it stands, for who watches it
//! lease.rs       what a plan holds, and how a file's part is loaded
//! read_back.rs   what was loaded, kept a moment for the next reader
//! seal.rs        a full segment is completed, trimmed, flushed and indexed
//! log_start.rs   the log start moves up, durably
//! retention.rs   what time and size let go
//! remove.rs      segments below it go, once nobody reads them
//! checkpoint.rs  what lets the next start begin at the end, and lets go of the journal
//! checkpoint_file.rs  a checkpoint on disk
//! index_file.rs  a segment's index on disk
//! compaction/    of each key, the last record is kept
//! segment.rs     positions of one segment
//! tail.rs        its newest bytes in memory
//! ```

mod append;
mod append_in_steps;
mod check_records;
mod checkpoint;
mod checkpoint_file;
pub(crate) mod compaction;
mod find_time;
mod gauges;
pub(crate) mod index_file;
mod lease;
mod log_start;
mod publish;
mod read;
pub(crate) mod read_back;
mod remove;
mod retention;
mod scan;
mod seal;
pub(crate) mod segment;
pub(crate) mod state;
pub(crate) mod tail;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod write;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;

pub use append::{AppendError, Appended};
pub use append_in_steps::APPENDED_AT_ONCE_BYTES_MAX;
pub use check_records::{CHECKED_BYTES_MAX, RefusedTimestamp};
#[cfg(any(test, fuzzing))]
pub(crate) use checkpoint_file::fuzz as fuzz_checkpoint;
pub(crate) use checkpoint_file::{
    Checkpoint, CheckpointError, Compacted, CompactedSegment, SegmentTimes, Slot, Slots, read_slot,
    read_slots, slot_path, sync_checkpoint, write_checkpoint,
};
pub use compaction::CompactionLimits;
pub use find_time::TimestampOffset;
pub use gauges::LogGauges;
pub use lease::{FileLease, Lease, ReadError, ReadPlan};
pub use log_start::DeleteRecordsError;
pub use publish::Offline;
pub use state::{Durability, LogConfig, LogOffsets};

use crate::ids::PartitionId;
use crate::log::compaction::{Judged, judge, must_close_active};
use crate::log::segment::Segment;
use crate::log::state::LogState;
use crate::notify::{Notify, Signal};
use crate::runtime::Runtime;
use crate::store::shared::Shared;
use crate::turn::Turns;

/// One partition's log: a cheap handle, all clones are the same log. Lives on one shard.
pub struct Log<R: Runtime> {
    inner: Rc<LogInner<R>>,
}

impl<R: Runtime> Clone for Log<R> {
    fn clone(&self) -> Self {
        Log { inner: self.inner.clone() }
    }
}

pub(crate) struct LogInner<R: Runtime> {
    id: PartitionId,
    dir: PathBuf,
    leader_epoch: i32,
    shared: Rc<Shared<R>>,
    state: RefCell<LogState<R::File>>,
    /// Notified whenever a write or a flush has ended, or the log went offline.
    changed: Notify,
    /// One task at a time opens or grows a file.
    file_lock: Cell<bool>,
    /// One task at a time writes an index file.
    index_turns: Turns,
    /// One checkpoint at a time.
    checkpointing: Cell<bool>,
    /// Retention is at work.
    retaining: Cell<bool>,
    /// One task at a time writes a checkpoint slot.
    slot_turns: Turns,
    /// Background tasks that still use the files.
    tasks: Cell<usize>,
}

impl<R: Runtime> Log<R> {
    pub(crate) fn new(
        id: PartitionId,
        dir: PathBuf,
        leader_epoch: i32,
        shared: Rc<Shared<R>>,
        state: LogState<R::File>,
    ) -> Self {
        let inner = LogInner {
            id,
            dir,
            leader_epoch,
            shared,
            state: RefCell::new(state),
            changed: Notify::default(),
            file_lock: Cell::new(false),
            index_turns: Turns::default(),
            checkpointing: Cell::new(false),
            retaining: Cell::new(false),
            slot_turns: Turns::default(),
            tasks: Cell::new(0),
        };
        Log { inner: Rc::new(inner) }
    }

    /// Which partition it is.
    pub fn id(&self) -> PartitionId {
        self.inner.id
    }

    /// The epoch stamped into what is appended: the number of this start (KIP-101).
    pub fn leader_epoch(&self) -> i32 {
        self.inner.leader_epoch
    }

    /// Its offsets at this instant.
    pub fn offsets(&self) -> LogOffsets {
        self.inner.state.borrow().offsets()
    }

    /// Bytes of its segments, the tail in memory included.
    pub fn size_bytes(&self) -> u64 {
        self.inner.state.borrow().segments.iter().map(|s| s.end).sum()
    }

    /// Why it is offline, if it is.
    pub fn offline_reason(&self) -> Option<Arc<str>> {
        self.inner.state.borrow().offline.clone()
    }

    /// The largest leader epoch at or below `epoch` that has batches, and the offset at which the
    /// next one begins, or the log end (KIP-279); `None` if there is none.
    pub fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        self.inner.state.borrow().end_of_epoch(epoch)
    }

    /// The leader epoch in which the batch at `offset` was appended (at the log end: of the last
    /// batch before it); `None` below the log start and where there are no batches.
    pub fn epoch_of(&self, offset: i64) -> Option<i32> {
        self.inner.state.borrow().epoch_of(offset)
    }

    /// Changes what it obeys, from the next append on.
    pub fn set_config(&self, config: LogConfig) {
        self.with_state(|state| {
            state.config = config;
            state.is_uncleanable = false;
        });
        self.publish();
    }

    /// Whether its config makes an acknowledgement wait for a flush.
    pub fn waits_for_flush(&self) -> bool {
        self.inner.state.borrow().config.durability == Durability::Flushed
    }

    /// Whether its config lets records be deleted: `cleanup.policy` contains `delete`.
    pub fn has_delete_policy(&self) -> bool {
        self.inner.state.borrow().config.delete_policy
    }

    /// Fires `signal` once the high watermark exceeds `past_offset`, or the log goes offline; at
    /// once if it already does.
    pub fn subscribe(&self, past_offset: i64, signal: &Arc<Signal>) {
        let state = &mut *self.inner.state.borrow_mut();
        if state.offline.is_some() || state.high_watermark.offset > past_offset {
            signal.fire();
        } else {
            state.subscribe(past_offset, signal);
        }
    }

    /// The segment has its turns of the cache again, if it sat them out.
    pub(crate) fn leave_rest(&self, segment: &mut Segment<R::File>) {
        if std::mem::take(&mut segment.rests_in_cache) {
            self.inner.shared.cache_rejoined(self, segment.base_offset);
        }
    }

    /// Makes the recovered tails take part in the cache's turns.
    pub(crate) fn join_cache(&self) {
        let bases: Vec<_> = self.with_state(|state| {
            let with_memory = state.segments.iter_mut().filter(|s| s.tail.held_bytes() > 0);
            with_memory
                .map(|s| {
                    s.in_cache = true;
                    s.base_offset
                })
                .collect()
        });
        bases.into_iter().for_each(|base| self.inner.shared.cache_joined(self, base));
    }

    pub(crate) fn inner_runtime(&self) -> &R {
        &self.inner.shared.runtime
    }

    pub(crate) fn has_tasks(&self) -> bool {
        self.inner.tasks.get() > 0 || self.inner.checkpointing.get()
    }

    /// Why the next start must not rely on this log's checkpoint, if so.
    pub(crate) fn unsafe_to_stop(&self) -> Option<String> {
        let state = self.inner.state.borrow();
        let id = self.inner.id;
        if let Some(reason) = &state.offline {
            return Some(format!("partition {id} is offline: {reason}"));
        }
        let is_empty = state.end().place() == (state.log_start, 0);
        if !is_empty && state.end() != state.checkpoint {
            return Some(format!("partition {id} has appends behind its checkpoint"));
        }
        let is_torn = state.slots_torn > 0;
        is_torn
            .then(|| format!("a checkpoint of partition {id} is damaged, or was written in part"))
    }

    /// Looks at what of it can be compacted.
    pub(crate) fn judge_compaction(&self, now_ms: i64) -> Judged {
        self.with_state(|state| judge(state, now_ms))
    }

    /// Closes the active segment if its records have waited too long for compaction.
    pub(crate) fn close_overdue(&self, now_ms: i64) {
        self.with_state(|state| {
            if must_close_active(state, now_ms) {
                self.roll(state, now_ms);
            }
        });
    }

    /// An error keeps it from being compacted.
    pub(crate) fn is_uncleanable(&self) -> bool {
        self.with_state(|s| s.is_uncleanable && s.config.compact_policy && s.offline.is_none())
    }

    /// Leaves it uncompacted until its config is set, or the broker starts again.
    pub(crate) fn set_uncleanable(&self) {
        self.with_state(|state| state.is_uncleanable = true);
    }

    /// Drops the memory of a deleted log; returns how much it was.
    pub(crate) fn forget_memory(&self) -> usize {
        self.with_state(|state| {
            let held = state.segments.iter().map(|s| s.tail.held_bytes()).sum();
            for segment in &mut state.segments {
                self.leave_rest(segment);
                segment.tail = tail::Tail::new(segment.end - segment.end % 4096, &[]);
                segment.file = None;
            }
            held
        })
    }

    pub(crate) fn weak(&self) -> WeakLog<R> {
        Rc::downgrade(&self.inner)
    }

    pub(crate) fn upgrade(weak: &WeakLog<R>) -> Option<Self> {
        weak.upgrade().map(|inner| Log { inner })
    }

    pub(crate) fn with_state<T>(&self, f: impl FnOnce(&mut LogState<R::File>) -> T) -> T {
        f(&mut self.inner.state.borrow_mut())
    }
}

pub(crate) type WeakLog<R> = Weak<LogInner<R>>;
