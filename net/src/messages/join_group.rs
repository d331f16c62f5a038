//! JoinGroup (KIP-62, KIP-345, KIP-394, KIP-482, KIP-559, KIP-800, KIP-814).

use bytes::Bytes;

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// A member that joins its group, or joins again for a rebalance.
    pub struct JoinGroupRequest {
        /// The group.
        group_id: Str [0..];
        /// Milliseconds without a heartbeat after which the member counts as dead.
        session_timeout_ms: i32 [0..];
        /// Milliseconds that the member may take to join again.
        rebalance_timeout_ms: i32 [1..] = -1;
        /// The member's id.
        member_id: Str [0..];
        /// The static member's name (`group.instance.id`), or null.
        group_instance_id: Option<Str> [5.., null 5..];
        /// The kind of the protocols: `consumer`, `connect`.
        protocol_type: Str [0..];
        /// The protocols, the preferred one first.
        protocols: Vec<JoinGroupRequestProtocol> [0..];
        /// Why, in words for the log.
        reason: Option<Str> [8.., null 8..];
    }

    /// One way to share partitions that the member supports.
    pub struct JoinGroupRequestProtocol {
        /// Its name.
        name: Str [0..];
        /// What the client has kept with it.
        metadata: Bytes [0..];
    }

    /// What the rebalance has come to.
    pub struct JoinGroupResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [2..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// The generation.
        generation_id: i32 [0..] = -1;
        /// The kind of the protocols: `consumer`, `connect`.
        protocol_type: Option<Str> [7.., null 7..];
        /// The protocol chosen.
        protocol_name: Option<Str> [0.., null 7..] = Some(Str::EMPTY);
        /// The leader's id.
        leader: Str [0..];
        /// Whether the leader keeps the shares as they are (KIP-814).
        skip_assignment: bool [9..];
        /// The member's id.
        member_id: Str [0..];
        /// The members.
        members: Vec<JoinGroupResponseMember> [0..];
    }

    /// A member, as the leader is told of it.
    pub struct JoinGroupResponseMember {
        /// The member's id.
        member_id: Str [0..];
        /// The static member's name (`group.instance.id`), or null.
        group_instance_id: Option<Str> [5.., null 5..];
        /// What the client has kept with it.
        metadata: Bytes [0..];
    }
}
