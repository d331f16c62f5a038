//! ListConfigResources (KIP-1142); version 0 is the older ListClientMetricsResources.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::config_resource_type::{
    BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC,
};
use corelane_net::messages::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use crate::shard::Shard;

const ALL: &[i8] = &[BROKER_LOGGER, BROKER, TOPIC, GROUP, CLIENT_METRICS];

/// Answers at once. Groups and client metrics have no configs here, and are not listed.
pub fn answer(
    shard: &Shard,
    request: &ListConfigResourcesRequest,
    version: i16,
) -> ListConfigResourcesResponse {
    let asked: &[i8] = match (version, &*request.resource_types) {
        (0, _) => &[CLIENT_METRICS],
        (_, []) => ALL,
        (_, types) => types,
    };
    if !asked.iter().all(|one| ALL.contains(one)) {
        let error_code = ErrorCode::UnsupportedVersion;
        return ListConfigResourcesResponse { error_code, ..Default::default() };
    }
    let mut config_resources = Vec::new();
    let mut list = |name: Str, resource_type| {
        config_resources.push(ConfigResource { resource_name: name, resource_type });
    };
    for broker in [BROKER_LOGGER, BROKER] {
        if asked.contains(&broker) {
            let nodes = shard.broker.nodes.all();
            nodes.for_each(|node| list(Str::from(node.id.to_string()), broker));
        }
    }
    if asked.contains(&TOPIC) {
        shard.catalog().topics().for_each(|topic| list(Str::from(&*topic.name), TOPIC));
    }
    ListConfigResourcesResponse { config_resources, ..Default::default() }
}
