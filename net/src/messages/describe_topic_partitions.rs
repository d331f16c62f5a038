//! DescribeTopicPartitions (KIP-966): topics in pages, in the order of their names.

use super::AUTHORIZED_OPERATIONS_NOT_ASKED;
use crate::codec::declare::message;
use crate::codec::{Str, Uuid};
use crate::error_code::ErrorCode;

message! {
    /// Asks about topics and partitions.
    pub struct DescribeTopicPartitionsRequest {
        /// The topics; empty is all of them.
        topics: Vec<DescribeTopicPartitionsTopic> [0..];
        /// Most partitions of an answer.
        response_partition_limit: i32 [0..] = 2_000;
        /// Where to begin; null is at the first topic.
        cursor: Option<TopicPartitionCursor> [0.., null 0..];
    }

    /// A topic asked about.
    pub struct DescribeTopicPartitionsTopic {
        /// The topic's name.
        name: Str [0..];
    }

    /// A place in the list of all partitions.
    pub struct TopicPartitionCursor {
        /// The topic's name.
        topic_name: Str [0..];
        /// The partition.
        partition_index: i32 [0..];
    }

    /// A page of topics.
    pub struct DescribeTopicPartitionsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The topics.
        topics: Vec<DescribeTopicPartitionsResponseTopic> [0..];
        /// Where the next page begins; null after the last.
        next_cursor: Option<TopicPartitionCursor> [0.., null 0..];
    }

    /// A topic.
    pub struct DescribeTopicPartitionsResponseTopic {
        /// The topic's error.
        error_code: ErrorCode [0..];
        /// Its name.
        name: Option<Str> [0.., null 0..];
        /// Its id; zero for a name that does not exist.
        topic_id: Uuid [0..];
        /// True if it is the broker's own.
        is_internal: bool [0..];
        /// Its partitions, as far as the page goes.
        partitions: Vec<DescribeTopicPartitionsResponsePartition> [0..];
        /// Bit field of the client's rights over it.
        topic_authorized_operations: i32 [0..] = AUTHORIZED_OPERATIONS_NOT_ASKED;
    }

    /// A partition.
    pub struct DescribeTopicPartitionsResponsePartition {
        /// The partition's error.
        error_code: ErrorCode [0..];
        /// Its index.
        partition_index: i32 [0..];
        /// The broker that leads it, or -1.
        leader_id: i32 [0..];
        /// The leader's epoch, or -1.
        leader_epoch: i32 [0..] = -1;
        /// All brokers that hold it.
        replica_nodes: Vec<i32> [0..];
        /// Those in sync with the leader.
        isr_nodes: Vec<i32> [0..];
        /// Those out of sync that may still lead without loss; null if not kept.
        eligible_leader_replicas: Option<Vec<i32>> [0.., null 0..];
        /// The last of those known after an unclean stop; null if not kept.
        last_known_elr: Option<Vec<i32>> [0.., null 0..];
        /// Those offline.
        offline_replicas: Vec<i32> [0..];
    }
}
