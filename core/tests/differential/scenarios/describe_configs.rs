//! DescribeConfigs and ListConfigResources.

use corelane_net::codec::Str;
use corelane_net::messages::config_resource_type::{
    BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC,
};
use corelane_net::messages::{
    DescribeConfigsRequest, DescribeConfigsResource, ListConfigResourcesRequest,
};

use crate::stage::Stage;

const VERSIONS: &[i16] = &[1, 2, 3, 4];

/// Asks for these keys of one resource, or for all of them.
fn request(resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsRequest {
    let configuration_keys = keys.map(|keys| keys.iter().map(|key| Str::from(*key)).collect());
    let resource_name = name.into();
    let resource = DescribeConfigsResource { resource_type, resource_name, configuration_keys };
    DescribeConfigsRequest { resources: vec![resource], ..DescribeConfigsRequest::default() }
}

fn with_all(request: DescribeConfigsRequest) -> DescribeConfigsRequest {
    DescribeConfigsRequest { include_synonyms: true, include_documentation: true, ..request }
}

pub fn topics(stage: &mut Stage<'_>) {
    let set = [("retention.ms", "86400000"), ("cleanup.policy", "compact,delete")];
    stage.create_topic("described", 1, &set);
    let some: &[&str] = &["retention.ms", "cleanup.policy", "segment.bytes", "compression.type"];
    stage.ask_at(VERSIONS, "some keys", request(TOPIC, "described", Some(some)));
    let told = with_all(request(TOPIC, "described", Some(some)));
    stage.ask_at(VERSIONS, "some keys with everything", told);
    let all = with_all(request(TOPIC, "described", None));
    stage.ask("v4: all keys", 4, all);
    stage.ask("v1: all keys", 1, request(TOPIC, "described", None));
    for (step, keys) in [
        ("no keys", &[][..]),
        ("an unknown key", &["no.such.key"]),
        ("a key twice", &["retention.ms", "retention.ms"]),
        ("a broker's key", &["log.retention.ms"]),
    ] {
        stage.ask_at(&[1, 4], step, request(TOPIC, "described", Some(keys)));
    }
    stage.ask_at(&[1, 4], "an unknown topic", request(TOPIC, "nowhere", None));
    stage.ask_at(&[1, 4], "an illegal name", request(TOPIC, "a/b", None));
    stage.ask_at(&[1, 4], "the empty name", request(TOPIC, "", None));
    let mut twice = request(TOPIC, "described", Some(&["retention.ms"]));
    twice.resources.extend(twice.resources.clone());
    twice.resources.extend(request(TOPIC, "nowhere", Some(&["retention.ms"])).resources);
    stage.ask_at(&[1, 4], "a topic twice and an unknown one", twice);
    stage.ask_at(&[1, 4], "no resource", DescribeConfigsRequest::default());
}

pub fn brokers(stage: &mut Stage<'_>) {
    let node = stage.node_id().to_string();
    let some: &[&str] = &[
        "auto.create.topics.enable",
        "default.replication.factor",
        "delete.topic.enable",
        "log.cleanup.policy",
        "log.retention.bytes",
        "log.retention.hours",
        "log.retention.ms",
        "log.segment.bytes",
        "message.max.bytes",
        "min.insync.replicas",
        "node.id",
        "num.partitions",
        "socket.request.max.bytes",
    ];
    stage.ask_at(VERSIONS, "some keys", request(BROKER, &node, Some(some)));
    let told = with_all(request(BROKER, &node, Some(some)));
    stage.ask_at(&[1, 4], "some keys with everything", told);
    stage.ask("v4: all keys", 4, request(BROKER, &node, None));
    stage.ask_at(&[1, 4], "the cluster's defaults", request(BROKER, "", None));
    stage.ask_at(&[1, 4], "an unknown broker", request(BROKER, "99", None));
    stage.ask_at(&[1, 4], "a broker that is no number", request(BROKER, "x", None));
}

/// Resources that a broker without these features has too, or does not know.
pub fn others(stage: &mut Stage<'_>) {
    let node = stage.node_id().to_string();
    for (step, resource_type, name) in [
        ("an unknown logger's broker", BROKER_LOGGER, "99"),
        ("no logger's broker", BROKER_LOGGER, ""),
        ("a group", GROUP, "a-group"),
        ("the empty group", GROUP, ""),
        ("client metrics", CLIENT_METRICS, "metrics"),
        ("the empty client metrics", CLIENT_METRICS, ""),
        ("type 0", 0, "x"),
        ("type 1", 1, "x"),
        ("type 3", 3, "x"),
        ("type -1", -1, "x"),
        ("type 127", 127, "x"),
    ] {
        stage.ask_at(&[1, 4], step, request(resource_type, name, None));
    }
    let root = request(BROKER_LOGGER, &node, Some(&["no.such.logger"]));
    stage.ask_at(&[1, 4], "an unknown logger", root);
}

pub fn listed(stage: &mut Stage<'_>) {
    let of = |resource_types: &[i8]| ListConfigResourcesRequest {
        resource_types: resource_types.to_vec(),
    };
    stage.ask("v0: client metrics", 0, of(&[]));
    stage.ask("v1: of any type", 1, of(&[]));
    for resource_type in [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, 0, 3, 127, -1] {
        stage.ask(&format!("v1: of type {resource_type}"), 1, of(&[resource_type]));
    }
    stage.ask("v1: of two types", 1, of(&[BROKER, GROUP]));
    stage.ask("v1: of a type twice", 1, of(&[BROKER, BROKER]));
}
