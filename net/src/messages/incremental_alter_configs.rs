//! IncrementalAlterConfigs (KIP-339): what is not named stays as it is.

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

/// What to do with one config.
pub mod config_operation {
    /// Set the value.
    pub const SET: i8 = 0;
    /// Go back to the default.
    pub const DELETE: i8 = 1;
    /// Add values to a list.
    pub const APPEND: i8 = 2;
    /// Take values out of a list.
    pub const SUBTRACT: i8 = 3;
}

message! {
    /// Configs to change.
    pub struct IncrementalAlterConfigsRequest {
        /// The resources.
        resources: Vec<IncrementalAlterConfigsResource> [0..];
        /// Check only, change nothing.
        validate_only: bool [0..];
    }

    /// A resource to change.
    pub struct IncrementalAlterConfigsResource {
        /// What it is; see [`config_resource_type`](super::config_resource_type).
        resource_type: i8 [0..];
        /// Its name.
        resource_name: Str [0..];
        /// The configs to change.
        configs: Vec<IncrementalAlterableConfig> [0..];
    }

    /// A config to change.
    pub struct IncrementalAlterableConfig {
        /// The config's name.
        name: Str [0..];
        /// What to do with it; see [`config_operation`].
        config_operation: i8 [0..];
        /// The value to set, or values to add or take out.
        value: Option<Str> [0.., null 0..];
    }

    /// What became of each resource.
    pub struct IncrementalAlterConfigsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The resources.
        responses: Vec<IncrementalAlterConfigsResourceResponse> [0..];
    }

    /// What became of a resource.
    pub struct IncrementalAlterConfigsResourceResponse {
        /// Its error.
        error_code: ErrorCode [0..];
        /// What is wrong.
        error_message: Option<Str> [0.., null 0..];
        /// What it is; see [`config_resource_type`](super::config_resource_type).
        resource_type: i8 [0..];
        /// Its name.
        resource_name: Str [0..];
    }
}
