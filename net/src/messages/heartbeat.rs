//! Heartbeat (KIP-345, KIP-482).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// A sign of life.
    pub struct HeartbeatRequest {
        /// The group.
        group_id: Str [0..];
        /// The generation.
        generation_id: i32 [0..];
        /// The member's id.
        member_id: Str [0..];
        /// The static member's name (`group.instance.id`), or null.
        group_instance_id: Option<Str> [3.., null 3..];
    }

    /// Whether the member may go on.
    pub struct HeartbeatResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [1..];
        /// Its error.
        error_code: ErrorCode [0..];
    }
}
