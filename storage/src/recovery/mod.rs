//! Bringing one partition back to the state in which a crash left it.
//!
//! From the checkpoint on, segment files and journal fragments are read as one (merged.rs), batch
//! by batch (walk.rs), as long as each batch is whole and continues the offsets. The journal's bytes
//! are put where they belong, everything is synced, and a new checkpoint makes the journals
//! dispensable. Only then is cut what lies behind: it is torn or was never acknowledged. A crash in
//! the midst of it changes nothing: the next recovery reads the same.

mod holes;
mod leftovers;
mod merged;
mod walk;

use std::ops::Bound;
use std::path::Path;

use crate::ids::PartitionId;
use crate::index::SegmentIndex;
use crate::journal::scan::Fragment;
use crate::log::index_file::{is_incomplete, read_index_file, write_index_file};
use crate::log::segment::{Segment, SegmentName, index_path, segment_path};
use crate::log::state::{LogState, Mark};
use crate::log::{
    Checkpoint, CheckpointError, Log, LogConfig, SegmentTimes, Slots, read_slots, sync_checkpoint,
    write_checkpoint,
};
use crate::mutants::{Mutant, active};
use crate::recovery::leftovers::{FileNames, SegmentFiles, first_segment};
use crate::recovery::walk::{Walked, walk};
use crate::runtime::{DiskError, File, OpenMode, Runtime, block_ceil, block_floor};
use crate::store::shared::Shared;
use crate::store::{Boot, StoreError, partition_dir};

pub(crate) use merged::Merged;
pub(crate) use walk::rebuild_index;

/// What a shard's recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Partitions brought back.
    pub partitions: usize,
    /// Of these, how many are offline because of damage.
    pub offline: usize,
    /// Bytes of segments read.
    pub bytes_read: u64,
    /// Bytes behind the last whole batch that were cut.
    pub bytes_cut: u64,
    /// Batches found behind the checkpoints.
    pub batches: u64,
}

impl RecoveryReport {
    /// Adds another shard's report.
    pub fn add(&mut self, other: &RecoveryReport) {
        self.partitions += other.partitions;
        self.offline += other.offline;
        self.bytes_read += other.bytes_read;
        self.bytes_cut += other.bytes_cut;
        self.batches += other.batches;
    }
}

/// Recovers one partition; damage takes it offline and is no error.
pub(crate) async fn recover_log<R: Runtime>(
    shared: &std::rc::Rc<Shared<R>>,
    boot: &Boot,
    id: PartitionId,
    config: LogConfig,
    report: &mut RecoveryReport,
) -> Result<Log<R>, StoreError> {
    let dir = partition_dir(&shared.data_dir, id);
    let runtime = &shared.runtime;
    let mut recovery = Recovery { runtime, dir: &dir, id, report };
    let found = recovery.run(boot, config.clone()).await;
    report.partitions += 1;
    let (state, offline) = match found {
        Ok(state) => (state, None),
        Err(error @ CheckpointError::NewerVersion { .. }) => return Err(error.into()),
        Err(error) => {
            report.offline += 1;
            tracing::error!(partition = %id, %error, "partition can't be recovered: it stays offline, its files untouched");
            (LogState::new(config, 0, runtime.now_ms()), Some(error.to_string()))
        }
    };
    for segment in &state.segments {
        shared.cache_grew(segment.tail.held_bytes());
    }
    let log = Log::new(id, dir, boot.start_epoch(), shared.clone(), state);
    log.join_cache();
    log.note_shrinking();
    if let Some(reason) = offline {
        log.go_offline(&reason);
    }
    Ok(log)
}

struct Recovery<'a, R: Runtime> {
    runtime: &'a R,
    dir: &'a Path,
    id: PartitionId,
    report: &'a mut RecoveryReport,
}

impl<R: Runtime> Recovery<'_, R> {
    async fn run(
        &mut self,
        boot: &Boot,
        config: LogConfig,
    ) -> Result<LogState<R::File>, CheckpointError> {
        let slots = read_slots(self.runtime, self.dir, self.id).await?;
        let Slots { newest: checkpoint, is_alone } = slots;
        if is_alone && boot.was_clean() {
            return Err(CheckpointError::NewestDamaged(self.dir.to_owned()));
        }
        if is_alone {
            tracing::warn!(
                partition = %self.id, dir = %self.dir.display(),
                "one of the two checkpoint slots is torn by a crash, or damaged: the other one counts"
            );
        }
        if let Some(fault) = checkpoint.as_ref().and_then(Checkpoint::fault) {
            return Err(CheckpointError::Impossible { dir: self.dir.to_owned(), fault });
        }
        let no_fragments = Vec::new();
        let fragments = boot.scan.fragments.get(&self.id).unwrap_or(&no_fragments);
        let now_ms = self.runtime.now_ms();
        let had_checkpoint = checkpoint.is_some();
        let checkpoint = checkpoint.unwrap_or_else(|| Checkpoint::of_nothing(now_ms));
        let (start, start_sequence) = (checkpoint.end, checkpoint.sequence);
        let compacted = &checkpoint.compacted;
        let names = FileNames::of(&self.runtime.list(self.dir).await?, compacted);
        if !had_checkpoint && names.last_generation() > 0 {
            // Compaction comes after a checkpoint.
            return Err(CheckpointError::Damaged(self.dir.to_owned()));
        }
        let files = &names.segments;
        let log_start = checkpoint.log_start;
        let mut closed = names.closed(compacted, log_start, start.segment_base, self.dir)?;
        let first = first_segment(&closed, log_start, start.segment_base);
        if first > checkpoint.log_start {
            let (dir, log_start) = (self.dir.to_owned(), checkpoint.log_start);
            return Err(CheckpointError::SegmentMissing { dir, log_start, first });
        }
        let mut state = LogState::new(config, checkpoint.log_start, now_ms);
        state.producers = checkpoint.producers;
        state.epochs = checkpoint.epochs;
        state.segments.clear();
        state.segments.extend(closed.split_off(&first).into_values());
        self.check_for_holes(&state, compacted, start.segment_base, is_alone).await?;
        state.first_dirty = compacted.first_dirty;
        state.last_generation = names.last_generation();
        let index = self.load_index(start, checkpoint.times, files).await?;
        let carried = checkpoint.remainder;
        let mut end = start;
        if boot.was_clean() {
            push_active(&mut state, start.segment_base, index, start.position, &carried, now_ms);
            state.log_end = start.offset;
        } else {
            end = self.replay(&mut state, start, carried, index, files, fragments, boot).await?;
        }
        if end.segment_base == start.segment_base && start.position > 0 {
            state.active_mut().opened_ms = checkpoint.times.opened_ms;
        }
        end = self.go_to_log_start(&mut state, end);
        let slot = (start_sequence, is_alone);
        let sequence = self.make_durable(&state, start, end, slot, &names, boot).await?;
        if !boot.was_clean() {
            self.trim(end, &names).await?;
        }
        self.remove_leftovers(&state, &names).await?;
        self.settle_marks(&mut state, end, sequence);
        Ok(state)
    }

    /// Makes sure that a crash finds what was recovered without the journals; returns the number of
    /// the checkpoint that says so. A torn slot is written again, so that one that is not whole after a
    /// clean stop is known to be damaged.
    async fn make_durable(
        &self,
        state: &LogState<R::File>,
        start: Mark,
        end: Mark,
        (start_sequence, is_alone): (u64, bool),
        names: &FileNames,
        boot: &Boot,
    ) -> Result<u64, DiskError> {
        if boot.was_clean() && end == start {
            return Ok(start_sequence);
        }
        let changed = end != start || is_alone || boot.scan.fragments.contains_key(&self.id);
        let sequence = start_sequence + u64::from(changed);
        if !names.is_empty() {
            // A kill may have come between a file's creation and the sync of its name.
            self.runtime.sync_dir(self.dir).await?;
        }
        if start_sequence > 0 {
            // Or between a checkpoint's write and its sync: the journals are about to go, and the
            // other slot, which may be the only durable one, to be overwritten.
            sync_checkpoint(self.runtime, self.dir, start_sequence).await?;
        }
        if changed {
            self.write_checkpoint(state, end, sequence).await?;
        }
        Ok(sequence)
    }

    /// Walks on from `start`; leaves the segments in `state`, their files complete and synced.
    #[allow(clippy::too_many_arguments, reason = "one step of `run`, split off for its length")]
    async fn replay(
        &mut self,
        state: &mut LogState<R::File>,
        start: Mark,
        carried: Vec<u8>,
        mut index: SegmentIndex,
        files: &SegmentFiles,
        fragments: &[Fragment],
        boot: &Boot,
    ) -> Result<Mark, CheckpointError> {
        let (mut base, mut from, mut offset, mut carried) =
            (start.segment_base, start.position, start.offset, carried);
        loop {
            let file = self.open_if(files.contains_key(&base), base).await?;
            let file_bytes = files.get(&base).map_or(0, |f| f.len_bytes);
            let mut merged = Merged::new(file, file_bytes, base, fragments, from, &carried);
            let walked: Walked =
                walk(self.runtime, &mut merged, &mut index, state, (from, offset), boot).await?;
            self.report.bytes_read += merged.bytes_read;
            self.report.batches += walked.batches;
            let has_next = walked.offset > base
                && (files.contains_key(&walked.offset)
                    || fragments.iter().any(|f| f.segment_base == walked.offset));
            if has_next {
                self.complete(&mut merged, base, from, walked.end, &index).await?;
                let mut closed = Segment::settled(base, walked.end, self.runtime.now_ms());
                closed.max_timestamp = Some(index.max_timestamp().unwrap_or(-1));
                state.segments.push_back(closed);
                (base, from, offset, carried) = (walked.offset, 0, walked.offset, Vec::new());
                index = SegmentIndex::new(base);
                continue;
            }
            let end = Mark { offset: walked.offset, segment_base: base, position: walked.end };
            self.fill(&mut merged, from, end).await?;
            let full = block_floor(end.position);
            let remainder = merged.read(full, (end.position - full) as usize).await?.to_vec();
            self.write_index(&index).await?;
            push_active(state, base, index, end.position, &remainder, self.runtime.now_ms());
            state.log_end = end.offset;
            return Ok(end);
        }
    }

    /// Puts the journal's bytes of a closed segment into its file and trims it to its end.
    async fn complete(
        &mut self,
        merged: &mut Merged<R::File>,
        base: i64,
        from: u64,
        end: u64,
        index: &SegmentIndex,
    ) -> Result<(), DiskError> {
        // Synced even where nothing is missing: a kill may have left it written but not synced.
        let file = self.ensure_file(merged, base).await?;
        merged.write_overlay(&file, block_floor(from), block_ceil(end), end).await?;
        if merged.file_bytes() != end || merged.has_overlay() {
            file.truncate(end).await?;
        }
        file.sync_data().await?;
        self.write_index(index).await
    }

    /// Puts the journal's full blocks of the last segment into its file, and makes durable all that
    /// was found there: a kill may have left it written but not synced.
    async fn fill(
        &mut self,
        merged: &mut Merged<R::File>,
        from: u64,
        end: Mark,
    ) -> Result<(), DiskError> {
        let full = block_floor(end.position);
        if full > 0 && (merged.has_overlay() || merged.file().is_some()) {
            let file = self.ensure_file(merged, end.segment_base).await?;
            merged.write_overlay(&file, block_floor(from), full, full).await?;
            if file.len().await? < full {
                // A power loss took the length, and what is missing is zeros that belong there.
                file.truncate(full).await?;
            }
            file.sync_data().await?;
        }
        let cut = merged.written_end().saturating_sub(end.position);
        if cut > 0 {
            self.report.bytes_cut += cut;
            tracing::warn!(
                partition = %self.id, segment = end.segment_base, position = end.position,
                offset = end.offset, bytes = cut, "cut what lies behind the last whole batch"
            );
        }
        Ok(())
    }

    /// Cuts what lies behind the log's last full block, in its file and in files behind it. Only
    /// after the checkpoint: before it, the block behind the last full one may be the only place
    /// that has the last acknowledged bytes.
    async fn trim(&mut self, end: Mark, names: &FileNames) -> Result<(), DiskError> {
        let files = &names.segments;
        let full = block_floor(end.position);
        let file_bytes = files.get(&end.segment_base).map_or(0, |f| f.len_bytes);
        if file_bytes > full && !active(Mutant::ForgetTornTailCut) {
            let path = segment_path(self.dir, SegmentName::appended(end.segment_base));
            let file = self.runtime.open(&path, OpenMode::ReadWrite).await?;
            file.truncate(full).await?;
            file.sync_data().await?;
        }
        let mut removed = false;
        if end.position == 0 && names.has_index(end.segment_base) {
            // Of another segment with this name, which is lost.
            let index = index_path(self.dir, SegmentName::appended(end.segment_base));
            self.runtime.remove_file(&index).await?;
            removed = true;
        }
        for (&base, file) in files.range((Bound::Excluded(end.segment_base), Bound::Unbounded)) {
            let bytes = file.len_bytes;
            tracing::warn!(
                partition = %self.id, segment = base, bytes,
                "removed a segment that does not continue the log"
            );
            self.report.bytes_cut += bytes;
            self.remove_segment(SegmentName::appended(base)).await?;
            removed = true;
        }
        if removed {
            self.runtime.sync_dir(self.dir).await?;
        }
        Ok(())
    }

    async fn open_if(&self, exists: bool, base: i64) -> Result<Option<R::File>, DiskError> {
        if !exists {
            return Ok(None);
        }
        let path = segment_path(self.dir, SegmentName::appended(base));
        Ok(Some(self.runtime.open(&path, OpenMode::ReadWrite).await?))
    }

    async fn ensure_file(&self, merged: &Merged<R::File>, base: i64) -> Result<R::File, DiskError> {
        if let Some(file) = merged.file() {
            return Ok(file);
        }
        self.runtime.create_dir_all(self.dir).await?;
        let path = segment_path(self.dir, SegmentName::appended(base));
        let file = self.runtime.open(&path, OpenMode::Create).await?;
        self.runtime.sync_dir(self.dir).await?;
        Ok(file)
    }

    /// The index of the segment that `start` lies in, good up to there.
    async fn load_index(
        &mut self,
        start: Mark,
        times: SegmentTimes,
        files: &SegmentFiles,
    ) -> Result<SegmentIndex, DiskError> {
        let base = start.segment_base;
        let mut index = SegmentIndex::new(base);
        if start.position >= crate::index::INTERVAL_BYTES {
            index = read_index_file(self.runtime, self.dir, SegmentName::appended(base)).await?;
            index.truncate_to(start.position);
            if is_incomplete(&index, start.position) && files.contains_key(&base) {
                let path = segment_path(self.dir, SegmentName::appended(base));
                let file = self.runtime.open(&path, OpenMode::Read).await?;
                let upto = block_floor(start.position);
                self.report.bytes_read +=
                    rebuild_index(self.runtime, &file, &mut index, upto).await?;
            }
        }
        if !active(Mutant::ForgetSegmentTimes) {
            index.resume(start.position, times.max_timestamp);
        }
        Ok(index)
    }

    async fn write_index(&self, index: &SegmentIndex) -> Result<(), DiskError> {
        let name = SegmentName::appended(index.base_offset());
        write_index_file(self.runtime, self.dir, name, index, 0).await
    }

    async fn write_checkpoint(
        &self,
        state: &LogState<R::File>,
        end: Mark,
        sequence: u64,
    ) -> Result<(), DiskError> {
        let full = block_floor(end.position);
        let pieces = state.active().tail.pieces(full, end.position);
        let active = state.active();
        let checkpoint = Checkpoint {
            sequence,
            log_start: state.log_start,
            end,
            times: SegmentTimes {
                opened_ms: active.opened_ms,
                max_timestamp: active.max_timestamp.unwrap_or(-1),
            },
            remainder: pieces.flatten().copied().collect(),
            epochs: state.epochs.clone(),
            producers: state.producers.clone(),
            compacted: state.compacted(),
        };
        write_checkpoint(self.runtime, self.dir, self.id, &checkpoint).await
    }

    fn settle_marks(&self, state: &mut LogState<R::File>, end: Mark, sequence: u64) {
        state.written = end;
        state.flushed = end;
        state.high_watermark = end;
        // The epochs that were walked are cut to it too.
        state.raise_log_start(state.log_start);
        state.checkpoint = end;
        state.checkpoint_sequence = sequence;
        assert_eq!(state.end(), end, "a recovered log ends where it was walked to");
    }
}

fn push_active<F>(
    state: &mut LogState<F>,
    base: i64,
    index: SegmentIndex,
    end: u64,
    carried: &[u8],
    now_ms: i64,
) {
    let mut segment = Segment::new(base, now_ms);
    segment.resume(end, carried);
    segment.max_timestamp = Some(index.max_timestamp().unwrap_or(-1));
    segment.index_pages = index.full_pages();
    segment.index = Some(index);
    state.segments.push_back(segment);
}
