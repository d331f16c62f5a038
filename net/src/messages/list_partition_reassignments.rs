//! ListPartitionReassignments (KIP-455).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Asks which partitions are being moved.
    pub struct ListPartitionReassignmentsRequest {
        /// Milliseconds to wait.
        timeout_ms: i32 [0..] = 60_000;
        /// The topics; null is all of them.
        topics: Option<Vec<ListPartitionReassignmentsTopic>> [0.., null 0..];
    }

    /// A topic asked about.
    pub struct ListPartitionReassignmentsTopic {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partition_indexes: Vec<i32> [0..];
    }

    /// The moves under way.
    pub struct ListPartitionReassignmentsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The top-level error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// The topics.
        topics: Vec<OngoingTopicReassignment> [0..];
    }

    /// A topic of which partitions are being moved.
    pub struct OngoingTopicReassignment {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<OngoingPartitionReassignment> [0..];
    }

    /// A partition that is being moved.
    pub struct OngoingPartitionReassignment {
        /// The partition.
        partition_index: i32 [0..];
        /// The brokers that hold it now.
        replicas: Vec<i32> [0..];
        /// Those being added.
        adding_replicas: Vec<i32> [0..];
        /// Those being removed.
        removing_replicas: Vec<i32> [0..];
    }
}
