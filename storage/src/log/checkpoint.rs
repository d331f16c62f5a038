//! A partition's checkpoint: from where the next start has to look, and all that it would
//! otherwise have to read the log for. Once it is written, the journal's copies of what lies before
//! it are not needed any more.

use crate::journal::writer::NO_SPACE_RETRY;
use crate::log::Log;
use crate::log::checkpoint_file::{Checkpoint, SegmentTimes, write_checkpoint};
use crate::log::segment::SegmentName;
use crate::log::state::{LogState, Mark};
use crate::log::write::sync_segment;
use crate::runtime::{BLOCK_BYTES, DiskError, Runtime, block_floor};

impl<R: Runtime> Log<R> {
    /// Writes a checkpoint of everything appended so far, once it is written; does nothing if the
    /// last one says as much already.
    pub(crate) async fn checkpoint(&self) {
        if self.inner.checkpointing.replace(true) {
            return;
        }
        if let Err(error) = self.checkpoint_now().await {
            self.fail("a checkpoint can't be written", &error);
        }
        self.inner.checkpointing.set(false);
        self.inner.changed.notify_all();
    }

    async fn checkpoint_now(&self) -> Result<(), DiskError> {
        let inner = &*self.inner;
        let Some(mut checkpoint) = self.with_state(capture) else { return Ok(()) };
        let end = checkpoint.end;
        if self.acknowledged(end.offset).await.is_err() {
            return Ok(());
        }
        self.with_state(|state| {
            if let Some(segment) = state.segment_mut(end.segment_base) {
                self.issue_blocks(segment, block_floor(end.position));
            }
        });
        inner
            .changed
            .until(|| {
                let state = inner.state.borrow();
                state.offline.is_some() || is_in_segments(&state, end)
            })
            .await;
        if self.offline_reason().is_some() {
            return Ok(());
        }
        if end.position >= BLOCK_BYTES as u64 {
            sync_segment(self, end.segment_base).await?;
        }
        self.write_index_pages(end).await?;
        let mut is_whole = false;
        while !is_whole {
            let is_written = self.write_next_slot(&mut checkpoint).await?;
            is_whole = is_written && self.with_state(|state| state.slots_torn == 0);
            if !is_written {
                inner.shared.runtime.sleep(NO_SPACE_RETRY).await;
            }
            if self.offline_reason().is_some() {
                return Ok(());
            }
        }
        self.with_state(LogState::release_journal);
        self.publish();
        Ok(())
    }

    /// Writes this checkpoint to the next slot; false if the disk is full. The turn ends either way:
    /// a deletion, which is to free space, must not wait for what waits for space.
    async fn write_next_slot(&self, checkpoint: &mut Checkpoint) -> Result<bool, DiskError> {
        let _turn = self.inner.slot_turns.take().await;
        // The log start may have moved while the rest was written, and segments may have been
        // compacted, with slots of their own.
        self.with_state(|state| {
            checkpoint.sequence = state.checkpoint_sequence + 1;
            checkpoint.log_start = state.log_start;
            checkpoint.compacted = state.compacted();
        });
        match self.write_slot(checkpoint).await {
            Err(error) if error.is_no_space() => return Ok(false),
            other => other?,
        }
        self.with_state(|state| state.checkpoint = checkpoint.end);
        Ok(true)
    }

    /// Writes the next slot; durable on return. The turn must be taken.
    pub(crate) async fn write_slot(&self, checkpoint: &Checkpoint) -> Result<(), DiskError> {
        let inner = &*self.inner;
        let runtime = &inner.shared.runtime;
        let write = async || write_checkpoint(runtime, &inner.dir, inner.id, checkpoint).await;
        let written = inner.shared.with_descriptors(write).await;
        self.with_state(|state| {
            if written.is_ok() {
                state.checkpoint_sequence = checkpoint.sequence;
                state.slots_torn = state.slots_torn.saturating_sub(1);
            } else {
                state.slots_torn = state.slots_torn.max(1);
            }
        });
        written
    }

    /// Writes what the index says of the bytes before `end`, which are synced: entries of later
    /// batches, appended meanwhile, could outlive them.
    async fn write_index_pages(&self, end: Mark) -> Result<(), DiskError> {
        let segment_base = end.segment_base;
        // The segment may be closed meanwhile, whose index is written whole.
        let _turn = self.inner.index_turns.take().await;
        let index = self.with_state(|state| {
            let segment = state.segment(segment_base).filter(|s| !s.sealed)?;
            let first_page = segment.index_pages;
            segment.index.as_ref().map(|index| (index.prefix(end.position), first_page))
        });
        let Some((index, first_page)) = index else { return Ok(()) };
        self.write_index(SegmentName::appended(segment_base), &index, first_page).await?;
        self.with_state(|state| {
            if let Some(segment) = state.segment_mut(segment_base) {
                segment.index_pages = index.full_pages();
            }
        });
        Ok(())
    }
}

/// Everything before `end` is in segment files, but for the bytes behind its last full block.
fn is_in_segments<F>(state: &LogState<F>, end: Mark) -> bool {
    state.segments.iter().all(|s| {
        if s.base_offset < end.segment_base {
            s.settled
        } else if s.base_offset == end.segment_base {
            s.in_segment >= block_floor(end.position)
        } else {
            true
        }
    })
}

/// The log as it is now; `None` if the last checkpoint says the same.
fn capture<F>(state: &mut LogState<F>) -> Option<Checkpoint> {
    let end = state.end();
    if state.offline.is_some() || (end == state.checkpoint && state.slots_torn == 0) {
        return None;
    }
    let active = state.active();
    let pieces = active.tail.pieces(block_floor(end.position), end.position);
    Some(Checkpoint {
        sequence: state.checkpoint_sequence,
        log_start: state.log_start,
        end,
        times: SegmentTimes {
            opened_ms: active.opened_ms,
            max_timestamp: active.max_timestamp.unwrap_or(-1),
        },
        remainder: pieces.flatten().copied().collect(),
        epochs: state.epochs.clone(),
        producers: state.producers.clone(),
        compacted: state.compacted(),
    })
}
