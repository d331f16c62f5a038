//! What lagging readers have brought back from segment files, kept for a moment: of many that read the
//! same backlog one goes to the disk, and who reads on finds the next bytes there already.
//!
//! Only bytes that no write will change come here: those of a lease, below the high watermark and in their
//! file. A segment's name never comes back with other bytes, so they are known by path and position. This
//! is apart from the tails' memory: catching up does not push out what is new.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::buffer::{AlignedBuf, AlignedSlice};
use crate::notify::Notify;
use crate::runtime::{DiskError, File, Runtime, block_ceil, block_floor};

/// How much is read ahead of who reads on.
const AHEAD_BYTES: u64 = 1 << 20;

/// Nothing is kept that nobody has asked for so long.
const KEPT_UNUSED: Duration = Duration::from_secs(2);

/// While nobody follows another, only a part of what may be kept is: memory that is used again and again stays
/// near the processor.
const ALONE_PART: u64 = 8;

/// Who is so far behind what was handed out follows another reader; less is a reader's own look ahead.
const FOLLOWS_BYTES: u64 = 256 << 10;

/// Parts of files that are kept; they are looked through for each read.
const RANGES_MAX: usize = 256;

/// Bytes of a file wanted by a reader: `from..upto`, of a file that is complete up to `file_end`.
pub(super) struct Wanted<'a, F> {
    pub(super) file: &'a F,
    /// Keeps the file from being removed.
    pub(super) reader: &'a Arc<()>,
    pub(super) from: u64,
    pub(super) upto: u64,
    pub(super) file_end: u64,
}

/// A part of a file, from a block boundary on.
struct Range {
    path: PathBuf,
    begin: u64,
    end: u64,
    /// `None` while it is being read.
    bytes: Option<AlignedSlice>,
    /// What somebody was given ends here.
    given_upto: u64,
    used: Duration,
}

/// What was found at a position.
enum Found {
    Bytes(AlignedSlice),
    /// Somebody is reading it.
    Coming,
    /// Nothing up to this position.
    Nothing(u64),
}

/// What one shard has read back from its files.
pub(crate) struct ReadBack<R: Runtime> {
    runtime: R,
    limit_bytes: u64,
    /// Oldest first.
    ranges: RefCell<Vec<Range>>,
    arrived: Notify,
    /// When a reader was last seen to follow another.
    followed: Cell<Option<Duration>>,
}

impl<R: Runtime> ReadBack<R> {
    /// One that keeps so many bytes at most.
    pub(crate) fn new(runtime: R, limit_bytes: u64) -> Rc<Self> {
        let (ranges, arrived) = (RefCell::default(), Notify::default());
        Rc::new(ReadBack { runtime, limit_bytes, ranges, arrived, followed: Cell::default() })
    }

    /// How many bytes it keeps at most.
    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Bytes held, and on their way.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.ranges.borrow().iter().map(Range::held_bytes).sum()
    }

    /// Lets go what is not used any more.
    pub(crate) fn tick(&self) {
        let now = self.runtime.monotonic();
        let is_used = |range: &Range| now.saturating_sub(range.used) < KEPT_UNUSED;
        self.ranges.borrow_mut().retain(|range| range.bytes.is_none() || is_used(range));
    }

    /// The bytes, in pieces; fewer if the file ends before.
    pub(super) async fn read(
        self: &Rc<Self>,
        wanted: Wanted<'_, R::File>,
    ) -> Result<Vec<AlignedSlice>, DiskError> {
        let (mut at, mut pieces, mut reads_on) = (wanted.from, Vec::new(), false);
        let mut brought_from = None;
        while at < wanted.upto {
            let bytes = match self.find(&wanted, at) {
                Found::Bytes(bytes) => {
                    reads_on |= at == wanted.from && brought_from.is_none();
                    bytes
                }
                Found::Coming => {
                    self.arrived.until(|| !self.is_coming(wanted.file.path(), at)).await;
                    continue;
                }
                // Once only: what was brought and is not there has failed, or is gone again.
                Found::Nothing(upto)
                    if brought_from != Some(at) && self.bring(&wanted, at, upto) =>
                {
                    brought_from = Some(at);
                    continue;
                }
                Found::Nothing(upto) => match read(&wanted, at, upto).await? {
                    Some(bytes) => bytes,
                    None => break,
                },
            };
            at += bytes.len() as u64;
            pieces.push(unpinned(bytes));
        }
        if reads_on {
            self.read_ahead(&wanted);
        }
        Ok(pieces)
    }

    fn is_coming(&self, path: &Path, position: u64) -> bool {
        let ranges = self.ranges.borrow();
        ranges.iter().any(|range| range.bytes.is_none() && range.holds(path, position))
    }

    /// What it finds counts as given.
    fn find(&self, wanted: &Wanted<'_, R::File>, at: u64) -> Found {
        let (path, now) = (wanted.file.path(), self.runtime.monotonic());
        let mut upto = wanted.upto;
        for range in self.ranges.borrow_mut().iter_mut().filter(|range| range.path == path) {
            if (range.begin..range.end).contains(&at) {
                range.used = now;
                let Some(bytes) = &range.bytes else { return Found::Coming };
                let to = range.end.min(wanted.upto);
                if at + FOLLOWS_BYTES <= range.given_upto {
                    self.followed.set(Some(now));
                }
                range.given_upto = range.given_upto.max(to);
                return Found::Bytes(
                    bytes.slice((at - range.begin) as usize, (to - range.begin) as usize),
                );
            }
            if range.begin > at {
                upto = upto.min(range.begin);
            }
        }
        Found::Nothing(upto)
    }

    /// Begins to read `from..upto`, to be kept; false if there is no room for it.
    ///
    /// A task of its own: a reader may be held up by his client while others wait for the same bytes.
    fn bring(self: &Rc<Self>, wanted: &Wanted<'_, R::File>, from: u64, upto: u64) -> bool {
        let begin = block_floor(from);
        let end = block_ceil(upto).min(wanted.file_end);
        let path = wanted.file.path().to_owned();
        let used = self.runtime.monotonic();
        let range = Range { path, begin, end, bytes: None, given_upto: begin, used };
        let Some(coming) = self.announce(range) else { return false };
        let (file, reader, file_end) =
            (wanted.file.clone(), wanted.reader.clone(), wanted.file_end);
        self.runtime.spawn(async move {
            let wanted = Wanted { file: &file, reader: &reader, from: begin, upto, file_end };
            // Who needs it will read it himself, and meet the error.
            coming.end(read(&wanted, begin, end).await.unwrap_or_default());
        });
        true
    }

    /// Says that a range is on its way, and makes room for it. `None` if there is none.
    fn announce(self: &Rc<Self>, range: Range) -> Option<Coming<R>> {
        let ranges = &mut *self.ranges.borrow_mut();
        let mut held: u64 = ranges.iter().map(Range::held_bytes).sum();
        let wanted = range.held_bytes();
        let is_followed =
            self.followed.get().is_some_and(|at| range.used.saturating_sub(at) < KEPT_UNUSED);
        let part = if is_followed { 1 } else { ALONE_PART };
        // One always fits, if it does at all.
        let limit_bytes = (self.limit_bytes / part).max(wanted);
        if wanted > self.limit_bytes {
            return None;
        }
        while held + wanted > limit_bytes || ranges.len() >= RANGES_MAX {
            let is_spent = |range: &Range| range.bytes.is_some() && range.given_upto == range.end;
            let spent = ranges.iter().position(is_spent).filter(|_| !is_followed);
            let first = spent.or_else(|| ranges.iter().position(|range| range.bytes.is_some()));
            held -= ranges.remove(first?).held_bytes();
        }
        let (path, begin) = (range.path.clone(), range.begin);
        ranges.push(range);
        Some(Coming { read_back: self.clone(), path, begin, arrived: None })
    }

    /// Begins to read what is likely to be asked for next.
    fn read_ahead(self: &Rc<Self>, wanted: &Wanted<'_, R::File>) {
        let mut from = wanted.upto;
        while let Some(end) = self.range_end(wanted.file.path(), from) {
            from = end;
        }
        // A buffer's length is a power of two.
        let until = wanted.file_end.min(block_floor(from) + AHEAD_BYTES);
        // Little would cost as much as all of it.
        if from - wanted.upto > AHEAD_BYTES / 2 || until <= from + AHEAD_BYTES / 2 {
            return;
        }
        let next = Wanted { from, upto: until, ..*wanted };
        if let Found::Nothing(upto) = self.find(&next, from) {
            self.bring(&next, from, upto);
        }
    }

    /// Where the range ends that holds `position`, read or on its way.
    fn range_end(&self, path: &Path, position: u64) -> Option<u64> {
        let ranges = self.ranges.borrow();
        ranges.iter().find(|range| range.holds(path, position)).map(|range| range.end)
    }
}

impl Range {
    fn holds(&self, path: &Path, position: u64) -> bool {
        (self.begin..self.end).contains(&position) && self.path == path
    }

    fn held_bytes(&self) -> u64 {
        match &self.bytes {
            Some(bytes) => bytes.held_bytes() as u64,
            None => buffer_bytes(block_ceil(self.end) - self.begin),
        }
    }
}

/// What a buffer for so many bytes takes: those that are not very large are powers of two.
fn buffer_bytes(bytes: u64) -> u64 {
    let rounded = bytes.next_power_of_two();
    if rounded <= 2 * AHEAD_BYTES { rounded } else { bytes }
}

/// `from..upto` of the file, or what there is of it; `None` at its end.
async fn read<F: File>(
    wanted: &Wanted<'_, F>,
    from: u64,
    upto: u64,
) -> Result<Option<AlignedSlice>, DiskError> {
    let begin = block_floor(from);
    let read = wanted.file.read_at(begin, (block_ceil(upto) - begin) as usize).await?;
    let end = upto.min(wanted.file_end).min(begin + read.filled() as u64);
    Ok((end > from).then(|| read.slice((from - begin) as usize, (end - begin) as usize)))
}

/// A small piece of a large buffer as a copy: an answer that a slow client keeps waiting would pin all of
/// it, and counts as what it sends.
fn unpinned(bytes: AlignedSlice) -> AlignedSlice {
    if bytes.len() >= bytes.held_bytes() / 4 {
        return bytes;
    }
    let mut copy = AlignedBuf::with_capacity(bytes.len());
    copy.put(&bytes);
    copy.slice(0, bytes.len())
}

/// A range that is being read. If that fails, others are not to wait for it.
struct Coming<R: Runtime> {
    read_back: Rc<ReadBack<R>>,
    path: PathBuf,
    begin: u64,
    arrived: Option<AlignedSlice>,
}

impl<R: Runtime> Coming<R> {
    fn end(mut self, arrived: Option<AlignedSlice>) {
        self.arrived = arrived;
    }
}

impl<R: Runtime> Drop for Coming<R> {
    fn drop(&mut self) {
        {
            let ranges = &mut *self.read_back.ranges.borrow_mut();
            let is_this =
                |r: &Range| r.bytes.is_none() && r.begin == self.begin && r.path == self.path;
            if let Some(place) = ranges.iter().position(is_this) {
                match self.arrived.take() {
                    Some(bytes) => {
                        ranges[place].end = self.begin + bytes.len() as u64;
                        ranges[place].bytes = Some(bytes);
                    }
                    None => drop(ranges.remove(place)),
                }
            }
        }
        self.read_back.arrived.notify_all();
    }
}
