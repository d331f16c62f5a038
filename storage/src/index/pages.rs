//! The index on disk.
//!
//! A page, little-endian: header {magic, version, entry count, segment's base offset, page number,
//! incarnation, crc32 of the whole page with this field zero}, then 16 bytes per entry, then zeros.

use zerocopy::byteorder::little_endian::{I64, U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{IndexEntry, SegmentIndex};
use crate::runtime::BLOCK_BYTES;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

const MAGIC: [u8; 4] = *b"CLIX";
const VERSION: u16 = 1;

/// Entries that fit a page.
pub const ENTRIES_PER_PAGE: usize =
    (BLOCK_BYTES - size_of::<PageHeader>()) / size_of::<IndexEntry>();

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct PageHeader {
    magic: [u8; 4],
    version: U16,
    entry_count: U16,
    base_offset: I64,
    page_number: U32,
    incarnation: U32,
    reserved: U32,
    crc: U32,
}

/// What an index file yields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodedIndex {
    /// Every entry of the pages that are beyond doubt.
    pub index: SegmentIndex,
    /// Batches from this byte of the segment on are to be noted again ([`SegmentIndex::maybe_push`]):
    /// the last good entry's, or 0.
    pub rescan_from: u64,
    /// Why reading stopped before the end of the file, if it did.
    pub doubt: Option<&'static str>,
}

pub(super) fn encode_page(
    out: &mut Vec<u8>,
    base_offset: i64,
    number: usize,
    incarnation: u32,
    entries: &[IndexEntry],
) {
    let start = out.len();
    let mut header = PageHeader {
        magic: MAGIC,
        version: VERSION.into(),
        entry_count: (entries.len() as u16).into(),
        base_offset: base_offset.into(),
        page_number: (number as u32).into(),
        incarnation: incarnation.into(),
        reserved: 0.into(),
        crc: 0.into(),
    };
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(entries.as_bytes());
    out.resize(start + BLOCK_BYTES, 0);
    header.crc.set(crc32fast::hash(&out[start..]));
    out[start..start + size_of::<PageHeader>()].copy_from_slice(header.as_bytes());
}

impl SegmentIndex {
    /// Reads an index file of the segment that begins at `base_offset`, up to the first page in
    /// doubt: damaged, of another segment, older than its predecessor, of another version. Never
    /// fails: at worst everything is to be scanned again.
    pub fn decode(bytes: &[u8], base_offset: i64) -> DecodedIndex {
        let mut index = SegmentIndex::new(base_offset);
        let mut doubt = None;
        for (number, page) in bytes.chunks(BLOCK_BYTES).enumerate() {
            if !index.entries.len().is_multiple_of(ENTRIES_PER_PAGE) {
                doubt = Some("pages behind one that is not full");
                break;
            }
            if let Err(reason) = decode_page(&mut index, number, page) {
                doubt = Some(reason);
                break;
            }
        }
        if let Some(last) = index.entries.last() {
            index.max_timestamp = last.max_timestamp_before.get();
        }
        DecodedIndex { rescan_from: index.last().position, index, doubt }
    }
}

fn decode_page(index: &mut SegmentIndex, number: usize, page: &[u8]) -> Result<(), &'static str> {
    if page.len() != BLOCK_BYTES {
        return Err("file ends inside a page");
    }
    let (header, body) = PageHeader::ref_from_prefix(page).map_err(|_| "short page")?;
    if header.magic != MAGIC {
        return Err("no page of an index");
    }
    if header.version.get() != VERSION {
        return Err("another version");
    }
    if crc_of(header, body) != header.crc.get() {
        return Err("checksum differs");
    }
    if header.base_offset.get() != index.base_offset || header.page_number.get() as usize != number
    {
        return Err("page of another segment or place");
    }
    if header.incarnation.get() < index.incarnation {
        return Err("page older than the one before it");
    }
    let count = usize::from(header.entry_count.get());
    let (entries, _) = <[IndexEntry]>::ref_from_prefix_with_elems(body, count)
        .map_err(|_| "more entries than a page holds")?;
    let neighbours = index.entries.last().into_iter().chain(entries);
    if !neighbours.clone().zip(neighbours.skip(1)).all(|(a, b)| follows(a, b)) {
        return Err("entries out of order");
    }
    index.entries.extend_from_slice(entries);
    index.incarnation = header.incarnation.get();
    Ok(())
}

fn crc_of(header: &PageHeader, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(PageHeader { crc: 0.into(), ..*header }.as_bytes());
    hasher.update(body);
    hasher.finalize()
}

fn follows(a: &IndexEntry, b: &IndexEntry) -> bool {
    a.relative_offset.get() < b.relative_offset.get()
        && a.position.get() < b.position.get()
        && a.max_timestamp_before.get() <= b.max_timestamp_before.get()
}
