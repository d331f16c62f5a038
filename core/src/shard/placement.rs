//! Which shard owns a partition. Local to one start: nothing on disk depends on it.

use corelane_storage::ids::{PartitionId, TopicId};

/// The shard of `partition` among `shards`: the topic's hash spreads topics, the index spreads the
/// partitions of one topic evenly.
pub fn shard_of(partition: PartitionId, shards: usize) -> usize {
    let shards = shards.max(1) as u64;
    let first = hash(partition.topic_id) % shards;
    ((first + u64::from(partition.index)) % shards) as usize
}

/// FNV-1a (64 bits) with a final mix: topic ids are random already, but tests and tools may not be.
fn hash(topic: TopicId) -> u64 {
    let fnv = topic.0.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    fnv ^ (fnv >> 32)
}
