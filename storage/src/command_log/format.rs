//! The bytes of a command log.
//!
//! Block 0 is the header: {magic, version, generation, number of records that the generation began
//! with, crc32 of the block with this field zero}. From block 1 on records, each in whole blocks:
//! {magic, version, generation, sequence, payload length, crc32 of header and payload}, payload,
//! zeros. Little-endian; sequences begin at 0 in each generation.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{COMMAND_LOG_VERSION, PAYLOAD_BYTES_MAX};
use crate::runtime::BLOCK_BYTES;

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;

const HEADER_MAGIC: [u8; 4] = *b"CLCL";
const RECORD_MAGIC: [u8; 4] = *b"CLCR";

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 4],
    version: U16,
    reserved: U16,
    crc: U32,
    reserved_2: U32,
    generation: U64,
    initial_records: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RecordHeader {
    magic: [u8; 4],
    version: U16,
    reserved: U16,
    crc: U32,
    payload_bytes: U32,
    generation: U64,
    sequence: U64,
}

/// What a header block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecodedHeader {
    /// The generation is complete; it began with so many records.
    Valid { initial_records: u64 },
    /// Undamaged, of a version that this release does not know.
    OtherVersion(u16),
    /// Not written, torn or altered.
    Invalid,
}

pub(super) fn header(generation: u64, initial_records: u64) -> Vec<u8> {
    let mut header = Header {
        magic: HEADER_MAGIC,
        version: COMMAND_LOG_VERSION.into(),
        reserved: 0.into(),
        crc: 0.into(),
        reserved_2: 0.into(),
        generation: generation.into(),
        initial_records: initial_records.into(),
    };
    header.crc.set(crc_of(&[header.as_bytes(), &[0; BLOCK_BYTES - size_of::<Header>()]]));
    let mut block = header.as_bytes().to_vec();
    block.resize(BLOCK_BYTES, 0);
    block
}

pub(super) fn decode_header(bytes: &[u8], generation: u64) -> DecodedHeader {
    let Some(block) = bytes.get(..BLOCK_BYTES) else { return DecodedHeader::Invalid };
    let Ok((header, rest)) = Header::ref_from_prefix(block) else {
        return DecodedHeader::Invalid;
    };
    let unsealed = Header { crc: 0.into(), ..*header };
    if header.magic != HEADER_MAGIC || header.crc.get() != crc_of(&[unsealed.as_bytes(), rest]) {
        return DecodedHeader::Invalid;
    }
    if header.version.get() != COMMAND_LOG_VERSION {
        return DecodedHeader::OtherVersion(header.version.get());
    }
    if header.generation.get() != generation {
        return DecodedHeader::Invalid;
    }
    DecodedHeader::Valid { initial_records: header.initial_records.get() }
}

/// Appends one record, padded to whole blocks.
pub(super) fn put_record(out: &mut Vec<u8>, generation: u64, sequence: u64, payload: &[u8]) {
    let mut header = RecordHeader {
        magic: RECORD_MAGIC,
        version: COMMAND_LOG_VERSION.into(),
        reserved: 0.into(),
        crc: 0.into(),
        payload_bytes: (payload.len() as u32).into(),
        generation: generation.into(),
        sequence: sequence.into(),
    };
    header.crc.set(crc_of(&[header.as_bytes(), payload]));
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(BLOCK_BYTES), 0);
}

/// A good record at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) sequence: u64,
    pub(super) payload: &'a [u8],
    /// Bytes it takes, in whole blocks.
    pub(super) total_bytes: usize,
}

/// The record at the front of `bytes`, if there is a good one of `generation`.
pub(super) fn decode_record(bytes: &[u8], generation: u64) -> Option<Record<'_>> {
    let (header, rest) = RecordHeader::ref_from_prefix(bytes).ok()?;
    let payload_bytes = header.payload_bytes.get() as usize;
    if header.magic != RECORD_MAGIC
        || header.version.get() != COMMAND_LOG_VERSION
        || header.generation.get() != generation
        || payload_bytes > PAYLOAD_BYTES_MAX
    {
        return None;
    }
    let payload = rest.get(..payload_bytes)?;
    let unsealed = RecordHeader { crc: 0.into(), ..*header };
    if header.crc.get() != crc_of(&[unsealed.as_bytes(), payload]) {
        return None;
    }
    let total_bytes = (size_of::<RecordHeader>() + payload_bytes).next_multiple_of(BLOCK_BYTES);
    // The padding is the caller's to check no further: a torn one damages nothing.
    Some(Record { sequence: header.sequence.get(), payload, total_bytes })
}

fn crc_of(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}
