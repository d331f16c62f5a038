//! The journal's bytes: entries of whole blocks, each holding fragments of partitions' logs.
//!
//! An entry is written by one direct write and is one group commit: a header, then each fragment's
//! header and bytes, then zeros up to the block boundary. Its checksum covers all of it.

use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::buffer::AlignedBuf;
use crate::ids::{PartitionId, TopicId};
use crate::runtime::BLOCK_BYTES;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

const MAGIC: u32 = u32::from_le_bytes(*b"CLJ1");

/// Version of this layout; a journal with a newer one is refused.
pub const JOURNAL_VERSION: u32 = 1;

/// Bytes of fragments (with headers) at which an entry is full. A single larger fragment never
/// occurs: runs of this size go straight into the segment.
pub(crate) const ENTRY_BYTES_MAX: usize = 1 << 20;

/// One life of one journal file. Files are reused without being erased, so what a file holds
/// counts only if it carries the incarnation of the file's first entry, and no incarnation of a
/// start before the manifest's journal floor counts at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Incarnation {
    /// The start (leader epoch) in which this life began.
    pub start_epoch: u32,
    /// Distinguishes the lives begun in one start, over all shards.
    pub life: u32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct EntryHeader {
    magic: U32,
    /// CRC-32 (crc32fast) of everything behind this field up to `entry_bytes`.
    checksum: U32,
    version: U32,
    entry_bytes: U32,
    start_epoch: U32,
    life: U32,
    shard: U32,
    fragments: U32,
    sequence: U64,
    flushed_sequence: U64,
    released_sequence: U64,
}

const ENTRY_HEADER_BYTES: usize = size_of::<EntryHeader>();
const CHECKSUM_FROM: usize = 8;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FragmentHeader {
    topic_id: [u8; 16],
    segment_base: I64,
    position: U64,
    partition: U32,
    length: U32,
}

const FRAGMENT_HEADER_BYTES: usize = size_of::<FragmentHeader>();

/// No file reaches further, with room for what is rounded up to blocks behind it.
const POSITION_MAX: u64 = i64::MAX as u64 - ENTRY_BYTES_MAX as u64;

/// How far its shard's journal was when an entry was sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntryNumbers {
    pub shard: u32,
    /// Counts the entries of the shard since its start, from 1.
    pub sequence: u64,
    /// Highest sequence that an fdatasync covered.
    pub flushed: u64,
    /// Highest sequence in files that were given back: dead, though perhaps still readable.
    pub released: u64,
}

/// Where a fragment's bytes belong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FragmentPlace {
    pub partition: PartitionId,
    /// Base offset of the segment.
    pub segment_base: i64,
    /// Byte position in that segment.
    pub position: u64,
}

/// An entry being assembled. It takes memory for the largest entry with its first fragment: what is
/// not filled is not touched, and growing would copy.
pub(crate) struct EntryBuilder {
    buf: Option<AlignedBuf>,
    fragments: u32,
}

impl EntryBuilder {
    /// An empty one, without memory.
    pub(crate) fn new() -> Self {
        EntryBuilder { buf: None, fragments: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fragments == 0
    }

    /// Room for a fragment of `length` bytes is left without growing over [`ENTRY_BYTES_MAX`].
    pub(crate) fn fits(&self, length: usize) -> bool {
        self.is_empty() || self.filled() + FRAGMENT_HEADER_BYTES + length <= ENTRY_BYTES_MAX
    }

    fn filled(&self) -> usize {
        self.buf.as_ref().map_or(0, AlignedBuf::filled)
    }

    /// Whole blocks it takes so far.
    pub(crate) fn block_bytes(&self) -> usize {
        self.filled().next_multiple_of(BLOCK_BYTES)
    }

    /// Copies a fragment, given as neighbouring pieces.
    pub(crate) fn push<'a>(
        &mut self,
        place: FragmentPlace,
        length: usize,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) {
        let buf = self.buf.get_or_insert_with(empty_entry);
        assert!(
            buf.remaining() >= FRAGMENT_HEADER_BYTES + length,
            "a run of {length} bytes goes straight into its segment"
        );
        let header = FragmentHeader {
            topic_id: place.partition.topic_id.0,
            segment_base: place.segment_base.into(),
            position: place.position.into(),
            partition: place.partition.index.into(),
            length: (length as u32).into(),
        };
        buf.put(header.as_bytes());
        let before = buf.filled();
        pieces.for_each(|piece| {
            buf.put(piece);
        });
        assert_eq!(buf.filled() - before, length, "a fragment's pieces are its length");
        self.fragments += 1;
    }

    /// Seals the entry: its whole blocks, ready to be written.
    pub(crate) fn finish(self, incarnation: Incarnation, numbers: EntryNumbers) -> AlignedBuf {
        let mut buf = self.buf.unwrap_or_else(empty_entry);
        let mut header = EntryHeader {
            magic: MAGIC.into(),
            checksum: 0.into(),
            version: JOURNAL_VERSION.into(),
            entry_bytes: (buf.filled() as u32).into(),
            start_epoch: incarnation.start_epoch.into(),
            life: incarnation.life.into(),
            shard: numbers.shard.into(),
            fragments: self.fragments.into(),
            sequence: numbers.sequence.into(),
            flushed_sequence: numbers.flushed.into(),
            released_sequence: numbers.released.into(),
        };
        let filled = buf.filled();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&header.as_bytes()[CHECKSUM_FROM..]);
        hasher.update(&buf.as_bytes()[ENTRY_HEADER_BYTES..]);
        header.checksum = hasher.finalize().into();
        let bytes = buf.unshared_mut().expect("an entry is shared only once it is finished");
        bytes[..ENTRY_HEADER_BYTES].copy_from_slice(header.as_bytes());
        debug_assert_eq!(buf.filled(), filled);
        buf.pad_to_block();
        buf
    }
}

fn empty_entry() -> AlignedBuf {
    let mut buf = AlignedBuf::with_capacity(ENTRY_BYTES_MAX);
    buf.put(&[0; ENTRY_HEADER_BYTES]);
    buf
}

/// A whole entry read back.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub incarnation: Incarnation,
    pub numbers: EntryNumbers,
    /// Whole blocks it takes.
    pub block_bytes: usize,
    body: &'a [u8],
    fragments: u32,
}

/// What stands at a block boundary of a journal.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    Entry(Entry<'a>),
    /// An entry begins here, but more than the given bytes are needed to judge it.
    NeedBytes(usize),
    /// A header of a version that this build does not know.
    NewerVersion(u32),
    /// No valid entry.
    Nothing,
}

/// Judges the bytes at a block boundary; `bytes` reaches as far as was read.
pub(crate) fn parse_entry(bytes: &[u8]) -> Parsed<'_> {
    let Ok((header, _)) = EntryHeader::ref_from_prefix(bytes) else {
        return Parsed::NeedBytes(BLOCK_BYTES);
    };
    if header.magic.get() != MAGIC {
        return Parsed::Nothing;
    }
    if header.version.get() > JOURNAL_VERSION {
        return Parsed::NewerVersion(header.version.get());
    }
    let entry_bytes = header.entry_bytes.get() as usize;
    let limit = ENTRY_BYTES_MAX + BLOCK_BYTES;
    if entry_bytes < ENTRY_HEADER_BYTES || entry_bytes > limit {
        return Parsed::Nothing;
    }
    let block_bytes = entry_bytes.next_multiple_of(BLOCK_BYTES);
    let Some(entry) = bytes.get(..entry_bytes) else {
        return Parsed::NeedBytes(block_bytes);
    };
    if crc32fast::hash(&entry[CHECKSUM_FROM..]) != header.checksum.get() {
        return Parsed::Nothing;
    }
    let entry = Entry {
        incarnation: Incarnation { start_epoch: header.start_epoch.get(), life: header.life.get() },
        numbers: EntryNumbers {
            shard: header.shard.get(),
            sequence: header.sequence.get(),
            flushed: header.flushed_sequence.get(),
            released: header.released_sequence.get(),
        },
        block_bytes,
        body: &entry[ENTRY_HEADER_BYTES..],
        fragments: header.fragments.get(),
    };
    // A length that does not fit, or an impossible place: anybody can make a checksum that does.
    match entry.fragments().count() == header.fragments.get() as usize {
        true => Parsed::Entry(entry),
        false => Parsed::Nothing,
    }
}

/// Which entry the bytes at a block boundary claim to be, if they begin as one, whole or not.
pub(crate) fn claimed_entry(bytes: &[u8]) -> Option<(Incarnation, u64)> {
    let (header, _) = EntryHeader::ref_from_prefix(bytes).ok()?;
    (header.magic.get() == MAGIC).then(|| {
        let (start_epoch, life) = (header.start_epoch.get(), header.life.get());
        (Incarnation { start_epoch, life }, header.sequence.get())
    })
}

/// Offsets and file positions are not negative as signed numbers; so a fragment's end never overflows.
fn is_possible(segment_base: i64, position: u64) -> bool {
    segment_base >= 0 && position <= POSITION_MAX
}

impl<'a> Entry<'a> {
    /// Its fragments: place, start in the entry (from its first byte) and bytes.
    pub(crate) fn fragments(&self) -> impl Iterator<Item = (FragmentPlace, usize, &'a [u8])> {
        let body = self.body;
        let mut at = 0;
        (0..self.fragments).map_while(move |_| {
            let (header, rest) = FragmentHeader::ref_from_prefix(body.get(at..)?).ok()?;
            let length = header.length.get() as usize;
            let bytes = rest.get(..length)?;
            let from = ENTRY_HEADER_BYTES + at + FRAGMENT_HEADER_BYTES;
            at += FRAGMENT_HEADER_BYTES + length;
            let partition =
                PartitionId { topic_id: TopicId(header.topic_id), index: header.partition.get() };
            let (segment_base, position) = (header.segment_base.get(), header.position.get());
            let place = FragmentPlace { partition, segment_base, position };
            is_possible(segment_base, position).then_some((place, from, bytes))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: EntryNumbers = EntryNumbers { shard: 1, sequence: 9, flushed: 8, released: 2 };

    fn place(n: u64) -> FragmentPlace {
        let partition = PartitionId { topic_id: TopicId([n as u8; 16]), index: n as u32 };
        FragmentPlace { partition, segment_base: n as i64 * 10, position: n * 100 }
    }

    fn entry() -> AlignedBuf {
        let mut builder = EntryBuilder::new();
        builder.push(place(1), 5, [&b"he"[..], b"llo"].into_iter());
        builder.push(place(2), 5000, [&[7u8; 5000][..]].into_iter());
        builder.push(place(3), 0, std::iter::empty());
        builder.finish(Incarnation { start_epoch: 3, life: 4 }, NUMBERS)
    }

    #[test]
    fn an_entry_with_an_impossible_place_is_none() {
        for (segment_base, position, is_there) in [
            (0, POSITION_MAX, true),
            (i64::MAX, 0, true),
            (0, POSITION_MAX + 1, false),
            (0, u64::MAX, false),
            (-1, 0, false),
        ] {
            let mut builder = EntryBuilder::new();
            let crafted = FragmentPlace { segment_base, position, ..place(1) };
            builder.push(crafted, 5, std::iter::once(&b"hello"[..]));
            builder.push(place(2), 5, std::iter::once(&b"hello"[..]));
            let bytes = builder.finish(Incarnation { start_epoch: 3, life: 4 }, NUMBERS);
            let parsed = parse_entry(bytes.as_bytes());
            assert_eq!(matches!(parsed, Parsed::Entry(_)), is_there, "{segment_base} {position}");
        }
    }

    #[test]
    fn fragments_come_back_as_they_went() {
        let bytes = entry();
        let Parsed::Entry(entry) = parse_entry(bytes.as_bytes()) else { panic!("no entry") };
        assert_eq!(entry.incarnation, Incarnation { start_epoch: 3, life: 4 });
        assert_eq!(entry.numbers, NUMBERS);
        assert_eq!(entry.block_bytes, bytes.filled());
        let read: Vec<_> = entry.fragments().map(|(p, _, b)| (p, b.to_vec())).collect();
        let wrote = [(place(1), b"hello".to_vec()), (place(2), vec![7; 5000]), (place(3), vec![])];
        assert_eq!(read, wrote);
        for (_, from, fragment) in entry.fragments() {
            assert_eq!(&bytes.as_bytes()[from..from + fragment.len()], fragment);
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let whole = entry();
        let length = ENTRY_HEADER_BYTES + 3 * FRAGMENT_HEADER_BYTES + 5005;
        for at in 0..length {
            let mut bytes = whole.as_bytes().to_vec();
            bytes[at] ^= 0x10;
            assert!(!matches!(parse_entry(&bytes), Parsed::Entry(_)), "byte {at}");
        }
    }

    #[test]
    fn a_short_read_asks_for_the_rest() {
        let whole = entry();
        assert!(matches!(parse_entry(&whole.as_bytes()[..10]), Parsed::NeedBytes(BLOCK_BYTES)));
        assert!(matches!(parse_entry(&whole.as_bytes()[..4096]), Parsed::NeedBytes(8192)));
    }
}
