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
use crate::log::checkpoint_file::CompactedSegment;
use crate::log::tail::Tail;
use crate::runtime::block_floor;

/// A write on its way to the segment file.
#[derive(Debug)]
struct InFlight {
    end: u64,
    done: bool,
}

/// Names a segment's files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SegmentName {
    pub base_offset: i64,
    /// 0 as it was appended; compaction writes it again under a number that no other file of the
    /// partition has.
    pub generation: u32,
}

impl SegmentName {
    /// The segment as it was appended.
    pub(crate) fn appended(base_offset: i64) -> Self {
        SegmentName { base_offset, generation: 0 }
    }
}

/// State of one segment.
#[derive(Debug)]
pub(crate) struct Segment<F> {
    /// Offset at which it begins; that of its first record, unless it was compacted.
    pub base_offset: i64,
    /// See [`SegmentName::generation`].
    pub generation: u32,
    /// Of a compacted segment, the offset behind its last record: there is none from here up to the
    /// next segment. `None`: the next segment continues it.
    pub records_end: Option<i64>,
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
    /// The longest batch behind `run_from`.
    pub run_batch_bytes_max: u64,
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
    /// It sits out the turns of the cache: of an active segment's only chunk nothing can be dropped.
    pub rests_in_cache: bool,
    /// Full pages of the index that its file already has.
    pub index_pages: usize,
    in_flight: VecDeque<InFlight>,
}

impl<F> Segment<F> {
    /// A segment that begins at `base_offset` and is empty.
    pub(crate) fn new(base_offset: i64, now_ms: i64) -> Self {
        Segment {
            base_offset,
            generation: 0,
            records_end: None,
            file: None,
            file_used: Duration::ZERO,
            allocated: 0,
            end: 0,
            run_from: 0,
            run_batch_bytes_max: 0,
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
            rests_in_cache: false,
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

    /// A segment as compaction has written it.
    pub(crate) fn compacted(written: &CompactedSegment) -> Self {
        let SegmentName { base_offset, generation } = written.name;
        let mut segment = Segment::settled(base_offset, written.bytes, written.last_append_ms);
        segment.generation = generation;
        segment.records_end = Some(written.records_end);
        segment.max_timestamp = Some(written.max_timestamp);
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

    /// The names of its files.
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName { base_offset: self.base_offset, generation: self.generation }
    }

    /// No record lies at or behind `offset` in it, although the next segment begins later.
    pub(crate) fn ends_before(&self, offset: i64) -> bool {
        self.records_end.is_some_and(|end| end <= offset.max(self.base_offset))
    }

    /// Bytes that were appended since the last cut.
    pub(crate) fn run_bytes(&self) -> u64 {
        self.end - self.run_from
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
pub(crate) fn segment_path(dir: &Path, name: SegmentName) -> PathBuf {
    dir.join(format!("{}.log", stem(name)))
}

/// The segment's index.
pub(crate) fn index_path(dir: &Path, name: SegmentName) -> PathBuf {
    dir.join(format!("{}.index", stem(name)))
}

fn stem(SegmentName { base_offset, generation }: SegmentName) -> String {
    match generation {
        0 => format!("{base_offset:020}"),
        _ => format!("{base_offset:020}.{generation}"),
    }
}

/// Which segment a segment file of this name is.
pub(crate) fn segment_named(file: &str) -> Option<SegmentName> {
    name_in(file.strip_suffix(".log")?)
}

/// Which segment an index file of this name is of.
pub(crate) fn index_named(file: &str) -> Option<SegmentName> {
    name_in(file.strip_suffix(".index")?)
}

fn name_in(text: &str) -> Option<SegmentName> {
    let (base, generation) = match text.split_once('.') {
        None => (text, 0),
        Some((base, generation)) => (base, generation.parse().ok().filter(|&g| g > 0)?),
    };
    let base_offset = (base.len() == 20).then(|| base.parse().ok()).flatten()?;
    let name = SegmentName { base_offset, generation };
    // As we write it: no sign, no zeros in front.
    (stem(name) == text).then_some(name)
}
