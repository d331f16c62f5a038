//! DeleteTopics (KIP-4, KIP-516, KIP-599).

use crate::codec::declare::message;
use crate::codec::{Str, Uuid};
use crate::error_code::ErrorCode;

message! {
    /// Topics to delete.
    pub struct DeleteTopicsRequest {
        /// The topics, by name or id.
        topics: Vec<DeleteTopicState> [6..];
        /// The topics, by name.
        topic_names: Vec<Str> [0..=5];
        /// Milliseconds to wait.
        timeout_ms: i32 [0..];
    }

    /// A topic to delete.
    pub struct DeleteTopicState {
        /// The topic's name, or null if the id is meant.
        name: Option<Str> [6.., null 6..];
        /// The topic's id, or zero if the name is meant.
        topic_id: Uuid [6..];
    }

    /// What became of each topic.
    pub struct DeleteTopicsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [1..];
        /// The topics.
        responses: Vec<DeletableTopicResult> [0..];
    }

    /// What became of a topic.
    pub struct DeletableTopicResult {
        /// The topic's name; null for an id that does not exist.
        name: Option<Str> [0.., null 6..];
        /// The topic's id.
        topic_id: Uuid [6..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// What is wrong.
        error_message: Option<Str> [5.., null 5..];
    }
}
