//! One segment of a partition's log: what is appended, what is on its way, what the file has.
//!
//! Positions only grow, and in this order: `flushed <= in_segment <= issued <= run_from <= end`
//! (`issued` may pass `run_from` no further than the last full block of `end`). Each block of the
//! file is written exactly once.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::index::SegmentIndex;
use crate::log::tail::Tail;
use crate::runtime::block_floor;

/// A write on its way to the segment file.
#[derive(Debug)]
struct InFlight {
    end: u64,
    done: bool,
}

/// State of one segment.
#[derive(Debug)]
pub(crate) struct Segment<F> {
    /// Offset of its first record; its file's name.
    pub base_offset: i64,
    /// Open only while it is used.
    pub file: Option<F>,
    /// When the file was last used, to close it when idle.
    pub file_used: Duration,
    /// Bytes reserved in the file.
    pub allocated: u64,
    /// Bytes appended.
    pub end: u64,
    /// Bytes that belong to runs already cut: on their way, or further.
    pub run_from: u64,
    /// Bytes given to segment writes.
    pub issued: u64,
    /// Bytes the file has, without gaps.
    pub in_segment: u64,
    /// Bytes of the file that an fdatasync covers.
    pub flushed: u64,
    /// Nothing more will be appended.
    pub sealed: bool,
    /// Sealed, and the file is complete, trimmed, flushed and indexed.
    pub settled: bool,
    /// Wall clock of the first append, for `segment.ms`.
    pub opened_ms: i64,
    /// Highest timestamp in it, -1 if it has none; `None` until it is looked up, of a segment found
    /// on disk.
    pub max_timestamp: Option<i64>,
    /// Wall clock of the last append; of a segment found on disk, of the file's last change.
    pub last_append_ms: i64,
    /// Who reads the file: its own count is one.
    pub readers: Arc<()>,
    /// The newest bytes.
    pub tail: Tail,
    /// `None` if it is on disk only.
    pub index: Option<SegmentIndex>,
    /// It takes part in the turns of the cache.
    pub in_cache: bool,
    /// Full pages of the index that its file already has.
    pub index_pages: usize,
    in_flight: VecDeque<InFlight>,
}

impl<F> Segment<F> {
    /// A segment that begins at `base_offset` and is empty.
    pub(crate) fn new(base_offset: i64, now_ms: i64) -> Self {
        Segment {
            base_offset,
            file: None,
            file_used: Duration::ZERO,
            allocated: 0,
            end: 0,
            run_from: 0,
            issued: 0,
            in_segment: 0,
            flushed: 0,
            sealed: false,
            settled: false,
            opened_ms: now_ms,
            max_timestamp: Some(-1),
            last_append_ms: now_ms,
            readers: Arc::default(),
            tail: Tail::new(0, &[]),
            index: Some(SegmentIndex::new(base_offset)),
            in_cache: false,
            index_pages: 0,
            in_flight: VecDeque::new(),
        }
    }

    /// A closed segment found on disk, of `end` bytes, last changed at `modified_ms`.
    pub(crate) fn settled(base_offset: i64, end: u64, modified_ms: i64) -> Self {
        let mut segment = Segment::new(base_offset, modified_ms);
        segment.resume(end, &[]);
        segment.sealed = true;
        segment.settled = true;
        segment.index = None;
        segment.max_timestamp = None;
        segment
    }

    /// Goes on behind `end` bytes, of which the file has all full blocks, flushed; `carried` are
    /// those behind the last full block (none for a closed segment, whose file has all).
    pub(crate) fn resume(&mut self, end: u64, carried: &[u8]) {
        let in_file = end - carried.len() as u64;
        self.end = end;
        self.run_from = end;
        self.issued = in_file;
        self.in_segment = in_file;
        self.flushed = in_file;
        self.allocated = in_file;
        self.tail = Tail::new(end, carried);
    }

    /// Bytes that could be written to the file in full blocks and are not on their way yet.
    pub(crate) fn unissued_blocks(&self) -> u64 {
        block_floor(self.end).saturating_sub(self.issued)
    }

    /// Full blocks that the file does not have yet.
    pub(crate) fn unwritten_blocks(&self) -> u64 {
        block_floor(self.end).saturating_sub(self.in_segment)
    }

    /// Notes that `[issued, end)` is on its way.
    pub(crate) fn issue(&mut self, end: u64) {
        assert!(end > self.issued);
        self.issued = end;
        self.in_flight.push_back(InFlight { end, done: false });
    }

    /// Notes that the write which ends at `end` has completed; returns by how much `in_segment` grew.
    pub(crate) fn complete(&mut self, end: u64) -> u64 {
        let write = self.in_flight.iter_mut().find(|w| w.end == end);
        write.expect("a completed write was issued").done = true;
        let before = self.in_segment;
        while self.in_flight.front().is_some_and(|w| w.done) {
            if let Some(write) = self.in_flight.pop_front() {
                self.in_segment = write.end;
            }
        }
        self.in_segment - before
    }

    /// Nothing is on its way to the file.
    pub(crate) fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }
}

/// The segment's file.
pub(crate) fn segment_path(dir: &Path, base_offset: i64) -> PathBuf {
    dir.join(format!("{base_offset:020}.log"))
}

/// The segment's index.
pub(crate) fn index_path(dir: &Path, base_offset: i64) -> PathBuf {
    dir.join(format!("{base_offset:020}.index"))
}

/// The base offset in a segment file's name.
pub(crate) fn segment_base(name: &str) -> Option<i64> {
    base_in(name.strip_suffix(".log")?)
}

/// The base offset in an index file's name.
pub(crate) fn index_base(name: &str) -> Option<i64> {
    base_in(name.strip_suffix(".index")?)
}

fn base_in(digits: &str) -> Option<i64> {
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}
