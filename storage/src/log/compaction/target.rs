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
use crate::runtime::{BLOCK_BYTES, File, OpenMode, Runtime, block_ceil};

/// Bytes written at once.
const WRITE_BYTES: usize = 256 << 10;

/// Bytes between two syncs: a long one at the end would hold up everybody else's.
const SYNC_BYTES: u64 = 4 << 20;

/// Bytes by which the file is extended.
const ALLOCATE_BYTES: u64 = 16 << 20;

/// A segment under way.
pub(super) struct Target<R: Runtime> {
    file: R::File,
    name: SegmentName,
    index: SegmentIndex,
    buffer: AlignedBuf,
    /// Bytes reserved in the file, and how many more it may come to need.
    allocated: u64,
    expected: u64,
    /// Bytes in the file.
    written: u64,
    synced: u64,
    records_end: i64,
    max_timestamp: i64,
}

impl<R: Runtime> Log<R> {
    /// A name that no segment of this log has had.
    pub(super) fn next_generation(&self, base_offset: i64) -> Result<SegmentName, CompactionError> {
        let generation = self.with_state(|state| {
            state.last_generation = state.last_generation.checked_add(1)?;
            Some(state.last_generation)
        });
        let generation = generation.ok_or(CompactionError::GenerationsExhausted)?;
        Ok(SegmentName { base_offset, generation })
    }

    /// Begins the segment `name`, probably of no more than `expected` bytes.
    pub(super) async fn target(
        &self,
        name: SegmentName,
        expected: u64,
    ) -> Result<Target<R>, CompactionError> {
        let inner = &*self.inner;
        let (shared, runtime) = (&inner.shared, &inner.shared.runtime);
        let path = segment_path(&inner.dir, name);
        let open = async || runtime.open(&path, OpenMode::Create).await;
        Ok(Target {
            file: shared.with_descriptors(open).await?,
            name,
            index: SegmentIndex::new(name.base_offset),
            buffer: AlignedBuf::with_capacity(WRITE_BYTES),
            allocated: 0,
            expected,
            written: 0,
            synced: 0,
            records_end: name.base_offset,
            max_timestamp: -1,
        })
    }
}

impl<R: Runtime> Target<R> {
    /// Bytes that were put.
    pub(super) fn bytes(&self) -> u64 {
        self.written + self.buffer.filled() as u64
    }

    /// Appends the batch with this header, which comes in `pieces`, header included.
    pub(super) async fn put<'a>(
        &mut self,
        header: &BatchHeader,
        pieces: impl Iterator<Item = &'a [u8]>,
        pace: &mut Pace<R>,
    ) -> Result<(), CompactionError> {
        self.index.maybe_push(header.base_offset(), self.bytes(), header.max_timestamp());
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp());
        self.records_end = header.last_offset().saturating_add(1);
        for mut piece in pieces {
            while !piece.is_empty() {
                let taken = self.buffer.put(piece);
                piece = &piece[taken..];
                if self.buffer.remaining() == 0 {
                    self.write(pace).await?;
                }
            }
        }
        Ok(())
    }

    async fn write(&mut self, pace: &mut Pace<R>) -> Result<(), CompactionError> {
        let buffer = std::mem::replace(&mut self.buffer, AlignedBuf::with_capacity(WRITE_BYTES));
        let length = buffer.filled();
        let end = self.written + length as u64;
        if end > self.allocated {
            let more =
                self.expected.saturating_sub(self.written).clamp(length as u64, ALLOCATE_BYTES);
            let more = block_ceil(more);
            self.file.allocate(self.written, more).await?;
            self.allocated = self.written + more;
        }
        self.file.write_at(self.written, buffer.slice(0, length)).await?;
        self.written = end;
        pace.wrote(length).await?;
        if self.written - self.synced >= SYNC_BYTES {
            self.file.sync_data().await?;
            self.synced = self.written;
            pace.step().await?;
        }
        Ok(())
    }

    /// Completes the file: synced on return, but for its name.
    pub(super) async fn finish(
        mut self,
        until: i64,
        last_append_ms: i64,
        pace: &mut Pace<R>,
    ) -> Result<(CompactedSegment, SegmentIndex), CompactionError> {
        let bytes = self.bytes();
        if self.buffer.filled() > 0 {
            self.buffer.pad_to_block();
            self.write(pace).await?;
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
