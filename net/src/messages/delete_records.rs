//! DeleteRecords (KIP-107).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

/// `offset` that stands for the high watermark.
pub const DELETE_UP_TO_HIGH_WATERMARK: i64 = -1;
/// `low_watermark` of a partition with an error.
pub const UNKNOWN_LOW_WATERMARK: i64 = -1;

message! {
    /// Where partitions are to begin.
    pub struct DeleteRecordsRequest {
        /// The topics.
        topics: Vec<DeleteRecordsTopic> [0..];
        /// Milliseconds to wait.
        timeout_ms: i32 [0..];
    }

    /// A topic to delete records of.
    pub struct DeleteRecordsTopic {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<DeleteRecordsPartition> [0..];
    }

    /// A partition to delete records of.
    pub struct DeleteRecordsPartition {
        /// The partition.
        partition_index: i32 [0..];
        /// The first offset to keep, or -1 for the high watermark.
        offset: i64 [0..];
    }

    /// Where partitions begin now.
    pub struct DeleteRecordsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The topics.
        topics: Vec<DeleteRecordsTopicResult> [0..];
    }

    /// What became of a topic.
    pub struct DeleteRecordsTopicResult {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<DeleteRecordsPartitionResult> [0..];
    }

    /// What became of a partition.
    pub struct DeleteRecordsPartitionResult {
        /// The partition.
        partition_index: i32 [0..];
        /// The first offset on any live replica, or -1 with an error.
        low_watermark: i64 [0..];
        /// Its error.
        error_code: ErrorCode [0..];
    }
}
