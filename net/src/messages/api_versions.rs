//! ApiVersions (KIP-35, KIP-511, KIP-584, KIP-1242).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Asks which APIs and versions the broker speaks; a client's first request.
    pub struct ApiVersionsRequest {
        /// The name of the client's library.
        client_software_name: Str [3..];
        /// Its version.
        client_software_version: Str [3..];
        /// The cluster that the client means to reach, if it knows.
        cluster_id: Option<Str> [5.., null 5..];
        /// The broker that the client means to reach, or -1.
        node_id: i32 [5..] = -1;
    }

    /// The broker's APIs and features.
    pub struct ApiVersionsResponse {
        /// The top-level error.
        error_code: ErrorCode [0..];
        /// The APIs and their versions.
        api_keys: Vec<ApiVersion> [0..];
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [1..];
        /// Features the broker supports. Before version 4, those whose `min_version` is 0 must be
        /// left out (KAFKA-17011).
        supported_features: Vec<SupportedFeatureKey> [3.., tag 0];
        /// Epoch of the finalized features, or -1.
        finalized_features_epoch: i64 [3.., tag 1] = -1;
        /// Features finalized for the cluster.
        finalized_features: Vec<FinalizedFeatureKey> [3.., tag 2];
        /// Ready to migrate from ZooKeeper.
        zk_migration_ready: bool [3.., tag 3];
    }

    /// One API's versions.
    pub struct ApiVersion {
        /// The API's key.
        api_key: i16 [0..];
        /// Lowest version, inclusive.
        min_version: i16 [0..];
        /// Highest version, inclusive.
        max_version: i16 [0..];
    }

    /// A feature the broker supports.
    pub struct SupportedFeatureKey {
        /// The feature's name.
        name: Str [3..];
        /// Lowest level.
        min_version: i16 [3..];
        /// Highest level.
        max_version: i16 [3..];
    }

    /// A feature finalized for the cluster.
    pub struct FinalizedFeatureKey {
        /// The feature's name.
        name: Str [3..];
        /// Highest level finalized.
        max_version_level: i16 [3..];
        /// Lowest level finalized.
        min_version_level: i16 [3..];
    }
}
