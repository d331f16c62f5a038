//! Compaction: of each key, the last record is kept (`cleanup.policy` = compact; Kafka's rules,
//! KIP-354 and KIP-534).
//!
//! ```text
//! plan.rs        which part of a log can be compacted, and whether it is worth it: pure
//! offset_map.rs  key -> last offset, in bounded memory: pure
//! retain.rs      which records and batches stay: pure
//! source.rs      batches of closed segments, read from their files
//! records.rs     a batch is opened, and written again, in steps
//! target.rs      a segment that is written anew, under a name of its own
//! output.rs      the segments that a group of them becomes
//! clean.rs       the two passes: the map of the dirty part, then all segments from the log start on
//! swap.rs        a checkpoint makes the new segments a part of the log, and the old ones none
//! error.rs       why a log is not compacted
//! pace.rs        how much of the shard and of the disk it may take
//! ```
//!
//! Only segments that are closed, synced and wholly before the newest checkpoint are touched: no
//! acknowledged record is given up for one that a power loss can take, and recovery, which walks on
//! from the checkpoint, never meets a gap. The checkpoint names the segments that have some.

mod clean;
mod error;
mod offset_map;
mod output;
mod pace;
mod plan;
mod records;
mod retain;
mod source;
mod swap;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use clean::Done;
pub(crate) use error::CompactionError;
pub(crate) use pace::Pace;
pub(crate) use plan::{Cleanable, Judged, judge, must_close_active};

/// What compaction may take of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionLimits {
    /// Whether there is compaction at all (Kafka's `log.cleaner.enable`).
    pub enabled: bool,
    /// Memory for keys and offsets: 30 bytes a key (`log.cleaner.dedupe.buffer.size`, the shard's
    /// part of it).
    pub map_bytes: u64,
    /// Bytes read and written a second (`log.cleaner.io.max.bytes.per.second`, the shard's part of
    /// it); `u64::MAX`: no limit.
    pub bytes_per_second: u64,
    /// How long to wait when there is nothing to do (`log.cleaner.backoff.ms`).
    pub backoff_ms: u64,
}

impl Default for CompactionLimits {
    /// Kafka's defaults, of one shard alone.
    fn default() -> Self {
        CompactionLimits {
            enabled: true,
            map_bytes: 128 << 20,
            bytes_per_second: u64::MAX,
            backoff_ms: 15_000,
        }
    }
}
