//! OffsetForLeaderEpoch (KIP-101, KIP-279, KIP-320).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

/// `replica_id` of a client too old to say what it is, whose rights are checked as a follower's.
pub const DEBUGGING_REPLICA_ID: i32 = -2;

message! {
    /// Asks where leader epochs end.
    pub struct OffsetForLeaderEpochRequest {
        /// The follower, or -1 for a consumer.
        replica_id: i32 [3..] = DEBUGGING_REPLICA_ID;
        /// The topics.
        topics: Vec<OffsetForLeaderTopic> [0..];
    }

    /// A topic asked about.
    pub struct OffsetForLeaderTopic {
        /// The topic's name.
        topic: Str [0..];
        /// The partitions.
        partitions: Vec<OffsetForLeaderPartition> [0..];
    }

    /// A partition asked about.
    pub struct OffsetForLeaderPartition {
        /// The partition.
        partition: i32 [0..];
        /// The leader's epoch as the client knows it, or -1.
        current_leader_epoch: i32 [2..] = -1;
        /// The epoch whose end is asked for.
        leader_epoch: i32 [0..];
    }

    /// Where the epochs end.
    pub struct OffsetForLeaderEpochResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [2..];
        /// The topics.
        topics: Vec<OffsetForLeaderTopicResult> [0..];
    }

    /// A topic's epochs.
    pub struct OffsetForLeaderTopicResult {
        /// The topic's name.
        topic: Str [0..];
        /// The partitions.
        partitions: Vec<OffsetForLeaderPartitionResult> [0..];
    }

    /// Where an epoch ends in one partition.
    pub struct OffsetForLeaderPartitionResult {
        /// The partition's error.
        error_code: ErrorCode [0..];
        /// The partition.
        partition: i32 [0..];
        /// The largest epoch that is not above the one asked for, or -1.
        leader_epoch: i32 [1..] = -1;
        /// The offset behind that epoch's last record, or -1.
        end_offset: i64 [0..] = -1;
    }
}
