//! Compacting a log: first the dirty part is read, and the last offset of each of its keys noted;
//! then all segments from the log start on are written again without what is superseded.

use std::collections::HashSet;
use std::io;

use super::error::CompactionError;
use super::offset_map::OffsetMap;
use super::pace::Pace;
use super::plan::{Cleanable, Part};
use super::retain::{Fate, Rules, Tally};
use super::source::Source;
use super::target::Target;
use crate::batch::{BatchHeader, HEADER_BYTES, RawRecord, RawRecords, RawStep, Rewrite, emptied};
use crate::log::checkpoint_file::CompactedSegment;
use crate::log::segment::SegmentName;
use crate::log::{CHECKED_BYTES_MAX, Log};
use crate::mutants::{Mutant, active};
use crate::runtime::Runtime;

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
        while map.shrink() {
            pace.worked(usize::MAX >> 1, 0).await;
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
            done.segments_after += 1;
            done.bytes_before += group.iter().map(|part| part.bytes).sum::<u64>();
            done.bytes_after += new.bytes;
            let swapped = self.swap(group, new, is_last.then_some(until)).await;
            if let Err(error) = swapped {
                self.remove_unless_in_log(new.name).await;
                return Err(error);
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
            while let Some((header, batch)) = source.next(pace).await? {
                if header.last_offset() < cleanable.first_dirty {
                    continue;
                }
                let is_mapped = header.is_control() || map_batch(map, &header, batch, pace).await?;
                if !is_mapped && until == cleanable.first_dirty {
                    let base_offset = header.base_offset();
                    return Err(CompactionError::MapTooSmall { base_offset });
                }
                if !is_mapped {
                    return Ok(until);
                }
                until = header.last_offset().saturating_add(1);
                self.check_online()?;
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
                let mut bytes = vec![0; HEADER_BYTES];
                batch.records.iter().for_each(|slice| bytes.extend_from_slice(slice));
                map_batch(map, &batch.header, &bytes, pace).await?;
            }
            if offset == before {
                break;
            }
        }
        Ok(())
    }

    /// Writes the segments of `group` again, as one.
    async fn write_again(
        &self,
        group: &[Part],
        rules: &Rules<'_>,
        last_offsets: &HashSet<i64>,
        pace: &mut Pace<R>,
    ) -> Result<CompactedSegment, CompactionError> {
        let mut target = self.target(group[0].name.base_offset).await?;
        let name = target.name();
        let written = async {
            for part in group {
                let mut source = self.source(part).await?;
                self.copy(&mut source, &mut target, rules, last_offsets, pace).await?;
            }
            let until = group.last().map_or(0, |part| part.until);
            let last_append_ms = self.last_append_ms(group);
            let (new, index) = target.finish(until, last_append_ms).await?;
            self.write_index(name, &index, 0).await?;
            self.inner_runtime().sync_dir(&self.inner.dir).await?;
            Ok(new)
        };
        let written = written.await;
        if written.is_err() {
            self.remove_unless_in_log(name).await;
        }
        written
    }

    /// Copies what stays of a segment.
    async fn copy(
        &self,
        source: &mut Source<R>,
        target: &mut Target<R>,
        rules: &Rules<'_>,
        last_offsets: &HashSet<i64>,
        pace: &mut Pace<R>,
    ) -> Result<(), CompactionError> {
        while let Some((header, batch)) = source.next(pace).await? {
            self.check_online()?;
            if rules.pass_over(&header) {
                target.put(batch, pace).await?;
                continue;
            }
            let tally = tally(rules, &header, batch, pace).await?;
            let is_last_of_producer =
                header.has_producer_id() && last_offsets.contains(&header.last_offset());
            match rules.fate(&header, &tally, is_last_of_producer) {
                Fate::Dropped => {}
                Fate::Stays => target.put(batch, pace).await?,
                Fate::Emptied => {
                    let empty = emptied(&header).map_err(cant_rewrite(&header))?;
                    target.put(&empty, pace).await?;
                }
                Fate::Rewritten { delete_horizon_ms } => {
                    let rewrite = Rewrite::new(&header, delete_horizon_ms);
                    let rewrite = rewrite.map_err(cant_rewrite(&header))?;
                    let again = rewritten(rewrite, &header, batch, &tally, pace).await?;
                    target.put(&again, pace).await?;
                }
            }
        }
        Ok(())
    }

    fn check_online(&self) -> Result<(), CompactionError> {
        match self.offline_reason() {
            Some(_) => Err(CompactionError::Superseded),
            None => Ok(()),
        }
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

fn cant_rewrite(header: &BatchHeader) -> impl Fn(io::Error) -> CompactionError + use<> {
    let base_offset = header.base_offset();
    move |source| CompactionError::Rewrite { base_offset, source }
}

/// Shows `visit` the batch's records, in turns with other tasks.
async fn visit_records<R: Runtime>(
    header: &BatchHeader,
    batch: &[u8],
    pace: &mut Pace<R>,
    mut visit: impl FnMut(RawRecord<'_>) -> bool,
) -> Result<(), CompactionError> {
    let base_offset = header.base_offset();
    let failed = |source| CompactionError::Records { base_offset, source };
    let limit_bytes = CHECKED_BYTES_MAX.max(batch.len() as u64);
    let records = &batch[HEADER_BYTES..];
    let mut records = RawRecords::new(header, records, limit_bytes).map_err(failed)?;
    loop {
        match records.step().map_err(failed)? {
            RawStep::End => return Ok(()),
            RawStep::Paused => pace.worked(64 << 10, 0).await,
            RawStep::Record(record) => {
                let bytes = record.bytes.len();
                if !visit(record) {
                    return Ok(());
                }
                pace.worked(bytes / 4, 1).await;
            }
        }
    }
}

/// Notes the batch's keys; false if there is no room for all of them. Those that were noted do no
/// harm: their records are there.
async fn map_batch<R: Runtime>(
    map: &mut OffsetMap,
    header: &BatchHeader,
    batch: &[u8],
    pace: &mut Pace<R>,
) -> Result<bool, CompactionError> {
    let mut has_room = true;
    let note = |record: RawRecord<'_>| {
        has_room = record.key.is_none_or(|key| map.put(key, record.offset));
        has_room
    };
    visit_records(header, batch, pace, note).await?;
    Ok(has_room)
}

async fn tally<R: Runtime>(
    rules: &Rules<'_>,
    header: &BatchHeader,
    batch: &[u8],
    pace: &mut Pace<R>,
) -> Result<Tally, CompactionError> {
    let mut tally = Tally::default();
    let note = |record: RawRecord<'_>| {
        tally.note(rules.keep(header, &record), !record.has_value);
        true
    };
    visit_records(header, batch, pace, note).await?;
    Ok(tally)
}

/// The batch with the records that `tally` keeps.
async fn rewritten<R: Runtime>(
    mut rewrite: Rewrite,
    header: &BatchHeader,
    batch: &[u8],
    tally: &Tally,
    pace: &mut Pace<R>,
) -> Result<Vec<u8>, CompactionError> {
    let base_offset = header.base_offset();
    let failed = |source| CompactionError::Records { base_offset, source };
    let limit_bytes = CHECKED_BYTES_MAX.max(batch.len() as u64);
    let records = &batch[HEADER_BYTES..];
    let mut records = RawRecords::new(header, records, limit_bytes).map_err(failed)?;
    loop {
        match records.step().map_err(failed)? {
            RawStep::End => break,
            RawStep::Paused => pace.worked(64 << 10, 0).await,
            RawStep::Record(record) => {
                if tally.is_kept(record.index) {
                    rewrite.put(&record);
                }
            }
        }
        compress_pending(&mut rewrite, header, pace, COMPRESS_BYTES_MIN).await?;
    }
    compress_pending(&mut rewrite, header, pace, 1).await?;
    rewrite.finish().map_err(cant_rewrite(header))
}

/// Records are compressed once they are so many bytes.
const COMPRESS_BYTES_MIN: usize = 16 << 10;

async fn compress_pending<R: Runtime>(
    rewrite: &mut Rewrite,
    header: &BatchHeader,
    pace: &mut Pace<R>,
    least_bytes: usize,
) -> Result<(), CompactionError> {
    while rewrite.pending_bytes() >= least_bytes {
        let has_more = rewrite.step().map_err(cant_rewrite(header))?;
        pace.worked(64 << 10, 0).await;
        if !has_more {
            break;
        }
    }
    Ok(())
}
