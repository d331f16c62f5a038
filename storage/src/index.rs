//! Sparse index of one segment: where to begin to look for an offset or a timestamp.
//!
//! About every [`INTERVAL_BYTES`] of the segment one [`IndexEntry`] names a batch. The index only
//! says where to start scanning; it is never the only copy of anything, and whatever is in doubt
//! is left out and made again by scanning the segment. Pure: bytes in, bytes out.
//!
//! On disk (`pages.rs`): pages of 4 KiB, each with its own checksum. A full page is never written
//! again; the last one is rewritten in place as it fills.

use std::ops::Range;

use zerocopy::byteorder::little_endian::{I64, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

mod pages;
#[cfg(test)]
mod tests;

#[cfg(any(test, fuzzing))]
pub(crate) use pages::fuzz;

pub use pages::{DecodedIndex, ENTRIES_PER_PAGE};

/// Distance between entries: at least this many bytes of the segment.
pub const INTERVAL_BYTES: u64 = 32 * 1024;

/// One batch of the segment.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct IndexEntry {
    /// The batch's base offset, less the segment's.
    relative_offset: U32,
    /// Where in the segment file the batch begins.
    position: U32,
    /// No batch of the segment BEFORE `position` has a higher timestamp (ms). So it never falls
    /// from entry to entry, and a search for a timestamp above it may begin at `position`.
    max_timestamp_before: I64,
}

/// Where a scan may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexPosition {
    /// Base offset of the batch there.
    pub offset: i64,
    /// Byte position of the batch in the segment.
    pub position: u64,
}

/// The index of one segment, in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentIndex {
    base_offset: i64,
    entries: Vec<IndexEntry>,
    /// Upper bound of the timestamps of all batches seen; exact unless [`SegmentIndex::truncate_to`]
    /// cut some of them. `i64::MIN` if none.
    max_timestamp: i64,
    /// Raised by each truncation, so that pages of before it are told from those of after it.
    incarnation: u32,
}

impl SegmentIndex {
    /// Index of an empty segment whose first offset is `base_offset`.
    pub fn new(base_offset: i64) -> Self {
        SegmentIndex { base_offset, entries: Vec::new(), max_timestamp: i64::MIN, incarnation: 0 }
    }

    /// Notes the batch at `position` with base offset `offset`; to be called for EVERY batch, in
    /// order. Returns true if it became an entry. Noting a batch again does no harm.
    ///
    /// A batch further than 2^32 offsets or bytes from the segment's start gets no entry.
    pub fn maybe_push(&mut self, offset: i64, position: u64, max_timestamp: i64) -> bool {
        let max_timestamp_before = self.max_timestamp;
        self.max_timestamp = self.max_timestamp.max(max_timestamp);
        if position < self.last().position + INTERVAL_BYTES {
            return false;
        }
        let relative = offset.checked_sub(self.base_offset).and_then(|r| u32::try_from(r).ok());
        let (Some(relative), Ok(position)) = (relative, u32::try_from(position)) else {
            return false;
        };
        self.entries.push(IndexEntry {
            relative_offset: relative.into(),
            position: position.into(),
            max_timestamp_before: max_timestamp_before.into(),
        });
        true
    }

    /// Where to begin to look for `offset`: the last entry at or before it, else the segment's start.
    pub fn floor_offset(&self, offset: i64) -> IndexPosition {
        self.before(self.entries.partition_point(|e| self.at(e).offset <= offset))
    }

    /// The last batch known to begin at or before byte `position`, else the segment's start.
    pub fn floor_position(&self, position: u64) -> IndexPosition {
        self.before(self.entries.partition_point(|e| self.at(e).position <= position))
    }

    /// Where to begin to look for the first batch whose `max_timestamp` is `timestamp` or later;
    /// `None` if the segment has no such batch.
    pub fn first_at_or_after_timestamp(&self, timestamp: i64) -> Option<IndexPosition> {
        if self.max_timestamp < timestamp {
            return None;
        }
        let passed = self.entries.partition_point(|e| e.max_timestamp_before.get() < timestamp);
        Some(self.before(passed))
    }

    /// The last batch known to begin at or before byte `position`, and the highest timestamp of the
    /// batches before it; `i64::MIN` if there are none.
    pub fn max_timestamp_before(&self, position: u64) -> (IndexPosition, i64) {
        let passed = self.entries.partition_point(|e| self.at(e).position <= position);
        let last = passed.checked_sub(1).and_then(|i| self.entries.get(i));
        (self.before(passed), last.map_or(i64::MIN, |e| e.max_timestamp_before.get()))
    }

    /// Highest timestamp of the segment's batches (an upper bound after a truncation), if it has any.
    pub fn max_timestamp(&self) -> Option<i64> {
        (self.max_timestamp != i64::MIN).then_some(self.max_timestamp)
    }

    /// Forgets batches at or behind byte `position`. If pages with such entries are on disk, cut
    /// or rewrite and sync them before the segment grows again.
    pub fn truncate_to(&mut self, position: u64) {
        let kept = self.entries.partition_point(|e| u64::from(e.position.get()) < position);
        if let Some(cut) = self.entries.get(kept) {
            self.max_timestamp = cut.max_timestamp_before.get();
            self.incarnation = self.incarnation.saturating_add(1);
        }
        if position == 0 {
            self.max_timestamp = i64::MIN;
        }
        self.entries.truncate(kept);
    }

    /// Goes on behind byte `position`; `max_timestamp` is the highest before it, or more.
    pub fn resume(&mut self, position: u64, max_timestamp: i64) {
        self.truncate_to(position);
        if position > 0 {
            self.max_timestamp = max_timestamp;
        }
    }

    /// The entries before byte `position`: what may go to disk while only the bytes before it are
    /// known to survive. An entry beyond could outlive its batch, and name a place where, after the
    /// crash, no batch begins; its page's checksum would be right all the same.
    pub fn prefix(&self, position: u64) -> SegmentIndex {
        let kept = self.entries.partition_point(|e| u64::from(e.position.get()) < position);
        SegmentIndex { entries: self.entries[..kept].to_vec(), ..*self }
    }

    /// The last entry, else the segment's start.
    pub fn last(&self) -> IndexPosition {
        self.before(self.entries.len())
    }

    /// Each entry's place, and the highest timestamp before it (an upper bound; `i64::MIN`: none).
    pub fn entries(&self) -> impl Iterator<Item = (IndexPosition, i64)> {
        self.entries.iter().map(|entry| (self.at(entry), entry.max_timestamp_before.get()))
    }

    /// Base offset of the segment.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Pages on disk that hold all entries, the last one perhaps in part.
    pub fn page_count(&self) -> usize {
        self.entries.len().div_ceil(ENTRIES_PER_PAGE)
    }

    /// Pages that will never change any more.
    pub fn full_pages(&self) -> usize {
        self.entries.len() / ENTRIES_PER_PAGE
    }

    /// Pages `pages` as bytes, 4 KiB each; they belong at byte `pages.start * 4096` of the file.
    /// Pages beyond [`SegmentIndex::page_count`] are left out.
    pub fn encode(&self, pages: Range<usize>) -> Vec<u8> {
        let mut out = Vec::new();
        for number in pages.start..pages.end.min(self.page_count()) {
            let first = number * ENTRIES_PER_PAGE;
            let end = self.entries.len().min(first + ENTRIES_PER_PAGE);
            let entries = &self.entries[first..end];
            pages::encode_page(&mut out, self.base_offset, number, self.incarnation, entries);
        }
        out
    }

    fn before(&self, entry_index: usize) -> IndexPosition {
        match entry_index.checked_sub(1).and_then(|i| self.entries.get(i)) {
            Some(entry) => self.at(entry),
            None => IndexPosition { offset: self.base_offset, position: 0 },
        }
    }

    fn at(&self, entry: &IndexEntry) -> IndexPosition {
        IndexPosition {
            offset: self.base_offset.saturating_add(i64::from(entry.relative_offset.get())),
            position: u64::from(entry.position.get()),
        }
    }
}
