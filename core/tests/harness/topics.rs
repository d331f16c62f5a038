//! Requests about topics and their configs, by the broker's own codec, one thing at a time.

use std::io;

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::*;

use super::typed::{call, frame};
use super::wire::Connection;

/// As [`call`], when the broker may be killed meanwhile.
pub fn try_call(connection: &mut Connection, (request, version): Question) -> io::Result<Response> {
    let api = request.api();
    connection.send_raw(&frame(version, request))?;
    let (correlation_id, body) = connection.receive()?;
    let answer = [&correlation_id.to_be_bytes()[..], &body].concat();
    Ok(Response::decode(api, version, &answer.into()).expect("an answer of this version").1)
}

/// Configs as pairs.
pub type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A request about one thing, and its version.
pub type Question = (Request, i16);

pub fn creation(name: &str, partitions: i32, configs: Pairs<'_>) -> Question {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: Str::from(*name),
        value: Some(Str::from(*value)),
    };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: -1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    (CreateTopicsRequest { topics: vec![topic], ..Default::default() }.into(), 7)
}

pub fn deletion(name: &str) -> Question {
    let topic_names = vec![name.into()];
    (DeleteTopicsRequest { topic_names, timeout_ms: 30_000, ..Default::default() }.into(), 5)
}

pub fn growth(name: &str, count: i32) -> Question {
    let topic = CreatePartitionsTopic { name: name.into(), count, assignments: None };
    let topics = vec![topic];
    (CreatePartitionsRequest { topics, timeout_ms: 30_000, validate_only: false }.into(), 3)
}

/// Sets configs (or with `None` takes them away), and no others.
pub fn alteration(resource_type: i8, name: &str, configs: &[(&str, Option<&str>)]) -> Question {
    let config = |(name, value): &(&str, Option<&str>)| IncrementalAlterableConfig {
        name: Str::from(*name),
        config_operation: if value.is_some() {
            config_operation::SET
        } else {
            config_operation::DELETE
        },
        value: value.map(Str::from),
    };
    let resource = IncrementalAlterConfigsResource {
        resource_type,
        resource_name: name.into(),
        configs: configs.iter().map(config).collect(),
    };
    let resources = vec![resource];
    (IncrementalAlterConfigsRequest { resources, validate_only: false }.into(), 1)
}

/// The error of the one thing that was asked about.
pub fn error_of(response: &Response) -> ErrorCode {
    match response {
        Response::CreateTopics(response) => response.topics[0].error_code,
        Response::DeleteTopics(response) => response.responses[0].error_code,
        Response::CreatePartitions(response) => response.results[0].error_code,
        Response::IncrementalAlterConfigs(response) => response.responses[0].error_code,
        other => panic!("not of one thing: {other:?}"),
    }
}

/// Creates a topic; its answer.
pub fn create(
    connection: &mut Connection,
    name: &str,
    partitions: i32,
    configs: Pairs<'_>,
) -> CreatableTopicResult {
    let (request, version) = creation(name, partitions, configs);
    let Response::CreateTopics(mut response) = call(connection, version, request) else {
        unreachable!()
    };
    response.topics.pop().expect("one topic, one answer")
}

/// Deletes a topic.
pub fn delete(connection: &mut Connection, name: &str) -> ErrorCode {
    let (request, version) = deletion(name);
    error_of(&call(connection, version, request))
}

/// Gives a topic more partitions.
pub fn grow(connection: &mut Connection, name: &str, count: i32) -> ErrorCode {
    let (request, version) = growth(name, count);
    error_of(&call(connection, version, request))
}

/// Sets or takes away configs; the error and its words.
pub fn alter(
    connection: &mut Connection,
    resource_type: i8,
    name: &str,
    configs: &[(&str, Option<&str>)],
) -> IncrementalAlterConfigsResourceResponse {
    let (request, version) = alteration(resource_type, name, configs);
    let Response::IncrementalAlterConfigs(mut response) = call(connection, version, request) else {
        unreachable!()
    };
    response.responses.pop().expect("one resource, one answer")
}

/// A resource's configs as (name, value, source), by name.
pub fn describe(
    connection: &mut Connection,
    resource_type: i8,
    name: &str,
) -> Vec<(String, Option<String>, i8)> {
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let Response::DescribeConfigs(mut response) = call(connection, 4, request) else {
        unreachable!()
    };
    let result = response.results.pop().expect("one resource, one answer");
    assert_eq!(result.error_code, ErrorCode::None, "{name}: {:?}", result.error_message);
    let told = result.configs.into_iter().map(|config| {
        (config.name.to_string(), config.value.map(|value| value.to_string()), config.config_source)
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

/// One config of a resource: its value and where it comes from.
pub fn described(
    connection: &mut Connection,
    resource_type: i8,
    name: &str,
    key: &str,
) -> (String, i8) {
    let all = describe(connection, resource_type, name);
    let (_, value, source) = all.into_iter().find(|(name, ..)| name == key).expect("it is told");
    (value.expect("it is not null"), source)
}

/// Topics by Metadata v12: id, partitions; `None` if there is no such topic.
pub fn topic(connection: &mut Connection, name: &str) -> Option<(Uuid, usize)> {
    let asked = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(vec![asked]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let Response::Metadata(response) = call(connection, 12, request) else { unreachable!() };
    let found = response.topics.first().filter(|topic| topic.error_code.is_none())?;
    Some((found.topic_id, found.partitions.len()))
}
