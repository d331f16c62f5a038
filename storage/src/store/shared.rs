//! What the logs of one shard share: the journal, the lists of logs with something to do, budgets.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::journal::writer::Journal;
use crate::log::read_back::ReadBack;
use crate::log::tail::CHUNK_BYTES_MAX;
use crate::log::write::{SEGMENT_WRITE_BYTES_MAX, SEGMENT_WRITES_MAX};
use crate::log::{CompactionLimits, Log, WeakLog};
use crate::meters::Meters;
use crate::notify::Notify;
use crate::runtime::{DiskError, Runtime};
use crate::store::StoreLimits;
use crate::store::cache_size::CacheSize;

pub(crate) struct Shared<R: Runtime> {
    pub runtime: R,
    pub data_dir: PathBuf,
    pub limits: StoreLimits,
    pub journal: Rc<Journal<R>>,
    pub meters: Rc<Meters>,
    /// Logs with batches to be cut into runs.
    pub dirty: RefCell<Vec<Log<R>>>,
    /// Those of them with runs that need not wait for the journal.
    pub long: RefCell<Vec<Log<R>>>,
    /// Logs with runs in journal entries that are not published yet.
    pub wrote: RefCell<Vec<Log<R>>>,
    /// Logs with written runs that are not flushed.
    pub unflushed: RefCell<Vec<Log<R>>>,
    /// Logs that were appended to and are not at rest yet.
    pub active: RefCell<Vec<Log<R>>>,
    /// Logs with segments to be removed.
    pub shrinking: RefCell<Vec<Log<R>>>,
    /// Wakes the pump.
    pub work: Notify,
    /// Wakes the pump while it writes the journal.
    pub long_work: Notify,
    /// Wakes the flusher.
    pub flush_work: Notify,
    /// Wakes those who wait to append.
    pub room: Notify,
    /// Somebody waits for an fdatasync.
    pub flush_wanted: Cell<bool>,
    /// Flushes begun.
    pub flush_round: Cell<u64>,
    /// Full blocks in memory that no segment has yet.
    pub unwritten_bytes: Cell<u64>,
    /// Writes to segments on their way, but for those that follow others of one run.
    pub segment_writes: Cell<usize>,
    /// Bytes of those.
    pub writing_bytes: Cell<u64>,
    /// Bytes of those that follow others, on their way.
    pub following_bytes: Cell<u64>,
    /// Bytes of all, and of those that are still to follow.
    pub issued_bytes: Cell<u64>,
    /// Wakes those that are to follow.
    pub write_ended: Notify,
    pub stopping: Cell<bool>,
    /// The store is about to stop: what need not be done is not begun, and given up.
    pub ending: Cell<bool>,
    /// Counts appends and reads, so that others can tell whether there are any.
    pub foreground: Cell<u64>,
    /// Appends since runs were cut last.
    pub gathered: Cell<u64>,
    /// Appends that the pump waits for before it cuts the next runs; 0 while it waits for none.
    pub gather_goal: Cell<u64>,
    pub compaction: Cell<CompactionLimits>,
    pub read_back: Rc<ReadBack<R>>,
    /// Set when the journal is lost: no log of this shard can be appended to any more.
    pub failed: RefCell<Option<Arc<str>>>,
    cache: RefCell<TailCache<R>>,
    journal_pins: RefCell<HashMap<u64, Vec<WeakLog<R>>>>,
}

/// Least size that the chunks of a log that is appended to grow to.
const CHUNK_BYTES_MIN: usize = 16 << 10;

/// Looks at segments in one go, so that a full cache costs an append no more than this; far more chunks
/// than come meanwhile.
const EVICTIONS_MAX: usize = 64;

/// All tails' memory.
struct TailCache<R: Runtime> {
    bytes: u64,
    size: CacheSize,
    /// Segments with memory, each once; they give up their oldest chunk in turn.
    turns: VecDeque<(WeakLog<R>, i64)>,
    /// How many sit their turns out, having nothing to give: were they asked again and again, those who have
    /// would seldom be, and the cache would grow.
    resting: usize,
}

impl<R: Runtime> Shared<R> {
    pub(crate) fn new(
        runtime: R,
        data_dir: PathBuf,
        limits: StoreLimits,
        journal: Rc<Journal<R>>,
        meters: Rc<Meters>,
    ) -> Rc<Self> {
        let read_back = ReadBack::new(runtime.clone(), limits.read_back_bytes);
        let size = CacheSize::new(limits.cache_bytes, limits.cache_preallocated);
        Rc::new(Shared {
            runtime,
            data_dir,
            limits,
            journal,
            meters,
            dirty: RefCell::default(),
            long: RefCell::default(),
            wrote: RefCell::default(),
            unflushed: RefCell::default(),
            active: RefCell::default(),
            shrinking: RefCell::default(),
            work: Notify::default(),
            long_work: Notify::default(),
            flush_work: Notify::default(),
            room: Notify::default(),
            flush_wanted: Cell::new(false),
            flush_round: Cell::new(0),
            unwritten_bytes: Cell::new(0),
            segment_writes: Cell::new(0),
            writing_bytes: Cell::new(0),
            following_bytes: Cell::new(0),
            issued_bytes: Cell::new(0),
            write_ended: Notify::default(),
            stopping: Cell::new(false),
            ending: Cell::new(false),
            foreground: Cell::new(0),
            gathered: Cell::new(0),
            gather_goal: Cell::new(0),
            compaction: Cell::new(limits.compaction),
            read_back,
            failed: RefCell::default(),
            cache: RefCell::new(TailCache { bytes: 0, size, turns: VecDeque::new(), resting: 0 }),
            journal_pins: RefCell::default(),
        })
    }

    /// Another write to a segment may be begun.
    pub(crate) fn has_segment_slot(&self) -> bool {
        self.segment_writes.get() < SEGMENT_WRITES_MAX
            && self.writing_bytes.get() < SEGMENT_WRITE_BYTES_MAX
    }

    /// The next of many writes that were issued together may be begun. They have room of their own: neither
    /// they nor the others can keep each other waiting.
    pub(crate) fn may_follow(&self) -> bool {
        self.following_bytes.get() < SEGMENT_WRITE_BYTES_MAX / 2
    }

    /// Notes an append.
    pub(crate) fn note_append(&self) {
        self.foreground.set(self.foreground.get().wrapping_add(1));
        self.gathered.set(self.gathered.get() + 1);
        if self.gathered.get() == self.gather_goal.get() {
            self.work.notify_all();
        }
    }

    /// Full blocks in memory that are not on their way to a segment yet, in bytes.
    pub(crate) fn unissued_bytes(&self) -> u64 {
        self.unwritten_bytes.get().saturating_sub(self.issued_bytes.get())
    }

    /// Notes that so many bytes wait for a segment no longer.
    pub(crate) fn unwritten_shrank(&self, bytes: u64) {
        self.unwritten_bytes.set(self.unwritten_bytes.get().saturating_sub(bytes));
        self.room.notify_all();
    }

    /// Runs `attempt`, which must be harmless to repeat, until it does not fail for want of a file
    /// descriptor; in between, files that are not in use are closed.
    pub(crate) async fn with_descriptors<T>(
        &self,
        attempt: impl AsyncFn() -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        const PAUSE: Duration = Duration::from_millis(20);
        let mut warned = false;
        loop {
            match attempt().await {
                Err(error) if error.is_out_of_descriptors() => {
                    if !std::mem::replace(&mut warned, true) {
                        tracing::debug!(%error, "closing files that are not in use");
                    }
                    self.close_quiet_files();
                    self.runtime.sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// Closes the segment files that no write is on its way to.
    fn close_quiet_files(&self) {
        for log in self.active.borrow().iter() {
            log.close_quiet_files();
        }
    }

    /// Empties the lists of logs with something to do.
    pub(crate) fn forget_logs(&self) {
        let lists =
            [&self.dirty, &self.long, &self.wrote, &self.unflushed, &self.active, &self.shrinking];
        for list in lists {
            list.borrow_mut().clear();
        }
    }

    /// Notes that a segment took `bytes` of memory.
    pub(crate) fn cache_grew(&self, bytes: usize) {
        self.cache.borrow_mut().bytes += bytes as u64;
    }

    /// Notes that a segment of `log` has begun to take memory.
    pub(crate) fn cache_joined(&self, log: &Log<R>, segment_base: i64) {
        self.cache.borrow_mut().turns.push_back((log.weak(), segment_base));
    }

    /// Notes that a segment of `log` that sat its turns out has them again.
    pub(crate) fn cache_rejoined(&self, log: &Log<R>, segment_base: i64) {
        let cache = &mut *self.cache.borrow_mut();
        cache.resting -= 1;
        cache.turns.push_back((log.weak(), segment_base));
    }

    /// Notes that a log's memory is gone with it.
    pub(crate) fn cache_shrank(&self, bytes: usize) {
        let cache = &mut *self.cache.borrow_mut();
        cache.bytes = cache.bytes.saturating_sub(bytes as u64);
    }

    /// Bytes of memory that tails hold.
    pub(crate) fn cached_bytes(&self) -> u64 {
        self.cache.borrow().bytes
    }

    /// A reader was sent to memory or to the disk for about `bytes`, so far behind the end of a log.
    pub(crate) fn cache_read(&self, behind_bytes: u64, bytes: u64, in_memory: bool, now: Duration) {
        self.cache.borrow_mut().size.read(behind_bytes, bytes, in_memory, now);
    }

    /// Largest chunk of memory that a log takes, unless a single batch needs more: so that the last
    /// chunks of many logs, which can't be dropped, do not take more than half of the cache.
    pub(crate) fn chunk_bytes_max(&self) -> usize {
        let cache = self.cache.borrow();
        let segments = cache.turns.len() + cache.resting;
        let part = cache.size.bytes() / 2 / (segments as u64 + 1);
        let part = usize::try_from(part).unwrap_or(usize::MAX).clamp(1, CHUNK_BYTES_MAX);
        (1 << part.ilog2()).max(CHUNK_BYTES_MIN)
    }

    /// Lets the cache become smaller if nobody needs so much.
    pub(crate) fn cache_tick(&self, now: Duration) {
        self.cache.borrow_mut().size.tick(now);
    }

    /// Drops the oldest chunks while there are more than the cache may hold. No log may be borrowed.
    pub(crate) fn enforce_cache(&self) {
        let cache = &mut *self.cache.borrow_mut();
        // How many in turn had nothing to give.
        let mut busy = 0;
        for _ in 0..EVICTIONS_MAX {
            if cache.bytes <= cache.size.bytes() || busy >= cache.turns.len() {
                return;
            }
            let Some((weak, segment_base)) = cache.turns.pop_front() else { return };
            let Some(log) = Log::upgrade(&weak) else { continue };
            match log.evict_oldest(segment_base) {
                Eviction::Freed(bytes) => {
                    busy = 0;
                    cache.bytes = cache.bytes.saturating_sub(bytes as u64);
                    cache.turns.push_back((weak, segment_base));
                }
                Eviction::Busy => {
                    busy += 1;
                    cache.turns.push_back((weak, segment_base));
                }
                Eviction::Rests => cache.resting += 1,
                Eviction::Gone => {}
            }
        }
    }

    /// Notes that `log` has bytes in the journal file, which must stay until they are elsewhere.
    pub(crate) fn pin_journal_file(&self, file_index: u64, log: &Log<R>) {
        self.journal_pins.borrow_mut().entry(file_index).or_default().push(log.weak());
    }

    /// Logs that still need the journal file.
    pub(crate) fn journal_pins(&self, file_index: u64) -> Vec<Log<R>> {
        let pins = &mut *self.journal_pins.borrow_mut();
        let Some(logs) = pins.get_mut(&file_index) else { return Vec::new() };
        let needed: Vec<_> = logs
            .iter()
            .filter_map(Log::upgrade)
            .filter(|log| log.needs_journal_file(file_index))
            .collect();
        *logs = needed.iter().map(Log::weak).collect();
        if logs.is_empty() {
            pins.remove(&file_index);
        }
        needed
    }
}

/// What came of the attempt to drop a segment's oldest chunk.
pub(crate) enum Eviction {
    Freed(usize),
    /// Still being written.
    Busy,
    /// The only one of a segment that is appended to.
    Rests,
    Gone,
}

impl<R: Runtime> Log<R> {
    fn evict_oldest(&self, segment_base: i64) -> Eviction {
        self.with_state(|state| {
            let is_offline = state.offline.is_some();
            let Some(segment) = state.segment_mut(segment_base) else { return Eviction::Gone };
            let (in_segment, settled) = (segment.in_segment, segment.settled);
            if segment.tail.held_bytes() == 0 && (segment.sealed || is_offline) {
                segment.in_cache = false;
                return Eviction::Gone;
            }
            if !segment.sealed && segment.tail.chunks() <= 1 {
                segment.rests_in_cache = true;
                return Eviction::Rests;
            }
            match segment.tail.evict_oldest(in_segment, settled) {
                Some(bytes) => Eviction::Freed(bytes),
                None => Eviction::Busy,
            }
        })
    }

    fn needs_journal_file(&self, file_index: u64) -> bool {
        self.with_state(|state| {
            state.offline.is_none() && state.journal_uses.iter().any(|u| u.file_index == file_index)
        })
    }
}
