//! CreateTopics.

use std::collections::HashMap;
use std::mem;
use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::messages::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};

use super::{errors, topics};
use crate::catalog::Topic;
use crate::catalog::change::{Assignment, NewTopic, Refusal, check_request_size};
use crate::catalog::config::topic_keys;
use crate::shard::Shard;

/// Answers when every topic is durable and known to every shard, or refused.
pub async fn answer(shard: Rc<Shard>, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut response = CreateTopicsResponse::default();
    let mut topics: Vec<NewTopic> = request.topics.iter().map(new_topic).collect();
    if let Err(refusal) = check_request_size(&topics, shard.broker.default_partitions) {
        let names = request.topics.into_iter().map(|topic| topic.name);
        response.topics = names.map(|name| refused(name, &refusal)).collect();
        return response;
    }
    let repeated = take_repeated(&mut topics);
    for topic in topics {
        response.topics.push(create(&shard, topic, request.validate_only).await);
    }
    let duplicate = Refusal::Request("Duplicate topic name.".to_owned());
    response.topics.extend(repeated.into_iter().map(|name| refused(Str::from(name), &duplicate)));
    response
}

fn new_topic(topic: &CreatableTopic) -> NewTopic {
    let assignments = topic.assignments.iter().map(|assignment| Assignment {
        partition: assignment.partition_index,
        brokers: assignment.broker_ids.clone(),
    });
    let configs = topic
        .configs
        .iter()
        .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)));
    NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs.collect(),
    }
}

/// Takes out the topics that are named more than once; Kafka answers for each name once.
pub(super) fn take_repeated(topics: &mut Vec<NewTopic>) -> Vec<String> {
    let mut named: HashMap<String, usize> = HashMap::new();
    for topic in topics.iter() {
        *named.entry(topic.name.clone()).or_default() += 1;
    }
    let mut repeated = Vec::new();
    topics.retain(|topic| match named.get_mut(&topic.name).map(mem::take) {
        Some(1) => true,
        // Told already.
        None | Some(0) => false,
        Some(_) => {
            repeated.push(topic.name.clone());
            false
        }
    });
    repeated
}

fn refused(name: Str, refusal: &Refusal) -> CreatableTopicResult {
    let (error_code, error_message) = (errors::refusal_code(refusal), errors::message(refusal));
    CreatableTopicResult { name, error_code, error_message, ..Default::default() }
}

async fn create(shard: &Rc<Shard>, topic: NewTopic, check_only: bool) -> CreatableTopicResult {
    let name = Str::from(&*topic.name);
    match shard.create_topic(topic, check_only).await {
        Ok(created) => result(shard, name, &created),
        Err(error) => CreatableTopicResult {
            name,
            error_code: errors::change_code(&error),
            error_message: errors::message(&error),
            ..Default::default()
        },
    }
}

fn result(shard: &Shard, name: Str, topic: &Topic) -> CreatableTopicResult {
    let (catalog, broker) = (shard.catalog(), &shard.broker);
    let layers = catalog.layers(&topic.configs, broker.host_id(), &broker.settings);
    let described = topic_keys().iter().filter(|key| !key.internal);
    let config = |key| {
        let found = layers.topic_config(key);
        // What was sent is told as it was sent; DescribeConfigs shows it in one form.
        let sent = topic.configs.get(key.definition.name).cloned();
        CreatableTopicConfigs {
            name: Str::from_static(key.definition.name),
            value: sent.or(found.value).map(Str::from),
            read_only: false,
            config_source: found.source.number(),
            is_sensitive: false,
        }
    };
    CreatableTopicResult {
        name,
        topic_id: topics::uuid(topic.id),
        num_partitions: i32::try_from(topic.partitions).unwrap_or(-1),
        replication_factor: 1,
        configs: Some(described.map(config).collect()),
        ..Default::default()
    }
}
