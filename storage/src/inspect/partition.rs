//! One partition's files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::{Path, PathBuf};

use crate::ids::PartitionId;
use crate::index::{DecodedIndex, SegmentIndex};
use crate::inspect::batches::{BatchPlace, Expected, NoBatch, RecordBytes, read_batch};
use crate::inspect::directory::DataDir;
use crate::inspect::plain_disk::{PlainFile, now};
use crate::journal::scan::Fragment;
use crate::log::segment::{SegmentName, index_named, index_path, segment_named, segment_path};
use crate::log::{Checkpoint, CheckpointError, CompactedSegment, Slot, read_slot, slot_path};
use crate::producers::RememberedBatch;
use crate::recovery::Merged;
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime, block_ceil};
use crate::store::partition_dir;

/// More than the index of any segment needs: a longer file is read no further.
const INDEX_BYTES_MAX: u64 = 64 << 20;

/// One of a partition's two checkpoint slots.
#[derive(Clone, Debug)]
pub struct CheckpointSlot {
    /// Its file.
    pub path: PathBuf,
    /// What is in it.
    pub state: SlotState,
}

/// What is in a checkpoint slot.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "two of them, for a moment")]
pub enum SlotState {
    /// No file.
    Absent,
    /// Room, and nothing written.
    Unwritten,
    /// Torn, damaged, or of another release; in words.
    Unreadable(String),
    /// A whole checkpoint.
    Whole(CheckpointFields),
}

/// What a checkpoint says.
#[derive(Clone, Debug)]
pub struct CheckpointFields {
    /// The higher one of two slots counts.
    pub sequence: u64,
    /// First offset that can be read.
    pub log_start: i64,
    /// Next offset: all before it is in segments, synced.
    pub end_offset: i64,
    /// The segment in which that is.
    pub segment_base: i64,
    /// Byte position in it.
    pub position: u64,
    /// Leader epochs and their first offsets.
    pub epochs: Vec<(i32, i64)>,
    checkpoint: Checkpoint,
}

impl CheckpointFields {
    fn of(checkpoint: Checkpoint) -> Self {
        CheckpointFields {
            sequence: checkpoint.sequence,
            log_start: checkpoint.log_start,
            end_offset: checkpoint.end.offset,
            segment_base: checkpoint.end.segment_base,
            position: checkpoint.end.position,
            epochs: checkpoint.epochs.clone(),
            checkpoint,
        }
    }

    /// Idempotent producers: id, epoch, last batches and when it was last seen (ms since 1970).
    pub fn producers(&self) -> Vec<(i64, i16, &[RememberedBatch], i64)> {
        self.checkpoint.producers.remembered()
    }
}

/// A segment, as its batches say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Its first offset.
    pub base_offset: i64,
    /// Its file; there may be none while all is in a journal.
    pub path: PathBuf,
    /// Length of the file; may be reserved ahead.
    pub file_bytes: u64,
    /// Bytes of whole batches.
    pub batch_bytes: u64,
    /// Batches.
    pub batches: u64,
    /// Records, as far as batches' headers tell.
    pub records: u64,
    /// The offset behind its last record.
    pub end_offset: i64,
    /// Lowest base timestamp and highest maximum timestamp, ms since 1970; `None` without batches.
    pub timestamps_ms: Option<(i64, i64)>,
    /// Another segment follows it.
    pub is_closed: bool,
    /// Why reading ended before the end of what is there.
    pub problem: Option<String>,
}

/// A partition's directory, listed, with its checkpoint.
#[derive(Debug)]
pub struct PartitionFiles<'a> {
    /// Which.
    pub id: PartitionId,
    /// Its directory, which may not exist while all is in a journal.
    pub path: PathBuf,
    /// Both slots.
    pub slots: [CheckpointSlot; 2],
    /// Lengths of the segments' files, by base offset: as they were appended, or as compaction has
    /// written them.
    pub segments: BTreeMap<i64, u64>,
    /// Base offsets of their indexes.
    pub indexes: BTreeSet<i64>,
    /// Files that compaction has replaced, or has not put in place.
    pub(super) left: Vec<PathBuf>,
    /// Names that are none of a partition's.
    pub others: Vec<String>,
    pub(super) dir: &'a DataDir,
}

impl DataDir {
    /// Lists a partition's directory and reads its checkpoints.
    ///
    /// # Errors
    /// The disk's.
    pub fn partition(&self, id: PartitionId) -> Result<PartitionFiles<'_>, DiskError> {
        let path = partition_dir(&self.path, id);
        let slots = [self.slot(&path, id, 0)?, self.slot(&path, id, 1)?];
        let entries = self.list(&path)?;
        let mut files = PartitionFiles {
            id,
            path,
            slots,
            segments: BTreeMap::new(),
            indexes: BTreeSet::new(),
            left: Vec::new(),
            others: Vec::new(),
            dir: self,
        };
        for entry in entries {
            let SegmentName { base_offset, .. } =
                match (segment_named(&entry.name), index_named(&entry.name)) {
                    _ if entry.is_dir => {
                        files.others.push(entry.name);
                        continue;
                    }
                    (Some(name), _) | (_, Some(name)) if !files.is_part(name) => {
                        files.left.push(files.path.join(&entry.name));
                        continue;
                    }
                    (Some(name), _) | (_, Some(name)) => name,
                    _ if entry.name.starts_with("checkpoint.") => continue,
                    _ => {
                        files.others.push(entry.name);
                        continue;
                    }
                };
            if segment_named(&entry.name).is_some() {
                files.segments.insert(base_offset, entry.len_bytes);
            } else {
                files.indexes.insert(base_offset);
            }
        }
        Ok(files)
    }

    fn slot(&self, dir: &Path, id: PartitionId, slot: u64) -> Result<CheckpointSlot, DiskError> {
        let state = match now(read_slot(&self.disk, dir, id, slot)) {
            Ok(Slot::Absent) => SlotState::Absent,
            Ok(Slot::Unwritten) => SlotState::Unwritten,
            Ok(Slot::Unreadable) => SlotState::Unreadable(
                "its checksum differs, or it is another partition's".to_owned(),
            ),
            Ok(Slot::Whole(checkpoint)) => checkpoint.fault().map_or_else(
                || SlotState::Whole(CheckpointFields::of(checkpoint)),
                |reason| SlotState::Unreadable(reason.to_owned()),
            ),
            Err(CheckpointError::Disk(error)) => return Err(error),
            Err(error) => SlotState::Unreadable(error.to_string()),
        };
        Ok(CheckpointSlot { path: slot_path(dir, slot), state })
    }
}

impl PartitionFiles<'_> {
    /// The checkpoint that a start would take.
    pub fn checkpoint(&self) -> Option<&CheckpointFields> {
        let whole = self.slots.iter().filter_map(|slot| match &slot.state {
            SlotState::Whole(fields) => Some(fields),
            _ => None,
        });
        whole.max_by_key(|fields| fields.sequence)
    }

    /// What the checkpoint says of the compacted segment that begins at `base`.
    pub(super) fn compacted(&self, base: i64) -> Option<&CompactedSegment> {
        self.checkpoint()?.checkpoint.compacted.segment(base)
    }

    /// All of them.
    pub(super) fn all_compacted(&self) -> &[CompactedSegment] {
        self.checkpoint().map_or(&[], |fields| &fields.checkpoint.compacted.segments)
    }

    /// Whether a segment of this name is a part of the log, as far as compaction goes.
    fn is_part(&self, name: SegmentName) -> bool {
        let Some(fields) = self.checkpoint() else { return name.generation == 0 };
        let compacted = &fields.checkpoint.compacted;
        match name.generation {
            0 => !compacted.has_replaced(name.base_offset),
            _ => compacted.segment(name.base_offset).is_some_and(|s| s.name == name),
        }
    }

    /// The names of the files of the segment that begins at `base`.
    fn name(&self, base: i64) -> SegmentName {
        self.compacted(base).map_or(SegmentName::appended(base), |segment| segment.name)
    }

    /// First offset that can be read.
    pub fn log_start(&self) -> i64 {
        self.checkpoint().map_or(0, |checkpoint| checkpoint.log_start)
    }

    /// The segment in which the checkpoint ends, and where.
    pub(super) fn settled(&self) -> (i64, u64) {
        self.checkpoint().map_or((0, 0), |fields| (fields.segment_base, fields.position))
    }

    /// The segment that holds the log start, or the first behind it: where reading begins.
    pub(super) fn first_segment(&self) -> i64 {
        let last = self.settled().0;
        let before_last = self.segments.range(..last).map(|(&base, _)| base);
        let bases: Vec<i64> = before_last.chain([last]).collect();
        let holds = bases.partition_point(|&base| base <= self.log_start()).saturating_sub(1);
        bases.get(holds).copied().unwrap_or(last)
    }

    /// What the journals have behind the checkpoint.
    pub(super) fn fragments(&self) -> Result<Vec<Fragment>, DiskError> {
        now(self.dir.survey.load(&self.dir.disk, self.id, self.settled()))
    }

    /// The segment `base`, its file overlaid with `fragments` and with the checkpoint's bytes.
    pub(super) fn merged(
        &self,
        base: i64,
        fragments: &[Fragment],
    ) -> Result<Merged<PlainFile>, DiskError> {
        let file = match self.segments.get(&base) {
            None => None,
            Some(_) => Some(now(self.dir.disk.open(&self.segment_path(base), OpenMode::Read))?),
        };
        let file_bytes = match &file {
            None => 0,
            Some(file) => now(file.len())?,
        };
        let (settled_base, settled) = self.settled();
        let carried = match self.checkpoint() {
            Some(fields) if base == settled_base => &fields.checkpoint.remainder[..],
            _ => &[],
        };
        let (from, fragments) = match base {
            base if base < settled_base => (0, &[][..]),
            base if base == settled_base => (settled, fragments),
            _ => (0, fragments),
        };
        Ok(Merged::new(file, file_bytes, base, fragments, from, carried))
    }

    /// Path of a segment's file.
    pub fn segment_path(&self, base: i64) -> PathBuf {
        segment_path(&self.path, self.name(base))
    }

    /// Path of a segment's index.
    pub fn index_path(&self, base: i64) -> PathBuf {
        index_path(&self.path, self.name(base))
    }

    /// A segment's index, as far as its file can be trusted.
    ///
    /// # Errors
    /// The disk's.
    pub fn index(&self, base: i64) -> Result<DecodedIndex, DiskError> {
        let file = now(self.dir.disk.open(&self.index_path(base), OpenMode::Read))?;
        let length = block_ceil(now(file.len())?.min(INDEX_BYTES_MAX)) as usize;
        let bytes = now(file.read_at(0, length.max(BLOCK_BYTES)))?;
        Ok(SegmentIndex::decode(bytes.as_bytes(), base))
    }

    /// Reads all segments, and shows `visit` each batch and the bytes of its records; what is below
    /// the log start is left out. Ends early if `visit` returns false. Checksums are not looked at.
    ///
    /// # Errors
    /// The disk's.
    pub fn read(
        &self,
        visit: &mut dyn FnMut(&BatchPlace, &mut dyn BufRead) -> bool,
    ) -> Result<Vec<SegmentSummary>, DiskError> {
        let fragments = self.fragments()?;
        let mut summaries = Vec::new();
        let bases: BTreeSet<i64> = self
            .segments
            .range(self.first_segment()..)
            .map(|(&base, _)| base)
            .chain([self.settled().0])
            .chain(fragments.iter().map(|fragment| fragment.segment_base))
            .collect();
        for &base in &bases {
            let mut merged = self.merged(base, &fragments)?;
            let mut summary = SegmentSummary {
                base_offset: base,
                path: self.segment_path(base),
                file_bytes: merged.file_bytes(),
                end_offset: base,
                is_closed: bases.last() != Some(&base),
                ..SegmentSummary::default()
            };
            let may_skip = self.compacted(base).is_some();
            let goes_on = read_segment(&mut merged, &mut summary, may_skip, visit)?;
            if summary.batches > 0 || summary.file_bytes > 0 {
                summaries.push(summary);
            }
            if !goes_on {
                break;
            }
        }
        Ok(summaries)
    }
}

/// False if `visit` has seen enough.
fn read_segment(
    merged: &mut Merged<PlainFile>,
    summary: &mut SegmentSummary,
    may_skip: bool,
    visit: &mut dyn FnMut(&BatchPlace, &mut dyn BufRead) -> bool,
) -> Result<bool, DiskError> {
    while summary.batch_bytes < merged.limit() {
        let position = summary.batch_bytes;
        let expected = Expected {
            offset: summary.end_offset,
            may_skip,
            epochs: (i32::MIN, i32::MAX),
            checksum: false,
        };
        let header = match read_batch(merged, position, expected)? {
            Ok(header) => header,
            Err(NoBatch { reason, .. }) => {
                let is_reserved = reason == "zeros";
                summary.problem = (!is_reserved).then(|| format!("byte {position}: {reason}"));
                return Ok(true);
            }
        };
        let place = BatchPlace { header, segment_base: summary.base_offset, position };
        let goes_on = visit(&place, &mut RecordBytes::of(merged, &header, position));
        summary.batch_bytes += header.total_bytes() as u64;
        summary.batches += 1;
        summary.records += u64::try_from(header.records_count()).unwrap_or(0);
        summary.end_offset = header.last_offset() + 1;
        let times = (header.base_timestamp(), header.max_timestamp());
        summary.timestamps_ms = Some(match summary.timestamps_ms {
            None => times,
            Some((first, last)) => (first.min(times.0), last.max(times.1)),
        });
        if !goes_on {
            return Ok(false);
        }
    }
    Ok(true)
}
