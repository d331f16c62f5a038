//! ListGroups (KIP-482, KIP-518, KIP-848).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Asks which groups there are.
    pub struct ListGroupsRequest {
        /// The states wanted; none is all.
        states_filter: Vec<Str> [4..];
        /// The types wanted; none is all.
        types_filter: Vec<Str> [5..];
    }

    /// The groups.
    pub struct ListGroupsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [1..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// The groups.
        groups: Vec<ListedGroup> [0..];
    }

    /// A group.
    pub struct ListedGroup {
        /// The group.
        group_id: Str [0..];
        /// The kind of the protocols: `consumer`, `connect`.
        protocol_type: Str [0..];
        /// Its state.
        group_state: Str [4..];
        /// Its type.
        group_type: Str [5..];
    }
}
