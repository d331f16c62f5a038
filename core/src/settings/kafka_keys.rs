//! Keys that Kafka has and Corelane does not obey: whoever brings them from a `server.properties` is
//! told why, and not that they are unknown.

use crate::catalog::config::topic_keys;

/// The broker configs of Kafka 4.3, and some of older releases; one a line.
const NAMES: &str = include_str!("kafka_keys.txt");

/// Why a group of keys has nothing to obey it; the first that fits counts.
const REASONS: &[(&str, &str)] = &[
    ("ssl.", "there is no TLS yet"),
    ("sasl.", "there is no SASL yet"),
    ("security.providers", "there is no TLS yet"),
    ("principal.", "there are no principals yet: everybody may do everything"),
    ("authorizer.", "there are no ACLs yet: everybody may do everything"),
    ("delegation.token.", "there are no delegation tokens"),
    ("password.encoder.", "there are no secrets to encode"),
    ("zookeeper.", "there is no ZooKeeper: one process is the whole cluster"),
    ("controller.quota.", "there are no quotas yet"),
    ("controller.", "one process is the whole cluster: there is no quorum of controllers"),
    ("metadata.", "one process is the whole cluster: its catalog is not a Kafka log"),
    ("broker.rack", "there is one broker"),
    ("broker.", "one process is the whole cluster"),
    ("replica.", "there is one broker: nothing is replicated yet"),
    ("replication.", "there is one broker: nothing is replicated yet"),
    ("follower.", "there is one broker: nothing is replicated yet"),
    ("leader.", "there is one broker: it leads every partition"),
    ("auto.leader.", "there is one broker: it leads every partition"),
    ("unclean.leader.", "there is one broker: it leads every partition"),
    ("num.replica.", "there is one broker: nothing is replicated yet"),
    ("alter.log.dirs.", "there is one data directory"),
    ("cordoned.log.dirs", "there is one data directory"),
    ("remote.", "there is no tiered storage yet"),
    ("log.local.", "there is no tiered storage yet"),
    (
        "log.cleaner.",
        "each shard compacts its own partitions, in steps and memory of its own choosing",
    ),
    (
        "group.consumer.",
        "groups of the consumer protocol share out at once, and all have the same timeouts",
    ),
    ("group.share.", "there are no share groups yet"),
    ("group.streams.", "there are no streams groups yet"),
    ("group.coordinator.", "groups are coordinated by the shard that owns their offsets"),
    ("offsets.load.", "groups are read back in slices of a size of their own choosing"),
    ("share.", "there are no share groups yet"),
    ("transaction", "there are no transactions yet"),
    ("add.partitions.", "there are no transactions yet"),
    ("quota.", "there are no quotas yet"),
    ("client.quota.", "there are no quotas yet"),
    ("metric", "metrics have a port of their own: corelane.http.listen"),
    ("kafka.metrics.", "metrics have a port of their own: corelane.http.listen"),
    ("telemetry.", "clients' own metrics are not collected"),
    ("num.network.", "each shard is one thread: corelane.shards"),
    ("num.io.", "each shard is one thread: corelane.shards"),
    ("num.recovery.", "each shard is one thread and recovers its own partitions: corelane.shards"),
    ("background.threads", "each shard is one thread: corelane.shards"),
    ("compression.", "batches are stored as producers compressed them"),
    ("log.preallocate", "segments are always allocated in steps"),
    ("log.index.", "indexes have a size of their own choosing"),
    ("log.segment.delete.", "a dropped segment's file goes when its last reader has finished"),
    ("log.roll.jitter.", "segments have no jitter"),
    ("log.flush.", "checkpoints are written when there is something to write"),
    ("log.message.", "messages are stored as producers sent them"),
    ("socket.", "sockets have the system's buffers and a backlog of 4096"),
    ("queued.", "requests under way are limited by their bytes, in memory of a fixed size"),
    ("max.connection.creation.rate", "the rate of new connections is not limited"),
    ("host.name", "listeners says it"),
    ("port", "listeners says it"),
    ("advertised.", "advertised.listeners says it"),
    ("inter.broker.protocol.version", "there is one broker"),
    ("config.providers", "values come from flags, the environment and one file"),
    ("create.topic.policy.", "classes of Java can't be loaded"),
    ("alter.config.policy.", "classes of Java can't be loaded"),
];

/// Why Corelane does not obey a broker config of Kafka; `None` if Kafka has none of this name.
pub fn reason(name: &str) -> Option<&'static str> {
    NAMES.lines().find(|line| *line == name)?;
    let known = REASONS.iter().find(|(prefix, _)| name.starts_with(prefix));
    Some(known.map_or("nothing here depends on it", |(_, reason)| reason))
}

/// The broker config that is the default of this topic config.
pub fn default_of_topic_config(name: &str) -> Option<&'static str> {
    let key = topic_keys().iter().find(|key| key.definition.name == name && !key.internal)?;
    key.broker_default.first()
}
