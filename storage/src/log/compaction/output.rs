//! What a group of segments becomes: one segment, or several where rewritten batches are longer than
//! they were, or `segment.bytes` is less than it was.

use super::error::CompactionError;
use super::pace::Pace;
use super::plan::Part;
use super::source::SourceBatch;
use super::target::Target;
use crate::batch::BatchHeader;
use crate::log::Log;
use crate::log::checkpoint_file::CompactedSegment;
use crate::log::segment::SegmentName;
use crate::runtime::Runtime;

/// Segments under way.
pub(super) struct Output<'a, R: Runtime> {
    log: &'a Log<R>,
    /// Bytes of a segment at most, but for one batch that is longer.
    segment_bytes: u64,
    expected_bytes: u64,
    last_append_ms: i64,
    target: Option<Target<R>>,
    names: Vec<SegmentName>,
    complete: Vec<CompactedSegment>,
}

impl<'a, R: Runtime> Output<'a, R> {
    pub(super) fn new(log: &'a Log<R>, group: &[Part], last_append_ms: i64) -> Self {
        let segment_bytes = log.with_state(|state| u64::from(state.config.segment_bytes));
        Output {
            log,
            segment_bytes,
            expected_bytes: group.iter().map(|part| part.bytes).sum(),
            last_append_ms,
            target: None,
            names: Vec::new(),
            complete: Vec::new(),
        }
    }

    /// The segments that were begun, and may have files.
    pub(super) fn names(&self) -> Vec<SegmentName> {
        self.names.clone()
    }

    /// Those that are complete; after [`Output::end`], all.
    pub(super) fn into_segments(self) -> Vec<CompactedSegment> {
        self.complete
    }

    /// Begins a segment at `base_offset`.
    pub(super) async fn begin(&mut self, base_offset: i64) -> Result<(), CompactionError> {
        let name = self.log.next_generation(base_offset)?;
        self.names.push(name);
        self.target = Some(self.log.target(name, self.expected_bytes).await?);
        Ok(())
    }

    /// Appends a batch as it is.
    pub(super) async fn put(
        &mut self,
        batch: &SourceBatch,
        pace: &mut Pace<R>,
    ) -> Result<(), CompactionError> {
        let target = self.target_for(&batch.header, pace).await?;
        target.put(&batch.header, batch.pieces(), pace).await
    }

    /// Appends a batch that was written again.
    pub(super) async fn put_again(
        &mut self,
        batch: &[u8],
        pace: &mut Pace<R>,
    ) -> Result<(), CompactionError> {
        let header = *BatchHeader::read(batch).expect("sealed a moment ago");
        let target = self.target_for(&header, pace).await?;
        target.put(&header, std::iter::once(batch), pace).await
    }

    /// Where the batch goes.
    async fn target_for(
        &mut self,
        header: &BatchHeader,
        pace: &mut Pace<R>,
    ) -> Result<&mut Target<R>, CompactionError> {
        let bytes = self.target.as_ref().map_or(0, Target::bytes);
        if bytes > 0 && bytes + header.total_bytes() as u64 > self.segment_bytes {
            self.end(header.base_offset(), pace).await?;
            self.begin(header.base_offset()).await?;
        }
        Ok(self.target.as_mut().expect("a segment was begun"))
    }

    /// Completes the segment under way: synced on return, but for its name.
    pub(super) async fn end(
        &mut self,
        until: i64,
        pace: &mut Pace<R>,
    ) -> Result<(), CompactionError> {
        let Some(target) = self.target.take() else { return Ok(()) };
        let (segment, index) = target.finish(until, self.last_append_ms, pace).await?;
        self.log.write_index(segment.name, &index, 0).await?;
        self.complete.push(segment);
        Ok(())
    }
}
