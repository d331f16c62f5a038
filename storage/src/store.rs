//! One shard's storage: its partitions' logs over one journal, one cache budget, one flusher.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use crate::buffer::AlignedSlice;
use crate::ids::PartitionId;
use crate::producers::SequenceError;
use crate::runtime::{DiskError, Runtime};

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

/// A batch that was taken, or a repetition of one that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// The broker's timestamp if the topic asks for it, else -1.
    pub log_append_time_ms: i64,
    /// True if an idempotent producer sent it again: nothing was appended; wait for the first one.
    pub duplicate: bool,
}

/// Why a batch was not taken. Nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// CORRUPT_MESSAGE (2): the CRC, a length or a count does not fit the bytes.
    #[error("corrupt batch: {0}")]
    Corrupt(&'static str),
    /// INVALID_RECORD (87): well-formed, but not what a producer may send.
    #[error("invalid batch: {0}")]
    Invalid(&'static str),
    /// MESSAGE_TOO_LARGE (10).
    #[error("batch of {batch_bytes} bytes exceeds max.message.bytes = {limit_bytes}")]
    TooLarge {
        /// Its size with header.
        batch_bytes: usize,
        /// The topic's limit.
        limit_bytes: u32,
    },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER (45) or INVALID_PRODUCER_EPOCH (47).
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// KAFKA_STORAGE_ERROR (56): the partition is offline; see the log for the cause.
    #[error("partition is offline: {0}")]
    Offline(Arc<str>),
}

/// Why a range can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE (1): below the log start or above the log end.
    #[error("offset {offset} is outside {log_start}..={log_end}")]
    OutOfRange {
        /// What was asked for.
        offset: i64,
        /// First readable offset.
        log_start: i64,
        /// Log end offset.
        log_end: i64,
    },
    /// The bytes on disk are not a batch, or not the one that should be there.
    #[error("damaged log {path} at byte {position}: {reason}")]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// KAFKA_STORAGE_ERROR (56).
    #[error("partition is offline: {0}")]
    Offline(Arc<str>),
}

/// Whole batches to send, in order, without having read a byte: leases on memory, or on a range of
/// an open segment. Holds what it names alive; may be moved to another shard.
#[derive(Debug)]
pub enum Lease<F> {
    /// Whole batches in memory.
    Memory(AlignedSlice),
    /// Whole batches in a segment file, to be read by whoever sends them.
    File(FileLease<F>),
}

/// A range of a segment that holds the wanted offset; [`FileLease::load`] reads it.
#[derive(Debug)]
pub struct FileLease<F> {
    file: F,
}

/// What a fetch of one partition gets.
#[derive(Debug)]
pub struct ReadPlan<F> {
    /// In offset order; batches that straddle buffers span neighbours.
    pub leases: Vec<Lease<F>>,
    /// Bytes it will yield: exact for memory, an upper bound for a file.
    pub bytes: usize,
    /// The partition's offsets when the plan was made.
    pub offsets: LogOffsets,
}

/// One partition's log: a cheap handle; all clones are the same log. Lives on one shard.
pub struct Log<R: Runtime> {
    runtime: Rc<R>,
}
