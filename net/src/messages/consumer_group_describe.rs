//! ConsumerGroupDescribe (KIP-848, KIP-1099).

use crate::codec::declare::message;
use crate::codec::{Str, Uuid};
use crate::error_code::ErrorCode;

message! {
    /// Asks about groups of the consumer protocol.
    pub struct ConsumerGroupDescribeRequest {
        /// The groups.
        group_ids: Vec<Str> [0..];
        /// Whether the operations that the client may do are told.
        include_authorized_operations: bool [0..];
    }

    /// The groups.
    pub struct ConsumerGroupDescribeResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The groups.
        groups: Vec<DescribedConsumerGroup> [0..];
    }

    /// A group.
    pub struct DescribedConsumerGroup {
        /// Its error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// The group.
        group_id: Str [0..];
        /// Its state.
        group_state: Str [0..];
        /// Its epoch.
        group_epoch: i32 [0..];
        /// The epoch that its target assignment is of.
        assignment_epoch: i32 [0..];
        /// The assignor chosen.
        assignor_name: Str [0..];
        /// The members.
        members: Vec<DescribedConsumerGroupMember> [0..];
        /// The operations that the client may do, as bits.
        authorized_operations: i32 [0..] = i32::MIN;
    }

    /// One of its members.
    pub struct DescribedConsumerGroupMember {
        /// The member's id.
        member_id: Str [0..];
        /// The static member's name (`group.instance.id`), or null.
        instance_id: Option<Str> [0.., null 0..];
        /// Its rack, or null.
        rack_id: Option<Str> [0.., null 0..];
        /// The member's epoch.
        member_epoch: i32 [0..];
        /// The client's id.
        client_id: Str [0..];
        /// The client's address.
        client_host: Str [0..];
        /// The topics that it wants to read.
        subscribed_topic_names: Vec<Str> [0..];
        /// The pattern of topics that it wants to read, or null.
        subscribed_topic_regex: Option<Str> [0.., null 0..];
        /// What it owns.
        assignment: DescribedConsumerAssignment [0..];
        /// What it is to own.
        target_assignment: DescribedConsumerAssignment [0..];
        /// 0 for a member that speaks the classic protocol, 1 for the consumer protocol.
        member_type: i8 [1..] = -1;
    }

    /// Partitions.
    pub struct DescribedConsumerAssignment {
        /// By topic.
        topic_partitions: Vec<DescribedConsumerTopicPartitions> [0..];
    }

    /// Partitions of one topic.
    pub struct DescribedConsumerTopicPartitions {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The topic's name.
        topic_name: Str [0..];
        /// Its partitions.
        partitions: Vec<i32> [0..];
    }
}
