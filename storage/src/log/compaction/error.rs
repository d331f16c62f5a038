//! Why a log is not compacted.

use std::io;
use std::path::PathBuf;

use crate::batch::RecordsError;
use crate::log::CheckpointError;
use crate::runtime::DiskError;

/// Why a compaction did not come to its end. What was swapped by then stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompactionError {
    /// The disk refused, or is full: it is tried again later.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The newest checkpoint can't be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A batch is not what was written.
    #[error("damaged log {path} at byte {position}: {reason}")]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// A batch with a right checksum holds no records that could be read.
    #[error("the batch at offset {base_offset}: {source}")]
    Records {
        /// The batch's base offset.
        base_offset: i64,
        /// What does not fit.
        source: RecordsError,
    },
    /// A batch is longer than any that is taken, or was when the topic took larger ones.
    #[error(
        "{path} at byte {position}: a batch of {batch_bytes} bytes, more than compaction takes ({limit_bytes}): if it is none that is damaged, raise max.message.bytes to its size"
    )]
    BatchTooLong {
        /// The segment file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What the batch says of its length.
        batch_bytes: usize,
        /// What it may be.
        limit_bytes: usize,
    },
    /// A batch can't be compressed again.
    #[error("the batch at offset {base_offset} can't be written again: {source}")]
    Rewrite {
        /// The batch's base offset.
        base_offset: i64,
        /// What the codec says.
        source: io::Error,
    },
    /// The keys of one batch do not fit the map.
    #[error(
        "the batch at offset {base_offset} has more keys than log.cleaner.dedupe.buffer.size has room for: raise it"
    )]
    MapTooSmall {
        /// The batch's base offset.
        base_offset: i64,
    },
    /// All 2^32 generations of segments are used up.
    #[error("no generation of segments is left")]
    GenerationsExhausted,
    /// What was to be compacted is not there any more, or is not to be compacted any more.
    #[error("the segments were deleted meanwhile, or the topic is no longer compacted")]
    Superseded,
    /// The store is stopping.
    #[error("the broker is stopping")]
    Stopped,
}

impl CompactionError {
    /// Trying again would meet the same: the log is left alone until its config changes or the
    /// broker starts again.
    pub(crate) fn is_lasting(&self) -> bool {
        !matches!(
            self,
            CompactionError::Disk(_)
                | CompactionError::Checkpoint(
                    CheckpointError::Disk(_) | CheckpointError::NewestDamaged(_)
                )
                | CompactionError::Superseded
                | CompactionError::Stopped
        )
    }
}
