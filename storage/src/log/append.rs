//! Taking a batch: checked, numbered, copied once into the tail. No I/O and no waiting, so batches
//! get their offsets in the order of the calls. `append_in_steps.rs` has the way of very large ones.

use std::sync::Arc;

use zerocopy::IntoBytes;

use crate::batch::{BatchError, BatchHeader, HEADER_BYTES, RecordsError};
use crate::log::Log;
use crate::log::check_records::RefusedTimestamp;
use crate::log::segment::Segment;
use crate::log::state::LogState;
use crate::log::tail::Copied;
use crate::producers::{Check, DEFAULT_EXPIRATION_MS, SequenceError};
use crate::runtime::Runtime;

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
    /// CORRUPT_MESSAGE (2), INVALID_RECORD (87) or TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53).
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// MESSAGE_TOO_LARGE (10).
    #[error("batch of {batch_bytes} bytes exceeds max.message.bytes = {limit_bytes}")]
    TooLarge {
        /// Its size with header.
        batch_bytes: usize,
        /// The topic's limit.
        limit_bytes: u32,
    },
    /// INVALID_TIMESTAMP (32): records are further from the broker's clock than the topic allows.
    #[error("One or more records have been rejected due to invalid timestamp")]
    InvalidTimestamp {
        /// Which; if they are many, the first of them.
        records: Vec<RefusedTimestamp>,
    },
    /// INVALID_RECORD (87): the topic is compacted, and compaction needs keys.
    #[error("a compacted topic takes no records without key")]
    NoKeys {
        /// Places in the batch, from 0, of the records without one; if they are many, of the first.
        records: Vec<i32>,
    },
    /// INVALID_RECORD (87): the batch is not made of records, although its checksum is right.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// OUT_OF_ORDER_SEQUENCE_NUMBER (45) or INVALID_PRODUCER_EPOCH (47).
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The offsets of a partition are used up: 2^63 records.
    #[error("the partition has no offsets left")]
    OffsetsExhausted,
    /// KAFKA_STORAGE_ERROR (56): the partition is offline; the broker's log has the cause.
    #[error("partition is offline: {0}")]
    Offline(Arc<str>),
}

impl<R: Runtime> Log<R> {
    /// Appends `batch`, exactly one record batch of format v2, and gives it its offsets. It is
    /// readable once [`Log::acknowledged`] says so. Its records are not looked at here, as that
    /// may take time: [`Log::check_records`] comes before.
    ///
    /// # Errors
    /// Every [`AppendError`].
    pub fn append(&self, batch: &[u8]) -> Result<Appended, AppendError> {
        self.check_size(batch)?;
        let header = BatchHeader::validate_from_producer(batch)?;
        self.append_checked(header, batch, Copied::default())
    }

    pub(super) fn check_size(&self, batch: &[u8]) -> Result<(), AppendError> {
        let limit_bytes = self.inner.state.borrow().config.max_message_bytes;
        if batch.len() > limit_bytes as usize {
            return Err(AppendError::TooLarge { batch_bytes: batch.len(), limit_bytes });
        }
        Ok(())
    }

    /// The same for a batch that is all right by itself, and of which a part may have been copied.
    pub(super) fn append_checked(
        &self,
        mut header: BatchHeader,
        batch: &[u8],
        copied: Copied,
    ) -> Result<Appended, AppendError> {
        let inner = &*self.inner;
        let now_ms = inner.shared.runtime.now_ms();
        let state = &mut *inner.state.borrow_mut();
        if let Some(reason) = state.offline.clone().or(inner.shared.failed.borrow().clone()) {
            return Err(AppendError::Offline(reason));
        }
        match state.producers.check(&header, now_ms, DEFAULT_EXPIRATION_MS)? {
            Check::New => {}
            Check::Duplicate(first) => {
                let log_append_time_ms =
                    if state.config.log_append_time { first.timestamp_ms } else { -1 };
                return Ok(Appended {
                    base_offset: first.base_offset,
                    last_offset: first.last_offset,
                    log_append_time_ms,
                    duplicate: true,
                });
            }
        }
        let base_offset = state.log_end;
        let next_offset = base_offset
            .checked_add(i64::from(header.last_offset_delta()) + 1)
            .ok_or(AppendError::OffsetsExhausted)?;
        if must_roll(state, batch.len(), now_ms) {
            self.roll(state, now_ms);
        }
        header.stamp(base_offset, inner.leader_epoch);
        if state.config.log_append_time {
            header.stamp_log_append_time(now_ms);
        }
        self.take(state, &header, &batch[HEADER_BYTES..], copied, now_ms);
        state.log_end = next_offset;
        self.mark_dirty(state);
        Ok(Appended {
            base_offset,
            last_offset: next_offset - 1,
            log_append_time_ms: if state.config.log_append_time { now_ms } else { -1 },
            duplicate: false,
        })
    }

    fn take(
        &self,
        state: &mut LogState<R::File>,
        header: &BatchHeader,
        records: &[u8],
        copied: Copied,
        now_ms: i64,
    ) {
        let base_offset = header.base_offset();
        state.note_epoch(self.inner.leader_epoch, base_offset);
        state.producers.record(header, base_offset, now_ms);
        let segment = state.active_mut();
        if segment.end == 0 {
            segment.opened_ms = now_ms;
        }
        let index = segment.index.as_mut().expect("the active segment's index is in memory");
        index.maybe_push(base_offset, segment.end, header.max_timestamp());
        segment.max_timestamp = segment.max_timestamp.max(Some(header.max_timestamp()));
        segment.last_append_ms = now_ms;
        let unwritten_before = segment.unwritten_blocks();
        let chunk_bytes_max = self.inner.shared.chunk_bytes_max();
        let batch = [header.as_bytes(), records];
        let taken = segment.tail.append(base_offset, batch, copied, chunk_bytes_max);
        let batch_bytes = header.total_bytes() as u64;
        segment.end += batch_bytes;
        segment.run_batch_bytes_max = segment.run_batch_bytes_max.max(batch_bytes);
        let unwritten = segment.unwritten_blocks() - unwritten_before;
        let shared = &self.inner.shared;
        shared.note_append();
        shared.unwritten_bytes.set(shared.unwritten_bytes.get() + unwritten);
        shared.cache_grew(taken);
        if !std::mem::replace(&mut segment.in_cache, true) {
            shared.cache_joined(self, segment.base_offset);
        }
        if segment.tail.chunks() > 1 {
            self.leave_rest(segment);
        }
    }

    /// Closes the active segment and begins the next one at the log end.
    pub(crate) fn roll(&self, state: &mut LogState<R::File>, now_ms: i64) {
        self.cut(state, true);
        let closed = state.active_mut();
        closed.sealed = true;
        self.leave_rest(closed);
        let closed_base = closed.base_offset;
        state.segments.push_back(Segment::new(state.log_end, now_ms));
        self.spawn_seal(closed_base);
    }
}

pub(super) fn must_roll<F>(state: &LogState<F>, batch_bytes: usize, now_ms: i64) -> bool {
    let active = state.active();
    let segment_ms = match state.config.compact_policy {
        true => state.config.segment_ms.min(state.config.max_compaction_lag_ms),
        false => state.config.segment_ms,
    };
    active.end > 0
        && (active.end + batch_bytes as u64 > u64::from(state.config.segment_bytes)
            || now_ms - active.opened_ms >= segment_ms)
}
