//! OffsetCommit (KIP-211, KIP-320, KIP-345, KIP-482, KIP-848).

use crate::codec::declare::message;
use crate::codec::{Str, Uuid};
use crate::error_code::ErrorCode;

message! {
    /// Offsets to remember.
    pub struct OffsetCommitRequest {
        /// The group.
        group_id: Str [0..];
        /// The generation that the member is in, or -1 outside a group.
        generation_id_or_member_epoch: i32 [1..] = -1;
        /// The member's id.
        member_id: Str [1..];
        /// The static member's name (`group.instance.id`), or null.
        group_instance_id: Option<Str> [7.., null 7..];
        /// Milliseconds for which the offsets are kept, or -1 for as long as the broker says.
        retention_time_ms: i64 [2..=4] = -1;
        /// The topics.
        topics: Vec<OffsetCommitRequestTopic> [0..];
    }

    /// One topic's offsets.
    pub struct OffsetCommitRequestTopic {
        /// Its name.
        name: Str [0..=9];
        /// Its id.
        topic_id: Uuid [10..];
        /// The partitions.
        partitions: Vec<OffsetCommitRequestPartition> [0..];
    }

    /// One partition's offset.
    pub struct OffsetCommitRequestPartition {
        /// The partition.
        partition_index: i32 [0..];
        /// The offset of the next record to read.
        committed_offset: i64 [0..];
        /// The leader epoch of the record before, or -1.
        committed_leader_epoch: i32 [6..] = -1;
        /// What the client wants kept with it.
        committed_metadata: Option<Str> [0.., null 0..] = Some(Str::EMPTY);
    }

    /// What became of them.
    pub struct OffsetCommitResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [3..];
        /// The topics.
        topics: Vec<OffsetCommitResponseTopic> [0..];
    }

    /// What became of one topic's.
    pub struct OffsetCommitResponseTopic {
        /// Its name.
        name: Str [0..=9];
        /// Its id.
        topic_id: Uuid [10..];
        /// The partitions.
        partitions: Vec<OffsetCommitResponsePartition> [0..];
    }

    /// What became of one partition's.
    pub struct OffsetCommitResponsePartition {
        /// The partition.
        partition_index: i32 [0..];
        /// Its error.
        error_code: ErrorCode [0..];
    }
}
