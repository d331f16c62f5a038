//! What is wrong with one partition.
//!
//! Before the checkpoint everything must be there: all bytes of the segments are batches, their
//! offsets dense but in compacted segments, their checksums right. Behind it, after a crash, the log ends where the batches do.

use std::ops::Bound;
use std::path::PathBuf;

use super::{Finding, Severity, Watcher};
use crate::ids::PartitionId;
use crate::index::IndexPosition;
use crate::inspect::batches::{Expected, NoBatch, read_batch};
use crate::inspect::directory::DataDir;
use crate::inspect::partition::{PartitionFiles, SlotState};
use crate::inspect::plain_disk::{PlainFile, now};
use crate::inspect::verify::{Totals, unreadable};
use crate::journal::scan::Fragment;
use crate::recovery::Merged;
use crate::runtime::DiskError;

/// How far behind a log's end something is looked for.
const TAIL_BYTES: u64 = 1 << 20;

/// Looks at all files of partition `id`.
pub(super) fn check_partition(
    dir: &DataDir,
    id: PartitionId,
    watcher: &mut dyn Watcher,
    totals: &mut Totals,
) -> Result<(), DiskError> {
    let files = dir.partition(id)?;
    let fragments = files.fragments()?;
    let mut check = Check {
        clean: dir.was_clean(),
        epoch: 0,
        files: &files,
        fragments: &fragments,
        watcher,
        totals,
    };
    check.slots();
    check.producers();
    check.names();
    check.log()
}

struct Check<'a> {
    clean: bool,
    /// Leader epoch of the last batch.
    epoch: i32,
    files: &'a PartitionFiles<'a>,
    fragments: &'a [Fragment],
    watcher: &'a mut dyn Watcher,
    totals: &'a mut Totals,
}

/// How far a segment was read.
struct Walked {
    position: u64,
    offset: i64,
    /// Why not to its end.
    stopped: Option<NoBatch>,
}

impl Check<'_> {
    fn tell(
        &mut self,
        severity: Severity,
        path: PathBuf,
        position: impl Into<Option<u64>>,
        what: impl Into<String>,
    ) {
        self.watcher.found(Finding {
            severity,
            path,
            position: position.into(),
            partition: Some(self.files.id),
            what: what.into(),
        });
    }

    fn slots(&mut self) {
        let is_whole = |state: &SlotState| matches!(state, SlotState::Whole(_));
        let is_absent = |state: &SlotState| matches!(state, SlotState::Absent);
        let any_whole = self.files.slots.iter().any(|slot| is_whole(&slot.state));
        let all_absent = self.files.slots.iter().all(|slot| is_absent(&slot.state));
        for slot in &self.files.slots {
            let SlotState::Unreadable(reason) = &slot.state else { continue };
            let (severity, why) = match (self.clean, any_whole) {
                (true, _) | (_, false) => (Severity::Damage, "damaged"),
                (false, true) => (Severity::Mends, "torn by a crash, or damaged"),
            };
            let what = format!("an unreadable checkpoint, {why}: {reason}");
            self.tell(severity, slot.path.clone(), 0, what);
        }
        // From the second on, both slots have been written.
        if self.files.checkpoint().is_some_and(|fields| fields.sequence >= 2) {
            for slot in &self.files.slots {
                if matches!(slot.state, SlotState::Absent | SlotState::Unwritten) {
                    let what =
                        "an empty checkpoint slot, though at least two checkpoints were written";
                    self.tell(Severity::Damage, slot.path.clone(), None, what);
                }
            }
        }
        let path = self.files.path.clone();
        let is_crash_in_first =
            self.files.slots.iter().any(|slot| is_absent(&slot.state)) && !self.clean;
        if !any_whole && !all_absent && !is_crash_in_first {
            let what = "no readable checkpoint: a start takes this partition offline";
            self.tell(Severity::Damage, path, None, what);
        } else if !any_whole && !self.files.left.is_empty() {
            let what = "compacted segments without a readable checkpoint: a start takes this \
                        partition offline";
            self.tell(Severity::Damage, path, None, what);
        } else if all_absent && self.clean && !self.files.segments.is_empty() {
            let what = "segments without a checkpoint, though the last stop was a clean one";
            self.tell(Severity::Damage, path, None, what);
        }
    }

    fn producers(&mut self) {
        let Some(checkpoint) = self.files.checkpoint() else { return };
        let (end, epochs) = (checkpoint.end_offset, &checkpoint.epochs);
        let is_beyond = |(_, _, batches, _): &(i64, i16, &[_], i64)| {
            batches.iter().any(|batch: &crate::producers::RememberedBatch| batch.last_offset >= end)
        };
        let beyond = checkpoint.producers().iter().find(|p| is_beyond(p)).map(|p| p.0);
        let is_unordered =
            epochs.windows(2).any(|pair| pair[0].0 >= pair[1].0 || pair[0].1 > pair[1].1);
        let path = self.files.path.clone();
        if let Some(id) = beyond {
            let what = format!("the checkpoint remembers batches of producer {id} behind its end");
            self.tell(Severity::Damage, path.clone(), None, what);
        }
        if is_unordered {
            self.tell(
                Severity::Damage,
                path,
                None,
                "the checkpoint's leader epochs are out of order",
            );
        }
    }

    fn names(&mut self) {
        let files = self.files;
        for name in &files.others {
            self.tell(Severity::Note, files.path.join(name), None, "not Corelane's: ignored");
        }
        for path in &files.left {
            let what = "left of a compaction: the next start removes it";
            self.tell(Severity::Mends, path.clone(), None, what);
        }
        let first = files.first_segment();
        let what = "left of a deleted segment: the next start removes it";
        for &base in files.segments.range(..first).map(|(base, _)| base) {
            self.tell(Severity::Mends, files.segment_path(base), None, what);
        }
        for &base in files.indexes.range(..first) {
            self.tell(Severity::Mends, files.index_path(base), None, what);
        }
        for &base in files.indexes.range(first..) {
            if !files.segments.contains_key(&base) {
                let what = "an index without its segment: ignored";
                self.tell(Severity::Note, files.index_path(base), None, what);
            }
        }
    }

    fn log(&mut self) -> Result<(), DiskError> {
        let files = self.files;
        let (settled_base, settled) = files.settled();
        let first = files.first_segment();
        if first > files.log_start() {
            let what = format!(
                "the log starts at offset {}, but its first segment is {first}",
                files.log_start()
            );
            self.tell(Severity::Damage, files.path.clone(), None, what);
        }
        for segment in files.all_compacted() {
            let base = segment.name.base_offset;
            let found = files.segments.get(&base).copied().unwrap_or(0);
            if found != segment.bytes && segment.until > files.log_start() {
                let what = format!(
                    "a compacted segment of {} bytes, of which {found} are there",
                    segment.bytes
                );
                self.tell(Severity::Damage, files.segment_path(base), None, what);
            }
        }
        let closed: Vec<i64> =
            files.segments.range(first..settled_base).map(|(&base, _)| base).collect();
        for (i, &base) in closed.iter().enumerate() {
            let next = closed.get(i + 1).copied().unwrap_or(settled_base);
            self.closed_segment(base, next)?;
        }
        if settled >= 4096 && !files.segments.contains_key(&settled_base) {
            let what = format!("missing, though the checkpoint says that it has {settled} bytes");
            self.tell(Severity::Damage, files.segment_path(settled_base), None, what);
            return Ok(());
        }
        let end = self.last_segments(settled_base, settled)?;
        self.unreachable_journals(end);
        Ok(())
    }

    /// A segment before the checkpoint's: exactly its batches, up to where the next one begins.
    fn closed_segment(&mut self, base: i64, next: i64) -> Result<(), DiskError> {
        let mut merged = self.files.merged(base, &[])?;
        let limit = merged.limit();
        let walked = self.walk(&mut merged, base, limit, base)?;
        let compacted = self.files.compacted(base).copied();
        if let Some(segment) = compacted.filter(|segment| segment.until != next) {
            let what = format!(
                "it was compacted up to offset {}, but the next segment begins at {next}: a start takes \
                 this partition offline",
                segment.until
            );
            self.tell(Severity::Damage, self.files.segment_path(base), None, what);
        }
        let next = compacted.map_or(next, |segment| segment.records_end);
        if walked.stopped.is_none() && walked.offset != next {
            let what =
                format!("it ends before offset {}, but should end before {next}", walked.offset);
            self.tell(Severity::Damage, self.files.segment_path(base), walked.position, what);
        }
        Ok(())
    }

    /// The checkpoint's segment, and those behind it; returns where the log ends.
    fn last_segments(&mut self, mut base: i64, settled: u64) -> Result<(i64, u64), DiskError> {
        let files = self.files;
        let mut settled = settled;
        loop {
            let mut merged = files.merged(base, self.fragments)?;
            let walked = self.walk(&mut merged, base, settled, base)?;
            if walked.position < settled {
                return Ok((base, walked.position)); // told as damage
            }
            self.settled_end(base, &walked, settled);
            let next = walked.offset;
            let has_next = next > base
                && (files.segments.contains_key(&next)
                    || self.fragments.iter().any(|f| f.segment_base == next));
            if has_next && !self.clean {
                (base, settled) = (next, 0);
                continue;
            }
            self.tail(&mut merged, base, &walked)?;
            for &later in files.segments.range(behind(base)).map(|(base, _)| base) {
                let (severity, what) = match self.clean {
                    true => (
                        Severity::Damage,
                        "a segment behind the end of a log that was stopped cleanly",
                    ),
                    false => {
                        (Severity::Mends, "does not continue the log: the next start removes it")
                    }
                };
                self.tell(severity, files.segment_path(later), None, what);
            }
            return Ok((base, walked.position));
        }
    }

    /// Whether the checkpoint's place is one, judged by what was read up to it.
    fn settled_end(&mut self, base: i64, walked: &Walked, settled: u64) {
        let Some(checkpoint) = self.files.checkpoint() else { return };
        let is_there = base == checkpoint.segment_base && walked.position == settled;
        if is_there && self.clean && walked.offset != checkpoint.end_offset {
            let what = format!(
                "the checkpoint says that offset {} is next here, the batches say {}",
                checkpoint.end_offset, walked.offset
            );
            self.tell(Severity::Damage, self.files.segment_path(base), settled, what);
        }
    }

    /// What lies behind the log's end.
    fn tail(
        &mut self,
        merged: &mut Merged<PlainFile>,
        base: i64,
        walked: &Walked,
    ) -> Result<(), DiskError> {
        let (position, path) = (walked.position, self.files.segment_path(base));
        if self.clean {
            let expected = self.expected(base, walked.offset);
            if position < merged.limit() && read_batch(merged, position, expected)?.is_ok() {
                let what =
                    "whole batches lie behind the checkpoint, though the last stop was a clean one";
                self.tell(Severity::Damage, path, position, what);
            }
            return Ok(());
        }
        let Some(stopped) = &walked.stopped else { return Ok(()) };
        let rest = (merged.limit() - position).min(TAIL_BYTES) as usize;
        if now(merged.read(position, rest))?.iter().all(|byte| *byte == 0) {
            return Ok(()); // reserved ahead
        }
        let mut what = format!(
            "the log ends here, before offset {}: {}. The next start cuts what lies behind",
            walked.offset, stopped.reason
        );
        if let Some((next, offset)) = stopped.next
            && next < merged.limit()
            && read_batch(merged, next, self.expected(base, offset))?.is_ok()
        {
            what += ", and whole batches do: if this machine has not crashed, it is damage, so copy \
                     the directory before that start";
        }
        self.tell(Severity::Mends, path, position, what);
        Ok(())
    }

    /// Entries of journals that no start finds, though they were synced, and reach behind the log's end.
    fn unreachable_journals(&mut self, end: (i64, u64)) {
        let files = self.files;
        for journal in &files.dir.survey.files {
            let Some(&reach) = journal.headless_ends.get(&files.id) else { continue };
            if reach > end {
                let what = format!(
                    "holds synced bytes of this partition up to byte {} of segment {}, behind an \
                     unreadable first entry; the log ends at byte {} of segment {}",
                    reach.1, reach.0, end.1, end.0
                );
                self.tell(Severity::Damage, journal.path.clone(), journal.headless_at, what);
            }
        }
    }

    fn expected(&self, base: i64, offset: i64) -> Expected {
        let may_skip = self.files.compacted(base).is_some();
        Expected {
            offset,
            may_skip,
            epochs: (self.epoch, self.files.dir.start_epoch()),
            checksum: true,
        }
    }

    /// Reads batch after batch. Before byte `settled` what is no batch is damage, told and passed
    /// over where that is possible; behind it, it is the end.
    fn walk(
        &mut self,
        merged: &mut Merged<PlainFile>,
        base: i64,
        settled: u64,
        offset: i64,
    ) -> Result<Walked, DiskError> {
        let path = self.files.segment_path(base);
        let mut index = IndexCheck::new(self, base);
        let mut walked = Walked { position: 0, offset, stopped: None };
        let mut max_timestamp = i64::MIN;
        let read_before = merged.bytes_read;
        let mut told_bytes = 0;
        self.totals.segments += u64::from(merged.limit() > 0);
        while walked.position < merged.limit() {
            if self.clean && walked.position >= settled {
                break;
            }
            let expected = self.expected(base, walked.offset);
            let found = read_batch(merged, walked.position, expected)?;
            if let Ok(header) = &found
                && expected.may_skip
            {
                walked.offset = header.base_offset();
            }
            index.at_batch(self, walked.position, walked.offset, max_timestamp);
            match found {
                Ok(header) => {
                    self.epoch_fits(
                        &path,
                        walked.position,
                        header.base_offset(),
                        header.leader_epoch(),
                    );
                    max_timestamp = max_timestamp.max(header.max_timestamp());
                    self.epoch = header.leader_epoch();
                    self.totals.batches += 1;
                    self.totals.records += u64::try_from(header.records_count()).unwrap_or(0);
                    walked.offset = header.last_offset() + 1;
                    walked.position += header.total_bytes() as u64;
                }
                Err(no_batch) if walked.position >= settled => {
                    walked.stopped = Some(no_batch);
                    break;
                }
                Err(no_batch) => {
                    let what = format!("offset {}: {}", walked.offset, no_batch.reason);
                    self.tell(Severity::Damage, path.clone(), walked.position, what);
                    match no_batch.next {
                        Some((position, offset)) => {
                            (walked.position, walked.offset) = (position, offset)
                        }
                        None => {
                            walked.stopped = Some(no_batch);
                            break;
                        }
                    }
                }
            }
            let read = merged.bytes_read - read_before;
            self.watcher.read(read - told_bytes);
            told_bytes = read;
        }
        self.totals.bytes += merged.bytes_read - read_before;
        if walked.position < settled && walked.stopped.is_none() {
            let what = format!(
                "ends here, before offset {}; {settled} bytes should be there",
                walked.offset
            );
            self.tell(Severity::Damage, path, walked.position, what);
        }
        let is_closed = self.files.segments.range(behind(base)).next().is_some();
        index.at_end(self, walked.position, is_closed && walked.stopped.is_none());
        Ok(walked)
    }

    /// Compares a batch's leader epoch with the checkpoint's list: it lies outside the batch's CRC.
    fn epoch_fits(&mut self, path: &std::path::Path, position: u64, offset: i64, epoch: i32) {
        let Some(checkpoint) = self.files.checkpoint() else { return };
        if offset < checkpoint.log_start || offset >= checkpoint.end_offset {
            return;
        }
        let known = checkpoint.epochs.iter().rev().find(|(_, start)| *start <= offset);
        if let Some(&(known, _)) = known
            && known != epoch
        {
            let what = format!("a batch of leader epoch {epoch}, the checkpoint says {known}");
            self.tell(Severity::Damage, path.to_owned(), position, what);
        }
    }
}

/// Of all segments those after `base`, which may be the last number that there is.
fn behind(base: i64) -> (Bound<i64>, Bound<i64>) {
    (Bound::Excluded(base), Bound::Unbounded)
}

/// Compares a segment's index with its batches, in passing.
struct IndexCheck {
    base: i64,
    /// What is left of it.
    entries: std::vec::IntoIter<(IndexPosition, i64)>,
    next: Option<(IndexPosition, i64)>,
}

impl IndexCheck {
    fn new(check: &mut Check<'_>, base: i64) -> Self {
        let mut entries = Vec::new();
        if check.files.indexes.contains(&base) && check.files.segments.contains_key(&base) {
            match check.files.index(base) {
                Ok(decoded) => {
                    entries = decoded.index.entries().collect();
                    if let Some(doubt) = decoded.doubt {
                        let path = check.files.index_path(base);
                        let page = decoded.index.full_pages() as u64 * 4096;
                        let what =
                            format!("{doubt}: what is missing is read from the segment instead");
                        check.tell(Severity::Mends, path, page, what);
                    }
                }
                Err(error) => check.watcher.found(unreadable(&error, Some(check.files.id))),
            }
        }
        let mut entries = entries.into_iter();
        IndexCheck { base, next: entries.next(), entries }
    }

    /// A batch begins at `position`.
    fn at_batch(&mut self, check: &mut Check<'_>, position: u64, offset: i64, max_timestamp: i64) {
        while let Some((entry, timestamp)) =
            self.next.filter(|(entry, _)| entry.position <= position)
        {
            self.next = self.entries.next();
            let path = check.files.index_path(self.base);
            let at = entry.position;
            let what = if at < position {
                format!("an entry names byte {at} of the segment, where no batch begins")
            } else if entry.offset != offset {
                format!(
                    "an entry says offset {} for byte {at} of the segment, which has {offset}",
                    entry.offset
                )
            } else if timestamp < max_timestamp {
                format!(
                    "an entry for byte {at} says that no timestamp before it is above {timestamp}, \
                     but {max_timestamp} is"
                )
            } else {
                continue;
            };
            check.tell(Severity::Damage, path, None, what);
        }
    }

    /// The batches end at `end`.
    fn at_end(&mut self, check: &mut Check<'_>, end: u64, is_closed: bool) {
        let Some((entry, _)) = self.next else { return };
        let path = check.files.index_path(self.base);
        let severity = if is_closed { Severity::Damage } else { Severity::Mends };
        let what = format!(
            "an entry names byte {} of the segment, whose batches end at {end}",
            entry.position
        );
        check.tell(severity, path, None, what);
    }
}
