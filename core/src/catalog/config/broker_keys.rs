//! The configs of a broker.
//!
//! Of Kafka's 340 these are listed: the defaults of topic configs, what Corelane obeys, and what
//! clients and tools read to find out about a broker. Listing others would claim parts that are not
//! there (threads of a log cleaner, KRaft, SASL, quotas, coordinators).
//!
//! Only defaults of topic configs can be changed while the broker runs; the rest is said at its start.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::definition::ConfigType::{Boolean, Double, Int, List, Long, Text};
use super::definition::Rule::{self, Any, AtLeast, ListOf, OneOf, UnlimitedOrPositive};
use super::definition::{ConfigType, Definition};
use super::topic_keys::{BrokerDefault, topic_keys};

/// One broker config.
#[derive(Clone, Copy, Debug)]
pub struct BrokerKey {
    /// What it is.
    pub definition: Definition,
    /// True if it can be changed while the broker runs.
    pub dynamic: bool,
}

/// All of them, by name.
pub fn broker_keys() -> impl Iterator<Item = &'static BrokerKey> {
    BROKER_KEYS.values()
}

/// The one of this name.
pub fn broker_key(name: &str) -> Option<&'static BrokerKey> {
    BROKER_KEYS.get(name)
}

static BROKER_KEYS: LazyLock<BTreeMap<&'static str, BrokerKey>> = LazyLock::new(|| {
    let defaults = topic_keys().iter().filter_map(|key| match key.broker_default {
        BrokerDefault::Same(name) => {
            Some(BrokerKey { definition: Definition { name, ..key.definition }, dynamic: true })
        }
        BrokerDefault::None | BrokerDefault::FirstOf(_) => None,
    });
    let all = defaults.chain(OWN.iter().copied());
    all.map(|key| (key.definition.name, key)).collect()
});

const fn key(
    name: &'static str,
    config_type: ConfigType,
    rule: Rule,
    default: Option<&'static str>,
    dynamic: bool,
    documentation: &'static str,
) -> BrokerKey {
    BrokerKey {
        definition: Definition { name, config_type, rule, default, documentation },
        dynamic,
    }
}

/// Set on the command line, or fixed.
const fn fixed(
    name: &'static str,
    config_type: ConfigType,
    default: &'static str,
    documentation: &'static str,
) -> BrokerKey {
    key(name, config_type, Any, Some(default), false, documentation)
}

/// Not there.
const fn absent(
    name: &'static str,
    config_type: ConfigType,
    documentation: &'static str,
) -> BrokerKey {
    key(name, config_type, Any, None, false, documentation)
}

/// Those that are not just another name of a topic config. What [`super::Settings`] knows better is
/// the default of a broker that is told nothing.
#[rustfmt::skip] // One config per group of lines.
static OWN: &[BrokerKey] = &[
    fixed("advertised.listeners", List, "PLAINTEXT://127.0.0.1:9092",
        "Address and port that clients are told to connect to (--advertise)."),
    fixed("authorizer.class.name", Text, "",
        "What decides who may do what. There is no authorizer: everybody may do everything."),
    fixed("auto.create.topics.enable", Boolean, "true",
        "Whether a client that names a topic creates it (--auto-create-topics)."),
    fixed("broker.id", Int, "1", "The id of this broker, as node.id."),
    absent("broker.rack", Text, "The rack of this broker. It has none."),
    fixed("connections.max.idle.ms", Long, "600000",
        "Milliseconds after which a connection without requests is closed."),
    fixed("default.replication.factor", Int, "1",
        "Replicas of a topic that is created without saying how many. There is one."),
    fixed("delete.topic.enable", Boolean, "true", "Whether topics can be deleted."),
    key("group.consumer.assignors", List, ListOf(&["uniform", "range"]), Some("uniform,range"), false,
        "What shares partitions out in groups of the consumer protocol; the first unless members prefer another."),
    key("group.consumer.heartbeat.interval.ms", Int, AtLeast(1), Some("5000"), false,
        "Milliseconds between heartbeats that members of the consumer protocol are told."),
    key("group.consumer.max.size", Int, AtLeast(1), Some("2147483647"), false,
        "Members that one group of the consumer protocol may have; never more than 10,000."),
    key("group.consumer.migration.policy", Text,
        OneOf(&["disabled", "downgrade", "upgrade", "bidirectional"]), Some("bidirectional"), false,
        "Which groups change their protocol while members of both are in them."),
    key("group.consumer.session.timeout.ms", Int, AtLeast(1), Some("45000"), false,
        "Milliseconds without a heartbeat after which a member of the consumer protocol counts as dead."),
    key("group.initial.rebalance.delay.ms", Int, AtLeast(0), Some("3000"), false,
        "Milliseconds for which the first rebalance of a group without members waits for more of them."),
    key("group.max.session.timeout.ms", Int, AtLeast(0), Some("1800000"), false,
        "Longest session.timeout.ms that a member may ask for."),
    key("group.max.size", Int, AtLeast(1), Some("2147483647"), false,
        "Members that one group may have; never more than 10,000."),
    key("group.min.session.timeout.ms", Int, AtLeast(0), Some("6000"), false,
        "Shortest session.timeout.ms that a member may ask for."),
    fixed("inter.broker.listener.name", Text, "PLAINTEXT", "The listener for other brokers. There are none."),
    fixed("listener.security.protocol.map", Text, "PLAINTEXT:PLAINTEXT",
        "The security protocol of each listener."),
    fixed("listeners", List, "PLAINTEXT://127.0.0.1:9092", "Address and port to accept clients on (--listen)."),
    key("log.cleaner.backoff.ms", Long, AtLeast(0), Some("15000"), true,
        "Milliseconds between two looks for topics to compact, while there are none."),
    key("log.cleaner.dedupe.buffer.size", Long, Any, Some("134217728"), true,
        "Memory for the keys of what is being compacted, in bytes, of all shards together: 30 bytes a key."),
    fixed("log.cleaner.enable", Boolean, "true",
        "Whether topics with cleanup.policy compact are compacted."),
    key("log.cleaner.io.max.bytes.per.second", Double, Any, Some("1.7976931348623157E308"), true,
        "Bytes that compaction reads and writes a second at most, on all shards together."),
    fixed("log.dir", List, "./corelane-data", "The directory of all data, as log.dirs."),
    fixed("log.dirs", List, "./corelane-data", "The directory of all data (--data-dir)."),
    key("log.flush.interval.ms", Long, Any, None, true,
        "Default of flush.ms; where it is not set, log.flush.scheduler.interval.ms is."),
    key("log.flush.scheduler.interval.ms", Long, AtLeast(0), Some("1000"), false,
        "Milliseconds for which written records may stay unflushed, if nothing else is set."),
    fixed("log.retention.check.interval.ms", Long, "300000",
        "Milliseconds between two looks for segments to drop."),
    key("log.retention.hours", Int, UnlimitedOrPositive, Some("168"), false,
        "Default of retention.ms in hours, where neither log.retention.ms nor log.retention.minutes is set."),
    key("log.retention.minutes", Int, UnlimitedOrPositive, None, false,
        "Default of retention.ms in minutes, where log.retention.ms is not set."),
    key("log.retention.ms", Long, UnlimitedOrPositive, None, true,
        "Default of retention.ms; where it is not set, log.retention.hours is."),
    key("log.roll.hours", Int, AtLeast(1), Some("168"), false,
        "Default of segment.ms in hours, where log.roll.ms is not set."),
    fixed("log.roll.jitter.hours", Int, "0",
        "Default of segment.jitter.ms in hours, where log.roll.jitter.ms is not set."),
    key("log.roll.jitter.ms", Long, AtLeast(0), None, true,
        "Default of segment.jitter.ms; where it is not set, log.roll.jitter.hours is."),
    key("log.roll.ms", Long, AtLeast(1), None, true,
        "Default of segment.ms; where it is not set, log.roll.hours is."),
    fixed("max.connections", Int, "2147483647", "Connections that may be open at once, on all listeners together."),
    fixed("max.connections.per.ip", Int, "2147483647", "Connections that one address may have open."),
    fixed("max.connections.per.ip.overrides", Text, "",
        "Connections that single addresses or host names may have open, as host:number."),
    fixed("node.id", Int, "1", "The id of this broker."),
    fixed("num.partitions", Int, "1",
        "Partitions of a topic that is created without saying how many (--default-partitions)."),
    key("offset.metadata.max.bytes", Int, AtLeast(0), Some("4096"), false,
        "Longest text that a client may keep with a committed offset."),
    key("offsets.retention.check.interval.ms", Long, AtLeast(1), Some("600000"), false,
        "Milliseconds between two looks for offsets that nobody uses any more."),
    key("offsets.retention.minutes", Int, AtLeast(1), Some("10080"), false,
        "Minutes for which offsets are kept that nobody uses any more."),
    key("offsets.topic.num.partitions", Int, AtLeast(1), Some("50"), false,
        "Partitions of __consumer_offsets, when the first group makes it."),
    key("offsets.topic.segment.bytes", Int, AtLeast(1_048_576), Some("104857600"), false,
        "segment.bytes of __consumer_offsets, when the first group makes it."),
    fixed("process.roles", List, "broker,controller", "What this process does: it is a whole cluster."),
    fixed("producer.id.expiration.ms", Int, "86400000",
        "Milliseconds after which an idle producer's sequence numbers are forgotten."),
    fixed("security.inter.broker.protocol", Text, "PLAINTEXT",
        "The security protocol between brokers. There is one broker."),
    fixed("socket.request.max.bytes", Int, "104857600", "Largest request taken, in bytes (--max-request-bytes)."),
];
