//! What compaction has made of a log, as a part of its checkpoint.

use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::log::segment::SegmentName;

/// What compaction has made of a log. Changed by writing a checkpoint again, and so at once or not
/// at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// Everything below was compacted.
    pub first_dirty: i64,
    /// In offset order; all before the segment that the checkpoint ends in.
    pub segments: Vec<CompactedSegment>,
}

/// A segment that compaction has written. Only such segments have gaps in their offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompactedSegment {
    pub name: SegmentName,
    /// Where the next segment begins: what was appended in between and is not in this file is not
    /// a part of the log any more, whatever files are left.
    pub until: i64,
    /// Offset behind its last record.
    pub records_end: i64,
    pub bytes: u64,
    /// -1 if it has none.
    pub max_timestamp: i64,
    pub last_append_ms: i64,
}

/// Behind the producers since version 3: what compaction has made of the log.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct CompactedHeader {
    first_dirty: I64,
    segments: U32,
    reserved: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct CompactedEntry {
    base_offset: I64,
    until: I64,
    records_end: I64,
    bytes: U64,
    max_timestamp: I64,
    last_append_ms: I64,
    generation: U32,
    reserved: U32,
}

impl Compacted {
    /// The compacted segment that begins at `base`.
    pub(crate) fn segment(&self, base: i64) -> Option<&CompactedSegment> {
        self.segments.iter().find(|segment| segment.name.base_offset == base)
    }

    /// Whether its segments follow each other and lie before `end`, the segment that is appended to.
    pub(super) fn is_possible(&self, end: i64) -> bool {
        let mut behind = 0;
        self.segments.iter().all(|segment| {
            let CompactedSegment { name, until, records_end, .. } = *segment;
            let base = name.base_offset;
            let is_next = behind <= base && base < until && until <= end && name.generation > 0;
            behind = until;
            is_next && (base..=until).contains(&records_end)
        })
    }

    /// Whether a compacted segment stands for the one that was appended at `base`.
    pub(crate) fn has_replaced(&self, base: i64) -> bool {
        let before = self.segments.iter().rev().find(|s| s.name.base_offset <= base);
        before.is_some_and(|segment| base < segment.until)
    }

    pub(super) fn encoded_bytes(&self) -> usize {
        size_of::<CompactedHeader>() + self.segments.len() * size_of::<CompactedEntry>()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let header = CompactedHeader {
            first_dirty: self.first_dirty.into(),
            segments: (self.segments.len() as u32).into(),
            reserved: 0.into(),
        };
        out.extend_from_slice(header.as_bytes());
        for segment in &self.segments {
            let entry = CompactedEntry {
                base_offset: segment.name.base_offset.into(),
                until: segment.until.into(),
                records_end: segment.records_end.into(),
                bytes: segment.bytes.into(),
                max_timestamp: segment.max_timestamp.into(),
                last_append_ms: segment.last_append_ms.into(),
                generation: segment.name.generation.into(),
                reserved: 0.into(),
            };
            out.extend_from_slice(entry.as_bytes());
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = CompactedHeader::ref_from_prefix(bytes).ok()?;
        let count = header.segments.get() as usize;
        let (entries, _) = <[CompactedEntry]>::ref_from_prefix_with_elems(rest, count).ok()?;
        let segment = |entry: &CompactedEntry| CompactedSegment {
            name: SegmentName {
                base_offset: entry.base_offset.get(),
                generation: entry.generation.get(),
            },
            until: entry.until.get(),
            records_end: entry.records_end.get(),
            bytes: entry.bytes.get(),
            max_timestamp: entry.max_timestamp.get(),
            last_append_ms: entry.last_append_ms.get(),
        };
        let segments = entries.iter().map(segment).collect();
        Some(Compacted { first_dirty: header.first_dirty.get(), segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(
        base_offset: i64,
        generation: u32,
        until: i64,
        records_end: i64,
    ) -> CompactedSegment {
        let name = SegmentName { base_offset, generation };
        CompactedSegment { name, until, records_end, bytes: 1, max_timestamp: 2, last_append_ms: 3 }
    }

    #[test]
    fn what_no_broker_would_write_is_told() {
        let is_possible = |segments: &[CompactedSegment]| {
            Compacted { first_dirty: 0, segments: segments.to_vec() }.is_possible(100)
        };
        assert!(is_possible(&[]));
        assert!(is_possible(&[
            segment(3, 1, 50, 3),
            segment(50, 9, 60, 60),
            segment(80, 2, 100, 81)
        ]));
        for wrong in [
            segment(-1, 1, 50, 3),
            segment(3, 0, 50, 3),
            segment(3, 1, 3, 3),
            segment(3, 1, i64::MIN, 3),
            segment(3, 1, 101, 3),
            segment(3, 1, 50, 2),
            segment(3, 1, 50, 51),
        ] {
            assert!(!is_possible(&[wrong]), "{wrong:?}");
        }
        assert!(!is_possible(&[segment(3, 1, 50, 3), segment(49, 2, 60, 60)]), "they overlap");
    }
}
