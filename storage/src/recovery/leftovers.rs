//! Files of a partition's directory, and those of them that a deletion or a compaction has left
//! behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::log::segment::{
    Segment, SegmentName, index_named, index_path, segment_named, segment_path,
};
use crate::log::state::{LogState, Mark};
use crate::log::{CheckpointError, Compacted};
use crate::recovery::Recovery;
use crate::runtime::{DirEntry, DiskError, Runtime};

/// A segment's file.
#[derive(Clone, Copy)]
pub(super) struct SegmentFile {
    pub len_bytes: u64,
    pub modified_ms: i64,
}

/// Segment files by base offset.
pub(super) type SegmentFiles = BTreeMap<i64, SegmentFile>;

/// What lies in a partition's directory.
pub(super) struct FileNames {
    /// As they were appended, but for those that compaction has replaced.
    pub segments: SegmentFiles,
    /// All segment and index files.
    all: BTreeMap<SegmentName, SegmentFile>,
    indexes: BTreeSet<SegmentName>,
    is_empty: bool,
}

impl FileNames {
    pub(super) fn of(entries: &[DirEntry], compacted: &Compacted) -> Self {
        let segment = |e: &DirEntry| {
            let file = SegmentFile { len_bytes: e.len_bytes, modified_ms: e.modified_ms };
            Some((segment_named(&e.name)?, file))
        };
        let all: BTreeMap<_, _> = entries.iter().filter_map(segment).collect();
        let appended = all.iter().filter(|(name, _)| name.generation == 0);
        let counting = appended.filter(|(name, _)| !compacted.has_replaced(name.base_offset));
        FileNames {
            segments: counting.map(|(name, file)| (name.base_offset, *file)).collect(),
            indexes: entries.iter().filter_map(|e| index_named(&e.name)).collect(),
            all,
            is_empty: entries.is_empty(),
        }
    }

    /// The closed segments before `until`: as they were appended, or as compaction has written
    /// them; those of the latter that lie below `log_start` may be gone.
    pub(super) fn closed<F>(
        &self,
        compacted: &Compacted,
        log_start: i64,
        until: i64,
        dir: &Path,
    ) -> Result<BTreeMap<i64, Segment<F>>, CheckpointError> {
        let appended = self
            .segments
            .range(..until)
            .map(|(&base, file)| (base, Segment::settled(base, file.len_bytes, file.modified_ms)));
        let mut closed: BTreeMap<i64, Segment<F>> = appended.collect();
        for written in &compacted.segments {
            let found = self.all.get(&written.name).map(|file| file.len_bytes);
            if found != Some(written.bytes) {
                if written.until <= log_start {
                    continue;
                }
                let (path, expected) = (segment_path(dir, written.name), written.bytes);
                let found = found.unwrap_or(0);
                return Err(CheckpointError::CompactedMissing { path, expected, found });
            }
            closed.insert(written.name.base_offset, Segment::compacted(written));
        }
        Ok(closed)
    }

    /// The highest generation of any file.
    pub(super) fn last_generation(&self) -> u32 {
        self.all.keys().chain(&self.indexes).map(|name| name.generation).max().unwrap_or(0)
    }

    /// Not even a checkpoint is there.
    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    pub(super) fn has_index(&self, base: i64) -> bool {
        self.indexes.contains(&SegmentName::appended(base))
    }
}

/// The one of the closed segments that holds `log_start`, or the first behind it; at most `last`,
/// which may have no file yet.
pub(super) fn first_segment<F>(
    closed: &BTreeMap<i64, Segment<F>>,
    log_start: i64,
    last: i64,
) -> i64 {
    let bases: Vec<i64> = closed.keys().copied().chain([last]).collect();
    let holds = bases.partition_point(|&base| base <= log_start).saturating_sub(1);
    bases[holds]
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

    /// Removes what a deletion or a compaction has left behind: the files before the active segment
    /// that are no part of the log. Only once the checkpoint that says so is durable: before, a
    /// power loss could bring back the one before it.
    pub(super) async fn remove_leftovers(
        &self,
        state: &LogState<R::File>,
        names: &FileNames,
    ) -> Result<(), DiskError> {
        let active = state.active().base_offset;
        let is_left = |name: &&SegmentName| {
            let is_behind = name.generation == 0 && name.base_offset >= active;
            !is_behind && state.segment_named(**name).is_none()
        };
        let leftovers: BTreeSet<SegmentName> =
            names.all.keys().chain(&names.indexes).filter(is_left).copied().collect();
        for name in leftovers {
            let SegmentName { base_offset: segment, generation } = name;
            tracing::info!(partition = %self.id, segment, generation, "removed what was left of a deleted or compacted segment");
            self.remove_segment(name).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_segment(&self, name: SegmentName) -> Result<(), DiskError> {
        self.runtime.remove_file(&index_path(self.dir, name)).await?;
        self.runtime.remove_file(&segment_path(self.dir, name)).await
    }
}
