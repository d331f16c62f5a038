//! Any bytes as a slot of the manifest.

use zerocopy::{FromBytes, IntoBytes};

use super::{BLOCK_BYTES, Decoded, FORMAT_VERSION, MAGIC, Slot, crc_of, decode, encode};

/// A slot: what is read from it is read again when it was written.
pub fn manifest(data: &[u8]) {
    check(data);
    let mut sealed = data.to_vec();
    sealed.resize(BLOCK_BYTES, 0);
    let (slot, rest) = Slot::mut_from_prefix(&mut sealed).expect("a block holds a slot");
    slot.magic = MAGIC;
    slot.crc.set(crc_of(slot, rest));
    check(&sealed);
    let (slot, rest) = Slot::mut_from_prefix(&mut sealed).expect("a block holds a slot");
    slot.format_version = FORMAT_VERSION.into();
    slot.crc.set(crc_of(slot, rest));
    check(sealed.as_bytes());
}

fn check(block: &[u8]) {
    let decoded = decode(block);
    if let Decoded::Good { sequence, fields } = decoded {
        assert_eq!(decode(encode(sequence, &fields).as_bytes()), decoded);
    }
}

/// A slot.
#[cfg(test)]
pub(crate) fn example() -> Vec<u8> {
    let fields = super::ManifestFields {
        cluster_id: [3; 16],
        start_epoch: 12,
        journal_floor: 11,
        next_producer_id: 4000,
        stopped_cleanly: true,
    };
    encode(5, &fields).as_bytes().to_vec()
}
