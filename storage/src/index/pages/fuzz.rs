//! Any bytes as an index file.

use zerocopy::FromBytes;

use super::{PageHeader, SegmentIndex, crc_of};
use crate::fuzzing::block_starts;
use crate::runtime::BLOCK_BYTES;

/// An index file: what is believed is in order, and the same when it is written again.
pub fn index(data: &[u8]) {
    let Some((base_offset, file)) = data.split_first_chunk() else { return };
    let base_offset = i64::from_be_bytes(*base_offset);
    check(file, base_offset);
    let mut sealed = file.to_vec();
    seal(&mut sealed);
    check(&sealed, base_offset);
}

fn check(file: &[u8], base_offset: i64) {
    let decoded = SegmentIndex::decode(file, base_offset);
    let index = &decoded.index;
    assert_eq!(decoded.rescan_from, index.last().position);
    assert!(index.page_count() <= file.len() / BLOCK_BYTES);
    // Of no entries there is no page to say in which incarnation.
    if !index.is_empty() {
        let again = SegmentIndex::decode(&index.encode(0..index.page_count()), base_offset);
        assert_eq!((&again.index, again.doubt), (index, None));
    }
    let middle = index.last().position / 2;
    assert!(index.floor_position(middle).position <= middle);
    assert!(index.floor_offset(base_offset).offset <= base_offset);
    let _ = index.first_at_or_after_timestamp(0);
}

/// Makes the checksums of whole pages right.
fn seal(file: &mut [u8]) {
    for start in block_starts(file) {
        let Some(page) = file.get_mut(start..start + BLOCK_BYTES) else { return };
        let Ok((header, body)) = PageHeader::mut_from_prefix(page) else { return };
        header.crc.set(crc_of(header, body));
    }
}

/// An index of two pages, the base offset before it.
#[cfg(test)]
pub(crate) fn example() -> Vec<u8> {
    let mut index = SegmentIndex::new(1000);
    for n in 1..400 {
        index.maybe_push(1000 + n, n as u64 * (64 << 10), 1 << 41 | n);
    }
    [&1000i64.to_be_bytes()[..], &index.encode(0..index.page_count())].concat()
}
