//! CreateTopics, DeleteTopics and CreatePartitions.

use corelane_net::codec::{Str, Uuid};
use corelane_net::messages::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatePartitionsAssignment,
    CreatePartitionsRequest, CreatePartitionsTopic, CreateTopicsRequest, DeleteTopicState,
    DeleteTopicsRequest,
};

use crate::stage::Stage;

const CREATE_VERSIONS: &[i16] = &[2, 3, 4, 5, 6, 7];

fn topic(name: &str) -> CreatableTopic {
    let (num_partitions, replication_factor) = (2, 1);
    CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor,
        ..CreatableTopic::default()
    }
}

fn creation(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, ..CreateTopicsRequest::default() }
}

fn config(name: &str, value: Option<&str>) -> CreatableTopicConfig {
    CreatableTopicConfig { name: name.into(), value: value.map(Into::into) }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(partition_index, broker_ids): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: broker_ids.to_vec(),
    };
    CreatableTopic {
        num_partitions: -1,
        replication_factor: -1,
        assignments: assignments.iter().map(assignment).collect(),
        ..topic(name)
    }
}

pub fn create(stage: &mut Stage<'_>) {
    for version in CREATE_VERSIONS {
        let good = creation(vec![topic(&format!("made-by-v{version}"))]);
        let checked = CreateTopicsRequest { validate_only: true, ..good.clone() };
        stage.ask_at(&[*version], "only checked", checked);
        stage.ask_at(&[*version], "made", good.clone());
        stage.ask_at(&[*version], "made again", good);
        stage.settle();
    }
    let versions = &[2, 4, 5, 7];
    for (step, topic) in wrong_topics() {
        stage.ask_at(versions, step, creation(vec![topic]));
    }
    let many = vec![topic("made-beside"), topic("made-twice"), topic("made-twice"), topic("..")];
    stage.ask_at(&[2, 5, 7], "one good, two alike, one illegal", creation(many));
    stage.settle();
    let colliding = creation(vec![topic("made.by_v2"), topic("made_by.v2")]);
    stage.ask_at(&[2, 7], "two that collide with each other", colliding);
    stage.settle();
    stage.ask_at(&[2, 7], "one that collides", creation(vec![topic("made_by_v2")]));
    stage.ask_at(&[2, 7], "no topic", creation(Vec::new()));
    for timeout_ms in [0, -1] {
        let name = format!("made-within{timeout_ms}");
        let asked = CreateTopicsRequest { timeout_ms, ..creation(vec![topic(&name)]) };
        stage.ask_at(&[7], &format!("within {timeout_ms} ms"), asked);
        stage.settle();
    }
    defaults(stage);
    assignments(stage);
}

fn wrong_topics() -> Vec<(&'static str, CreatableTopic)> {
    let name = "never-made";
    let with = |num_partitions, replication_factor| CreatableTopic {
        num_partitions,
        replication_factor,
        ..topic(name)
    };
    vec![
        ("no partitions", with(0, 1)),
        ("-2 partitions", with(-2, 1)),
        ("no replicas", with(1, 0)),
        ("-2 replicas", with(1, -2)),
        ("two replicas", with(1, 2)),
        ("more replicas than can be", with(1, i16::MAX)),
        ("the empty name", topic("")),
        ("one dot", topic(".")),
        ("two dots", topic("..")),
        ("a slash", topic("a/b")),
        ("a letter that is not ASCII", topic("ä")),
        ("250 characters", topic(&"m".repeat(250))),
    ]
}

/// -1 is the broker's default.
fn defaults(stage: &mut Stage<'_>) {
    for version in [2, 3, 4, 5, 7] {
        let topic = CreatableTopic {
            num_partitions: -1,
            replication_factor: -1,
            ..topic(&format!("default-of-v{version}"))
        };
        stage.ask_at(&[version], "the broker's defaults", creation(vec![topic]));
    }
    stage.settle();
}

fn assignments(stage: &mut Stage<'_>) {
    let node = stage.node_id();
    let (one, other) = (&[node][..], &[node + 1][..]);
    let counted = CreatableTopic { num_partitions: 2, ..assigned("assigned-a", &[(0, one)]) };
    let replicated =
        CreatableTopic { replication_factor: 1, ..assigned("assigned-b", &[(0, one)]) };
    let topics = [
        ("two partitions", assigned("assigned", &[(0, one), (1, one)])),
        ("in any order", assigned("assigned-back", &[(1, one), (0, one)])),
        ("with a count", counted),
        ("with a factor", replicated),
        ("from partition 1 on", assigned("assigned-c", &[(1, one)])),
        ("partition 0 twice", assigned("assigned-d", &[(0, one), (0, one)])),
        ("a gap", assigned("assigned-e", &[(0, one), (2, one)])),
        ("a negative partition", assigned("assigned-f", &[(-1, one), (0, one)])),
        ("nobody", assigned("assigned-g", &[(0, &[])])),
        ("an unknown broker", assigned("assigned-h", &[(0, other)])),
        ("a broker twice", assigned("assigned-i", &[(0, &[node, node])])),
        ("two and one", assigned("assigned-j", &[(0, one), (1, &[node, node + 1])])),
    ];
    for (step, topic) in topics {
        stage.ask_at(&[2, 7], &format!("assigned {step}"), creation(vec![topic]));
        stage.settle();
    }
}

/// Configs given at creation.
pub fn create_configured(stage: &mut Stage<'_>) {
    let configs = [
        ("retention", config("retention.ms", Some("1234567"))),
        ("a policy of two", config("cleanup.policy", Some("compact, delete"))),
        ("a policy twice", config("cleanup.policy", Some("delete,delete"))),
        ("an unknown key", config("no.such.key", Some("1"))),
        ("the empty key", config("", Some("1"))),
        ("null", config("retention.ms", None)),
        ("the empty value", config("retention.ms", Some(""))),
        ("the empty policy", config("cleanup.policy", Some(""))),
        ("not a number", config("retention.ms", Some("abc"))),
        ("blanks around a number", config("retention.ms", Some(" 77 "))),
        ("a fraction", config("retention.ms", Some("1.5"))),
        ("retention -2", config("retention.ms", Some("-2"))),
        ("an int that is too large", config("segment.bytes", Some("99999999999"))),
        ("a long that is too large", config("retention.ms", Some("9223372036854775808"))),
        ("a segment that is too small", config("segment.bytes", Some("13"))),
        ("an unknown policy", config("cleanup.policy", Some("burn"))),
        ("a policy in capitals", config("cleanup.policy", Some("DELETE"))),
        ("a boolean", config("preallocate", Some("TRUE"))),
        ("no boolean", config("preallocate", Some("yes"))),
        ("an unknown compression", config("compression.type", Some("rar"))),
        ("an unknown time type", config("message.timestamp.type", Some("createtime"))),
        ("a double", config("min.cleanable.dirty.ratio", Some("0.25"))),
        ("a double above 1", config("min.cleanable.dirty.ratio", Some("1.5"))),
        ("no replica in sync", config("min.insync.replicas", Some("0"))),
        ("an empty message limit", config("max.message.bytes", Some("-1"))),
        ("throttled replicas", config("leader.replication.throttled.replicas", Some("0:1"))),
        ("wrong throttled replicas", config("leader.replication.throttled.replicas", Some("x"))),
        ("remote storage", config("remote.storage.enable", Some("true"))),
        ("a removed key", config("message.format.version", Some("2.0"))),
        ("a broker's key", config("log.retention.ms", Some("1"))),
    ];
    for (number, (step, config)) in configs.into_iter().enumerate() {
        let configs = vec![config];
        let named = |version| topic(&format!("configured-{number}-v{version}"));
        for version in [2, 7] {
            let topic = CreatableTopic { configs: configs.clone(), ..named(version) };
            stage.ask_at(&[version], step, creation(vec![topic]));
        }
    }
    several_configs(stage);
}

fn several_configs(stage: &mut Stage<'_>) {
    let sets = [
        ("a key twice", [("retention.ms", "1"), ("retention.ms", "2")]),
        ("two keys", [("retention.ms", "1000"), ("segment.bytes", "2097152")]),
        ("one good, one bad", [("retention.ms", "1000"), ("segment.bytes", "x")]),
        ("lags out of order", [("min.compaction.lag.ms", "9"), ("max.compaction.lag.ms", "8")]),
        ("local above total", [("local.retention.ms", "9"), ("retention.ms", "8")]),
    ];
    for (number, (step, set)) in sets.into_iter().enumerate() {
        let configs = set.map(|(name, value)| config(name, Some(value))).to_vec();
        let topic = CreatableTopic { configs, ..topic(&format!("several-{number}")) };
        stage.ask_at(&[7], step, creation(vec![topic]));
    }
}

pub fn delete(stage: &mut Stage<'_>) {
    let by_name = |names: &[&str]| DeleteTopicsRequest {
        topics: names.iter().map(|name| state(Some(name), Uuid::ZERO)).collect(),
        topic_names: names.iter().map(|name| Str::from(*name)).collect(),
        timeout_ms: 30_000,
    };
    for version in [1, 2, 3, 4, 5, 6] {
        let name = format!("doomed-v{version}");
        stage.create_topic(&name, 1, &[]);
        stage.ask_at(&[version], "a topic", by_name(&[&name]));
        stage.settle();
        stage.ask_at(&[version], "the topic again", by_name(&[&name]));
    }
    let versions = &[1, 4, 6];
    stage.ask_at(versions, "an unknown topic", by_name(&["nowhere"]));
    stage.ask_at(versions, "an illegal name", by_name(&["a/b"]));
    stage.ask_at(versions, "the empty name", by_name(&[""]));
    stage.ask_at(versions, "no topic", by_name(&[]));
    for version in versions {
        let name = format!("doomed-twice-v{version}");
        stage.create_topic(&name, 1, &[]);
        stage.ask_at(&[*version], "a topic twice", by_name(&[&name, &name, "nowhere"]));
        stage.settle();
        stage.ask_at(&[*version], "after it was named twice", by_name(&[&name]));
        stage.settle();
    }
    delete_by_id(stage);
}

fn state(name: Option<&str>, topic_id: Uuid) -> DeleteTopicState {
    DeleteTopicState { name: name.map(Into::into), topic_id }
}

fn delete_by_id(stage: &mut Stage<'_>) {
    let by_id = |topics: Vec<DeleteTopicState>| DeleteTopicsRequest {
        topics,
        topic_names: Vec::new(),
        timeout_ms: 30_000,
    };
    let id = stage.create_topic("doomed-by-id", 1, &[]);
    let unknown = Uuid(*b"an unknown topic");
    stage.ask("v6: an unknown id", 6, by_id(vec![state(None, unknown)]));
    stage.ask("v6: neither", 6, by_id(vec![state(None, Uuid::ZERO)]));
    stage.ask("v6: id and name", 6, by_id(vec![state(Some("doomed-by-id"), id)]));
    let both = vec![state(None, id), state(Some("doomed-by-id"), Uuid::ZERO)];
    stage.ask("v6: by id and by name", 6, by_id(both));
    stage.ask("v6: an id twice", 6, by_id(vec![state(None, id), state(None, id)]));
    stage.settle();
    stage.ask("v6: an id", 6, by_id(vec![state(None, id)]));
    stage.settle();
    stage.ask("v6: the id again", 6, by_id(vec![state(None, id)]));
}

pub fn create_partitions(stage: &mut Stage<'_>) {
    let node = stage.node_id();
    let to = |name: &str, count, assignments: Option<Vec<Vec<i32>>>| {
        let assignment = |broker_ids| CreatePartitionsAssignment { broker_ids };
        let assignments = assignments.map(|all| all.into_iter().map(assignment).collect());
        CreatePartitionsTopic { name: name.into(), count, assignments }
    };
    let all = |topics| CreatePartitionsRequest {
        topics,
        timeout_ms: 30_000,
        ..CreatePartitionsRequest::default()
    };
    stage.create_topic("growing", 2, &[]);
    let versions = &[0, 1, 2, 3];
    for count in [2, 1, 0, -1] {
        stage.ask_at(versions, &format!("to {count}"), all(vec![to("growing", count, None)]));
    }
    stage.ask_at(versions, "an unknown topic", all(vec![to("nowhere", 3, None)]));
    stage.ask_at(&[0, 3], "an illegal name", all(vec![to("a/b", 3, None)]));
    let checked =
        CreatePartitionsRequest { validate_only: true, ..all(vec![to("growing", 5, None)]) };
    stage.ask_at(versions, "only checked", checked);
    for (step, assignments) in [
        ("nobody", vec![vec![]]),
        ("too few", vec![]),
        ("too many", vec![vec![node], vec![node]]),
        ("an unknown broker", vec![vec![node + 1]]),
        ("a broker twice", vec![vec![node, node]]),
        ("two replicas", vec![vec![node, node + 1]]),
    ] {
        let topic = to("growing", 3, Some(assignments));
        stage.ask_at(&[0, 3], &format!("assigned {step}"), all(vec![topic]));
    }
    stage.ask("v0: assigned well", 0, all(vec![to("growing", 3, Some(vec![vec![node]]))]));
    stage.settle();
    for version in versions {
        let asked = all(vec![to("growing", 4 + i32::from(*version), None)]);
        stage.ask_at(&[*version], "one more", asked);
        stage.settle();
    }
    let twice = vec![to("growing", 8, None), to("growing", 9, None), to("nowhere", 1, None)];
    stage.ask_at(&[0, 3], "a topic twice", all(twice));
    stage.ask_at(&[0, 3], "no topic", all(Vec::new()));
    stage.ask("v3: more than can be", 3, all(vec![to("growing", i32::MAX, None)]));
}
