//! The tail's way to the disk.
//!
//! What came since the last look is cut into a run. A long run goes straight into the segment, in
//! full blocks; a short one, and what is left of a long one behind its last full block, goes into
//! the journal. Journalled bytes follow into the segment once they fill blocks enough. So no block
//! of a segment is ever written twice.

use std::cell::Cell;
use std::path::Path;

use crate::buffer::AlignedSlice;
use crate::journal::format::FragmentPlace;
use crate::journal::writer::{allocate_stubbornly, write_stubbornly};
use crate::log::Log;
use crate::log::segment::{Segment, SegmentName, segment_path};
use crate::log::state::{LogState, Mark, Run};
use crate::log::tail::CHUNK_BYTES_MAX;
use crate::mutants::{Mutant, active};
use crate::runtime::{DiskError, File, OpenMode, Runtime, block_floor};
use crate::store::shared::Shared;

/// Runs at least this long go straight into the segment. Shorter ones share a write of the journal,
/// and are written twice.
pub(crate) const DIRECT_BYTES_MIN: u64 = 128 << 10;

/// A run goes there too if one of its batches is at least this long, unless its acknowledgement waits
/// for an fdatasync: one of the journal serves all partitions, one of a segment only its own.
pub(crate) const DIRECT_BATCH_BYTES_MIN: u64 = 32 << 10;

/// Journalled bytes follow into the segment once they are this many, or fewer if many logs have some.
pub(crate) const FILL_BYTES_MIN: u64 = CHUNK_BYTES_MAX as u64;

/// Writes to segments that one shard has on their way at once, but for those that follow others of one run.
pub(crate) const SEGMENT_WRITES_MAX: usize = 16;

/// Bytes of those after which the next run waits, and grows: a disk that is kept busy gains nothing by
/// more of them. Of what is issued together, as much is begun at once; the rest follows bit by bit
/// ([`Shared::may_follow`]), or a small write to the journal would wait in the disk's queue behind all of a
/// batch of many MiB.
pub(crate) const SEGMENT_WRITE_BYTES_MAX: u64 = 2 << 20;

const ALLOCATE_BYTES_MIN: u64 = 256 << 10;
const ALLOCATE_BYTES_MAX: u64 = 64 << 20;

/// How a write to a segment comes to be begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// With what it was issued with.
    First,
    /// Behind it.
    Following,
}

impl Way {
    /// Bytes on their way like this.
    fn writing_bytes<R: Runtime>(self, shared: &Shared<R>) -> &Cell<u64> {
        match self {
            Way::First => &shared.writing_bytes,
            Way::Following => &shared.following_bytes,
        }
    }
}

/// Journalled bytes of one log follow into its segment once they are so many: the fewer, the more of
/// the budget all logs together have taken.
fn fill_bytes_min<R: Runtime>(shared: &Shared<R>) -> u64 {
    let (unissued, limit) = (shared.unissued_bytes(), shared.limits.unwritten_bytes);
    if unissued < limit / 8 {
        FILL_BYTES_MIN
    } else if unissued < limit / 4 {
        FILL_BYTES_MIN / 4
    } else {
        FILL_BYTES_MIN / 16
    }
}

impl<R: Runtime> Log<R> {
    /// Puts the log on the list of those with batches to be cut.
    pub(crate) fn mark_dirty(&self, state: &mut LogState<R::File>) {
        let shared = &self.inner.shared;
        state.last_append = shared.runtime.monotonic();
        if !std::mem::replace(&mut state.is_dirty, true) {
            shared.dirty.borrow_mut().push(self.clone());
            shared.work.notify_all();
        }
        if !state.is_long && state.has_long_run() {
            state.is_long = true;
            shared.long.borrow_mut().push(self.clone());
            shared.work.notify_all();
            shared.long_work.notify_all();
        }
        self.mark_active(state);
    }

    /// Puts the log on the list of those that upkeep looks after.
    pub(crate) fn mark_active(&self, state: &mut LogState<R::File>) {
        if !std::mem::replace(&mut state.is_active, true) {
            self.inner.shared.active.borrow_mut().push(self.clone());
        }
    }

    /// Sends what was appended since the last cut on its way.
    pub(crate) fn cut_run(&self) {
        let state = &mut *self.inner.state.borrow_mut();
        state.is_dirty = false;
        if state.offline.is_none() && !self.cut(state, false) {
            // No room for more segment writes: what comes meanwhile joins the run.
            state.is_dirty = true;
            self.inner.shared.dirty.borrow_mut().push(self.clone());
        }
    }

    /// The same, if it is long enough to go straight into the segment.
    pub(crate) fn cut_long_run(&self) {
        let state = &mut *self.inner.state.borrow_mut();
        state.is_long = false;
        if state.offline.is_none() && state.has_long_run() && !self.cut(state, false) {
            state.is_long = true;
            self.inner.shared.long.borrow_mut().push(self.clone());
        }
    }

    /// Cuts the active segment's run; false if it has to wait for segment writes to end, which one
    /// that closes the segment never does.
    pub(crate) fn cut(&self, state: &mut LogState<R::File>, closing: bool) -> bool {
        let shared = &self.inner.shared;
        let has_slot = shared.has_segment_slot();
        let (end, is_direct) = (state.end(), state.has_long_run());
        let segment = state.active_mut();
        let (from, to) = (segment.run_from, segment.end);
        if from == to {
            return true;
        }
        let full_blocks = block_floor(to);
        if is_direct && !has_slot && !closing {
            return false;
        }
        segment.run_from = to;
        segment.run_batch_bytes_max = 0;
        let segment_upto = if is_direct { full_blocks } else { 0 };
        let journal_sequence = self.journal(state, from.max(segment_upto), end);
        state.unwritten.push_back(Run { end, segment_upto, journal_sequence });
        let unissued = state.active().unissued_blocks();
        if is_direct || (has_slot && unissued >= fill_bytes_min(shared)) {
            self.issue_blocks(state.active_mut(), full_blocks);
        }
        if active(Mutant::AcknowledgeBeforeWrite) {
            shared.wrote.borrow_mut().push(self.clone());
        }
        true
    }

    /// Sends all full blocks that wait for others on their way.
    pub(crate) fn fill(&self) {
        let state = &mut *self.inner.state.borrow_mut();
        if state.offline.is_none() {
            let segment = state.active_mut();
            self.issue_blocks(segment, block_floor(segment.run_from));
        }
    }

    /// Gives `[from, end)` of the active segment to the journal; returns the entry's sequence, 0
    /// for nothing.
    fn journal(&self, state: &mut LogState<R::File>, from: u64, end: Mark) -> u64 {
        if from == end.position {
            return 0;
        }
        let inner = &*self.inner;
        let place =
            FragmentPlace { partition: inner.id, segment_base: end.segment_base, position: from };
        let pieces = state.active().tail.pieces(from, end.position);
        let length = (end.position - from) as usize;
        let journalled = inner.shared.journal.push(place, length, pieces);
        if state.note_journal_use(journalled.file_index, end.place()) {
            inner.shared.pin_journal_file(journalled.file_index, self);
        }
        inner.shared.wrote.borrow_mut().push(self.clone());
        journalled.sequence
    }

    /// Sends the full blocks before `upto` that are not on their way yet into the segment.
    pub(crate) fn issue_blocks(&self, segment: &mut Segment<R::File>, upto: u64) {
        if upto <= segment.issued {
            return;
        }
        let from = segment.issued;
        let mut position = from;
        let slices: Vec<_> = segment.tail.slices(position, upto).collect();
        let mut following = Vec::new();
        let shared = &self.inner.shared;
        shared.issued_bytes.set(shared.issued_bytes.get() + (upto - from));
        for data in slices {
            let end = position + data.len() as u64;
            segment.issue(end);
            if end - from <= SEGMENT_WRITE_BYTES_MAX {
                self.begin_write(segment.base_offset, position, data, Way::First);
            } else {
                following.push((position, data));
            }
            position = end;
        }
        if !following.is_empty() {
            let (log, base) = (self.clone(), segment.base_offset);
            self.spawn(async move { log.begin_following(base, following).await });
        }
    }

    async fn begin_following(&self, segment_base: i64, writes: Vec<(u64, AlignedSlice)>) {
        let shared = &self.inner.shared;
        for (position, data) in writes {
            let bytes = data.len() as u64;
            shared.write_ended.until(|| shared.may_follow()).await;
            if self.offline_reason().is_some() {
                shared.issued_bytes.set(shared.issued_bytes.get() - bytes);
                continue;
            }
            self.begin_write(segment_base, position, data, Way::Following);
        }
    }

    fn begin_write(&self, segment_base: i64, position: u64, data: AlignedSlice, way: Way) {
        let (log, shared) = (self.clone(), &self.inner.shared);
        let writing_bytes = way.writing_bytes(shared);
        writing_bytes.set(writing_bytes.get() + data.len() as u64);
        if way == Way::First {
            shared.segment_writes.set(shared.segment_writes.get() + 1);
        }
        self.spawn(async move { log.write_blocks(segment_base, position, data, way).await });
    }

    async fn write_blocks(&self, segment_base: i64, position: u64, data: AlignedSlice, way: Way) {
        let shared = &self.inner.shared;
        let bytes = data.len() as u64;
        let end = position + bytes;
        let result = match self.writable_file(segment_base, end).await {
            Ok(file) => self.write_segment(&file, position, data).await,
            Err(error) => Err(error),
        };
        if way == Way::First {
            shared.segment_writes.set(shared.segment_writes.get() - 1);
        }
        shared.issued_bytes.set(shared.issued_bytes.get() - bytes);
        let writing_bytes = way.writing_bytes(shared);
        writing_bytes.set(writing_bytes.get() - bytes);
        shared.write_ended.notify_all();
        match result {
            Ok(()) => self.with_state(|state| {
                let grown = state.segment_mut(segment_base).map_or(0, |s| s.complete(end));
                if state.offline.is_none() {
                    shared.unwritten_shrank(grown);
                }
            }),
            Err(error) => self.fail("a segment can't be written", &error),
        }
        self.publish();
        self.inner.changed.notify_all();
        shared.work.notify_all();
        shared.long_work.notify_all();
    }

    /// One counted write to a segment's file; waits as long as the disk is full.
    pub(crate) async fn write_segment(
        &self,
        file: &R::File,
        position: u64,
        data: AlignedSlice,
    ) -> Result<(), DiskError> {
        let Shared { runtime, meters, .. } = &*self.inner.shared;
        let (began, bytes) = (runtime.monotonic(), data.len() as u64);
        write_stubbornly(runtime, meters, file, position, data).await?;
        meters.segment_writes.record(runtime.monotonic() - began);
        meters.segment_written_bytes.add(bytes);
        Ok(())
    }

    /// One counted fdatasync of a segment's file.
    pub(crate) async fn sync_segment_file(&self, file: &R::File) -> Result<(), DiskError> {
        let Shared { runtime, meters, .. } = &*self.inner.shared;
        let began = runtime.monotonic();
        file.sync_data().await?;
        meters.segment_syncs.record(runtime.monotonic() - began);
        Ok(())
    }

    /// The log can't go on after `error`.
    pub(crate) fn fail(&self, what: &str, error: &dyn std::error::Error) {
        if self.offline_reason().is_none() {
            tracing::error!(partition = %self.inner.id, %error, "{what}: partition goes offline");
        }
        self.go_offline(&format!("{what}: {error}"));
    }

    /// Runs `task`, counted, so that a delete can wait for the last one.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let log = self.clone();
        log.inner.tasks.set(log.inner.tasks.get() + 1);
        self.inner.shared.runtime.spawn(async move {
            task.await;
            log.inner.tasks.set(log.inner.tasks.get() - 1);
            log.inner.changed.notify_all();
        });
    }

    /// The segment's file, open, with room up to `upto`.
    pub(crate) async fn writable_file(
        &self,
        segment_base: i64,
        upto: u64,
    ) -> Result<R::File, DiskError> {
        let inner = &*self.inner;
        loop {
            if let Some(file) = self.file_with_room(segment_base, upto) {
                return Ok(file);
            }
            inner.changed.until(|| !inner.file_lock.get()).await;
            // Several may have been woken: the first takes the lock, the others look again.
            if inner.file_lock.replace(true) {
                continue;
            }
            let prepared = self.prepare_file(segment_base, upto).await;
            inner.file_lock.set(false);
            inner.changed.notify_all();
            prepared?;
        }
    }

    fn file_with_room(&self, segment_base: i64, upto: u64) -> Option<R::File> {
        let now = self.inner.shared.runtime.monotonic();
        self.with_state(|state| {
            let segment = state.segment_mut(segment_base)?;
            segment.file_used = now;
            segment.file.clone().filter(|_| segment.allocated >= upto)
        })
    }

    async fn prepare_file(&self, segment_base: i64, upto: u64) -> Result<(), DiskError> {
        let name = self.with_state(|state| state.segment(segment_base).map(Segment::name));
        let name = name.unwrap_or(SegmentName::appended(segment_base));
        let prepared = self.prepare_named(name, upto).await;
        let is_replaced = self.with_state(|state| {
            state.segment(segment_base).is_some_and(|segment| segment.name() != name)
        });
        // By compaction: the file that counts now is another one.
        if is_replaced { Ok(()) } else { prepared }
    }

    async fn prepare_named(&self, name: SegmentName, upto: u64) -> Result<(), DiskError> {
        let inner = &*self.inner;
        let runtime = &inner.shared.runtime;
        let path = segment_path(&inner.dir, name);
        let gone = || {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            DiskError::new("open", &path, 0, source)
        };
        let (open, allocated, limit) = self
            .with_state(|state| {
                let limit = u64::from(state.config.segment_bytes);
                let segment = state.segment_named(name)?;
                Some((segment.file.clone(), segment.allocated, limit))
            })
            .ok_or_else(gone)?;
        let file = match open {
            Some(file) => file,
            None => {
                let open = async || match allocated {
                    0 => self.create_file(&path).await,
                    _ => runtime.open(&path, OpenMode::ReadWrite).await,
                };
                inner.shared.with_descriptors(open).await?
            }
        };
        let mut reserved = allocated;
        if allocated < upto {
            reserved = grown(allocated, upto, limit);
            let (meters, missing) = (&inner.shared.meters, reserved - allocated);
            allocate_stubbornly(runtime, meters, &file, allocated, missing).await?;
        }
        self.with_state(|state| {
            state.segment_named(name).ok_or_else(gone)?;
            let segment = state.segment_mut(name.base_offset).ok_or_else(gone)?;
            segment.file = Some(file);
            segment.allocated = reserved;
            self.mark_active(state);
            Ok(())
        })
    }

    async fn create_file(&self, path: &Path) -> Result<R::File, DiskError> {
        let inner = &*self.inner;
        let runtime = &inner.shared.runtime;
        runtime.create_dir_all(&inner.dir).await?;
        let file = runtime.open(path, OpenMode::Create).await?;
        runtime.sync_dir(&inner.dir).await?;
        Ok(file)
    }

    /// Closes the files that nothing is on its way to; the next use opens them again.
    pub(crate) fn close_quiet_files(&self) {
        self.with_state(|state| {
            for segment in state.segments.iter_mut().filter(|s| s.is_quiet()) {
                segment.file = None;
            }
        });
    }

    /// The segment's file for reading, opened if need be.
    pub(crate) async fn readable_file(&self, segment_base: i64) -> Result<R::File, DiskError> {
        self.writable_file(segment_base, 0).await
    }
}

/// How far to reserve a file so that `upto` fits: twice what it has, so that files of busy
/// partitions grow in large steps and others stay small; not beyond a full segment.
fn grown(allocated: u64, upto: u64, segment_bytes: u64) -> u64 {
    let step = allocated.clamp(ALLOCATE_BYTES_MIN, ALLOCATE_BYTES_MAX);
    let ceiling = crate::runtime::block_ceil(segment_bytes);
    (allocated + step).min(ceiling).max(upto)
}

impl<R: Runtime> Log<R> {
    /// An fdatasync of each segment that written, unflushed runs went into directly.
    pub(crate) async fn flush_segments(&self) {
        let segments = self.with_state(|state| {
            let direct = state.unflushed.iter().filter(|(run, _)| run.segment_upto > 0);
            let mut bases: Vec<_> = direct.map(|(run, _)| run.end.segment_base).collect();
            bases.dedup();
            bases
        });
        for segment_base in segments {
            if let Err(error) = sync_segment(self, segment_base).await {
                self.fail("a segment can't be flushed", &error);
            }
        }
    }

    /// Runs of this log are in journal entries that are not written yet.
    pub(crate) fn waits_for_journal(&self, written: u64) -> bool {
        self.with_state(|state| {
            state.offline.is_none()
                && state.unwritten.iter().any(|run| run.journal_sequence > written)
        })
    }
}

/// An fdatasync of the segment as it is now.
pub(crate) async fn sync_segment<R: Runtime>(
    log: &Log<R>,
    segment_base: i64,
) -> Result<(), DiskError> {
    let upto = log.with_state(|state| state.segment(segment_base).map(|s| s.in_segment));
    let Some(upto) = upto else { return Ok(()) };
    let file = log.readable_file(segment_base).await?;
    log.sync_segment_file(&file).await?;
    log.with_state(|state| {
        if let Some(segment) = state.segment_mut(segment_base) {
            segment.flushed = segment.flushed.max(upto);
        }
    });
    Ok(())
}
