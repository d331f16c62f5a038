//! ElectLeaders (KIP-183, KIP-460).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

/// `election_type` that makes the preferred replica the leader.
pub const PREFERRED_ELECTION: i8 = 0;
/// `election_type` that makes any live replica the leader if none is in sync.
pub const UNCLEAN_ELECTION: i8 = 1;

message! {
    /// Partitions to elect leaders for.
    pub struct ElectLeadersRequest {
        /// How to elect.
        election_type: i8 [1..] = PREFERRED_ELECTION;
        /// The topics; null is all of them.
        topic_partitions: Option<Vec<ElectLeadersTopic>> [0.., null 0..];
        /// Milliseconds to wait.
        timeout_ms: i32 [0..] = 60_000;
    }

    /// A topic to elect leaders for.
    pub struct ElectLeadersTopic {
        /// The topic's name.
        topic: Str [0..];
        /// The partitions.
        partitions: Vec<i32> [0..];
    }

    /// What became of each partition.
    pub struct ElectLeadersResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The top-level error.
        error_code: ErrorCode [1..];
        /// The topics.
        replica_election_results: Vec<ReplicaElectionResult> [0..];
    }

    /// What became of a topic.
    pub struct ReplicaElectionResult {
        /// The topic's name.
        topic: Str [0..];
        /// The partitions.
        partition_result: Vec<PartitionElectionResult> [0..];
    }

    /// What became of a partition.
    pub struct PartitionElectionResult {
        /// The partition.
        partition_id: i32 [0..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// What is wrong.
        error_message: Option<Str> [0.., null 0..];
    }
}
