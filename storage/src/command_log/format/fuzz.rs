//! Command log records of any bytes, for the fuzz function of the whole log.

use zerocopy::{FromBytes, IntoBytes};

use super::{HEADER_MAGIC, Header, PAYLOAD_BYTES_MAX, RECORD_MAGIC, RecordHeader, crc_of};
use crate::fuzzing::block_starts;
use crate::runtime::BLOCK_BYTES;

/// Makes lengths and checksums right of what begins like a header or a record.
pub(crate) fn seal(bytes: &mut [u8]) {
    for start in block_starts(bytes) {
        let rest = &mut bytes[start..];
        match rest.get(..4) {
            Some(magic) if magic == HEADER_MAGIC => seal_header(rest),
            Some(magic) if magic == RECORD_MAGIC => seal_record(rest),
            _ => None,
        };
    }
}

fn seal_header(rest: &mut [u8]) -> Option<()> {
    let (header, rest) = Header::mut_from_prefix(rest.get_mut(..BLOCK_BYTES)?).ok()?;
    header.crc.set(0);
    header.crc.set(crc_of(&[header.as_bytes(), rest]));
    Some(())
}

fn seal_record(rest: &mut [u8]) -> Option<()> {
    let (header, rest) = RecordHeader::mut_from_prefix(rest).ok()?;
    let payload_bytes =
        (header.payload_bytes.get() as usize).min(rest.len()).min(PAYLOAD_BYTES_MAX);
    header.payload_bytes.set(payload_bytes as u32);
    header.crc.set(0);
    header.crc.set(crc_of(&[header.as_bytes(), &rest[..payload_bytes]]));
    Some(())
}
