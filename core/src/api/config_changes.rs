//! What AlterConfigs and IncrementalAlterConfigs share: resources whose configs change, each by
//! itself and as a whole.

use std::collections::HashMap;
use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::config_resource_type::{
    BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC,
};

use super::errors;
use crate::catalog::change::{ConfigChange, Refusal};
use crate::shard::Shard;
use crate::shard::controller::ChangeError;

/// One resource of a request.
pub struct Resource {
    /// What it is.
    pub resource_type: i8,
    /// Its name.
    pub name: Str,
    /// What shall change.
    pub change: ConfigChange,
}

/// A resource and what became of it.
pub struct Outcome {
    /// What it is.
    pub resource_type: i8,
    /// Its name.
    pub name: Str,
    /// Its error.
    pub error_code: ErrorCode,
    /// What is wrong.
    pub error_message: Option<Str>,
}

/// Changes all, in their order; what holds when this returns is durable and obeyed everywhere.
pub async fn change_all(
    shard: &Rc<Shard>,
    resources: Vec<Resource>,
    check_only: bool,
) -> Vec<Outcome> {
    let mut named: HashMap<(i8, Str), usize> = HashMap::new();
    for resource in &resources {
        *named.entry((resource.resource_type, resource.name.clone())).or_default() += 1;
    }
    let mut outcomes = Vec::with_capacity(resources.len());
    for Resource { resource_type, name, change } in resources {
        let outcome = match named.get(&(resource_type, name.clone())) {
            Some(1) => change_one(shard, resource_type, &name, change, check_only).await,
            _ => refused("Each resource must appear at most once."),
        };
        let error_code = outcome.as_ref().err().map_or(ErrorCode::None, errors::change_code);
        let error_message = outcome.as_ref().err().and_then(errors::message);
        outcomes.push(Outcome { resource_type, name, error_code, error_message });
    }
    outcomes
}

fn refused(words: &str) -> Result<(), ChangeError> {
    Err(Refusal::Request(words.to_owned()).into())
}

async fn change_one(
    shard: &Rc<Shard>,
    resource_type: i8,
    name: &str,
    change: ConfigChange,
    check_only: bool,
) -> Result<(), ChangeError> {
    change.check()?;
    match resource_type {
        TOPIC => shard.alter_topic_configs(name.to_owned(), change, check_only).await,
        BROKER => shard.alter_broker_configs(name.to_owned(), change, check_only).await,
        // The older API never had loggers.
        BROKER_LOGGER if matches!(change, ConfigChange::Alter(_)) => {
            change_logger(shard, name, &change)
        }
        CLIENT_METRICS if name.is_empty() => refused("Subscription name can't be empty"),
        CLIENT_METRICS => none_of_these(&change, |key| {
            Refusal::Request(format!("Unknown client metrics configuration: {key}"))
        }),
        GROUP if name.is_empty() => refused("Default group resources are not allowed."),
        GROUP => none_of_these(&change, |key| {
            Refusal::NoSuchConfig(format!("Unknown group config name: {key}"))
        }),
        _ => refused(&format!("Unknown resource type {resource_type}")),
    }
}

/// Log levels are the environment's business here: to clients, there are no loggers.
fn change_logger(shard: &Shard, name: &str, change: &ConfigChange) -> Result<(), ChangeError> {
    let nodes = shard.broker.nodes;
    match name.parse::<i32>() {
        Ok(id) if nodes.find(id).is_some() => none_of_these(change, |key| {
            Refusal::NoSuchConfig(format!("Logger {key} does not exist!"))
        }),
        Ok(id) => {
            refused(&format!("Unexpected node id. Expected {}, but received {id}", nodes.ids()))
        }
        Err(_) => refused(&format!("Node id must be an integer, but it is: {name}")),
    }
}

/// Refuses the first key: none of them exists.
fn none_of_these(
    change: &ConfigChange,
    refusal: impl FnOnce(&str) -> Refusal,
) -> Result<(), ChangeError> {
    change.keys().next().map_or(Ok(()), |key| Err(refusal(key).into()))
}
