//! CreateTopics.

use std::collections::HashMap;
use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfigs, CreatableTopicResult,
    CreateTopicsRequest, CreateTopicsResponse,
};

use super::{errors, topics};
use crate::catalog::config::{self, Configs};
use crate::catalog::{Topic, topic::MAX_PARTITIONS_PER_TOPIC};
use crate::shard::Shard;
use crate::shard::controller::NewTopic;

/// `config_source` as DescribeConfigs numbers it: set for the topic.
const SOURCE_TOPIC: i8 = 1;
/// `config_source` as DescribeConfigs numbers it: the default.
const SOURCE_DEFAULT: i8 = 5;

/// Answers when every topic is durable and known to every shard, or refused.
pub async fn answer(shard: Rc<Shard>, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut named: HashMap<Str, usize> = HashMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.clone()).or_default() += 1;
    }
    let mut response = CreateTopicsResponse::default();
    for topic in request.topics {
        // Kafka answers for a name that is there twice once.
        match named.remove(&topic.name) {
            Some(1) => response.topics.push(create(&shard, topic, request.validate_only).await),
            Some(_) => response.topics.push(refused(
                topic.name,
                ErrorCode::InvalidRequest,
                Some(Str::from_static("the request names this topic more than once")),
            )),
            None => {}
        }
    }
    response
}

fn refused(name: Str, error_code: ErrorCode, error_message: Option<Str>) -> CreatableTopicResult {
    CreatableTopicResult { name, error_code, error_message, ..Default::default() }
}

async fn create(
    shard: &Rc<Shard>,
    topic: CreatableTopic,
    check_only: bool,
) -> CreatableTopicResult {
    let new = match new_topic(&topic, shard.broker.node_id) {
        Ok(new) => new,
        Err((code, words)) => return refused(topic.name, code, Some(Str::from_static(words))),
    };
    match shard.create_topic(new, check_only).await {
        Ok(created) => result(shard, topic.name, &created, check_only),
        Err(error) => refused(topic.name, errors::change_code(&error), errors::message(&error)),
    }
}

type Refusal = (ErrorCode, &'static str);

/// What is asked for, as far as it can be said without the catalog.
pub(super) fn new_topic(topic: &CreatableTopic, node_id: i32) -> Result<NewTopic, Refusal> {
    let partitions = match (&*topic.assignments, topic.num_partitions) {
        ([], -1) => None,
        ([], partitions) => Some(partitions),
        (assignments, -1) => Some(assigned_partitions(assignments, node_id)?),
        _ => {
            return Err((
                ErrorCode::InvalidRequest,
                "with assignments, the number of partitions must be -1",
            ));
        }
    };
    if !topic.assignments.is_empty() && topic.replication_factor != -1 {
        return Err((
            ErrorCode::InvalidRequest,
            "with assignments, the replication factor must be -1",
        ));
    }
    if !matches!(topic.replication_factor, -1 | 1) {
        return Err((
            ErrorCode::InvalidReplicationFactor,
            "there is one broker: the replication factor can only be 1",
        ));
    }
    let mut configs = Configs::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            return Err((ErrorCode::InvalidConfig, "a config without a value"));
        };
        configs.insert(config.name.to_string(), value.to_string());
    }
    Ok(NewTopic { name: topic.name.to_string(), partitions, configs })
}

/// Assignments must name partitions 0, 1, 2 ... once each, all on this broker.
fn assigned_partitions(
    assignments: &[CreatableReplicaAssignment],
    node_id: i32,
) -> Result<i32, Refusal> {
    let wrong = |words| Err((ErrorCode::InvalidReplicaAssignment, words));
    if assignments.len() > MAX_PARTITIONS_PER_TOPIC as usize {
        return Err((ErrorCode::PolicyViolation, "too many partitions"));
    }
    if assignments.iter().any(|assignment| assignment.broker_ids != [node_id]) {
        return wrong("there is one broker: each partition has it as its only replica");
    }
    let mut indexes: Vec<i32> = assignments.iter().map(|a| a.partition_index).collect();
    indexes.sort_unstable();
    if indexes.iter().zip(0..).any(|(index, expected)| *index != expected) {
        return wrong("partitions must be numbered from 0 without gaps, once each");
    }
    i32::try_from(indexes.len()).map_err(|_| (ErrorCode::PolicyViolation, "too many partitions"))
}

fn result(shard: &Shard, name: Str, topic: &Topic, check_only: bool) -> CreatableTopicResult {
    let config = |(key, value, is_set): (&str, String, bool)| CreatableTopicConfigs {
        name: Str::from(key),
        value: Some(Str::from(value)),
        read_only: false,
        config_source: if is_set { SOURCE_TOPIC } else { SOURCE_DEFAULT },
        is_sensitive: false,
    };
    let configs = config::effective(&topic.configs, shard.broker.durability);
    CreatableTopicResult {
        name,
        // What is only checked has no id.
        topic_id: if check_only { Default::default() } else { topics::uuid(topic.id) },
        num_partitions: i32::try_from(topic.partitions).unwrap_or(-1),
        replication_factor: 1,
        configs: Some(configs.into_iter().map(config).collect()),
        ..Default::default()
    }
}
