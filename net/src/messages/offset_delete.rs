//! OffsetDelete (KIP-496).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Offsets to forget.
    pub struct OffsetDeleteRequest {
        /// The group.
        group_id: Str [0..];
        /// The topics.
        topics: Vec<OffsetDeleteRequestTopic> [0..];
    }

    /// One topic's.
    pub struct OffsetDeleteRequestTopic {
        /// Its name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<OffsetDeleteRequestPartition> [0..];
    }

    /// One partition's.
    pub struct OffsetDeleteRequestPartition {
        /// The partition.
        partition_index: i32 [0..];
    }

    /// What became of them.
    pub struct OffsetDeleteResponse {
        /// Its error.
        error_code: ErrorCode [0..];
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The topics.
        topics: Vec<OffsetDeleteResponseTopic> [0..];
    }

    /// What became of one topic's.
    pub struct OffsetDeleteResponseTopic {
        /// Its name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<OffsetDeleteResponsePartition> [0..];
    }

    /// What became of one partition's.
    pub struct OffsetDeleteResponsePartition {
        /// The partition.
        partition_index: i32 [0..];
        /// Its error.
        error_code: ErrorCode [0..];
    }
}
