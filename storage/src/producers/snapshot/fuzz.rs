//! Any bytes as a snapshot of producer states.

use zerocopy::FromBytes;

use super::{Header, MAGIC, ProducerStates, crc_of};

/// A snapshot: what is read from it is read again when it was written.
pub fn producers(data: &[u8]) {
    check(data);
    let mut sealed = data.to_vec();
    let Ok((header, body)) = Header::mut_from_prefix(&mut sealed) else { return };
    header.magic = MAGIC;
    header.crc.set(crc_of(header.producer_count.get(), body));
    check(&sealed);
}

fn check(bytes: &[u8]) {
    let Ok(states) = ProducerStates::decode(bytes) else { return };
    let written = states.encode();
    let again = ProducerStates::decode(&written).expect("written here");
    assert_eq!(again.encode(), written);
}

/// Two producers with a batch each.
#[cfg(test)]
pub(crate) fn example_states() -> ProducerStates {
    use crate::batch::{BatchBuilder, BatchHeader};

    let mut states = ProducerStates::default();
    for (producer_id, base_offset) in [(4000, 0), (4001, 17)] {
        let batch = BatchBuilder::new().value(1 << 41, "x").producer(producer_id, 1, 0).build();
        let header = BatchHeader::read(&batch).unwrap();
        states.record(header, base_offset, 1 << 41);
    }
    states
}
