//! LeaveGroup (KIP-345, KIP-482, KIP-800).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Members that leave.
    pub struct LeaveGroupRequest {
        /// The group.
        group_id: Str [0..];
        /// The member's id.
        member_id: Str [0..=2];
        /// The members.
        members: Vec<MemberIdentity> [3..];
    }

    /// A member that leaves.
    pub struct MemberIdentity {
        /// The member's id.
        member_id: Str [3..];
        /// The static member's name (`group.instance.id`), or null.
        group_instance_id: Option<Str> [3.., null 3..];
        /// Why, in words for the log.
        reason: Option<Str> [5.., null 5..];
    }

    /// What became of them.
    pub struct LeaveGroupResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [1..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// The members.
        members: Vec<MemberResponse> [3..];
    }

    /// What became of one.
    pub struct MemberResponse {
        /// The member's id.
        member_id: Str [3..];
        /// The static member's name (`group.instance.id`), or null.
        group_instance_id: Option<Str> [3.., null 3..] = Some(Str::EMPTY);
        /// Its error.
        error_code: ErrorCode [3..];
    }
}
