//! Writing the journal: entries are assembled while the one before is on its way to the disk, so
//! that a commit takes along all that came meanwhile.
//!
//! Contract: at most one entry is being written at any time, and entries are written in the order
//! of their sequences. So a torn entry is always the last, and `written` and `flushed` are plain
//! watermarks.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::journal::format::{
    ENTRY_BYTES_MAX, EntryBuilder, EntryNumbers, FragmentPlace, Incarnation,
};
use crate::meters::Meters;
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime};

const LARGEST_ENTRY: u64 = (ENTRY_BYTES_MAX + BLOCK_BYTES) as u64;

/// Numbers that are given out once per start, whichever shard asks.
#[derive(Debug)]
pub(crate) struct JournalNumbers {
    /// This start.
    pub start_epoch: u32,
    /// Next life of a file.
    pub next_life: AtomicU32,
    /// Next number of a new file.
    pub next_file: AtomicU64,
}

/// Where a fragment went: it is safe once the journal's `written` (or `flushed`) reaches
/// `sequence`, and occupies the file until it is released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Journalled {
    pub sequence: u64,
    pub file_index: u64,
}

/// An entry that is ready to be written.
pub(crate) struct PendingEntry {
    sequence: u64,
    file_index: u64,
    builder: EntryBuilder,
}

struct JournalFile<F> {
    /// Counts the files of this start in order of use.
    index: u64,
    file: F,
    incarnation: Incarnation,
    next_position: u64,
    last_sequence: u64,
    unsynced: bool,
}

struct State<F> {
    assembling: EntryBuilder,
    assembling_at: Journalled,
    full: VecDeque<PendingEntry>,
    /// Bytes given to entries in the file that `assembling_at` names.
    planned_bytes: u64,
    written: u64,
    flushed: u64,
    released: u64,
    /// In order of use; the last is being written.
    files: VecDeque<JournalFile<F>>,
    /// Files of earlier lives, ready to be used again.
    free: Vec<PathBuf>,
}

/// One shard's journal.
pub(crate) struct Journal<R: Runtime> {
    runtime: R,
    dir: PathBuf,
    shard: u32,
    numbers: Arc<JournalNumbers>,
    /// Length of a file, reserved when it is first used.
    file_bytes: u64,
    state: RefCell<State<R::File>>,
    meters: Rc<Meters>,
}

impl<R: Runtime> Journal<R> {
    /// A journal that writes to `dir`, reusing the `free` files first.
    pub(crate) fn new(
        runtime: R,
        dir: PathBuf,
        shard: u32,
        numbers: Arc<JournalNumbers>,
        file_bytes: u64,
        free: Vec<PathBuf>,
        meters: Rc<Meters>,
    ) -> Rc<Self> {
        assert!(file_bytes >= 2 * LARGEST_ENTRY, "a journal file holds several entries");
        let state = State {
            assembling: EntryBuilder::new(),
            assembling_at: Journalled { sequence: 1, file_index: 0 },
            full: VecDeque::new(),
            planned_bytes: 0,
            written: 0,
            flushed: 0,
            released: 0,
            files: VecDeque::new(),
            free,
        };
        let state = RefCell::new(state);
        Rc::new(Journal { runtime, dir, shard, numbers, file_bytes, state, meters })
    }

    /// Adds a fragment, given as neighbouring pieces, to the entry being assembled.
    pub(crate) fn push<'a>(
        &self,
        place: FragmentPlace,
        length: usize,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Journalled {
        let state = &mut *self.state.borrow_mut();
        if !state.assembling.fits(length) {
            state.close_entry(self.file_bytes);
        }
        state.assembling.push(place, length, pieces);
        state.assembling_at
    }

    /// True if something waits to be written.
    pub(crate) fn has_pending(&self) -> bool {
        let state = self.state.borrow();
        !state.full.is_empty() || !state.assembling.is_empty()
    }

    /// The next entry to write, if any. Call [`Journal::write`] with it before the next.
    pub(crate) fn take_entry(&self) -> Option<PendingEntry> {
        let state = &mut *self.state.borrow_mut();
        if state.full.is_empty() && !state.assembling.is_empty() {
            state.close_entry(self.file_bytes);
        }
        state.full.pop_front()
    }

    /// Highest sequence whose entry is written: survives a kill.
    pub(crate) fn written(&self) -> u64 {
        self.state.borrow().written
    }

    /// Highest sequence that an fdatasync covers: survives a power loss.
    pub(crate) fn flushed(&self) -> u64 {
        self.state.borrow().flushed
    }

    /// Files in use, oldest first.
    pub(crate) fn file_indexes(&self) -> Vec<u64> {
        self.state.borrow().files.iter().map(|f| f.index).collect()
    }

    /// How many files are in use.
    pub(crate) fn file_count(&self) -> usize {
        self.state.borrow().files.len()
    }

    /// Bytes of the entries that are not on their way to the disk yet.
    pub(crate) fn buffered_bytes(&self) -> u64 {
        let state = self.state.borrow();
        let builders = state.full.iter().map(|entry| &entry.builder).chain([&state.assembling]);
        let filled = builders.filter(|builder| !builder.is_empty());
        filled.map(|builder| builder.block_bytes() as u64).sum()
    }

    /// Makes sure that the file of `entry` is open; after a failure it may be tried again.
    pub(crate) async fn prepare(&self, entry: &PendingEntry) -> Result<(), DiskError> {
        self.ensure_file(entry.file_index).await
    }

    /// Writes `entry`, which is prepared; on return `written` has reached its sequence.
    pub(crate) async fn write(&self, entry: PendingEntry) -> Result<(), DiskError> {
        let (file, position, buf) = {
            let state = &mut *self.state.borrow_mut();
            assert_eq!(entry.sequence, state.written + 1, "journal entries are written in order");
            let current = state.files.back_mut().expect("the entry is prepared");
            let buf = entry.builder.finish(
                current.incarnation,
                EntryNumbers {
                    shard: self.shard,
                    sequence: entry.sequence,
                    flushed: state.flushed,
                    released: state.released,
                },
            );
            let position = current.next_position;
            current.next_position += buf.filled() as u64;
            assert!(current.next_position <= self.file_bytes);
            (current.file.clone(), position, buf)
        };
        let began = self.runtime.monotonic();
        let data = buf.slice(0, buf.filled());
        write_stubbornly(&self.runtime, &self.meters, &file, position, data).await?;
        self.meters.journal_writes.record(self.runtime.monotonic() - began);
        self.meters.journal_written_bytes.add(buf.filled() as u64);
        let state = &mut *self.state.borrow_mut();
        let current = state.files.back_mut().expect("files in use are not dropped");
        current.unsynced = true;
        current.last_sequence = entry.sequence;
        state.written = entry.sequence;
        Ok(())
    }

    async fn ensure_file(&self, index: u64) -> Result<(), DiskError> {
        if self.state.borrow().files.back().is_some_and(|f| f.index == index) {
            return Ok(());
        }
        let reused = self.state.borrow().free.last().cloned();
        let path = reused.unwrap_or_else(|| {
            let number = self.numbers.next_file.fetch_add(1, Ordering::Relaxed);
            self.dir.join(journal_file_name(number))
        });
        let file = self.runtime.open(&path, OpenMode::Create).await?;
        let length = file.len().await?;
        if length < self.file_bytes {
            let missing = self.file_bytes - length;
            allocate_stubbornly(&self.runtime, &self.meters, &file, length, missing).await?;
            self.runtime.sync_dir(&self.dir).await?;
        }
        let life = self.numbers.next_life.fetch_add(1, Ordering::Relaxed);
        let incarnation = Incarnation { start_epoch: self.numbers.start_epoch, life };
        let file = JournalFile {
            index,
            file,
            incarnation,
            next_position: 0,
            last_sequence: 0,
            unsynced: false,
        };
        let state = &mut *self.state.borrow_mut();
        state.free.retain(|free| free != file.file.path());
        state.files.push_back(file);
        Ok(())
    }

    /// Makes what is written now survive a power loss. One call at a time.
    pub(crate) async fn sync(&self) -> Result<(), DiskError> {
        let (upto, files) = {
            let state = &mut *self.state.borrow_mut();
            let mut files = Vec::new();
            for file in state.files.iter_mut().filter(|f| f.unsynced) {
                file.unsynced = false;
                files.push(file.file.clone());
            }
            (state.written, files)
        };
        for file in files {
            let began = self.runtime.monotonic();
            file.sync_data().await?;
            self.meters.journal_syncs.record(self.runtime.monotonic() - began);
        }
        let state = &mut *self.state.borrow_mut();
        state.flushed = state.flushed.max(upto);
        Ok(())
    }

    /// Gives back the oldest file, which no partition needs any more. The one being filled stays.
    pub(crate) fn release_oldest(&self, index: u64) {
        let state = &mut *self.state.borrow_mut();
        let is_free =
            state.files.len() > 1 && state.files.front().is_some_and(|f| f.index == index);
        if is_free && let Some(file) = state.files.pop_front() {
            state.released = state.released.max(file.last_sequence);
            state.free.push(file.file.path().to_owned());
        }
    }
}

impl<F> State<F> {
    fn close_entry(&mut self, file_bytes: u64) {
        let builder = std::mem::replace(&mut self.assembling, EntryBuilder::new());
        let at = self.assembling_at;
        self.planned_bytes += builder.block_bytes() as u64;
        let pending = PendingEntry { sequence: at.sequence, file_index: at.file_index, builder };
        self.full.push_back(pending);
        self.assembling_at.sequence += 1;
        if self.planned_bytes + LARGEST_ENTRY > file_bytes {
            self.assembling_at.file_index += 1;
            self.planned_bytes = 0;
        }
    }
}

/// Name of the journal file with this number.
pub(crate) fn journal_file_name(number: u64) -> String {
    format!("{number:08}.journal")
}

/// The number in a journal file's name.
pub(crate) fn journal_file_number(name: &str) -> Option<u64> {
    name.strip_suffix(".journal")?.parse().ok()
}

/// How long to wait before a full disk is tried again.
pub(crate) const NO_SPACE_RETRY: std::time::Duration = std::time::Duration::from_millis(200);

/// Writes, waiting as long as the disk is full: what waits for it times out at the client and is
/// still in order once there is space again.
pub(crate) async fn write_stubbornly<R: Runtime>(
    runtime: &R,
    meters: &Meters,
    file: &R::File,
    position: u64,
    data: crate::buffer::AlignedSlice,
) -> Result<(), DiskError> {
    stubbornly(runtime, meters, async || file.write_at(position, data.clone()).await).await
}

/// Reserves space, waiting as long as the disk is full.
pub(crate) async fn allocate_stubbornly<R: Runtime>(
    runtime: &R,
    meters: &Meters,
    file: &R::File,
    position: u64,
    len_bytes: u64,
) -> Result<(), DiskError> {
    stubbornly(runtime, meters, async || file.allocate(position, len_bytes).await).await
}

async fn stubbornly<R: Runtime>(
    runtime: &R,
    meters: &Meters,
    attempt: impl AsyncFn() -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    let mut waits = None;
    loop {
        match attempt().await {
            Err(error) if error.is_no_space() => {
                if waits.replace(meters.waits_for_space()).is_none() {
                    tracing::error!(%error, "the disk is full: appends wait until space is freed");
                }
                runtime.sleep(NO_SPACE_RETRY).await;
            }
            other => return other,
        }
    }
}
