//! Segments that should be there and are not.
//!
//! Where compaction has put new files in the place of old ones, and the slot that says so is damaged,
//! the slot before it names neither: its log would have a hole, and the new files would be taken for
//! leftovers and be removed. So the closed segments must meet. Of compacted ones that is known; others
//! are looked into, but only where a slot is damaged, or torn.

use crate::log::index_file::read_index_file;
use crate::log::segment::{Segment, segment_path};
use crate::log::state::LogState;
use crate::log::{CheckpointError, Compacted};
use crate::recovery::Recovery;
use crate::recovery::walk::pass_headers;
use crate::runtime::{OpenMode, Runtime};

impl<R: Runtime> Recovery<'_, R> {
    /// Whether each of the closed segments in `state` ends where the next begins, the last one at
    /// `end_base`; those that were never compacted only if `look_inside`.
    pub(super) async fn check_for_holes(
        &mut self,
        state: &LogState<R::File>,
        compacted: &Compacted,
        end_base: i64,
        look_inside: bool,
    ) -> Result<(), CheckpointError> {
        let next_bases = state.segments.iter().skip(1).map(|s| s.base_offset).chain([end_base]);
        for (segment, next) in state.segments.iter().zip(next_bases) {
            let end = match compacted.segment(segment.base_offset) {
                Some(written) => written.until,
                None if look_inside => self.end_offset(segment).await?,
                None => continue,
            };
            if end != next {
                let path = segment_path(self.dir, segment.name());
                return Err(CheckpointError::Hole { path, end, next });
            }
        }
        Ok(())
    }

    /// The offset behind the last batch of a closed segment that was never compacted, as far as its
    /// batches' headers can be read.
    async fn end_offset(&mut self, segment: &Segment<R::File>) -> Result<i64, CheckpointError> {
        let mut index = read_index_file(self.runtime, self.dir, segment.name()).await?;
        index.truncate_to(segment.end);
        let path = segment_path(self.dir, segment.name());
        let file = self.runtime.open(&path, OpenMode::Read).await?;
        let mut offset = segment.base_offset;
        let range = (index.last().position, segment.end);
        let passed = pass_headers(self.runtime, &file, range, |header, _| {
            offset = header.last_offset().saturating_add(1);
        });
        let (bytes_read, position) = passed.await?;
        self.report.bytes_read += bytes_read;
        // What ends inside a batch, or in what is none, has lost something, too.
        Ok(if position == segment.end { offset } else { offset.min(index.last().offset) })
    }
}
