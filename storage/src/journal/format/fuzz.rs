//! Journal entries of any bytes, for the scan's fuzz function.

use zerocopy::FromBytes;

use super::{CHECKSUM_FROM, ENTRY_BYTES_MAX, ENTRY_HEADER_BYTES, EntryHeader, MAGIC};
use crate::fuzzing::block_starts;
use crate::runtime::BLOCK_BYTES;

/// Makes lengths and checksums right of what begins like an entry.
pub(crate) fn seal_entries(bytes: &mut [u8]) {
    for start in block_starts(bytes) {
        let rest = &mut bytes[start..];
        let most = rest.len().min(ENTRY_BYTES_MAX + BLOCK_BYTES);
        let Ok((header, _)) = EntryHeader::mut_from_prefix(rest) else { return };
        if header.magic.get() != MAGIC {
            continue;
        }
        let entry_bytes = (header.entry_bytes.get() as usize).clamp(ENTRY_HEADER_BYTES, most);
        header.entry_bytes.set(entry_bytes as u32);
        let checksum = crc32fast::hash(&rest[CHECKSUM_FROM..entry_bytes]);
        rest[4..CHECKSUM_FROM].copy_from_slice(&checksum.to_le_bytes());
    }
}
