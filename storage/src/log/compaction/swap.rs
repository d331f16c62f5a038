//! Compacted segments become a part of the log, and those that they stand for none, at once: by one
//! checkpoint slot that names them.
//!
//! Before, their files are complete, synced, and their names are durable; afterwards, the old files are
//! removed as soon as nobody reads them. A crash in between leaves files that the checkpoint does
//! not name, and the next start removes them.

use super::error::CompactionError;
use super::plan::Part;
use crate::log::Log;
use crate::log::checkpoint_file::CompactedSegment;
use crate::log::remove::Condemned;
use crate::log::segment::Segment;
use crate::log::state::LogState;
use crate::runtime::Runtime;

impl<R: Runtime> Log<R> {
    /// Puts `new`, which follow each other and span as much, in the place of the segments `group`; with
    /// `first_dirty`, everything below it is compacted now.
    pub(super) async fn swap(
        &self,
        group: &[Part],
        new: &[CompactedSegment],
        first_dirty: Option<i64>,
    ) -> Result<(), CompactionError> {
        let inner = &*self.inner;
        let _turn = inner.slot_turns.take().await;
        let mut checkpoint = self.newest_checkpoint().await?;
        // Deleted meanwhile, by retention or by somebody who asked for it.
        let is_there = self.with_state(|state| {
            state.offline.is_none() && group.iter().all(|p| state.segment_named(p.name).is_some())
        });
        if !is_there {
            return Err(CompactionError::Superseded);
        }
        checkpoint.sequence += 1;
        let compacted = &mut checkpoint.compacted;
        compacted.segments = self.with_state(|state| state.compacted().segments);
        compacted.segments.retain(|s| !group.iter().any(|part| part.name == s.name));
        compacted.segments.extend_from_slice(new);
        compacted.segments.sort_by_key(|segment| segment.name);
        compacted.first_dirty = first_dirty.unwrap_or(compacted.first_dirty);
        let first_dirty = compacted.first_dirty;
        if let Err(error) = self.write_slot(&checkpoint).await {
            if !error.is_no_space() {
                // It may or may not be there: only a start can tell.
                self.fail("a compacted segment can't be put in place", &error);
            }
            return Err(error.into());
        }
        let freed = self.with_state(|state| replace(state, new, first_dirty));
        inner.shared.cache_shrank(freed);
        self.note_shrinking();
        Ok(())
    }
}

/// Takes what lies between the ends of `new` out of the log, and `new` in; returns the memory that was
/// held, in bytes. Some of it may have been deleted while the slot was written.
fn replace<F>(state: &mut LogState<F>, new: &[CompactedSegment], first_dirty: i64) -> usize {
    let (Some(front), Some(back)) = (new.first(), new.last()) else { return 0 };
    let first = state.segments.partition_point(|s| s.base_offset < front.name.base_offset);
    let behind = state.segments.partition_point(|s| s.base_offset < back.until);
    let mut freed = 0;
    let old: Vec<_> = state.segments.drain(first..behind).collect();
    for segment in old {
        freed += segment.tail.held_bytes();
        state.condemned.push(Condemned::new(segment));
    }
    for (i, written) in new.iter().enumerate() {
        state.segments.insert(first + i, Segment::compacted(written));
    }
    state.first_dirty = first_dirty;
    freed
}
