//! Files of a partition's directory, and those of them that a deletion has left behind.

use std::collections::{BTreeMap, BTreeSet};

use crate::log::segment::{Segment, index_base, index_path, segment_base, segment_path};
use crate::log::state::{LogState, Mark};
use crate::recovery::Recovery;
use crate::runtime::{DirEntry, DiskError, Runtime};

/// A segment's file.
pub(super) struct SegmentFile {
    pub len_bytes: u64,
    pub modified_ms: i64,
}

/// Segment files by base offset.
pub(super) type SegmentFiles = BTreeMap<i64, SegmentFile>;

/// What lies in a partition's directory.
pub(super) struct FileNames {
    pub segments: SegmentFiles,
    /// Base offsets.
    indexes: BTreeSet<i64>,
    is_empty: bool,
}

impl FileNames {
    pub(super) fn of(entries: &[DirEntry]) -> Self {
        let segment = |e: &DirEntry| {
            let file = SegmentFile { len_bytes: e.len_bytes, modified_ms: e.modified_ms };
            Some((segment_base(&e.name)?, file))
        };
        FileNames {
            segments: entries.iter().filter_map(segment).collect(),
            indexes: entries.iter().filter_map(|e| index_base(&e.name)).collect(),
            is_empty: entries.is_empty(),
        }
    }

    /// Not even a checkpoint is there.
    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    pub(super) fn has_index(&self, base: i64) -> bool {
        self.indexes.contains(&base)
    }

    /// The segment that holds `log_start`, or the first behind it; at most `last`, which may have
    /// no file yet.
    pub(super) fn first_segment(&self, log_start: i64, last: i64) -> i64 {
        let before_last = self.segments.range(..last).map(|(&base, _)| base);
        let bases: Vec<i64> = before_last.chain([last]).collect();
        let holds = bases.partition_point(|&base| base <= log_start).saturating_sub(1);
        bases[holds]
    }
}

impl<R: Runtime> Recovery<'_, R> {
    /// Goes on with an empty segment where the log start lies behind the log's end: a power loss has
    /// taken what was asked to be deleted.
    pub(super) fn go_to_log_start(&self, state: &mut LogState<R::File>, end: Mark) -> Mark {
        let log_start = state.log_start;
        if end.offset >= log_start {
            return end;
        }
        tracing::info!(
            partition = %self.id, log_end = end.offset, log_start,
            "the log ends below its start: it goes on empty"
        );
        state.segments.clear();
        state.segments.push_back(Segment::new(log_start, self.runtime.now_ms()));
        state.log_end = log_start;
        Mark { offset: log_start, segment_base: log_start, position: 0 }
    }

    /// Removes what a deletion has left behind below the segment `first`. Only once the log start is
    /// durable: before, a power loss could bring the lower one back.
    pub(super) async fn remove_leftovers(
        &self,
        first: i64,
        names: &FileNames,
    ) -> Result<(), DiskError> {
        let segments = names.segments.range(..first).map(|(&base, _)| base);
        let indexes = names.indexes.range(..first).copied();
        let leftovers: BTreeSet<i64> = segments.chain(indexes).collect();
        for base in leftovers {
            tracing::info!(partition = %self.id, segment = base, "removed what was left of a deleted segment");
            self.remove_segment(base).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_segment(&self, base: i64) -> Result<(), DiskError> {
        self.runtime.remove_file(&index_path(self.dir, base)).await?;
        self.runtime.remove_file(&segment_path(self.dir, base)).await
    }
}
