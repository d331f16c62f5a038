//! DescribeConfigs (KIP-133, KIP-226, KIP-569).
//!
//! Resource types, sources and value types are numbers; [`config_resource_type`],
//! [`config_source`] and [`config_type`] name them.

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

/// What configs belong to; the numbers of every API that carries a `resource_type` of configs.
pub mod config_resource_type {
    /// A topic, by its name.
    pub const TOPIC: i8 = 2;
    /// A broker, by its id; empty for the default of all brokers.
    pub const BROKER: i8 = 4;
    /// A broker's log levels, by the broker's id.
    pub const BROKER_LOGGER: i8 = 8;
    /// A subscription to client metrics (KIP-714), by its name.
    pub const CLIENT_METRICS: i8 = 16;
    /// A group, by its id.
    pub const GROUP: i8 = 32;
}

/// Where a config's value comes from.
pub mod config_source {
    /// Not known.
    pub const UNKNOWN: i8 = 0;
    /// Set on the topic.
    pub const DYNAMIC_TOPIC_CONFIG: i8 = 1;
    /// Set on one broker while it ran.
    pub const DYNAMIC_BROKER_CONFIG: i8 = 2;
    /// Set for all brokers while they ran.
    pub const DYNAMIC_DEFAULT_BROKER_CONFIG: i8 = 3;
    /// Given to the broker when it started.
    pub const STATIC_BROKER_CONFIG: i8 = 4;
    /// Built in.
    pub const DEFAULT_CONFIG: i8 = 5;
    /// A log level set while the broker ran.
    pub const DYNAMIC_BROKER_LOGGER_CONFIG: i8 = 6;
    /// Set on a subscription to client metrics.
    pub const DYNAMIC_CLIENT_METRICS_CONFIG: i8 = 7;
    /// Set on a group.
    pub const DYNAMIC_GROUP_CONFIG: i8 = 8;
}

/// What kind of value a config has.
pub mod config_type {
    /// Not known.
    pub const UNKNOWN: i8 = 0;
    /// `true` or `false`.
    pub const BOOLEAN: i8 = 1;
    /// Any text.
    pub const STRING: i8 = 2;
    /// 32 bits.
    pub const INT: i8 = 3;
    /// 16 bits.
    pub const SHORT: i8 = 4;
    /// 64 bits.
    pub const LONG: i8 = 5;
    /// A floating-point number.
    pub const DOUBLE: i8 = 6;
    /// Values with commas between them.
    pub const LIST: i8 = 7;
    /// A class's name.
    pub const CLASS: i8 = 8;
    /// Text that is never told.
    pub const PASSWORD: i8 = 9;
}

message! {
    /// Asks for configs.
    pub struct DescribeConfigsRequest {
        /// The resources.
        resources: Vec<DescribeConfigsResource> [0..];
        /// Tell also the values that would hold if this one were not set.
        include_synonyms: bool [1..];
        /// Tell also what each config is for.
        include_documentation: bool [3..];
    }

    /// A resource asked about.
    pub struct DescribeConfigsResource {
        /// What it is; see [`config_resource_type`].
        resource_type: i8 [0..];
        /// Its name.
        resource_name: Str [0..];
        /// The configs' names; null is all of them.
        configuration_keys: Option<Vec<Str>> [0.., null 0..];
    }

    /// The configs.
    pub struct DescribeConfigsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// One for each resource.
        results: Vec<DescribeConfigsResult> [0..];
    }

    /// A resource's configs.
    pub struct DescribeConfigsResult {
        /// The resource's error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// What it is; see [`config_resource_type`].
        resource_type: i8 [0..];
        /// Its name.
        resource_name: Str [0..];
        /// The configs.
        configs: Vec<DescribeConfigsResourceResult> [0..];
    }

    /// A config.
    pub struct DescribeConfigsResourceResult {
        /// The config's name.
        name: Str [0..];
        /// Its value; null if it has none, or is sensitive.
        value: Option<Str> [0.., null 0..];
        /// True if it cannot be changed.
        read_only: bool [0..];
        /// Where the value comes from; see [`config_source`].
        config_source: i8 [1..] = -1;
        /// True if the value is never told.
        is_sensitive: bool [0..];
        /// The values that compete, the one in force first.
        synonyms: Vec<DescribeConfigsSynonym> [1..];
        /// What kind of value it is; see [`config_type`].
        config_type: i8 [3..] = config_type::UNKNOWN;
        /// What it is for.
        documentation: Option<Str> [3.., null 0..] = Some(Str::EMPTY);
    }

    /// One of the values that compete.
    pub struct DescribeConfigsSynonym {
        /// The config's name at that source.
        name: Str [1..];
        /// Its value there.
        value: Option<Str> [1.., null 0..];
        /// The source; see [`config_source`].
        source: i8 [1..];
    }
}
