//! Produce (KIP-98, KIP-110, KIP-467, KIP-516, KIP-890, KIP-951).

use bytes::Bytes;

use crate::codec::declare::message;
use crate::codec::{LazyArray, Str, Uuid};
use crate::error_code::ErrorCode;

message! {
    /// Record batches to append.
    pub struct ProduceRequest {
        /// The transactional id, or null outside transactions.
        transactional_id: Option<Str> [3.., null 3..];
        /// Who must have a batch before it is acknowledged: 0 nobody (and no answer is sent),
        /// 1 the leader, -1 all in-sync replicas.
        acks: i16 [0..];
        /// Milliseconds to wait for the acknowledgement.
        timeout_ms: i32 [0..];
        /// The topics.
        topic_data: LazyArray<TopicProduceData> [0..];
    }

    /// A topic's batches.
    pub struct TopicProduceData {
        /// The topic's name.
        name: Str [0..=12];
        /// The topic's id.
        topic_id: Uuid [13..];
        /// The partitions.
        partition_data: LazyArray<PartitionProduceData> [0..];
    }

    /// A partition's batches.
    pub struct PartitionProduceData {
        /// The partition.
        index: i32 [0..];
        /// The batches: a slice of the frame.
        records: Option<Bytes> [0.., null 0..];
    }

    /// What became of each partition's batches.
    pub struct ProduceResponse {
        /// The topics.
        responses: Vec<TopicProduceResponse> [0..];
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [1..];
        /// Where to reach the leaders named in `current_leader`.
        node_endpoints: Vec<NodeEndpoint> [10.., tag 0];
    }

    /// A topic's answers.
    pub struct TopicProduceResponse {
        /// The topic's name.
        name: Str [0..=12];
        /// The topic's id.
        topic_id: Uuid [13..];
        /// The partitions.
        partition_responses: Vec<PartitionProduceResponse> [0..];
    }

    /// A partition's answer.
    pub struct PartitionProduceResponse {
        /// The partition.
        index: i32 [0..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// The offset of the first record.
        base_offset: i64 [0..];
        /// Milliseconds since the epoch if the broker stamps records, else -1.
        log_append_time_ms: i64 [2..] = -1;
        /// The partition's first offset.
        log_start_offset: i64 [5..] = -1;
        /// The records for which the batch was refused.
        record_errors: Vec<BatchIndexAndErrorMessage> [8..];
        /// Why the batch was refused.
        error_message: Option<Str> [8.., null 8..];
        /// The leader to turn to.
        current_leader: LeaderIdAndEpoch [10.., tag 0];
    }

    /// A record that made its batch fail.
    pub struct BatchIndexAndErrorMessage {
        /// Its index in the batch.
        batch_index: i32 [8..];
        /// What is wrong with it.
        batch_index_error_message: Option<Str> [8.., null 8..];
    }

    /// A partition's leader. (Produce and Fetch)
    pub struct LeaderIdAndEpoch {
        /// The broker, or -1.
        leader_id: i32 [0..] = -1;
        /// Its epoch, or -1.
        leader_epoch: i32 [0..] = -1;
    }

    /// Where to reach a broker. (Produce and Fetch)
    pub struct NodeEndpoint {
        /// The broker.
        node_id: i32 [0..];
        /// Its host name.
        host: Str [0..];
        /// Its port.
        port: i32 [0..];
        /// Its rack.
        rack: Option<Str> [0.., null 0..];
    }
}
