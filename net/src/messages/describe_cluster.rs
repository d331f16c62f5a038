//! DescribeCluster (KIP-700, KIP-919, KIP-1073).

use super::AUTHORIZED_OPERATIONS_NOT_ASKED;
use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

/// `endpoint_type` of brokers.
pub const BROKER_ENDPOINT_TYPE: i8 = 1;
/// `endpoint_type` of controllers.
pub const CONTROLLER_ENDPOINT_TYPE: i8 = 2;

message! {
    /// Asks about the cluster and its brokers.
    pub struct DescribeClusterRequest {
        /// Include the client's rights over the cluster.
        include_cluster_authorized_operations: bool [0..];
        /// Whether brokers or controllers are asked for.
        endpoint_type: i8 [1..] = BROKER_ENDPOINT_TYPE;
        /// Include brokers that are fenced.
        include_fenced_brokers: bool [2..];
    }

    /// The cluster and its brokers.
    pub struct DescribeClusterResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The top-level error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// Whether brokers or controllers are listed.
        endpoint_type: i8 [1..] = BROKER_ENDPOINT_TYPE;
        /// The cluster's id.
        cluster_id: Str [0..];
        /// A node to send controller requests to, or -1.
        controller_id: i32 [0..] = -1;
        /// The brokers, or controllers.
        brokers: Vec<DescribeClusterBroker> [0..];
        /// Bit field of the client's rights over the cluster.
        cluster_authorized_operations: i32 [0..] = AUTHORIZED_OPERATIONS_NOT_ASKED;
    }

    /// A node and where to reach it.
    pub struct DescribeClusterBroker {
        /// The node's id.
        broker_id: i32 [0..];
        /// Its host name, as advertised.
        host: Str [0..];
        /// Its port.
        port: i32 [0..];
        /// Its rack.
        rack: Option<Str> [0.., null 0..];
        /// True if the controller keeps clients away from it.
        is_fenced: bool [2..];
    }
}
