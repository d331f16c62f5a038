//! DescribeGroups (KIP-345, KIP-430, KIP-482, KIP-1043).

use bytes::Bytes;

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Asks about groups.
    pub struct DescribeGroupsRequest {
        /// The groups.
        groups: Vec<Str> [0..];
        /// Whether the operations that the client may do are told.
        include_authorized_operations: bool [3..];
    }

    /// The groups.
    pub struct DescribeGroupsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [1..];
        /// The groups.
        groups: Vec<DescribedGroup> [0..];
    }

    /// A group.
    pub struct DescribedGroup {
        /// Its error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [6.., null 6..];
        /// The group.
        group_id: Str [0..];
        /// Its state.
        group_state: Str [0..];
        /// The kind of the protocols: `consumer`, `connect`.
        protocol_type: Str [0..];
        /// The protocol chosen, or empty.
        protocol_data: Str [0..];
        /// The members.
        members: Vec<DescribedGroupMember> [0..];
        /// The operations that the client may do, as bits.
        authorized_operations: i32 [3..] = i32::MIN;
    }

    /// One of its members.
    pub struct DescribedGroupMember {
        /// The member's id.
        member_id: Str [0..];
        /// The static member's name (`group.instance.id`), or null.
        group_instance_id: Option<Str> [4.., null 4..];
        /// The client's id as it joined.
        client_id: Str [0..];
        /// The address that it joined from.
        client_host: Str [0..];
        /// Its metadata in the protocol chosen.
        member_metadata: Bytes [0..];
        /// Its share.
        member_assignment: Bytes [0..];
    }
}
