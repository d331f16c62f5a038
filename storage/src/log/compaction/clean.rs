//! Compacting a log: first the dirty part is read, and the last offset of each of its keys noted;
//! then all segments from the log start on are written again without what is superseded.

use std::collections::HashSet;

use super::error::CompactionError;
use super::offset_map::OffsetMap;
use super::output::Output;
use super::pace::Pace;
use super::plan::{Cleanable, Part};
use super::records::{cant_rewrite, map_batch, rewritten, tally};
use super::retain::{Fate, Rules};
use super::source::{Source, SourceBatch};
use crate::batch::emptied;
use crate::log::Log;
use crate::log::checkpoint_file::CompactedSegment;
use crate::log::segment::SegmentName;
use crate::mutants::{Mutant, active};
use crate::runtime::Runtime;

/// Pieces of the map's memory that are given back at once.
const SHRINK_STEP: usize = 16;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Everything below is compacted now.
    pub first_dirty: i64,
    pub keys: usize,
    pub segments_before: usize,
    pub segments_after: usize,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

impl<R: Runtime> Log<R> {
    /// Compacts `cleanable` with a map of at most `map_bytes`.
    ///
    /// # Errors
    /// Every [`CompactionError`].
    pub(crate) async fn compact(
        &self,
        cleanable: &Cleanable,
        map_bytes: u64,
        pace: &mut Pace<R>,
    ) -> Result<Done, CompactionError> {
        // A delete of the log waits for it.
        let tasks = &self.inner.tasks;
        tasks.set(tasks.get() + 1);
        let end = cleanable.parts.last().map_or(0, |part| part.until);
        let dirty_offsets = (end - cleanable.first_dirty).max(0) as u64;
        let mut map = OffsetMap::new(dirty_offsets, map_bytes);
        let compacted = self.compact_with(&mut map, cleanable, pace).await;
        while map.shrink(SHRINK_STEP) {
            pace.rest().await;
        }
        tasks.set(tasks.get() - 1);
        self.inner.changed.notify_all();
        compacted
    }

    async fn compact_with(
        &self,
        map: &mut OffsetMap,
        cleanable: &Cleanable,
        pace: &mut Pace<R>,
    ) -> Result<Done, CompactionError> {
        let until = self.map_dirty(map, cleanable, pace).await?;
        let last_offsets = self.last_offsets_of_producers().await?;
        let config = self.with_state(|state| state.config.clone());
        let now_ms = self.inner_runtime().now_ms();
        let delete_retention_ms = config.delete_retention_ms;
        let rules = Rules { map, until, now_ms, delete_retention_ms };
        let groups = cleanable.groups(until, u64::from(config.segment_bytes));
        let mut done = Done { first_dirty: until, keys: rules.map.len(), ..Done::default() };
        for (i, group) in groups.iter().enumerate() {
            let is_last = i + 1 == groups.len();
            let new = self.write_again(group, &rules, &last_offsets, pace).await?;
            done.segments_before += group.len();
            done.segments_after += new.len();
            done.bytes_before += group.iter().map(|part| part.bytes).sum::<u64>();
            done.bytes_after += new.iter().map(|segment| segment.bytes).sum::<u64>();
            let swapped = self.swap(group, &new, is_last.then_some(until)).await;
            if let Err(error) = swapped {
                for segment in new {
                    self.remove_unless_in_log(segment.name).await;
                }
                return Err(error);
            }
            if !is_last {
                pace.step().await?;
            }
        }
        Ok(done)
    }

    /// Where the producers' last batches end, as of the newest checkpoint: what came later may be
    /// lost yet, and is not compacted.
    async fn last_offsets_of_producers(&self) -> Result<HashSet<i64>, CompactionError> {
        let _turn = self.inner.slot_turns.take().await;
        Ok(self.newest_checkpoint().await?.producers.last_offsets().collect())
    }

    /// Notes the keys of the dirty part; returns where it ends, which is earlier if the map is full.
    async fn map_dirty(
        &self,
        map: &mut OffsetMap,
        cleanable: &Cleanable,
        pace: &mut Pace<R>,
    ) -> Result<i64, CompactionError> {
        let mut until = cleanable.first_dirty;
        let dirty = cleanable.parts.iter().filter(|part| part.until > cleanable.first_dirty);
        for part in dirty {
            let mut source = self.source(part).await?;
            while let Some(batch) = source.next(pace).await? {
                let header = &batch.header;
                if header.last_offset() < cleanable.first_dirty {
                    continue;
                }
                let is_mapped = header.is_control() || map_batch(map, &batch, pace).await?;
                if !is_mapped && until == cleanable.first_dirty {
                    let base_offset = header.base_offset();
                    return Err(CompactionError::MapTooSmall { base_offset });
                }
                if !is_mapped {
                    return Ok(until);
                }
                until = header.last_offset().saturating_add(1);
            }
            until = part.until;
        }
        if active(Mutant::CompactUnflushed) {
            self.map_unflushed(map, until, pace).await?;
        }
        Ok(until)
    }

    /// What must not be done: a record may be superseded by one that a power loss takes.
    async fn map_unflushed(
        &self,
        map: &mut OffsetMap,
        mut offset: i64,
        pace: &mut Pace<R>,
    ) -> Result<(), CompactionError> {
        while let Ok(batches) = self.batches_at(offset).await {
            let before = offset;
            for batch in batches {
                offset = batch.header.last_offset() + 1;
                map_batch(map, &SourceBatch::new(batch.header, batch.records), pace).await?;
            }
            if offset == before {
                break;
            }
        }
        Ok(())
    }

    /// Writes the segments of `group` again: as one, unless batches have grown.
    async fn write_again(
        &self,
        group: &[Part],
        rules: &Rules<'_>,
        last_offsets: &HashSet<i64>,
        pace: &mut Pace<R>,
    ) -> Result<Vec<CompactedSegment>, CompactionError> {
        let mut output = Output::new(self, group, self.last_append_ms(group));
        let written = async {
            output.begin(group[0].name.base_offset).await?;
            for part in group {
                let mut source = self.source(part).await?;
                self.copy(&mut source, &mut output, rules, last_offsets, pace).await?;
            }
            output.end(group.last().map_or(0, |part| part.until), pace).await?;
            Ok(self.inner_runtime().sync_dir(&self.inner.dir).await?)
        };
        let written: Result<(), CompactionError> = written.await;
        if let Err(error) = written {
            for name in output.names() {
                self.remove_unless_in_log(name).await;
            }
            return Err(error);
        }
        Ok(output.into_segments())
    }

    /// Copies what stays of a segment.
    async fn copy(
        &self,
        source: &mut Source<R>,
        output: &mut Output<'_, R>,
        rules: &Rules<'_>,
        last_offsets: &HashSet<i64>,
        pace: &mut Pace<R>,
    ) -> Result<(), CompactionError> {
        while let Some(batch) = source.next(pace).await? {
            let header = &batch.header;
            if rules.pass_over(header) {
                output.put(&batch, pace).await?;
                continue;
            }
            let tally = tally(rules, &batch, pace).await?;
            let is_last_of_producer =
                header.has_producer_id() && last_offsets.contains(&header.last_offset());
            match rules.fate(header, &tally, is_last_of_producer) {
                Fate::Dropped => {}
                Fate::Stays => output.put(&batch, pace).await?,
                Fate::Emptied => {
                    let empty = emptied(header).map_err(cant_rewrite(header.base_offset()))?;
                    output.put_again(&empty, pace).await?;
                }
                Fate::Rewritten { delete_horizon_ms } => {
                    let again = rewritten(&batch, &tally, delete_horizon_ms, pace).await?;
                    output.put_again(&again, pace).await?;
                }
            }
        }
        Ok(())
    }

    fn last_append_ms(&self, group: &[Part]) -> i64 {
        self.with_state(|state| {
            let found = group.iter().filter_map(|part| state.segment_named(part.name));
            found.map(|segment| segment.last_append_ms).max().unwrap_or(0)
        })
    }

    /// Removes the files of a compaction that has failed.
    async fn remove_unless_in_log(&self, name: SegmentName) {
        // Whether an offline log's newest checkpoint names it, only a start can tell.
        let is_left = self.with_state(|s| s.offline.is_none() && s.segment_named(name).is_none());
        if is_left && let Err(error) = self.remove_files(name).await {
            tracing::warn!(partition = %self.id(), %error, "a file of a failed compaction is left until the next start");
        }
    }
}
