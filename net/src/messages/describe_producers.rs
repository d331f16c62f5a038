//! DescribeProducers (KIP-664).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Asks which producers partitions know.
    pub struct DescribeProducersRequest {
        /// The topics.
        topics: Vec<DescribeProducersTopic> [0..];
    }

    /// A topic asked about.
    pub struct DescribeProducersTopic {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partition_indexes: Vec<i32> [0..];
    }

    /// The producers.
    pub struct DescribeProducersResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The topics.
        topics: Vec<DescribeProducersTopicResponse> [0..];
    }

    /// A topic's producers.
    pub struct DescribeProducersTopicResponse {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<DescribeProducersPartitionResponse> [0..];
    }

    /// A partition's producers.
    pub struct DescribeProducersPartitionResponse {
        /// The partition.
        partition_index: i32 [0..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// What is wrong.
        error_message: Option<Str> [0.., null 0..];
        /// The producers whose state the partition keeps.
        active_producers: Vec<ProducerState> [0..];
    }

    /// A producer as one partition knows it.
    pub struct ProducerState {
        /// Its id.
        producer_id: i64 [0..];
        /// Its epoch.
        producer_epoch: i32 [0..];
        /// The sequence number of its last record, or -1.
        last_sequence: i32 [0..] = -1;
        /// The timestamp of its last batch, in milliseconds since the epoch, or -1.
        last_timestamp: i64 [0..] = -1;
        /// The epoch of its transaction coordinator.
        coordinator_epoch: i32 [0..];
        /// Where its open transaction begins, or -1.
        current_txn_start_offset: i64 [0..] = -1;
    }
}
