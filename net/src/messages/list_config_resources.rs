//! ListConfigResources (KIP-714 as ListClientMetricsResources, KIP-1142).

use super::config_resource_type;
use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Asks which resources have configs. Version 0 asks for client metrics.
    pub struct ListConfigResourcesRequest {
        /// The types; empty is all of them. See [`config_resource_type`].
        resource_types: Vec<i8> [1..];
    }

    /// The resources.
    pub struct ListConfigResourcesResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The error.
        error_code: ErrorCode [0..];
        /// The resources.
        config_resources: Vec<ConfigResource> [0..];
    }

    /// A resource that has configs.
    pub struct ConfigResource {
        /// Its name.
        resource_name: Str [0..];
        /// What it is.
        resource_type: i8 [1..] = config_resource_type::CLIENT_METRICS;
    }
}
