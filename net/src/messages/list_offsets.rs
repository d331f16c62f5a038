//! ListOffsets (KIP-79, KIP-98, KIP-207, KIP-320, KIP-405, KIP-734, KIP-1005, KIP-1023, KIP-1075).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

/// `timestamp` that asks for the end of the log.
pub const LATEST_TIMESTAMP: i64 = -1;
/// `timestamp` that asks for the start of the log.
pub const EARLIEST_TIMESTAMP: i64 = -2;
/// `timestamp` that asks for the record with the highest timestamp (from version 7 on).
pub const MAX_TIMESTAMP: i64 = -3;
/// `timestamp` that asks for the start of the local log (from version 8 on).
pub const EARLIEST_LOCAL_TIMESTAMP: i64 = -4;
/// `timestamp` that asks for the end of what is tiered (from version 9 on).
pub const LATEST_TIERED_TIMESTAMP: i64 = -5;
/// `timestamp` that asks for the start of what is yet to be tiered (from version 11 on).
pub const EARLIEST_PENDING_UPLOAD_TIMESTAMP: i64 = -6;

message! {
    /// Asks for offsets.
    pub struct ListOffsetsRequest {
        /// The follower, or -1 for a consumer.
        replica_id: i32 [0..] = -1;
        /// 0: read uncommitted; 1: read committed.
        isolation_level: i8 [2..];
        /// The topics.
        topics: Vec<ListOffsetsTopic> [0..];
        /// Milliseconds to wait for tiered storage.
        timeout_ms: i32 [10..];
    }

    /// A topic asked about.
    pub struct ListOffsetsTopic {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<ListOffsetsPartition> [0..];
    }

    /// A partition asked about.
    pub struct ListOffsetsPartition {
        /// The partition.
        partition_index: i32 [0..];
        /// The leader's epoch as the client knows it, or -1.
        current_leader_epoch: i32 [4..] = -1;
        /// Milliseconds since the epoch, or one of the negative constants.
        timestamp: i64 [0..];
    }

    /// The offsets.
    pub struct ListOffsetsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [2..];
        /// The topics.
        topics: Vec<ListOffsetsTopicResponse> [0..];
    }

    /// A topic's offsets.
    pub struct ListOffsetsTopicResponse {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<ListOffsetsPartitionResponse> [0..];
    }

    /// A partition's offset.
    pub struct ListOffsetsPartitionResponse {
        /// The partition.
        partition_index: i32 [0..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// The found record's timestamp, or -1.
        timestamp: i64 [1..] = -1;
        /// The offset, or -1 if there is none.
        offset: i64 [1..] = -1;
        /// The leader epoch of the found record, or -1.
        leader_epoch: i32 [4..] = -1;
    }
}
