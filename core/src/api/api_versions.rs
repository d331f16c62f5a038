//! ApiVersions: the table, as it stands.

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};

use super::APIS;
use crate::shard::{Broker, Shard};

/// Answers at once.
pub fn answer(shard: &Shard, request: &ApiVersionsRequest, version: i16) -> ApiVersionsResponse {
    let error_code = check(&shard.broker, request, version);
    let listed = matches!(error_code, ErrorCode::None);
    ApiVersionsResponse {
        error_code,
        api_keys: if listed { api_keys() } else { Vec::new() },
        ..Default::default()
    }
}

fn check(broker: &Broker, request: &ApiVersionsRequest, version: i16) -> ErrorCode {
    let named =
        is_software(&request.client_software_name) && is_software(&request.client_software_version);
    if version >= 3 && !named {
        return ErrorCode::InvalidRequest;
    }
    // KIP-1242: the client was led to another broker than it means.
    let elsewhere = request.cluster_id.as_ref().is_some_and(|id| **id != *broker.cluster_id)
        || (request.node_id >= 0 && broker.nodes.find(request.node_id).is_none());
    if elsewhere { ErrorCode::RebootstrapRequired } else { ErrorCode::None }
}

/// KIP-511: letters and digits, with '-' and '.' between them.
pub(super) fn is_software(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let ends = [text.bytes().next(), text.bytes().last()];
    text.bytes().all(inner) && ends.iter().all(|b| b.is_some_and(|b| b.is_ascii_alphanumeric()))
}

fn api_keys() -> Vec<ApiVersion> {
    let entry = |supported: &super::SupportedApi| ApiVersion {
        api_key: supported.api.key(),
        min_version: *supported.advertised.start(),
        max_version: *supported.advertised.end(),
    };
    APIS.iter().map(entry).collect()
}
