use corelane_storage::log::{CompactionLimits, Durability, LogConfig};

use super::*;
use crate::catalog::Catalog;
use crate::catalog::command::{BrokerScope, Command};

fn configs(pairs: &[(&str, &str)]) -> Configs {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn words(key: &str, value: &str) -> Result<(), String> {
    let (catalog, settings) = (Catalog::default(), Settings::new(Durability::Written));
    let configs = configs(&[(key, value)]);
    let checked = check_topic(&catalog.layers(&configs, 1, &settings));
    checked.map_err(|error| error.to_string())
}

#[test]
fn the_tables_are_sorted_and_their_defaults_are_legal() {
    let names: Vec<_> = topic_keys().iter().map(|key| key.definition.name).collect();
    assert!(names.is_sorted(), "searched by halves");
    assert_eq!(names.len(), 34, "33 of Kafka 4.3, and one for tests");
    for key in topic_keys() {
        let Definition { name, default, documentation, .. } = key.definition;
        assert!(documentation.ends_with('.'), "{name}");
        assert!(default.is_none_or(|default| words(name, default) == Ok(())), "{name}");
        assert_eq!(default.is_none(), key.internal, "{name}");
        let synonym = key.broker_default.first();
        assert!(synonym.is_none_or(|synonym| broker_key(synonym).is_some()), "{name}");
    }
    for key in broker_keys() {
        let Definition { name, default, documentation, .. } = key.definition;
        assert!(documentation.ends_with('.'), "{name}");
        let set = default.map(|default| configs(&[(name, default)])).unwrap_or_default();
        assert!(!key.dynamic || check_broker(&set) == Ok(()), "{name}");
    }
}

#[test]
fn values_are_read_as_kafka_reads_them() {
    for (key, value) in [
        ("retention.ms", " 5 "),
        ("retention.ms", "-1"),
        ("retention.bytes", "-5"),
        ("segment.bytes", "+1048576"),
        ("cleanup.policy", ""),
        ("cleanup.policy", " "),
        ("cleanup.policy", "delete,delete"),
        ("cleanup.policy", "delete, compact"),
        ("compression.gzip.level", "-1"),
        ("min.cleanable.dirty.ratio", "1e-1"),
        ("preallocate", "TRUE"),
        ("message.timestamp.type", "LogAppendTime "),
        ("leader.replication.throttled.replicas", "*"),
        ("leader.replication.throttled.replicas", ""),
        ("follower.replication.throttled.replicas", "0:1,1:1"),
        ("remote.storage.enable", "false"),
    ] {
        assert_eq!(words(key, value), Ok(()), "{key}={value}");
    }
}

#[test]
fn what_is_wrong_is_said_in_kafkas_words() {
    for (key, value, expected) in [
        ("retention.ms", "abc", "Not a number of type LONG"),
        ("retention.ms", "", "Not a number of type LONG"),
        ("retention.ms", "5.5", "Not a number of type LONG"),
        ("retention.ms", "99999999999999999999", "Not a number of type LONG"),
        ("retention.ms", "-2", "Value must be at least -1"),
        ("segment.bytes", "1", "Value must be at least 1048576"),
        ("segment.bytes", "3000000000", "Not a number of type INT"),
        ("segment.bytes", "0x10", "Not a number of type INT"),
        ("cleanup.policy", "foo", "String must be one of: compact, delete"),
        ("cleanup.policy", "Delete", "String must be one of: compact, delete"),
        ("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1"),
        ("compression.lz4.level", "18", "Value must be no more than 17"),
        ("compression.zstd.level", "-131073", "Value must be at least -131072"),
        ("min.cleanable.dirty.ratio", "1.5", "Value must be no more than 1"),
        ("min.cleanable.dirty.ratio", "x", "Not a number of type DOUBLE"),
        ("preallocate", "yes", "Expected value to be either true or false"),
        ("message.timestamp.type", "Never", "String must be one of: CreateTime, LogAppendTime"),
        ("flush.messages", "0", "Value must be at least 1"),
    ] {
        let expected = format!("Invalid value {value} for configuration {key}: {expected}");
        assert_eq!(words(key, value), Err(expected));
    }
    assert_eq!(words("no.such", "1"), Err("Unknown topic config name: no.such".to_owned()));
    for value in ["delete,", ",delete", "delete,,compact"] {
        let expected = "Configuration 'cleanup.policy' values must not be empty.";
        assert_eq!(words("cleanup.policy", value), Err(expected.to_owned()), "{value}");
    }
    assert!(words("remote.storage.enable", "true").is_err_and(|w| w.starts_with("Tiered Storage")));
    for value in ["a", "0:1,*", "1", ":", "0:"] {
        let refused = words("leader.replication.throttled.replicas", value);
        assert!(refused.is_err_and(|w| w.contains("must be the literal '*'")), "{value}");
    }
    assert!(words("min.insync.replicas", "0").is_err());
    assert!(words("compression.type", "rar").is_err());
}

#[test]
fn values_are_shown_in_one_form() {
    for (key, value, expected) in [
        ("retention.ms", " 77 ", "77"),
        ("segment.bytes", "+1048576", "1048576"),
        ("preallocate", "TRUE", "true"),
        ("min.cleanable.dirty.ratio", "1e-1", "0.1"),
        ("min.cleanable.dirty.ratio", "1", "1.0"),
        ("cleanup.policy", "delete,delete", "delete"),
        ("cleanup.policy", " compact , delete ", "compact,delete"),
        ("cleanup.policy", "", ""),
    ] {
        let definition = topic_key(key).map(|key| &key.definition).unwrap();
        assert_eq!(shown(definition, value), expected, "{key}={value}");
    }
}

/// A catalog with a topic's configs, this broker's (node 1) and all brokers'.
struct World {
    catalog: Catalog,
    settings: Settings,
    topic: Configs,
}

impl World {
    fn of(topic: &[(&str, &str)], broker: &[(&str, &str)], cluster: &[(&str, &str)]) -> World {
        let mut catalog = Catalog::default();
        for (scope, pairs) in [(BrokerScope::Node(1), broker), (BrokerScope::Cluster, cluster)] {
            catalog.apply(&Command::SetBrokerConfigs { scope, configs: configs(pairs) });
        }
        let settings = Settings::new(Durability::Written);
        World { catalog, settings, topic: configs(topic) }
    }

    fn layers(&self) -> Layers<'_> {
        self.catalog.layers(&self.topic, 1, &self.settings)
    }

    fn topic_config(&self, name: &str) -> Told {
        told(self.layers().topic_config(topic_key(name).unwrap()))
    }

    fn broker_config(&self, name: &str) -> Told {
        told(self.layers().broker_config(broker_key(name).unwrap()))
    }
}

/// Value, source, and all values with their names and sources.
type Told = (Option<String>, i8, Vec<(&'static str, String, i8)>);

fn told(found: Resolved<'_>) -> Told {
    let synonyms = found.synonyms.into_iter();
    let synonyms = synonyms.map(|s| (s.name, s.text.into_owned(), s.source.number())).collect();
    (found.value, found.source.number(), synonyms)
}

fn synonyms(all: &[(&'static str, &str, i8)]) -> Vec<(&'static str, String, i8)> {
    all.iter().map(|(name, text, source)| (*name, text.to_string(), *source)).collect()
}

/// As Apache Kafka 4.3 answers DescribeConfigs in the same situations.
#[test]
fn the_nearest_value_holds_and_all_are_told() {
    let some = |text: &str| Some(text.to_owned());
    let (ms, hours) = ("log.retention.ms", "log.retention.hours");
    let untouched = World::of(&[], &[], &[]);
    assert_eq!(untouched.topic_config("retention.ms"), (some("604800000"), 5, vec![]));
    let bytes = ("log.segment.bytes", "1073741824", 5);
    assert_eq!(
        untouched.topic_config("segment.bytes"),
        (some("1073741824"), 5, synonyms(&[bytes]))
    );
    assert_eq!(untouched.topic_config("remote.storage.enable"), (some("false"), 5, vec![]));
    assert_eq!(untouched.broker_config(ms), (None, 5, vec![]));
    assert_eq!(untouched.broker_config(hours), (some("168"), 5, synonyms(&[(hours, "168", 5)])));

    let cluster = World::of(&[], &[], &[(ms, "12345")]);
    let told = synonyms(&[(ms, "12345", 3), (hours, "168", 5)]);
    assert_eq!(cluster.topic_config("retention.ms"), (some("12345"), 3, told.clone()));
    assert_eq!(cluster.broker_config(ms), (some("12345"), 3, told));
    assert_eq!(cluster.broker_config(hours), (some("168"), 5, synonyms(&[(hours, "168", 5)])));

    let all = World::of(&[("retention.ms", "77")], &[(ms, "777")], &[(ms, "12345")]);
    let told =
        synonyms(&[("retention.ms", "77", 1), (ms, "777", 2), (ms, "12345", 3), (hours, "168", 5)]);
    assert_eq!(all.topic_config("retention.ms"), (some("77"), 1, told));

    let endless = World::of(&[], &[(ms, "-5")], &[]);
    assert_eq!(endless.topic_config("retention.ms").0, some("-1"), "any negative is no limit");
}

#[test]
fn the_command_line_is_told_from_the_default() {
    let mut world = World::of(&[], &[], &[]);
    world.settings.set("num.partitions", "4".to_owned(), true);
    world.settings.set("log.dirs", "/data".to_owned(), false);
    let told = synonyms(&[("num.partitions", "4", 4), ("num.partitions", "1", 5)]);
    assert_eq!(world.broker_config("num.partitions"), (Some("4".to_owned()), 4, told));
    let told = synonyms(&[("log.dirs", "/data", 5)]);
    assert_eq!(world.broker_config("log.dirs"), (Some("/data".to_owned()), 5, told));

    world.settings = Settings::new(Durability::Flushed);
    assert_eq!(world.topic_config("flush.messages").0.as_deref(), Some("1"));
    assert_eq!(world.topic_config("flush.messages").1, 4, "--durability strict");
}

#[test]
fn logs_obey_the_nearest_value() {
    let config = |world: &World| log_config(&world.layers());
    assert_eq!(config(&World::of(&[], &[], &[])), LogConfig::default());
    let set = World::of(
        &[("segment.bytes", "2097152"), ("message.timestamp.type", "LogAppendTime")],
        &[("log.segment.bytes", "4194304"), ("log.roll.ms", "500"), ("message.max.bytes", "77")],
        &[("message.max.bytes", "88"), ("log.flush.interval.ms", "9")],
    );
    let expected = LogConfig {
        segment_bytes: 2 << 20,
        segment_ms: 500,
        max_message_bytes: 77,
        flush_ms: 9,
        log_append_time: true,
        ..LogConfig::default()
    };
    assert_eq!(config(&set), expected);
    let kept = World::of(
        &[
            ("cleanup.policy", "compact"),
            ("retention.ms", "-1"),
            ("retention.bytes", "-7"),
            ("min.cleanable.dirty.ratio", "0.25"),
            ("max.compaction.lag.ms", "5"),
        ],
        &[("log.cleaner.delete.retention.ms", "6"), ("log.cleaner.min.compaction.lag.ms", "2")],
        &[
            ("log.message.timestamp.before.max.ms", "3"),
            ("log.message.timestamp.after.max.ms", "4"),
        ],
    );
    let expected = LogConfig {
        delete_policy: false,
        compact_policy: true,
        min_cleanable_dirty_ppm: 250_000,
        min_compaction_lag_ms: 2,
        max_compaction_lag_ms: 5,
        delete_retention_ms: 6,
        retention_ms: -1,
        retention_bytes: -1,
        timestamp_before_max_ms: 3,
        timestamp_after_max_ms: 4,
        ..LogConfig::default()
    };
    assert_eq!(config(&kept), expected);
    let internal = World::of(&[("internal.segment.bytes", "65536")], &[], &[]);
    assert_eq!(config(&internal).segment_bytes, 64 << 10);
}

#[test]
fn shards_share_what_compaction_may_take() {
    let limits = |world: &World, shards| compaction_limits(&world.layers(), shards);
    let defaults = CompactionLimits::default();
    assert_eq!(limits(&World::of(&[], &[], &[]), 1), defaults, "Kafka's");
    let set = World::of(
        &[],
        &[("log.cleaner.io.max.bytes.per.second", "1000000"), ("log.cleaner.backoff.ms", "7")],
        &[("log.cleaner.dedupe.buffer.size", "8388608")],
    );
    let expected = CompactionLimits {
        map_bytes: 2 << 20,
        bytes_per_second: 250_000,
        backoff_ms: 7,
        ..defaults
    };
    assert_eq!(limits(&set, 4), expected);
    assert_eq!(limits(&set, 64).map_bytes, 1 << 20, "each can hold some keys");
}

/// The catalog is read as it was written, by whatever release: what makes no sense counts as not
/// set, and nothing panics.
#[test]
fn nonsense_from_the_disk_is_survived() {
    let nonsense = |value: &'static str| {
        let topic: Vec<_> = topic_keys().iter().map(|key| (key.definition.name, value)).collect();
        let broker: Vec<_> = broker_keys().map(|key| (key.definition.name, value)).collect();
        World::of(&topic, &broker, &broker)
    };
    for value in ["", "x", "-9223372036854775808", "9223372036854775807", ",,,", "\u{1F980}"] {
        let world = nonsense(value);
        log_config(&world.layers());
        for key in topic_keys() {
            world.layers().topic_config(key);
        }
        for key in broker_keys() {
            world.layers().broker_config(key);
        }
    }
    // A policy that is not understood deletes nothing.
    let expected = LogConfig { delete_policy: false, ..LogConfig::default() };
    assert_eq!(log_config(&nonsense("x").layers()), expected);
}

#[test]
fn a_topic_may_ask_for_more_durability_never_for_less() {
    let durability = |flush_messages: &[(&str, &str)], broker| {
        let world =
            World { settings: Settings::new(broker), ..World::of(flush_messages, &[], &[]) };
        log_config(&world.layers()).durability
    };
    let (one, many) = ([("flush.messages", "1")], [("flush.messages", "1000")]);
    assert_eq!(durability(&one, Durability::Written), Durability::Flushed);
    assert_eq!(durability(&many, Durability::Written), Durability::Written);
    assert_eq!(durability(&many, Durability::Flushed), Durability::Flushed);
    assert_eq!(durability(&[], Durability::Written), Durability::Written);
    let broker = World::of(&[], &[("log.flush.interval.messages", "1")], &[]);
    assert_eq!(log_config(&broker.layers()).durability, Durability::Flushed);
}
