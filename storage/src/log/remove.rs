//! Removing the files of segments that lie wholly below the log start, or that compaction has
//! replaced.
//!
//! A segment leaves the log first, and its files go once nobody reads them. No crash in between does
//! harm: what the checkpoint does not name as a part of the log is removed at the next start.

use std::sync::Arc;

use crate::log::Log;
use crate::log::segment::{Segment, SegmentName, index_path, segment_path};
use crate::log::state::LogState;
use crate::mutants::{Mutant, active};
use crate::runtime::{DiskError, Runtime};

/// A segment that has left the log.
#[derive(Debug)]
pub(crate) struct Condemned {
    name: SegmentName,
    /// The segment's own count of those who read its file.
    readers: Arc<()>,
}

impl Condemned {
    pub(crate) fn new<F>(segment: Segment<F>) -> Self {
        Condemned { name: segment.name(), readers: segment.readers }
    }

    fn is_read(&self) -> bool {
        Arc::strong_count(&self.readers) > 1 && !active(Mutant::RemoveLeasedSegment)
    }
}

impl<F> LogState<F> {
    /// The oldest segment lies wholly below the log start.
    fn begins_with_dead_segment(&self) -> bool {
        self.segments.get(1).is_some_and(|next| next.base_offset <= self.log_start)
    }

    /// Takes the segments out of the log that nothing needs any more; returns the memory they held,
    /// in bytes. The next start begins at the checkpoint, so what lies behind that has to stay.
    fn condemn(&mut self) -> usize {
        let mut freed = 0;
        let checkpointed = self.checkpoint.segment_base;
        while self.begins_with_dead_segment()
            && self.segments[0].settled
            && self.segments[0].base_offset < checkpointed
        {
            let Some(dead) = self.segments.pop_front() else { break };
            freed += dead.tail.held_bytes();
            self.condemned.push(Condemned::new(dead));
        }
        self.release_journal();
        freed
    }
}

impl<R: Runtime> Log<R> {
    /// Puts the log on the list of those with segments to be removed, if it has any.
    pub(crate) fn note_shrinking(&self) {
        let is_news = self.with_state(|state| {
            let has_dead = !state.condemned.is_empty() || state.begins_with_dead_segment();
            if has_dead {
                // Upkeep brings the checkpoint forward, which a dead segment has to wait for.
                self.mark_active(state);
            }
            has_dead && !std::mem::replace(&mut state.is_shrinking, true)
        });
        if is_news {
            self.inner.shared.shrinking.borrow_mut().push(self.clone());
        }
    }

    /// Removes what can be removed now; true if something is left for later.
    pub(crate) async fn remove_dead_segments(&self) -> bool {
        let inner = &*self.inner;
        inner.tasks.set(inner.tasks.get() + 1);
        inner.shared.cache_shrank(self.with_state(LogState::condemn));
        while let Some(dead) = self.next_unread() {
            if let Err(error) = self.remove_files(dead.name).await {
                tracing::warn!(partition = %inner.id, %error, "a deleted segment's file is left until the next start");
            }
        }
        inner.tasks.set(inner.tasks.get() - 1);
        self.with_state(|state| {
            let is_online = state.offline.is_none();
            state.is_shrinking =
                is_online && (!state.condemned.is_empty() || state.begins_with_dead_segment());
            state.is_shrinking
        })
    }

    fn next_unread(&self) -> Option<Condemned> {
        self.with_state(|state| {
            let unread = state.condemned.iter().position(|c| !c.is_read())?;
            Some(state.condemned.swap_remove(unread))
        })
    }

    pub(crate) async fn remove_files(&self, name: SegmentName) -> Result<(), DiskError> {
        let inner = &*self.inner;
        let runtime = &inner.shared.runtime;
        // The index may just be being written again.
        let _turn = inner.index_turns.take().await;
        runtime.remove_file(&index_path(&inner.dir, name)).await?;
        runtime.remove_file(&segment_path(&inner.dir, name)).await?;
        tracing::debug!(partition = %inner.id, segment = name.base_offset, generation = name.generation, "removed a segment");
        Ok(())
    }
}
