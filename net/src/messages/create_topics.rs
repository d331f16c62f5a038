//! CreateTopics (KIP-4, KIP-464, KIP-516, KIP-525, KIP-599).

use crate::codec::declare::message;
use crate::codec::{Str, Uuid};
use crate::error_code::ErrorCode;

message! {
    /// Topics to create.
    pub struct CreateTopicsRequest {
        /// The topics.
        topics: Vec<CreatableTopic> [0..];
        /// Milliseconds to wait.
        timeout_ms: i32 [0..] = 60_000;
        /// Check only, create nothing.
        validate_only: bool [1..];
    }

    /// A topic to create.
    pub struct CreatableTopic {
        /// The topic's name.
        name: Str [0..];
        /// Number of partitions; -1 is the broker's default, or that of `assignments`.
        num_partitions: i32 [0..];
        /// Number of replicas; -1 is the broker's default, or that of `assignments`.
        replication_factor: i16 [0..];
        /// Who holds what; empty lets the broker choose.
        assignments: Vec<CreatableReplicaAssignment> [0..];
        /// The topic's configs.
        configs: Vec<CreatableTopicConfig> [0..];
    }

    /// A partition's place.
    pub struct CreatableReplicaAssignment {
        /// The partition.
        partition_index: i32 [0..];
        /// The brokers that hold it, the leader first.
        broker_ids: Vec<i32> [0..];
    }

    /// A config to set.
    pub struct CreatableTopicConfig {
        /// The config's name.
        name: Str [0..];
        /// Its value.
        value: Option<Str> [0.., null 0..];
    }

    /// What became of each topic.
    pub struct CreateTopicsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [2..];
        /// The topics.
        topics: Vec<CreatableTopicResult> [0..];
    }

    /// What became of a topic.
    pub struct CreatableTopicResult {
        /// The topic's name.
        name: Str [0..];
        /// The id it was given.
        topic_id: Uuid [7..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// What is wrong.
        error_message: Option<Str> [1.., null 0..];
        /// Why the configs are not returned.
        topic_config_error_code: ErrorCode [5.., tag 0];
        /// Number of partitions, or -1.
        num_partitions: i32 [5..] = -1;
        /// Number of replicas, or -1.
        replication_factor: i16 [5..] = -1;
        /// The configs in force.
        configs: Option<Vec<CreatableTopicConfigs>> [5.., null 5..] = Some(Vec::new());
    }

    /// A config in force.
    pub struct CreatableTopicConfigs {
        /// The config's name.
        name: Str [5..];
        /// Its value; null if it is sensitive.
        value: Option<Str> [5.., null 5..];
        /// True if it cannot be changed.
        read_only: bool [5..];
        /// Where the value comes from (as DescribeConfigs tells it), or -1.
        config_source: i8 [5..] = -1;
        /// True if it is sensitive.
        is_sensitive: bool [5..];
    }
}
