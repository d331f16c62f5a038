//! OffsetFetch (KIP-88, KIP-320, KIP-447, KIP-482, KIP-709, KIP-848).

use crate::codec::declare::message;
use crate::codec::{Str, Uuid};
use crate::error_code::ErrorCode;

message! {
    /// Asks for the offsets that were committed.
    pub struct OffsetFetchRequest {
        /// The group.
        group_id: Str [0..=7];
        /// The topics.
        topics: Option<Vec<OffsetFetchRequestTopic>> [0..=7, null 2..=7] = Some(Vec::new());
        /// The groups.
        groups: Vec<OffsetFetchRequestGroup> [8..];
        /// Whether offsets that a transaction may still change are told as unstable.
        require_stable: bool [7..];
    }

    /// A topic asked about.
    pub struct OffsetFetchRequestTopic {
        /// Its name.
        name: Str [0..=7];
        /// The partitions.
        partition_indexes: Vec<i32> [0..=7];
    }

    /// A group asked about.
    pub struct OffsetFetchRequestGroup {
        /// The group.
        group_id: Str [8..];
        /// The member's id.
        member_id: Option<Str> [9.., null 9..];
        /// The member's epoch (KIP-848), or -1.
        member_epoch: i32 [9..] = -1;
        /// The topics.
        topics: Option<Vec<OffsetFetchRequestTopics>> [8.., null 8..] = Some(Vec::new());
    }

    /// A topic asked about.
    pub struct OffsetFetchRequestTopics {
        /// Its name.
        name: Str [8..=9];
        /// Its id.
        topic_id: Uuid [10..];
        /// The partitions.
        partition_indexes: Vec<i32> [8..];
    }

    /// The offsets.
    pub struct OffsetFetchResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [3..];
        /// The topics.
        topics: Vec<OffsetFetchResponseTopic> [0..=7];
        /// Its error.
        error_code: ErrorCode [2..=7];
        /// The groups.
        groups: Vec<OffsetFetchResponseGroup> [8..];
    }

    /// A topic's offsets.
    pub struct OffsetFetchResponseTopic {
        /// Its name.
        name: Str [0..=7];
        /// The partitions.
        partitions: Vec<OffsetFetchResponsePartition> [0..=7];
    }

    /// A partition's offset.
    pub struct OffsetFetchResponsePartition {
        /// The partition.
        partition_index: i32 [0..=7];
        /// The offset of the next record to read.
        committed_offset: i64 [0..=7];
        /// The leader epoch of the record before, or -1.
        committed_leader_epoch: i32 [5..=7] = -1;
        /// What the client has kept with it.
        metadata: Option<Str> [0..=7, null 0..=7] = Some(Str::EMPTY);
        /// Its error.
        error_code: ErrorCode [0..=7];
    }

    /// A group's offsets.
    pub struct OffsetFetchResponseGroup {
        /// The group.
        group_id: Str [8..];
        /// The topics.
        topics: Vec<OffsetFetchResponseTopics> [8..];
        /// Its error.
        error_code: ErrorCode [8..];
    }

    /// A topic's offsets.
    pub struct OffsetFetchResponseTopics {
        /// Its name.
        name: Str [8..=9];
        /// Its id.
        topic_id: Uuid [10..];
        /// The partitions.
        partitions: Vec<OffsetFetchResponsePartitions> [8..];
    }

    /// A partition's offset.
    pub struct OffsetFetchResponsePartitions {
        /// The partition.
        partition_index: i32 [8..];
        /// The offset of the next record to read.
        committed_offset: i64 [8..];
        /// The leader epoch of the record before, or -1.
        committed_leader_epoch: i32 [8..] = -1;
        /// What the client has kept with it.
        metadata: Option<Str> [8.., null 8..] = Some(Str::EMPTY);
        /// Its error.
        error_code: ErrorCode [8..];
    }
}
