//! AlterConfigs (KIP-133): what is not named goes back to its default.

use std::rc::Rc;

use corelane_net::messages::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use super::config_changes::{Outcome, Resource, change_all};
use crate::catalog::change::ConfigChange;
use crate::shard::Shard;

/// Answers when every change is durable and obeyed, or refused.
pub async fn answer(shard: Rc<Shard>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let resources = request.resources.into_iter().map(resource).collect();
    let outcomes = change_all(&shard, resources, request.validate_only).await;
    AlterConfigsResponse {
        responses: outcomes.into_iter().map(response).collect(),
        ..Default::default()
    }
}

fn resource(asked: AlterConfigsResource) -> Resource {
    let pairs = asked
        .configs
        .into_iter()
        .map(|config| (config.name.to_string(), config.value.map(|value| value.to_string())));
    let change = ConfigChange::Replace(pairs.collect());
    Resource { resource_type: asked.resource_type, name: asked.resource_name, change }
}

fn response(outcome: Outcome) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: outcome.error_code,
        error_message: outcome.error_message,
        resource_type: outcome.resource_type,
        resource_name: outcome.name,
    }
}
