//! A segment that compaction writes: under a name of its own, so that nothing that is a part of the
//! log is ever written to.

use super::error::CompactionError;
use super::pace::Pace;
use crate::batch::BatchHeader;
use crate::buffer::AlignedBuf;
use crate::index::SegmentIndex;
use crate::log::Log;
use crate::log::checkpoint_file::CompactedSegment;
use crate::log::segment::{SegmentName, segment_path};
use crate::mutants::{Mutant, active};
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime};

/// Bytes written at once.
const WRITE_BYTES: usize = 256 << 10;

/// Bytes between two syncs: a long one at the end would hold up everybody else's.
const SYNC_BYTES: u64 = 16 << 20;

/// A segment under way.
pub(super) struct Target<R: Runtime> {
    file: R::File,
    name: SegmentName,
    index: SegmentIndex,
    buffer: AlignedBuf,
    /// Bytes in the file.
    written: u64,
    synced: u64,
    records_end: i64,
    max_timestamp: i64,
}

impl<R: Runtime> Log<R> {
    /// Begins a segment at `base_offset`; its file may be left behind by whoever gives up.
    pub(super) async fn target(&self, base_offset: i64) -> Result<Target<R>, CompactionError> {
        let inner = &*self.inner;
        let (shared, runtime) = (&inner.shared, &inner.shared.runtime);
        let generation = self.with_state(|state| {
            state.last_generation = state.last_generation.checked_add(1)?;
            Some(state.last_generation)
        });
        let generation = generation.ok_or(CompactionError::GenerationsExhausted)?;
        let name = SegmentName { base_offset, generation };
        let path = segment_path(&inner.dir, name);
        let open = async || runtime.open(&path, OpenMode::Create).await;
        Ok(Target {
            file: shared.with_descriptors(open).await?,
            name,
            index: SegmentIndex::new(base_offset),
            buffer: AlignedBuf::with_capacity(WRITE_BYTES),
            written: 0,
            synced: 0,
            records_end: base_offset,
            max_timestamp: -1,
        })
    }
}

impl<R: Runtime> Target<R> {
    pub(super) fn name(&self) -> SegmentName {
        self.name
    }

    /// Bytes that were put.
    pub(super) fn bytes(&self) -> u64 {
        self.written + self.buffer.filled() as u64
    }

    /// Appends one batch.
    pub(super) async fn put(
        &mut self,
        mut batch: &[u8],
        pace: &mut Pace<R>,
    ) -> Result<(), CompactionError> {
        let Ok(header) = BatchHeader::read(batch) else { return Err(CompactionError::Superseded) };
        self.index.maybe_push(header.base_offset(), self.bytes(), header.max_timestamp());
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp());
        self.records_end = header.last_offset().saturating_add(1);
        while !batch.is_empty() {
            let taken = self.buffer.put(batch);
            batch = &batch[taken..];
            if self.buffer.remaining() == 0 {
                self.write().await?;
                pace.moved(WRITE_BYTES).await;
            }
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), DiskError> {
        let buffer = std::mem::replace(&mut self.buffer, AlignedBuf::with_capacity(WRITE_BYTES));
        let length = buffer.filled();
        self.file.write_at(self.written, buffer.slice(0, length)).await?;
        self.written += length as u64;
        if self.written - self.synced >= SYNC_BYTES {
            self.file.sync_data().await?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Completes the file: synced on return, but for its name.
    pub(super) async fn finish(
        mut self,
        until: i64,
        last_append_ms: i64,
    ) -> Result<(CompactedSegment, SegmentIndex), DiskError> {
        let bytes = self.bytes();
        if self.buffer.filled() > 0 {
            self.buffer.pad_to_block();
            self.write().await?;
        }
        debug_assert!(self.written < bytes + BLOCK_BYTES as u64);
        self.file.truncate(bytes).await?;
        if !active(Mutant::SwapBeforeSync) {
            self.file.sync_data().await?;
        }
        let segment = CompactedSegment {
            name: self.name,
            until,
            records_end: self.records_end,
            bytes,
            max_timestamp: self.max_timestamp,
            last_append_ms,
        };
        Ok((segment, self.index))
    }
}
