//! Metadata (KIP-4, KIP-430, KIP-516, KIP-700, KIP-1102).

use crate::codec::declare::message;
use crate::codec::{Str, Uuid};
use crate::error_code::ErrorCode;

/// `..._authorized_operations` of a response to a client that did not ask for them.
pub const AUTHORIZED_OPERATIONS_NOT_ASKED: i32 = i32::MIN;

message! {
    /// Asks about brokers and topics.
    pub struct MetadataRequest {
        /// The topics. Null is all of them; in version 0, where there is no null, empty is.
        topics: Option<Vec<MetadataRequestTopic>> [0.., null 1..];
        /// Create topics that do not exist, if the broker is set up to.
        allow_auto_topic_creation: bool [4..] = true;
        /// Include the client's rights over the cluster.
        include_cluster_authorized_operations: bool [8..=10];
        /// Include the client's rights over each topic.
        include_topic_authorized_operations: bool [8..];
    }

    /// A topic asked about, by name or (from version 12 on) by id.
    pub struct MetadataRequestTopic {
        /// The id, or zero.
        topic_id: Uuid [10..];
        /// The name, or null if the id is meant.
        name: Option<Str> [0.., null 10..];
    }

    /// Brokers and topics.
    pub struct MetadataResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [3..];
        /// The live brokers.
        brokers: Vec<MetadataResponseBroker> [0..];
        /// The cluster's id.
        cluster_id: Option<Str> [2.., null 2..];
        /// The broker that is controller, or -1.
        controller_id: i32 [1..] = -1;
        /// The topics.
        topics: Vec<MetadataResponseTopic> [0..];
        /// Bit field of the client's rights over the cluster.
        cluster_authorized_operations: i32 [8..=10] = AUTHORIZED_OPERATIONS_NOT_ASKED;
        /// The top-level error.
        error_code: ErrorCode [13..];
    }

    /// A broker and where to reach it.
    pub struct MetadataResponseBroker {
        /// The broker's id.
        node_id: i32 [0..];
        /// Its host name, as advertised.
        host: Str [0..];
        /// Its port.
        port: i32 [0..];
        /// Its rack.
        rack: Option<Str> [1.., null 1..];
    }

    /// A topic.
    pub struct MetadataResponseTopic {
        /// The topic's error.
        error_code: ErrorCode [0..];
        /// Its name; null for an id that does not exist.
        name: Option<Str> [0.., null 12..];
        /// Its id; zero for a name that does not exist.
        topic_id: Uuid [10..];
        /// True if it is the broker's own.
        is_internal: bool [1..];
        /// Its partitions.
        partitions: Vec<MetadataResponsePartition> [0..];
        /// Bit field of the client's rights over it.
        topic_authorized_operations: i32 [8..] = AUTHORIZED_OPERATIONS_NOT_ASKED;
    }

    /// A partition.
    pub struct MetadataResponsePartition {
        /// The partition's error.
        error_code: ErrorCode [0..];
        /// Its index.
        partition_index: i32 [0..];
        /// The broker that leads it, or -1.
        leader_id: i32 [0..];
        /// The leader's epoch, or -1.
        leader_epoch: i32 [7..] = -1;
        /// All brokers that hold it.
        replica_nodes: Vec<i32> [0..];
        /// Those in sync with the leader.
        isr_nodes: Vec<i32> [0..];
        /// Those offline.
        offline_replicas: Vec<i32> [5..];
    }
}
