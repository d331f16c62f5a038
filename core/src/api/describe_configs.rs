//! DescribeConfigs (KIP-133, KIP-226, KIP-524, KIP-569).

use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::config_resource_type::{
    BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC,
};
use corelane_net::messages::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

use super::errors;
use crate::catalog::change::Refusal;
use crate::catalog::config::{
    BrokerKey, Definition, Resolved, Sourced, TopicKey, broker_keys, topic_keys,
};
use crate::catalog::name;
use crate::shard::Shard;
use crate::shard::nodes::Node;
use crate::shard::pauses::Pauses;

/// Configs that one answer may tell of: all those of 10,000 topics. A request of a few megabytes
/// could ask for gigabytes else.
const ANSWERED_CONFIGS_MAX: usize = 340_000;

/// Bytes of text that one answer may hold, one resource more or less: values may be long.
const ANSWERED_BYTES_MAX: usize = 64 << 20;

/// Answers resource by resource, with pauses.
pub async fn answer(shard: Rc<Shard>, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let mut response = DescribeConfigsResponse::default();
    let types = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
    let all_known = request.resources.iter().all(|one| types.contains(&one.resource_type));
    let asked = Asked {
        shard: &shard,
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    let (mut answered, mut answered_bytes) = (0, 0);
    let mut pauses = Pauses::new(&shard.runtime);
    for resource in request.resources {
        let fits = answered < ANSWERED_CONFIGS_MAX && answered_bytes < ANSWERED_BYTES_MAX;
        let described = match fits {
            // One unknown type spoils the whole request.
            _ if !all_known => Err(Refusal::Request(UNKNOWN_TYPE.to_owned())),
            true => asked.describe(&resource),
            false => Err(Refusal::TooManyConfigs),
        };
        let result = result(resource, described);
        answered += result.configs.len();
        answered_bytes += result.configs.iter().map(text_bytes).sum::<usize>();
        let steps = 1 + result.configs.len();
        response.results.push(result);
        pauses.after(steps).await;
    }
    response
}

/// Bytes of the texts of one config that may be long.
fn text_bytes(config: &DescribeConfigsResourceResult) -> usize {
    let synonyms = config.synonyms.iter().map(|synonym| &synonym.value);
    synonyms.chain([&config.value, &config.documentation]).flatten().map(|text| text.len()).sum()
}

const UNKNOWN_TYPE: &str = "The request names a resource type that has no configs.";

type Described = Result<Vec<DescribeConfigsResourceResult>, Refusal>;

fn result(resource: DescribeConfigsResource, described: Described) -> DescribeConfigsResult {
    let DescribeConfigsResource { resource_type, resource_name, .. } = resource;
    let (error_code, error_message, configs) = match described {
        Ok(configs) => (ErrorCode::None, Some(Str::EMPTY), configs),
        // Kafka has no words for it.
        Err(refusal @ Refusal::UnknownTopic(_)) => {
            (errors::refusal_code(&refusal), Some(Str::EMPTY), Vec::new())
        }
        Err(refusal) => (errors::refusal_code(&refusal), errors::message(&refusal), Vec::new()),
    };
    DescribeConfigsResult { error_code, error_message, resource_type, resource_name, configs }
}

/// What is asked about every resource.
struct Asked<'a> {
    shard: &'a Shard,
    synonyms: bool,
    documentation: bool,
}

impl Asked<'_> {
    fn describe(&self, resource: &DescribeConfigsResource) -> Described {
        let name = &*resource.resource_name;
        match resource.resource_type {
            TOPIC => self.topic(resource),
            BROKER if name.is_empty() => Ok(self.all_brokers(resource)),
            BROKER => {
                let ids = self.shard.broker.nodes.ids();
                let node = self.find_broker(name, &format!("{ids} or empty string,"))?;
                Ok(self.broker(resource, node))
            }
            BROKER_LOGGER if name.is_empty() => refused("Broker id must not be empty"),
            // Log levels are the environment's business here: to clients, there are no loggers.
            BROKER_LOGGER => {
                self.find_broker(name, &self.shard.broker.nodes.ids()).map(|_| Vec::new())
            }
            CLIENT_METRICS if name.is_empty() => {
                refused("Client metrics subscription name must not be empty")
            }
            GROUP if name.is_empty() => refused("Group name must not be empty"),
            _ => Ok(Vec::new()),
        }
    }

    fn find_broker(&self, name: &str, expected: &str) -> Result<Node, Refusal> {
        let id = name.parse::<i32>();
        let found = id.as_ref().ok().and_then(|id| self.shard.broker.nodes.find(*id));
        if let Some(node) = found {
            return Ok(node);
        }
        let words = match id {
            Ok(_) => format!("Unexpected broker id, expected {expected} but received {name}"),
            Err(_) => format!("Broker id must be an integer, but it is: {name}"),
        };
        Err(Refusal::Request(words))
    }

    fn topic(&self, resource: &DescribeConfigsResource) -> Described {
        let name = &*resource.resource_name;
        name::check(name)?;
        let catalog = self.shard.catalog();
        let topic = catalog.topic(name).ok_or_else(|| Refusal::UnknownTopic(name.to_owned()))?;
        let broker = &self.shard.broker;
        let layers = catalog.layers(&topic.configs, broker.host_id(), &broker.settings);
        let keys = topic_keys().iter().filter(|key| !key.internal);
        let wanted = keys.filter(|key| is_wanted(resource, key.definition.name));
        let config =
            |key: &'static TopicKey| self.config(&key.definition, layers.topic_config(key), false);
        Ok(wanted.map(config).collect())
    }

    fn broker(
        &self,
        resource: &DescribeConfigsResource,
        node: Node,
    ) -> Vec<DescribeConfigsResourceResult> {
        let catalog = self.shard.catalog();
        let broker = &self.shard.broker;
        let layers = catalog.broker_layers(broker.host_id(), broker.settings_of(node));
        let wanted = broker_keys().filter(|key| is_wanted(resource, key.definition.name));
        let config = |key: &'static BrokerKey| {
            self.config(&key.definition, layers.broker_config(key), !key.dynamic)
        };
        wanted.map(config).collect()
    }

    /// What was set for all brokers, and nothing else.
    fn all_brokers(
        &self,
        resource: &DescribeConfigsResource,
    ) -> Vec<DescribeConfigsResourceResult> {
        let catalog = self.shard.catalog();
        let broker = &self.shard.broker;
        let layers = catalog.broker_layers(broker.host_id(), &broker.settings);
        let wanted = broker_keys().filter(|key| is_wanted(resource, key.definition.name));
        let set = wanted.filter_map(|key| Some((key, layers.cluster_config(key)?)));
        set.map(|(key, found)| self.config(&key.definition, found, !key.dynamic)).collect()
    }

    fn config(
        &self,
        definition: &'static Definition,
        found: Resolved<'_>,
        read_only: bool,
    ) -> DescribeConfigsResourceResult {
        let synonyms = found.synonyms.iter().filter(|_| self.synonyms).map(synonym);
        let documentation = Str::from_static(definition.documentation);
        DescribeConfigsResourceResult {
            name: Str::from_static(definition.name),
            value: found.value.map(Str::from),
            read_only,
            config_source: found.source.number(),
            is_sensitive: false,
            synonyms: synonyms.collect(),
            config_type: definition.config_type.number(),
            documentation: self.documentation.then_some(documentation),
        }
    }
}

fn refused(words: &str) -> Described {
    Err(Refusal::Request(words.to_owned()))
}

/// No list of keys, or an empty one, means all.
fn is_wanted(resource: &DescribeConfigsResource, name: &str) -> bool {
    let keys = resource.configuration_keys.as_deref().unwrap_or_default();
    keys.is_empty() || keys.iter().any(|key| **key == *name)
}

fn synonym(value: &Sourced<'_>) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym {
        name: Str::from_static(value.name),
        value: Some(Str::from(&*value.text)),
        source: value.source.number(),
    }
}
