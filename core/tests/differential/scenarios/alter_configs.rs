//! AlterConfigs and IncrementalAlterConfigs, and what is described after them.

use corelane_net::codec::Str;
use corelane_net::messages::config_operation::{APPEND, DELETE, SET, SUBTRACT};
use corelane_net::messages::config_resource_type::{BROKER, BROKER_LOGGER, GROUP, TOPIC};
use corelane_net::messages::{
    AlterConfigsRequest, AlterConfigsResource, AlterableConfig, DescribeConfigsRequest,
    DescribeConfigsResource, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterableConfig,
};

use crate::stage::Stage;

type Change<'a> = (&'a str, i8, Option<&'a str>);

fn patch(resource_type: i8, name: &str, changes: &[Change<'_>]) -> IncrementalAlterConfigsRequest {
    let change = |(name, config_operation, value): &Change<'_>| IncrementalAlterableConfig {
        name: (*name).into(),
        config_operation: *config_operation,
        value: value.map(Into::into),
    };
    let configs = changes.iter().map(change).collect();
    let resource =
        IncrementalAlterConfigsResource { resource_type, resource_name: name.into(), configs };
    IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false }
}

fn whole(resource_type: i8, name: &str, set: &[(&str, Option<&str>)]) -> AlterConfigsRequest {
    let config = |(name, value): &(&str, Option<&str>)| AlterableConfig {
        name: (*name).into(),
        value: value.map(Into::into),
    };
    let configs = set.iter().map(config).collect();
    let resource = AlterConfigsResource { resource_type, resource_name: name.into(), configs };
    AlterConfigsRequest { resources: vec![resource], validate_only: false }
}

/// Records the values that are in force.
fn describe(stage: &mut Stage<'_>, after: &str, resource_type: i8, name: &str, keys: &[&str]) {
    stage.settle();
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: Some(keys.iter().map(|key| Str::from(*key)).collect()),
    };
    let include_synonyms = true;
    let resources = vec![resource];
    let asked = DescribeConfigsRequest { resources, include_synonyms, ..Default::default() };
    stage.ask(&format!("v4: described after {after}"), 4, asked);
}

const TOPIC_KEYS: &[&str] = &["retention.ms", "cleanup.policy", "segment.bytes"];

pub fn incremental_topics(stage: &mut Stage<'_>) {
    stage.create_topic("patched", 1, &[("segment.bytes", "2097152")]);
    let good: [(&str, &[Change<'_>]); 13] = [
        ("set", &[("retention.ms", SET, Some("1000"))]),
        ("set to blanks and a number", &[("retention.ms", SET, Some(" 1001 "))]),
        ("append", &[("cleanup.policy", APPEND, Some("compact"))]),
        ("append what is there", &[("cleanup.policy", APPEND, Some("compact"))]),
        ("subtract", &[("cleanup.policy", SUBTRACT, Some("delete"))]),
        ("subtract what is not there", &[("cleanup.policy", SUBTRACT, Some("delete"))]),
        ("append two", &[("cleanup.policy", APPEND, Some("delete,compact"))]),
        ("subtract the last", &[("cleanup.policy", SUBTRACT, Some("delete,compact"))]),
        ("delete", &[("cleanup.policy", DELETE, None)]),
        ("delete with a value", &[("retention.ms", DELETE, Some("7"))]),
        ("delete what is not set", &[("retention.ms", DELETE, None)]),
        ("two keys", &[("retention.ms", SET, Some("5")), ("segment.bytes", DELETE, None)]),
        ("nothing", &[]),
    ];
    for (step, changes) in good {
        stage.ask_at(&[0, 1], step, patch(TOPIC, "patched", changes));
        describe(stage, step, TOPIC, "patched", TOPIC_KEYS);
    }
    for (step, changes) in refused_changes() {
        stage.ask_at(&[0, 1], step, patch(TOPIC, "patched", &changes));
    }
    let mut checked = patch(TOPIC, "patched", &[("retention.ms", SET, Some("42"))]);
    checked.validate_only = true;
    stage.ask_at(&[0, 1], "only checked", checked);
    let mut checked = patch(TOPIC, "patched", &[("retention.ms", SET, Some("x"))]);
    checked.validate_only = true;
    stage.ask_at(&[0, 1], "only checked and bad", checked);
    describe(stage, "all that was refused", TOPIC, "patched", TOPIC_KEYS);
    resources(stage);
}

fn refused_changes() -> Vec<(&'static str, Vec<Change<'static>>)> {
    let retention = |operation, value| vec![("retention.ms", operation, value)];
    vec![
        ("an unknown key", vec![("no.such.key", SET, Some("1"))]),
        ("an unknown key deleted", vec![("no.such.key", DELETE, None)]),
        ("the empty key", vec![("", SET, Some("1"))]),
        ("not a number", retention(SET, Some("abc"))),
        ("the empty value", retention(SET, Some(""))),
        ("too small", retention(SET, Some("-2"))),
        ("null", retention(SET, None)),
        ("append to what is no list", retention(APPEND, Some("1"))),
        ("subtract from what is no list", retention(SUBTRACT, Some("1"))),
        ("append null", vec![("cleanup.policy", APPEND, None)]),
        ("append an unknown policy", vec![("cleanup.policy", APPEND, Some("burn"))]),
        ("an unknown operation", retention(4, Some("1"))),
        ("a negative operation", retention(-1, Some("1"))),
        ("a key twice", [retention(SET, Some("1")), retention(SET, Some("2"))].concat()),
        ("a key set and deleted", [retention(SET, Some("1")), retention(DELETE, None)].concat()),
        (
            "one good, one bad",
            vec![("segment.bytes", SET, Some("3000000")), ("retention.ms", SET, Some("x"))],
        ),
    ]
}

fn resources(stage: &mut Stage<'_>) {
    let change: &[Change<'_>] = &[("retention.ms", SET, Some("77"))];
    for (step, resource_type, name) in [
        ("an unknown topic", TOPIC, "nowhere"),
        ("an illegal name", TOPIC, "a/b"),
        ("the empty name", TOPIC, ""),
        ("a logger of an unknown broker", BROKER_LOGGER, "99"),
        ("a group's unknown key", GROUP, "a-group"),
        ("type 0", 0, "x"),
        ("type 1", 1, "x"),
        ("type 127", 127, "x"),
    ] {
        stage.ask_at(&[0, 1], step, patch(resource_type, name, change));
    }
    let mut twice = patch(TOPIC, "patched", change);
    twice.resources.extend(twice.resources.clone());
    twice.resources.extend(patch(TOPIC, "nowhere", change).resources);
    stage.ask_at(&[0, 1], "a topic twice and an unknown one", twice);
    let mut mixed = patch(TOPIC, "patched", change);
    mixed.resources.extend(patch(TOPIC, "nowhere", change).resources);
    stage.ask_at(&[0, 1], "a topic and an unknown one", mixed);
    describe(stage, "one of two was refused", TOPIC, "patched", TOPIC_KEYS);
    stage.ask_at(&[0, 1], "no resource", IncrementalAlterConfigsRequest::default());
}

pub fn incremental_brokers(stage: &mut Stage<'_>) {
    let node = stage.node_id().to_string();
    let keys = &["log.retention.ms", "message.max.bytes", "num.partitions"];
    let limit = |value| [("message.max.bytes", SET, value)];
    stage.create_topic("of-the-broker", 1, &[]);
    for (step, name) in [("for this broker", &node[..]), ("for all brokers", "")] {
        stage.ask(&format!("v1: set {step}"), 1, patch(BROKER, name, &limit(Some("2000000"))));
        describe(stage, &format!("set {step}"), BROKER, &node, keys);
        describe(stage, &format!("set {step}, the default"), BROKER, "", keys);
        let topic_keys = &["max.message.bytes"];
        describe(stage, &format!("set {step}, the topic"), TOPIC, "of-the-broker", topic_keys);
    }
    for (step, name) in [("for this broker", &node[..]), ("for all brokers", "")] {
        let undone = patch(BROKER, name, &[("message.max.bytes", DELETE, None)]);
        stage.ask(&format!("v1: deleted {step}"), 1, undone);
        describe(stage, &format!("deleted {step}"), BROKER, &node, keys);
    }
    for (step, key, value) in [
        ("a key that is fixed", "num.network.threads", "x"),
        ("a read-only key", "broker.id", "7"),
        ("a read-only default", "auto.create.topics.enable", "false"),
        ("not a number", "message.max.bytes", "x"),
        ("too small", "message.max.bytes", "-1"),
        ("an unknown key", "no.such.key", "1"),
    ] {
        for (who, name) in [("this broker", &node[..]), ("all brokers", "")] {
            let asked = patch(BROKER, name, &[(key, SET, Some(value))]);
            stage.ask(&format!("v1: {step}, {who}"), 1, asked);
        }
    }
    for name in ["99", "x", "-1"] {
        let asked = patch(BROKER, name, &limit(Some("2000000")));
        stage.ask(&format!("v1: broker {name}"), 1, asked);
    }
}

pub fn whole_sets(stage: &mut Stage<'_>) {
    stage.create_topic("replaced", 1, &[("segment.bytes", "2097152")]);
    for version in [0, 1, 2] {
        let retention = format!("{}", 1000 + version);
        let set = [("retention.ms", Some(&retention[..]))];
        stage.ask(&format!("v{version}: one key"), version, whole(TOPIC, "replaced", &set));
        let after = format!("v{version} set one key");
        describe(stage, &after, TOPIC, "replaced", TOPIC_KEYS);
    }
    let versions = &[0, 2];
    for (step, set) in [
        ("an unknown key", &[("no.such.key", Some("1"))][..]),
        ("not a number", &[("retention.ms", Some("x"))]),
        ("null", &[("retention.ms", None)]),
        ("a key twice", &[("retention.ms", Some("1")), ("retention.ms", Some("2"))]),
        ("one good, one bad", &[("segment.bytes", Some("3000000")), ("retention.ms", Some("x"))]),
    ] {
        stage.ask_at(versions, step, whole(TOPIC, "replaced", set));
    }
    describe(stage, "all that was refused", TOPIC, "replaced", TOPIC_KEYS);
    let set: &[(&str, Option<&str>)] = &[("retention.ms", Some("77"))];
    for (step, resource_type, name) in
        [("an unknown topic", TOPIC, "nowhere"), ("the empty name", TOPIC, ""), ("type 0", 0, "x")]
    {
        stage.ask_at(versions, step, whole(resource_type, name, set));
    }
    let mut twice = whole(TOPIC, "replaced", set);
    twice.resources.extend(twice.resources.clone());
    stage.ask_at(versions, "a topic twice", twice);
    let checked = AlterConfigsRequest { validate_only: true, ..whole(TOPIC, "replaced", set) };
    stage.ask_at(versions, "only checked", checked);
    stage.ask_at(versions, "nothing", whole(TOPIC, "replaced", &[]));
    describe(stage, "nothing was set", TOPIC, "replaced", TOPIC_KEYS);
    stage.ask_at(versions, "no resource", AlterConfigsRequest::default());
}
