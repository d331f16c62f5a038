//! DescribeCluster: the one broker, which is its own controller; or each shard as one.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    AUTHORIZED_OPERATIONS_NOT_ASKED, BROKER_ENDPOINT_TYPE, CONTROLLER_ENDPOINT_TYPE,
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

use super::authorized::CLUSTER_OPERATIONS;
use crate::shard::nodes::Node;
use crate::shard::{Broker, ListenerId};

/// Answers at once.
pub fn answer(
    broker: &Broker,
    listener: ListenerId,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    match request.endpoint_type {
        BROKER_ENDPOINT_TYPE => describe(broker, listener, request),
        // Sent to a broker's port: there are no controllers behind it (KIP-919).
        CONTROLLER_ENDPOINT_TYPE => refused(
            ErrorCode::MismatchedEndpointType,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of \
             type CONTROLLER"
                .to_owned(),
        ),
        other => refused(
            ErrorCode::UnsupportedEndpointType,
            format!("Unsupported endpoint type {other}"),
        ),
    }
}

fn refused(error_code: ErrorCode, words: String) -> DescribeClusterResponse {
    let error_message = Some(Str::from(words));
    DescribeClusterResponse { error_code, error_message, ..Default::default() }
}

fn describe(
    broker: &Broker,
    listener: ListenerId,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let node = |node: Node| {
        let advertised = broker.advertised(listener, node);
        DescribeClusterBroker {
            broker_id: node.id,
            host: Str::from(&*advertised.host),
            port: i32::from(advertised.port),
            ..Default::default()
        }
    };
    let asked = request.include_cluster_authorized_operations;
    DescribeClusterResponse {
        cluster_id: Str::from(&*broker.cluster_id),
        controller_id: broker.nodes.controller().id,
        brokers: broker.nodes.all().map(node).collect(),
        cluster_authorized_operations: if asked {
            CLUSTER_OPERATIONS
        } else {
            AUTHORIZED_OPERATIONS_NOT_ASKED
        },
        ..Default::default()
    }
}
