//! The log start moves up: because somebody asks for it (DeleteRecords, KIP-107), or because time or
//! size do. It is durable before anybody sees it, so that it never goes back.

use std::sync::Arc;

use crate::journal::writer::NO_SPACE_RETRY;
use crate::log::checkpoint_file::{Checkpoint, CheckpointError, read_slots};
use crate::log::{Log, Offline};
use crate::mutants::{Mutant, active};
use crate::runtime::Runtime;

/// Why records are not deleted. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRecordsError {
    /// OFFSET_OUT_OF_RANGE (1): negative, or above the high watermark.
    #[error("offset {before} is outside 0..={high_watermark}")]
    OutOfRange {
        /// What was asked for.
        before: i64,
        /// The highest offset that could be.
        high_watermark: i64,
    },
    /// KAFKA_STORAGE_ERROR (56): the partition is offline; the broker's log has the cause.
    #[error("partition is offline: {0}")]
    Offline(Arc<str>),
}

/// Slots of a partition.
const SLOTS: u8 = 2;

impl<R: Runtime> Log<R> {
    /// Deletes the records below offset `before`, or below the high watermark; returns the log
    /// start, which is unchanged if it lies higher already. Durable on return: no crash brings the
    /// records back. Their segments go when no lease holds them any more. (KIP-107)
    ///
    /// # Errors
    /// Every [`DeleteRecordsError`].
    pub async fn delete_records(&self, before: Option<i64>) -> Result<i64, DeleteRecordsError> {
        let target = self.with_state(|state| {
            if let Some(reason) = &state.offline {
                return Err(DeleteRecordsError::Offline(reason.clone()));
            }
            let high_watermark = state.high_watermark.offset;
            let before = before.unwrap_or(high_watermark);
            let in_range = (0..=high_watermark).contains(&before);
            in_range
                .then_some(before)
                .ok_or(DeleteRecordsError::OutOfRange { before, high_watermark })
        })?;
        let raised = self.raise_log_start(target).await;
        raised.map_err(|Offline(reason)| DeleteRecordsError::Offline(reason))?;
        Ok(self.offsets().log_start)
    }

    /// Moves the log start up to `target`, which must not exceed the high watermark.
    ///
    /// # Errors
    /// [`Offline`].
    pub(crate) async fn raise_log_start(&self, target: i64) -> Result<(), Offline> {
        if self.offsets().log_start >= target {
            return Ok(());
        }
        // A task of its own: who waits may give up, but the write goes on, and must not meet another.
        let log = self.clone();
        self.spawn(async move {
            let mut was_damaged = false;
            loop {
                match log.persist_log_start(target).await {
                    Err(CheckpointError::Disk(error)) if error.is_no_space() => {
                        log.inner_runtime().sleep(NO_SPACE_RETRY).await;
                    }
                    Err(CheckpointError::NewestDamaged(_)) if !was_damaged => {
                        was_damaged = true;
                        log.checkpoint().await;
                        // One that was under way already does it as well.
                        let is_over =
                            || log.with_state(|s| s.slots_torn == 0 || s.offline.is_some());
                        log.inner.changed.until(is_over).await;
                    }
                    Err(error) => return log.fail("the log start can't be written", &error),
                    Ok(()) => return,
                }
            }
        });
        let is_raised = || self.offsets().log_start >= target;
        let changed = &self.inner.changed;
        changed.until(|| is_raised() || self.offline_reason().is_some()).await;
        match self.offline_reason() {
            Some(reason) if !is_raised() => Err(Offline(reason)),
            _ => Ok(()),
        }
    }

    /// Writes the newest checkpoint again with another log start. Not a new one: that would wait for
    /// the appends under way, which a full disk may hold up until records are deleted.
    async fn persist_log_start(&self, target: i64) -> Result<(), CheckpointError> {
        let _turn = self.inner.slot_turns.take().await;
        if self.offsets().log_start >= target || self.offline_reason().is_some() {
            return Ok(());
        }
        if !active(Mutant::ForgetLogStart) {
            let mut checkpoint = self.newest_checkpoint().await?;
            checkpoint.sequence += 1;
            checkpoint.log_start = target;
            self.write_slot(&checkpoint).await?;
        }
        self.with_state(|state| state.raise_log_start(target));
        self.note_shrinking();
        Ok(())
    }

    /// The newest checkpoint, from disk. The turn to write one must be taken. If it is damaged, the next
    /// [`Log::checkpoint`] writes what it said, and more, to both slots.
    pub(crate) async fn newest_checkpoint(&self) -> Result<Checkpoint, CheckpointError> {
        let inner = &*self.inner;
        let runtime = &inner.shared.runtime;
        let sequence = self.with_state(|state| state.checkpoint_sequence);
        if sequence == 0 {
            return Ok(Checkpoint::of_nothing(runtime.now_ms()));
        }
        let read = async || match read_slots(runtime, &inner.dir, inner.id).await {
            Err(CheckpointError::Disk(error)) => Err(error),
            other => Ok(other),
        };
        let newest = inner.shared.with_descriptors(read).await??.newest;
        // An older one would take the log back to where it ended.
        if let Some(newest) = newest.filter(|newest| newest.sequence >= sequence) {
            return Ok(newest);
        }
        tracing::warn!(partition = %self.id(), sequence, "the newest checkpoint slot is damaged on the disk; both are to be written again");
        self.with_state(|state| state.slots_torn = SLOTS);
        Err(CheckpointError::NewestDamaged(inner.dir.clone()))
    }
}
