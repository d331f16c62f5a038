//! Fetch (KIP-74, KIP-98, KIP-227, KIP-320, KIP-392, KIP-516, KIP-595, KIP-903, KIP-951, KIP-1166).

use super::{LeaderIdAndEpoch, NodeEndpoint};
use crate::codec::declare::message;
use crate::codec::{Records, Str, Uuid};
use crate::error_code::ErrorCode;

message! {
    /// Asks for record batches, in the order of the partitions.
    pub struct FetchRequest {
        /// The cluster's id, if known.
        cluster_id: Option<Str> [12.., null 12.., tag 0];
        /// The follower, or -1 for a consumer.
        replica_id: i32 [0..=14] = -1;
        /// The follower, and its epoch.
        replica_state: ReplicaState [15.., tag 1];
        /// Milliseconds to wait for `min_bytes`.
        max_wait_ms: i32 [0..];
        /// Bytes worth answering for.
        min_bytes: i32 [0..];
        /// Most bytes of records; a first batch may be larger (KIP-74).
        max_bytes: i32 [3..] = i32::MAX;
        /// 0: read uncommitted; 1: read committed.
        isolation_level: i8 [4..];
        /// The fetch session, or 0.
        session_id: i32 [7..];
        /// The session's epoch: -1 is no session, 0 a new one.
        session_epoch: i32 [7..] = -1;
        /// The topics.
        topics: Vec<FetchTopic> [0..];
        /// Partitions to drop from the session.
        forgotten_topics_data: Vec<ForgottenTopic> [7..];
        /// The consumer's rack.
        rack_id: Str [11..];
    }

    /// A follower.
    pub struct ReplicaState {
        /// The broker, or -1 for a consumer.
        replica_id: i32 [15..] = -1;
        /// Its epoch, or -1.
        replica_epoch: i64 [15..] = -1;
    }

    /// A topic to fetch.
    pub struct FetchTopic {
        /// The topic's name.
        topic: Str [0..=12];
        /// The topic's id.
        topic_id: Uuid [13..];
        /// The partitions.
        partitions: Vec<FetchPartition> [0..];
    }

    /// A partition to fetch.
    pub struct FetchPartition {
        /// The partition.
        partition: i32 [0..];
        /// The leader's epoch as the client knows it, or -1.
        current_leader_epoch: i32 [9..] = -1;
        /// The first offset wanted.
        fetch_offset: i64 [0..];
        /// The epoch of the last record fetched, or -1.
        last_fetched_epoch: i32 [12..] = -1;
        /// A follower's first offset, or -1.
        log_start_offset: i64 [5..] = -1;
        /// Most bytes of this partition's records.
        partition_max_bytes: i32 [0..];
        /// A follower's directory.
        replica_directory_id: Uuid [17.., tag 0];
        /// A follower's high watermark; `i64::MAX` if it does not tell.
        high_watermark: i64 [18.., tag 1] = i64::MAX;
    }

    /// A topic to drop from the session.
    pub struct ForgottenTopic {
        /// The topic's name.
        topic: Str [7..=12];
        /// The topic's id.
        topic_id: Uuid [13..];
        /// The partitions.
        partitions: Vec<i32> [7..];
    }

    /// Record batches.
    pub struct FetchResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [1..];
        /// The top-level error.
        error_code: ErrorCode [7..];
        /// The fetch session, or 0.
        session_id: i32 [7..];
        /// The topics.
        responses: Vec<FetchableTopicResponse> [0..];
        /// Where to reach the leaders named in `current_leader`.
        node_endpoints: Vec<NodeEndpoint> [16.., tag 0];
    }

    /// A topic's answers.
    pub struct FetchableTopicResponse {
        /// The topic's name.
        topic: Str [0..=12];
        /// The topic's id.
        topic_id: Uuid [13..];
        /// The partitions.
        partitions: Vec<PartitionData> [0..];
    }

    /// A partition's answer.
    pub struct PartitionData {
        /// The partition.
        partition_index: i32 [0..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// The offset that consumers may read up to.
        high_watermark: i64 [0..];
        /// The offset up to which every transaction is decided, or -1.
        last_stable_offset: i64 [4..] = -1;
        /// The first offset, or -1.
        log_start_offset: i64 [5..] = -1;
        /// Where the client's log leaves the leader's.
        diverging_epoch: EpochEndOffset [12.., tag 0];
        /// The leader to turn to.
        current_leader: LeaderIdAndEpoch [12.., tag 1];
        /// The snapshot to fetch instead. (KRaft)
        snapshot_id: SnapshotId [12.., tag 2];
        /// Transactions aborted in this range; null unless reading committed.
        aborted_transactions: Option<Vec<AbortedTransaction>> [4.., null 4..];
        /// The replica to read from instead, or -1.
        preferred_read_replica: i32 [11..] = -1;
        /// The batches, sent from where they lie.
        records: Option<Records> [0.., null 0..];
    }

    /// An epoch and its end.
    pub struct EpochEndOffset {
        /// The epoch, or -1.
        epoch: i32 [12..] = -1;
        /// The offset after its last record, or -1.
        end_offset: i64 [12..] = -1;
    }

    /// A snapshot of the metadata log.
    pub struct SnapshotId {
        /// The offset after its last record, or -1.
        end_offset: i64 [0..] = -1;
        /// Its epoch, or -1.
        epoch: i32 [0..] = -1;
    }

    /// An aborted transaction.
    pub struct AbortedTransaction {
        /// Its producer.
        producer_id: i64 [4..];
        /// Its first offset.
        first_offset: i64 [4..];
    }
}
