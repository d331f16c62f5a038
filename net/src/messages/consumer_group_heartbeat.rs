//! ConsumerGroupHeartbeat (KIP-848, KIP-1082).

use crate::codec::declare::message;
use crate::codec::{Str, Uuid};
use crate::error_code::ErrorCode;

message! {
    /// A member says that it lives, what has changed about it, and which partitions it owns.
    pub struct ConsumerGroupHeartbeatRequest {
        /// The group.
        group_id: Str [0..];
        /// The member's id; from version 1 on it makes one up itself.
        member_id: Str [0..];
        /// The member's epoch; 0 joins, -1 leaves, -2 leaves as a static member that comes back.
        member_epoch: i32 [0..];
        /// The static member's name (`group.instance.id`), or null.
        instance_id: Option<Str> [0.., null 0..];
        /// Its rack, or null if that has not changed.
        rack_id: Option<Str> [0.., null 0..];
        /// Milliseconds that it may take to give partitions up, or -1 if that has not changed.
        rebalance_timeout_ms: i32 [0..] = -1;
        /// The topics that it wants to read, or null if they have not changed.
        subscribed_topic_names: Option<Vec<Str>> [0.., null 0..];
        /// A pattern of topics that it wants to read, or null if it has not changed.
        subscribed_topic_regex: Option<Str> [1.., null 1..];
        /// The assignor that it prefers, or null if that has not changed.
        server_assignor: Option<Str> [0.., null 0..];
        /// The partitions that it owns, or null if they have not changed.
        topic_partitions: Option<Vec<ConsumerTopicPartitions>> [0.., null 0..];
    }

    /// Partitions of one topic.
    pub struct ConsumerTopicPartitions {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// Its partitions.
        partitions: Vec<i32> [0..];
    }

    /// What the member is to do.
    pub struct ConsumerGroupHeartbeatResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// The member's id.
        member_id: Option<Str> [0.., null 0..];
        /// The member's epoch.
        member_epoch: i32 [0..];
        /// Milliseconds until its next heartbeat.
        heartbeat_interval_ms: i32 [0..];
        /// The partitions that it is to own, or null if they have not changed.
        assignment: Option<ConsumerAssignment> [0.., null 0..];
    }

    /// Partitions that may be read at once.
    pub struct ConsumerAssignment {
        /// The partitions.
        topic_partitions: Vec<ConsumerTopicPartitions> [0..];
    }
}
