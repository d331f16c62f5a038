//! SyncGroup (KIP-345, KIP-482, KIP-559).

use bytes::Bytes;

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// A member that asks for its share; the leader brings those of all.
    pub struct SyncGroupRequest {
        /// The group.
        group_id: Str [0..];
        /// The generation.
        generation_id: i32 [0..];
        /// The member's id.
        member_id: Str [0..];
        /// The static member's name (`group.instance.id`), or null.
        group_instance_id: Option<Str> [3.., null 3..];
        /// The kind of the protocols: `consumer`, `connect`.
        protocol_type: Option<Str> [5.., null 5..];
        /// The protocol chosen.
        protocol_name: Option<Str> [5.., null 5..];
        /// The shares; from followers none.
        assignments: Vec<SyncGroupRequestAssignment> [0..];
    }

    /// One member's share.
    pub struct SyncGroupRequestAssignment {
        /// The member's id.
        member_id: Str [0..];
        /// The share, as the protocol has it.
        assignment: Bytes [0..];
    }

    /// The share.
    pub struct SyncGroupResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [1..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// The kind of the protocols: `consumer`, `connect`.
        protocol_type: Option<Str> [5.., null 5..];
        /// The protocol chosen.
        protocol_name: Option<Str> [5.., null 5..];
        /// The share, as the protocol has it.
        assignment: Bytes [0..];
    }
}
