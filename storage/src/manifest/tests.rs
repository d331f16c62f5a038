use super::slot::{Decoded, decode, encode};
use super::*;

fn fields() -> ManifestFields {
    ManifestFields {
        cluster_id: *b"0123456789abcdef",
        start_epoch: 7,
        journal_floor: 5,
        next_producer_id: 3_000,
        stopped_cleanly: true,
    }
}

#[test]
fn a_slot_gives_back_what_went_in_and_any_change_shows() {
    let block = encode(9, &fields());
    let bytes = block.as_bytes();
    assert_eq!(decode(bytes), Decoded::Good { sequence: 9, fields: fields() });
    for at in 0..BLOCK_BYTES {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 4;
        assert_eq!(decode(&flipped), Decoded::Damaged, "byte {at}");
    }
    for end in [0, 1, 60, 4095] {
        assert_eq!(decode(&bytes[..end]), Decoded::Damaged);
    }
}
