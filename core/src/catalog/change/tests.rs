use std::sync::Arc;

use corelane_storage::ids::TopicId;
use corelane_storage::log::Durability;

use super::*;
use crate::catalog::config::Configs;
use crate::catalog::{BrokerScope, Command, Topic};

/// A cluster of one broker (1), and what it is asked for.
struct Cluster {
    catalog: Catalog,
    settings: Settings,
}

impl Cluster {
    fn of(topics: &[(&str, u32)]) -> Cluster {
        let mut catalog = Catalog::default();
        for (number, (name, partitions)) in topics.iter().enumerate() {
            let (id, configs) = (TopicId([number as u8 + 1; 16]), Configs::new());
            let topic = Topic { name: (*name).into(), id, partitions: *partitions, configs };
            catalog.apply(&Command::CreateTopic(Arc::new(topic)));
        }
        Cluster { catalog, settings: Settings::new(Durability::Written) }
    }

    fn view(&self) -> View<'_> {
        let (catalog, settings) = (&self.catalog, &self.settings);
        View { catalog, nodes: Nodes::one(1), default_partitions: 3, settings }
    }

    /// The topic's partitions, or why not.
    fn create(&self, new: NewTopic) -> Result<u32, String> {
        let created = create(&self.view(), new, TopicId([99; 16]));
        created.map(|topic| topic.partitions).map_err(|refusal| refusal.to_string())
    }

    fn alter(&mut self, topic: &str, change: ConfigChange) -> Result<Configs, String> {
        let words = |refusal: Refusal| refusal.to_string();
        change.check().map_err(words)?;
        let (topic, configs) = alter_topic(&self.view(), topic, &change).map_err(words)?;
        self.catalog.apply(&Command::SetTopicConfigs { id: topic.id, configs: configs.clone() });
        Ok(configs)
    }

    fn alter_broker(&mut self, name: &str, change: ConfigChange) -> Result<Configs, String> {
        let words = |refusal: Refusal| refusal.to_string();
        change.check().map_err(words)?;
        let (scope, configs) = alter_broker(&self.view(), name, &change).map_err(words)?;
        self.catalog.apply(&Command::SetBrokerConfigs { scope, configs: configs.clone() });
        Ok(configs)
    }
}

fn topic(partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { partitions, replication_factor, ..NewTopic::named("new") }
}

fn assigned(assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignment = |(partition, brokers): &(i32, &[i32])| Assignment {
        partition: *partition,
        brokers: brokers.to_vec(),
    };
    let assignments = assignments.iter().map(assignment).collect();
    NewTopic { assignments, ..NewTopic::named("new") }
}

fn configured(configs: &[(&str, Option<&str>)]) -> NewTopic {
    let pair = |(key, value): &(&str, Option<&str>)| (key.to_string(), value.map(str::to_owned));
    NewTopic { configs: configs.iter().map(pair).collect(), ..NewTopic::named("new") }
}

/// SET, DELETE, APPEND, SUBTRACT as the wire numbers them.
fn altered(keys: &[(&str, i8, Option<&str>)]) -> ConfigChange {
    let alteration = |(key, operation, value): &(&str, i8, Option<&str>)| Alteration {
        key: key.to_string(),
        operation: *operation,
        value: value.map(str::to_owned),
    };
    ConfigChange::Alter(keys.iter().map(alteration).collect())
}

fn replaced(keys: &[(&str, &str)]) -> ConfigChange {
    let pair = |(key, value): &(&str, &str)| (key.to_string(), Some(value.to_string()));
    ConfigChange::Replace(keys.iter().map(pair).collect())
}

fn pairs(configs: &Configs) -> Vec<(&str, &str)> {
    configs.iter().map(|(key, value)| (&**key, &**value)).collect()
}

#[test]
fn a_topics_shape_is_checked_as_kafka_does() {
    let cluster = Cluster::of(&[]);
    let create = |new| cluster.create(new);
    assert_eq!(create(topic(-1, -1)), Ok(3), "the broker's default");
    assert_eq!(create(topic(6, 1)), Ok(6));
    let refused = |new| create(new).expect_err("refused");
    assert!(refused(topic(0, 1)).contains("non-positive"));
    assert!(refused(topic(-2, 5)).contains("non-positive"), "looked at before the replicas");
    assert!(refused(topic(0, 0)).contains("larger than 0"));
    assert!(refused(topic(1, -2)).contains("larger than 0"));
    assert!(refused(topic(1, 2)).contains("2 time(s)"));
    assert!(refused(topic(10_001, 1)).contains("Too many partitions"));
    assert!(refused(topic(i32::MAX, 1)).contains("Too many partitions"));
}

#[test]
fn an_assignment_names_every_partition_once_on_the_one_broker() {
    let cluster = Cluster::of(&[]);
    assert_eq!(cluster.create(assigned(&[(1, &[1]), (0, &[1])])), Ok(2), "in any order");
    let refused = |new| cluster.create(new).expect_err("refused");
    for gap in [&[(1, &[1][..])][..], &[(0, &[1]), (2, &[1])], &[(-1, &[1])]] {
        assert!(refused(assigned(gap)).contains("consecutive"), "{gap:?}");
    }
    assert!(refused(assigned(&[(0, &[1]), (0, &[1])])).contains("multiple"));
    assert!(refused(assigned(&[(0, &[])])).contains("empty replica list"));
    assert!(refused(assigned(&[(0, &[1, 2])])).contains("broker 2, but no such"));
    assert!(refused(assigned(&[(0, &[-1])])).contains("broker -1, but no such"));
    assert!(refused(assigned(&[(0, &[1, 1])])).contains("more than once"));
    let counted = NewTopic { partitions: 1, ..assigned(&[(0, &[1])]) };
    assert!(refused(counted).contains("numPartitions was not set to -1"));
    let replicated = NewTopic { replication_factor: 1, ..assigned(&[(0, &[1])]) };
    assert!(refused(replicated).contains("replication factor was not set to -1"));
}

#[test]
fn names_come_first_then_configs_then_the_shape() {
    let cluster = Cluster::of(&[("a.b", 1)]);
    let named = |name: &str| NewTopic {
        name: name.to_owned(),
        partitions: 0,
        ..configured(&[("x", Some("y"))])
    };
    let refused = |new| cluster.create(new).expect_err("refused");
    assert_eq!(refused(named("a.b")), "Topic 'a.b' already exists.");
    assert_eq!(refused(named("a_b")), "Topic 'a_b' collides with existing topic: a.b");
    assert!(refused(named("a b")).contains("'a b' contains one or more characters"));
    assert!(refused(named("__cluster_metadata")).contains("prohibited"));
    assert!(refused(named("__consumer_offsets")).contains("keeps for itself"));
    assert_eq!(refused(named("fine")), "Unknown topic config name: x");
}

#[test]
fn configs_of_a_new_topic_are_checked() {
    let cluster = Cluster::of(&[]);
    let refused = |configs| cluster.create(configured(configs)).expect_err("refused");
    let nulls = [("retention.ms", None), ("no.such", None)];
    assert_eq!(refused(&nulls), "Null value not supported for topic configs: retention.ms,no.such");
    let both = [("retention.ms", Some("abc")), ("no.such", Some("1"))];
    assert_eq!(refused(&both), "Unknown topic config name: no.such", "names before values");
    let lags = [("min.compaction.lag.ms", Some("10")), ("max.compaction.lag.ms", Some("5"))];
    assert!(refused(&lags).contains("(10) > max.compaction.lag.ms (5)"));
    let twice = configured(&[("retention.ms", Some("5")), ("retention.ms", Some("6"))]);
    let made = create(&cluster.view(), twice, TopicId::ZERO).expect("created");
    assert_eq!(pairs(&made.configs), [("retention.ms", "6")], "the last one counts");
}

#[test]
fn one_request_may_make_so_many_partitions() {
    let fits = vec![topic(5_000, 1), topic(4_997, 1), topic(-1, -1), topic(0, 1)];
    assert_eq!(check_request_size(&fits, 3), Ok(()));
    let one_more = [fits, vec![assigned(&[(0, &[1])])]].concat();
    assert_eq!(check_request_size(&one_more, 3), Err(Refusal::TooManyPartitionsAtOnce));
    assert_eq!(
        check_request_size(&vec![topic(-1, 1); 10_001], 1),
        Err(Refusal::TooManyPartitionsAtOnce)
    );
}

#[test]
fn partitions_only_get_more() {
    let cluster = Cluster::of(&[("t", 2)]);
    let add = |count, assignments: Option<&[&[i32]]>| {
        let assignments: Option<Vec<Vec<i32>>> =
            assignments.map(|all| all.iter().map(|brokers| brokers.to_vec()).collect());
        let added = add_partitions(&cluster.view(), "t", count, assignments.as_deref());
        added.map(|(_, partitions)| partitions).map_err(|refusal| refusal.to_string())
    };
    fn refused(outcome: Result<u32, String>) -> String {
        outcome.expect_err("refused")
    }
    assert_eq!(add(4, None), Ok(4));
    assert_eq!(add(4, Some(&[&[1], &[1]])), Ok(4));
    assert_eq!(refused(add(2, None)), "Topic already has 2 partition(s).");
    for fewer in [1, 0, -1] {
        assert!(refused(add(fewer, None)).ends_with(&format!("{fewer} would not be an increase.")));
    }
    for wrong in [0, 1, 3] {
        let assignments = &[&[1][..]; 3][..wrong];
        assert!(refused(add(4, Some(assignments))).starts_with("Attempted to add 2"), "{wrong}");
    }
    assert!(refused(add(4, Some(&[&[1], &[2]]))).contains("broker 2, but no such"));
    assert!(refused(add(4, Some(&[&[1], &[]]))).contains("empty replica list"));
    assert!(refused(add(10_001, None)).contains("Too many partitions"));
    assert!(refused(add(i32::MAX, None)).contains("Too many partitions"));
    let unknown = add_partitions(&cluster.view(), "gone", 5, None);
    assert_eq!(unknown, Err(Refusal::UnknownTopic("gone".to_owned())));
}

#[test]
fn lists_grow_and_shrink_from_their_default() {
    let mut cluster = Cluster::of(&[("t", 1)]);
    let mut policy = |operation, value| {
        let change = altered(&[("cleanup.policy", operation, Some(value))]);
        cluster.alter("t", change).map(|configs| configs["cleanup.policy"].clone())
    };
    assert_eq!(policy(2, "compact").as_deref(), Ok("delete,compact"));
    assert_eq!(policy(2, "compact").as_deref(), Ok("delete,compact"), "there already");
    assert_eq!(policy(3, "delete").as_deref(), Ok("compact"));
    assert_eq!(policy(3, "compact").as_deref(), Ok(""));
    assert_eq!(policy(3, "compact").as_deref(), Ok(""));
    assert_eq!(policy(2, "delete,compact").as_deref(), Ok("delete,compact"));
    assert!(policy(2, "foo").is_err_and(|words| words.contains("one of: compact, delete")));
    assert_eq!(policy(0, " compact , delete ").as_deref(), Ok(" compact , delete "));
    assert_eq!(policy(3, "delete").as_deref(), Ok(" compact , delete "), "as Kafka: not the same");
}

#[test]
fn altering_a_topic_is_checked_in_kafkas_order() {
    let mut cluster = Cluster::of(&[("t", 1)]);
    let mut refused =
        |topic: &str, keys: &[_]| cluster.alter(topic, altered(keys)).expect_err("refused");
    let ms = "segment.ms";
    assert!(refused("t", &[(ms, 2, Some("5"))]).starts_with("Can't APPEND to key segment.ms"));
    assert!(refused("t", &[("no", 3, Some("5"))]).starts_with("Can't SUBTRACT to key no"));
    assert_eq!(refused("t", &[(ms, 4, Some("5"))]), "Unknown operations type 4");
    assert_eq!(refused("t", &[(ms, 0, None)]), "Null value not supported for : segment.ms");
    let twice = [(ms, 0, Some("1")), (ms, 0, Some("2"))];
    assert_eq!(refused("t", &twice), "Error due to duplicate config keys");
    assert!(refused("t", &[(ms, 0, Some("abc"))]).ends_with("Not a number of type LONG"));
    assert_eq!(refused("t", &[("no", 0, Some("5"))]), "Unknown topic config name: no");
    assert!(refused("gone", &[(ms, 0, Some("x"))]).starts_with("Invalid value x"));
    assert_eq!(refused("gone", &[(ms, 0, Some("5"))]), "The topic 'gone' does not exist.");
    assert_eq!(refused("", &[(ms, 0, Some("5"))]), "Default topic resources are not allowed.");
    assert!(refused("a b", &[(ms, 0, Some("5"))]).contains("'a b' contains"));
    assert_eq!(cluster.alter("t", altered(&[("no", 1, None)])), Ok(Configs::new()));
}

#[test]
fn replacing_takes_away_what_is_not_named() {
    let mut cluster = Cluster::of(&[("t", 1)]);
    cluster.alter("t", replaced(&[("segment.ms", "9"), ("retention.ms", "8")])).expect("taken");
    let left = cluster.alter("t", replaced(&[("retention.ms", "7")])).expect("taken");
    assert_eq!(pairs(&left), [("retention.ms", "7")]);
    let added = cluster.alter("t", altered(&[("segment.ms", 0, Some("9"))])).expect("taken");
    assert_eq!(pairs(&added), [("retention.ms", "7"), ("segment.ms", "9")]);
    // All of one resource, or nothing.
    let half = altered(&[("segment.ms", 0, Some("1")), ("retention.ms", 0, Some("x"))]);
    assert!(cluster.alter("t", half).is_err());
    assert_eq!(cluster.catalog.topic("t").map(|t| &t.configs), Some(&added));
    assert_eq!(cluster.alter("t", replaced(&[])), Ok(Configs::new()));
}

#[test]
fn a_broker_changes_the_defaults_of_topics_and_nothing_else() {
    let mut cluster = Cluster::of(&[]);
    let mut refused =
        |name: &str, keys: &[_]| cluster.alter_broker(name, altered(keys)).expect_err("refused");
    let (fixed, ms) = ("num.partitions", "log.retention.ms");
    let set = |key| (key, 0, Some("5"));
    let words = refused("1", &[set("auto.create.topics.enable"), set(fixed), set("no")]);
    assert!(words.starts_with("Cannot update these configs dynamically: ["), "{words}");
    assert!(refused("", &[set(fixed)]).contains("num.partitions"));
    assert!(refused("2", &[set(ms)]).contains("expected 1, but received 2"));
    assert!(refused("x", &[set(ms)]).contains("must be an integer, but it is: x"));
    assert!(refused("1", &[(ms, 0, Some("abc"))]).contains("Not a number of type LONG"));
    assert!(refused("1", &[(ms, 0, Some("0"))]).contains("-1 (no limit)"));
    assert!(refused("1", &[(ms, 2, Some("5"))]).contains("append is not allowed"));
    assert!(refused("1", &[("no", 2, Some("5"))]).contains("Unknown config name: no"));
    assert!(refused("1", &[("log.segment.bytes", 0, Some("5"))]).contains("at least 1048576"));

    let taken = cluster.alter_broker("", altered(&[set(ms)])).expect("taken");
    assert_eq!(pairs(&taken), [(ms, "5")]);
    assert_eq!(cluster.catalog.broker_configs(BrokerScope::Cluster), &taken);
    // To take away what is not there harms nobody.
    let gone = cluster.alter_broker("01", altered(&[(ms, 1, None), (fixed, 1, None)]));
    assert_eq!(gone, Ok(Configs::new()));
}

#[test]
fn what_is_sent_is_bounded() {
    let long = "x".repeat(crate::catalog::config::VALUE_BYTES_MAX + 1);
    let mut cluster = Cluster::of(&[("t", 1)]);
    for operation in [0, 2] {
        let change = altered(&[("leader.replication.throttled.replicas", operation, Some(&long))]);
        assert!(cluster.alter("t", change).is_err());
    }
    let replicas = |from: usize| {
        let replicas: Vec<_> = (from..from + 2_000).map(|number| format!("{number}:1")).collect();
        replicas.join(",")
    };
    let append =
        |from| altered(&[("leader.replication.throttled.replicas", 2, Some(&*replicas(from)))]);
    for from in [10_000, 20_000] {
        assert!(cluster.alter("t", append(from)).is_ok());
    }
    assert!(cluster.alter("t", append(30_000)).is_err(), "what they add up to counts");
    let many = (0..2_000).map(|number| (format!("k{number}"), Some("v".to_owned()))).collect();
    assert!(ConfigChange::Replace(many).check().is_err());
}

#[test]
fn where_each_shard_is_a_broker_nobody_says_where_a_partition_is() {
    let cluster = Cluster::of(&[("there", 1)]);
    let view = View { nodes: Nodes::per_shard(1, 2), ..cluster.view() };
    let refusal = |new| create(&view, new, TopicId([99; 16])).unwrap_err();
    let assigned = |broker| NewTopic {
        partitions: -1,
        replication_factor: -1,
        assignments: vec![Assignment { partition: 0, brokers: vec![broker] }],
        ..NewTopic::named("new")
    };
    assert_eq!(refusal(assigned(1024)), AssignmentError::Placed.into());
    assert_eq!(refusal(assigned(1)), AssignmentError::UnknownBroker(1).into());
    assert_eq!(refusal(assigned(1026)), AssignmentError::UnknownBroker(1026).into());
    let twice = NewTopic { replication_factor: 2, ..NewTopic::named("new") };
    assert_eq!(refusal(twice), Refusal::OneHost(2));
    assert!(create(&view, NewTopic::named("new"), TopicId([99; 16])).is_ok());
    let more = add_partitions(&view, "there", 2, Some(&[vec![1025]])).unwrap_err();
    assert_eq!(more, AssignmentError::Placed.into());
    // What is set for one of the nodes is set for the host.
    let change = ConfigChange::Replace(Default::default());
    let scopes = ["1024", "1025"].map(|name| alter_broker(&view, name, &change).unwrap().0);
    assert_eq!(scopes, [BrokerScope::Node(1); 2]);
    assert!(alter_broker(&view, "1", &change).is_err());
}
