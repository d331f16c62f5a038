//! DeleteGroups (KIP-229, KIP-482).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Groups to delete.
    pub struct DeleteGroupsRequest {
        /// The groups.
        groups_names: Vec<Str> [0..];
    }

    /// What became of them.
    pub struct DeleteGroupsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// One for each group.
        results: Vec<DeletableGroupResult> [0..];
    }

    /// What became of one.
    pub struct DeletableGroupResult {
        /// The group.
        group_id: Str [0..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [3.., null 3..];
    }
}
