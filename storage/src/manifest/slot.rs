//! One slot of the manifest as bytes: 4 KiB, little-endian, checksum over the whole slot.

use zerocopy::byteorder::little_endian::{I32, I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{FORMAT_VERSION, ManifestFields};
use crate::buffer::AlignedBuf;
use crate::runtime::BLOCK_BYTES;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

const MAGIC: [u8; 8] = *b"CORELANE";

/// Magic, version and checksum stay where they are in every later version.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Slot {
    magic: [u8; 8],
    /// crc32 of all 4,096 bytes with this field zero.
    crc: U32,
    format_version: U16,
    stopped_cleanly: u8,
    reserved: u8,
    sequence: U64,
    cluster_id: [u8; 16],
    journal_floor: U64,
    next_producer_id: I64,
    start_epoch: I32,
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// A slot of this version.
    Good { sequence: u64, fields: ManifestFields },
    /// An undamaged slot of a version that this release does not know.
    OtherVersion(u16),
    /// Never written, torn or altered.
    Damaged,
}

pub(super) fn encode(sequence: u64, fields: &ManifestFields) -> AlignedBuf {
    let mut slot = Slot {
        magic: MAGIC,
        crc: 0.into(),
        format_version: FORMAT_VERSION.into(),
        stopped_cleanly: fields.stopped_cleanly.into(),
        reserved: 0,
        sequence: sequence.into(),
        cluster_id: fields.cluster_id,
        journal_floor: fields.journal_floor.into(),
        next_producer_id: fields.next_producer_id.into(),
        start_epoch: fields.start_epoch.into(),
    };
    slot.crc.set(crc_of(&slot, &[0; BLOCK_BYTES - size_of::<Slot>()]));
    let mut block = AlignedBuf::with_capacity(BLOCK_BYTES);
    block.put(slot.as_bytes());
    block.pad_to_block();
    block
}

pub(super) fn decode(block: &[u8]) -> Decoded {
    let Ok((slot, rest)) = Slot::ref_from_prefix(block) else { return Decoded::Damaged };
    if block.len() != BLOCK_BYTES || slot.magic != MAGIC || slot.crc.get() != crc_of(slot, rest) {
        return Decoded::Damaged;
    }
    let version = slot.format_version.get();
    if version != FORMAT_VERSION {
        return Decoded::OtherVersion(version);
    }
    if slot.sequence.get() > i64::MAX as u64 {
        return Decoded::Damaged; // could not be raised for ever
    }
    let fields = ManifestFields {
        cluster_id: slot.cluster_id,
        start_epoch: slot.start_epoch.get(),
        journal_floor: slot.journal_floor.get(),
        next_producer_id: slot.next_producer_id.get(),
        stopped_cleanly: slot.stopped_cleanly != 0,
    };
    Decoded::Good { sequence: slot.sequence.get(), fields }
}

fn crc_of(slot: &Slot, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(Slot { crc: 0.into(), ..*slot }.as_bytes());
    hasher.update(rest);
    hasher.finalize()
}
