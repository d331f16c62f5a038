//! AlterPartitionReassignments (KIP-455, KIP-860).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Partitions to move, and moves to cancel.
    pub struct AlterPartitionReassignmentsRequest {
        /// Milliseconds to wait.
        timeout_ms: i32 [0..] = 60_000;
        /// Whether a partition's number of replicas may change.
        allow_replication_factor_change: bool [1..] = true;
        /// The topics.
        topics: Vec<ReassignableTopic> [0..];
    }

    /// A topic to move.
    pub struct ReassignableTopic {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<ReassignablePartition> [0..];
    }

    /// A partition to move.
    pub struct ReassignablePartition {
        /// The partition.
        partition_index: i32 [0..];
        /// The brokers that are to hold it; null cancels a move under way.
        replicas: Option<Vec<i32>> [0.., null 0..];
    }

    /// What became of each partition.
    pub struct AlterPartitionReassignmentsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// Whether a partition's number of replicas was allowed to change.
        allow_replication_factor_change: bool [1..] = true;
        /// The top-level error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// The topics.
        responses: Vec<ReassignableTopicResponse> [0..];
    }

    /// What became of a topic.
    pub struct ReassignableTopicResponse {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<ReassignablePartitionResponse> [0..];
    }

    /// What became of a partition.
    pub struct ReassignablePartitionResponse {
        /// The partition.
        partition_index: i32 [0..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// What is wrong.
        error_message: Option<Str> [0.., null 0..];
    }
}
