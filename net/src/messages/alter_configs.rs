//! AlterConfigs (KIP-133): what is not named goes back to its default.

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Configs to replace.
    pub struct AlterConfigsRequest {
        /// The resources.
        resources: Vec<AlterConfigsResource> [0..];
        /// Check only, change nothing.
        validate_only: bool [0..];
    }

    /// A resource to change.
    pub struct AlterConfigsResource {
        /// What it is; see [`config_resource_type`](super::config_resource_type).
        resource_type: i8 [0..];
        /// Its name.
        resource_name: Str [0..];
        /// All configs that it is to have.
        configs: Vec<AlterableConfig> [0..];
    }

    /// A config to set.
    pub struct AlterableConfig {
        /// The config's name.
        name: Str [0..];
        /// Its value.
        value: Option<Str> [0.., null 0..];
    }

    /// What became of each resource.
    pub struct AlterConfigsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The resources.
        responses: Vec<AlterConfigsResourceResponse> [0..];
    }

    /// What became of a resource.
    pub struct AlterConfigsResourceResponse {
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
