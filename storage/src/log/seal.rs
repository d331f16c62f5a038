//! Completing a segment that nothing more is appended to: its last partial block is written,
//! padded, once; the file is trimmed to its bytes, flushed and indexed.

use crate::buffer::{AlignedBuf, AlignedSlice};
use crate::index::SegmentIndex;
use crate::log::Log;
use crate::log::index_file::write_index_file;
use crate::log::segment::SegmentName;
use crate::runtime::{DiskError, File, Runtime, block_ceil, block_floor};

impl<R: Runtime> Log<R> {
    /// Completes the closed segment in the background.
    pub(crate) fn spawn_seal(&self, segment_base: i64) {
        let log = self.clone();
        self.spawn(async move {
            if let Err(error) = log.seal(segment_base).await {
                log.fail("a segment can't be completed", &error);
            }
        });
    }

    async fn seal(&self, segment_base: i64) -> Result<(), DiskError> {
        let inner = &*self.inner;
        self.with_state(|state| {
            if let Some(segment) = state.segment_mut(segment_base) {
                self.issue_blocks(segment, block_floor(segment.end));
            }
        });
        self.in_segment(segment_base).await;
        let last = self.with_state(|state| {
            let is_online = state.offline.is_none();
            let segment = state.segment_mut(segment_base).filter(|_| is_online)?;
            let full = block_floor(segment.end);
            Some((full, segment.end, segment.tail.padded_last_block(full)))
        });
        let Some((full, end, last_block)) = last else { return Ok(()) };
        let file = self.writable_file(segment_base, block_ceil(end)).await?;
        if let Some(block) = last_block {
            self.write_segment(&file, full, block).await?;
        }
        file.truncate(end).await?;
        self.sync_segment_file(&file).await?;
        let index = self.with_state(|state| {
            let segment = state.segment_mut(segment_base)?;
            segment.index.clone()
        });
        if let Some(index) = index {
            let _turn = inner.index_turns.take().await;
            self.write_index(SegmentName::appended(segment_base), &index, 0).await?;
        }
        self.with_state(|state| {
            if let Some(segment) = state.segment_mut(segment_base) {
                segment.in_segment = end;
                segment.issued = end;
                segment.flushed = end;
                segment.allocated = end;
                segment.settled = true;
            }
            state.release_journal();
        });
        inner.shared.enforce_cache();
        self.publish();
        inner.changed.notify_all();
        Ok(())
    }

    /// Resolves once all full blocks of the segment are in its file, or the log is offline.
    pub(crate) async fn in_segment(&self, segment_base: i64) {
        let inner = &*self.inner;
        inner
            .changed
            .until(|| {
                let state = inner.state.borrow();
                let segment = state.segment(segment_base);
                state.offline.is_some()
                    || segment.is_none_or(|s| s.in_segment >= s.issued && s.is_quiet())
            })
            .await;
    }
}

impl<R: Runtime> Log<R> {
    /// Writes this log's `index`, from `first_page` on.
    pub(crate) async fn write_index(
        &self,
        name: SegmentName,
        index: &SegmentIndex,
        first_page: usize,
    ) -> Result<(), DiskError> {
        let (shared, dir) = (&self.inner.shared, &self.inner.dir);
        let write = async || write_index_file(&shared.runtime, dir, name, index, first_page).await;
        shared.with_descriptors(write).await
    }
}

/// A copy of `bytes` that a disk takes: padded with zeros to whole blocks.
pub(crate) fn aligned(bytes: &[u8]) -> AlignedSlice {
    let mut buf = AlignedBuf::with_capacity(bytes.len());
    buf.put(bytes);
    buf.pad_to_block();
    buf.slice(0, buf.filled())
}
