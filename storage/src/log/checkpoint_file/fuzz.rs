//! Any bytes as a checkpoint.

use std::path::Path;

use zerocopy::FromBytes;

use super::{CHECKSUM_FROM, Checkpoint, Header, MAGIC};
use crate::ids::{PartitionId, TopicId};

/// A slot: what is read from it is read again when it was written.
pub fn checkpoint(data: &[u8]) {
    check(data);
    let mut sealed = data.to_vec();
    let total_bytes = sealed.len() as u32;
    let Ok((header, _)) = Header::mut_from_prefix(&mut sealed) else { return };
    header.magic.set(MAGIC);
    header.total_bytes.set(total_bytes);
    let checksum = crc32fast::hash(&sealed[CHECKSUM_FROM..]);
    sealed[4..CHECKSUM_FROM].copy_from_slice(&checksum.to_le_bytes());
    check(&sealed);
}

fn check(slot: &[u8]) {
    let Ok((header, _)) = Header::ref_from_prefix(slot) else { return };
    let topic_id = TopicId(header.topic_id);
    let id = PartitionId { topic_id, index: header.partition.get() };
    let decode = |bytes: &[u8]| Checkpoint::decode(bytes, id, Path::new("checkpoint.a"), 1);
    let Ok(Some(checkpoint)) = decode(slot) else { return };
    let bytes = checkpoint.encode(id);
    let again = decode(&bytes).expect("written here").expect("whole");
    assert_eq!(again.encode(id), bytes);
}

/// A checkpoint with something of everything.
#[cfg(test)]
pub(crate) fn example() -> Vec<u8> {
    use super::{Compacted, CompactedSegment, SegmentTimes};
    use crate::log::segment::SegmentName;
    use crate::log::state::Mark;

    let checkpoint = Checkpoint {
        sequence: 7,
        log_start: 3,
        end: Mark { offset: 99, segment_base: 50, position: 8192 + 100 },
        times: SegmentTimes { opened_ms: 1 << 40, max_timestamp: 1 << 41 },
        remainder: vec![5; 100],
        epochs: vec![(1, 0), (4, 60)],
        producers: crate::producers::fuzz::example_states(),
        compacted: Compacted {
            first_dirty: 40,
            segments: vec![CompactedSegment {
                name: SegmentName { base_offset: 3, generation: 2 },
                until: 50,
                records_end: 47,
                bytes: 1234,
                max_timestamp: 1 << 41,
                last_append_ms: 1 << 40,
            }],
        },
    };
    checkpoint.encode(PartitionId { topic_id: TopicId([9; 16]), index: 2 })
}
