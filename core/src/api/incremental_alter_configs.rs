//! IncrementalAlterConfigs (KIP-339): what is not named stays as it is.

use std::rc::Rc;

use corelane_net::messages::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};

use super::config_changes::{Outcome, Resource, change_all};
use crate::catalog::change::{Alteration, ConfigChange};
use crate::shard::Shard;

/// Answers when every change is durable and obeyed, or refused.
pub async fn answer(
    shard: Rc<Shard>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let resources = request.resources.into_iter().map(resource).collect();
    let outcomes = change_all(&shard, resources, request.validate_only).await;
    IncrementalAlterConfigsResponse {
        responses: outcomes.into_iter().map(response).collect(),
        ..Default::default()
    }
}

fn resource(asked: IncrementalAlterConfigsResource) -> Resource {
    let alterations = asked.configs.into_iter().map(|config| Alteration {
        key: config.name.to_string(),
        operation: config.config_operation,
        value: config.value.map(|value| value.to_string()),
    });
    let change = ConfigChange::Alter(alterations.collect());
    Resource { resource_type: asked.resource_type, name: asked.resource_name, change }
}

fn response(outcome: Outcome) -> IncrementalAlterConfigsResourceResponse {
    IncrementalAlterConfigsResourceResponse {
        error_code: outcome.error_code,
        error_message: outcome.error_message,
        resource_type: outcome.resource_type,
        resource_name: outcome.name,
    }
}
