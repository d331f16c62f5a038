//! How one shard's storage stands.

use super::Store;
use crate::buffer::memory_bytes;
use crate::meters::Meters;
use crate::runtime::Runtime;

/// One shard's storage at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreGauges {
    /// Memory that tails and the cache of written blocks hold, in bytes.
    pub cached_bytes: u64,
    /// What they may hold; tails of busy partitions may go over it.
    pub cache_limit_bytes: u64,
    /// Memory that what was read back from files takes, for the next who reads it, in bytes.
    pub read_back_bytes: u64,
    /// What it may take.
    pub read_back_limit_bytes: u64,
    /// Bytes on their way to segments.
    pub unwritten_bytes: u64,
    /// What these may be before appends wait.
    pub unwritten_limit_bytes: u64,
    /// Memory of all of this thread's buffers, in bytes: what the cache holds, what is read from files to
    /// be sent, journal entries, and what is kept for the next.
    pub buffer_bytes: u64,
    /// What of it is in use.
    pub buffer_taken_bytes: u64,
    /// Bytes in journal entries that are not written yet.
    pub journal_buffer_bytes: u64,
    /// Journal files in use.
    pub journal_files: usize,
    /// Logs that are offline and not deleted.
    pub offline_logs: usize,
    /// Compacted logs that an error keeps from being compacted.
    pub uncleanable_logs: usize,
    /// The largest dirty share of a compacted log when compaction last looked, in millionths.
    pub dirty_ppm_max: u32,
    /// Writes wait because the disk is full.
    pub disk_full: bool,
    /// The journal is lost: nothing can be appended to any log of this shard.
    pub failed: bool,
}

impl<R: Runtime> Store<R> {
    /// What it has done since its start.
    pub fn meters(&self) -> &Meters {
        &self.inner.shared.meters
    }

    /// How it stands. Takes the same time however many logs there are.
    pub fn gauges(&self) -> StoreGauges {
        let shared = &self.inner.shared;
        let (buffer_bytes, buffer_taken_bytes) = memory_bytes();
        StoreGauges {
            buffer_bytes,
            buffer_taken_bytes,
            cached_bytes: shared.cached_bytes(),
            cache_limit_bytes: shared.limits.cache_bytes,
            read_back_bytes: shared.read_back.held_bytes(),
            read_back_limit_bytes: shared.read_back.limit_bytes(),
            unwritten_bytes: shared.unwritten_bytes.get(),
            unwritten_limit_bytes: shared.limits.unwritten_bytes,
            journal_buffer_bytes: shared.journal.buffered_bytes(),
            journal_files: shared.journal.file_count(),
            offline_logs: shared.meters.offline_logs.get(),
            uncleanable_logs: shared.meters.compaction.uncleanable_logs.get(),
            dirty_ppm_max: shared.meters.compaction.dirty_ppm_max.get(),
            disk_full: shared.meters.waiting_for_space.get() > 0,
            failed: shared.failed.borrow().is_some(),
        }
    }
}
