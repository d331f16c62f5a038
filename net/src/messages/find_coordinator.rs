//! FindCoordinator (KIP-98, KIP-482, KIP-699, KIP-890, KIP-932).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

/// `key_type` of consumer groups.
pub const GROUP_KEY_TYPE: i8 = 0;
/// `key_type` of transactional ids.
pub const TRANSACTION_KEY_TYPE: i8 = 1;

message! {
    /// Asks which broker coordinates a group or a transaction.
    pub struct FindCoordinatorRequest {
        /// The group or transactional id.
        key: Str [0..=3];
        /// What the key names.
        key_type: i8 [1..];
        /// The ids, all of the same kind.
        coordinator_keys: Vec<Str> [4..];
    }

    /// The coordinators.
    pub struct FindCoordinatorResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [1..];
        /// The error.
        error_code: ErrorCode [0..=3];
        /// The error in words.
        error_message: Option<Str> [1..=3, null 1..=3] = Some(Str::EMPTY);
        /// The coordinator, or -1.
        node_id: i32 [0..=3];
        /// Its host.
        host: Str [0..=3];
        /// Its port.
        port: i32 [0..=3];
        /// One for each key.
        coordinators: Vec<Coordinator> [4..];
    }

    /// One key's coordinator.
    pub struct Coordinator {
        /// The key.
        key: Str [4..];
        /// The coordinator, or -1.
        node_id: i32 [4..];
        /// Its host.
        host: Str [4..];
        /// Its port.
        port: i32 [4..];
        /// The error.
        error_code: ErrorCode [4..];
        /// The error in words.
        error_message: Option<Str> [4.., null 4..] = Some(Str::EMPTY);
    }
}
