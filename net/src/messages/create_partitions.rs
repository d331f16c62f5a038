//! CreatePartitions (KIP-195, KIP-599).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Topics to give more partitions.
    pub struct CreatePartitionsRequest {
        /// The topics.
        topics: Vec<CreatePartitionsTopic> [0..];
        /// Milliseconds to wait.
        timeout_ms: i32 [0..];
        /// Check only, create nothing.
        validate_only: bool [0..];
    }

    /// A topic to grow.
    pub struct CreatePartitionsTopic {
        /// The topic's name.
        name: Str [0..];
        /// Number of partitions it is to have, old ones included.
        count: i32 [0..];
        /// Who holds each new partition; null lets the broker choose.
        assignments: Option<Vec<CreatePartitionsAssignment>> [0.., null 0..];
    }

    /// A new partition's place.
    pub struct CreatePartitionsAssignment {
        /// The brokers that hold it, the leader first.
        broker_ids: Vec<i32> [0..];
    }

    /// What became of each topic.
    pub struct CreatePartitionsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The topics.
        results: Vec<CreatePartitionsTopicResult> [0..];
    }

    /// What became of a topic.
    pub struct CreatePartitionsTopicResult {
        /// The topic's name.
        name: Str [0..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// What is wrong.
        error_message: Option<Str> [0.., null 0..];
    }
}
