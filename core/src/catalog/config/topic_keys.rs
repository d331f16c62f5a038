//! Every config that a topic may have: those of Apache Kafka 4.3.
//!
//! The log obeys those that [`super::log_config`] reads. The others are checked and kept: they
//! belong to features that are not there (compaction, tiers, replication), or to ways of storing
//! that Corelane does not have (index sizes, deletion delays).

use super::definition::ConfigType::{Boolean, Double, Int, List, Long, Text};
use super::definition::Rule::{
    Any, AtLeast, Between, GzipLevel, ListOf, NotTiered, OneOf, ThrottledReplicas,
};
use super::definition::{ConfigType, Definition, Rule};

/// Where a topic config's default can be changed.
#[derive(Clone, Copy, Debug)]
pub enum BrokerDefault {
    /// Nowhere.
    None,
    /// In this broker config, which is the same in all else.
    Same(&'static str),
    /// In these broker configs, the first that is set; each with its unit in the topic config's.
    FirstOf(&'static [(&'static str, i64)]),
}

impl BrokerDefault {
    /// The broker config of highest precedence.
    pub fn first(self) -> Option<&'static str> {
        match self {
            BrokerDefault::None => None,
            BrokerDefault::Same(name) => Some(name),
            BrokerDefault::FirstOf(names) => names.first().map(|(name, _)| *name),
        }
    }
}

/// One topic config.
#[derive(Clone, Copy, Debug)]
pub struct TopicKey {
    /// What it is.
    pub definition: Definition,
    /// Where its default can be changed.
    pub broker_default: BrokerDefault,
    /// True if it is for tests only, and not described.
    pub internal: bool,
}

/// All of them, by name.
pub fn topic_keys() -> &'static [TopicKey] {
    TOPIC_KEYS
}

/// The one of this name.
pub fn topic_key(name: &str) -> Option<&'static TopicKey> {
    let found = TOPIC_KEYS.binary_search_by(|key| key.definition.name.cmp(name));
    found.ok().map(|index| &TOPIC_KEYS[index])
}

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// Smallest `internal.segment.bytes`: tests of rolling segments stay cheap.
const INTERNAL_SEGMENT_BYTES_MIN: i64 = 64 << 10;

const fn key(
    name: &'static str,
    config_type: ConfigType,
    rule: Rule,
    default: &'static str,
    broker_default: BrokerDefault,
    documentation: &'static str,
) -> TopicKey {
    let definition = Definition { name, config_type, rule, default: Some(default), documentation };
    TopicKey { definition, broker_default, internal: false }
}

const fn same(name: &'static str) -> BrokerDefault {
    BrokerDefault::Same(name)
}

const INTERNAL_SEGMENT_BYTES: TopicKey = TopicKey {
    definition: Definition {
        name: "internal.segment.bytes",
        config_type: Int,
        rule: AtLeast(INTERNAL_SEGMENT_BYTES_MIN),
        default: None,
        documentation: "Size of a segment, for tests: it goes before segment.bytes.",
    },
    broker_default: NONE,
    internal: true,
};

const NONE: BrokerDefault = BrokerDefault::None;
const FOREVER: &str = "9223372036854775807";

/// Sorted by name.
#[rustfmt::skip] // One config per group of lines.
static TOPIC_KEYS: &[TopicKey] = &[
    key("cleanup.policy", List, ListOf(&["compact", "delete"]), "delete", same("log.cleanup.policy"),
        "What becomes of old records: delete drops whole segments by age and size, compact keeps the last \
         record of each key. Both may be given; an empty list keeps everything."),
    key("compression.gzip.level", Int, GzipLevel, "-1", same("compression.gzip.level"),
        "Level at which the broker would compress with gzip. It stores batches as producers sent them."),
    key("compression.lz4.level", Int, Between(1, 17), "9", same("compression.lz4.level"),
        "Level at which the broker would compress with lz4. It stores batches as producers sent them."),
    key("compression.type", Text,
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), "producer",
        same("compression.type"),
        "How a broker would compress what producers send. This one stores every batch as it came."),
    key("compression.zstd.level", Int, Between(-131_072, 22), "3", same("compression.zstd.level"),
        "Level at which the broker would compress with zstd. It stores batches as producers sent them."),
    key("delete.retention.ms", Long, AtLeast(0), "86400000", same("log.cleaner.delete.retention.ms"),
        "Milliseconds for which a compacted topic keeps the mark of a deleted key."),
    key("file.delete.delay.ms", Long, AtLeast(0), "60000", same("log.segment.delete.delay.ms"),
        "Kafka's delay before a dropped segment's file is removed. Here a file goes when its last reader has \
         finished, and this has no effect."),
    key("flush.messages", Long, AtLeast(1), FOREVER, same("log.flush.interval.messages"),
        "With 1, a record is acknowledged and readable only when it is flushed to the disk. Any other value \
         leaves flushing to flush.ms."),
    key("flush.ms", Long, AtLeast(0), "1000",
        BrokerDefault::FirstOf(&[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
        "Milliseconds for which written records may stay unflushed: what a power loss can cost."),
    key("follower.replication.throttled.replicas", List, ThrottledReplicas, "", NONE,
        "Replicas whose copying is slowed on the receiving side. There is one replica, so nothing is copied."),
    key("index.interval.bytes", Int, AtLeast(0), "4096", same("log.index.interval.bytes"),
        "Kafka's distance between index entries. Corelane chooses its own."),
    INTERNAL_SEGMENT_BYTES,
    key("leader.replication.throttled.replicas", List, ThrottledReplicas, "", NONE,
        "Replicas whose copying is slowed on the sending side. There is one replica, so nothing is copied."),
    key("local.retention.bytes", Long, AtLeast(-2), "-2", same("log.local.retention.bytes"),
        "Bytes kept locally of a partition with tiered storage; -2 is retention.bytes. There are no tiers."),
    key("local.retention.ms", Long, AtLeast(-2), "-2", same("log.local.retention.ms"),
        "Milliseconds for which records with tiered storage stay local; -2 is retention.ms. There are no tiers."),
    key("max.compaction.lag.ms", Long, AtLeast(1), FOREVER, same("log.cleaner.max.compaction.lag.ms"),
        "Milliseconds after which a record must take part in compaction."),
    key("max.message.bytes", Int, AtLeast(0), "1048588", same("message.max.bytes"),
        "Largest batch taken, in bytes, as the producer compressed it."),
    key("message.timestamp.after.max.ms", Long, AtLeast(0), "3600000", same("log.message.timestamp.after.max.ms"),
        "How far a record's timestamp may be ahead of the broker's clock, in milliseconds. Counts with CreateTime."),
    key("message.timestamp.before.max.ms", Long, AtLeast(0), FOREVER, same("log.message.timestamp.before.max.ms"),
        "How far a record's timestamp may be behind the broker's clock, in milliseconds. Counts with CreateTime."),
    key("message.timestamp.type", Text, OneOf(&["CreateTime", "LogAppendTime"]), "CreateTime",
        same("log.message.timestamp.type"),
        "Whose clock stamps records: the producer's (CreateTime) or the broker's (LogAppendTime)."),
    key("min.cleanable.dirty.ratio", Double, Between(0, 1), "0.5", same("log.cleaner.min.cleanable.ratio"),
        "Share of a log that must be uncompacted before compaction is worth while."),
    key("min.compaction.lag.ms", Long, AtLeast(0), "0", same("log.cleaner.min.compaction.lag.ms"),
        "Milliseconds for which a record is safe from compaction."),
    key("min.insync.replicas", Int, AtLeast(1), "1", same("min.insync.replicas"),
        "Replicas that must have a record before acks=all is answered: all there are, and there is one."),
    key("preallocate", Boolean, Any, "false", same("log.preallocate"),
        "Kafka's choice whether files are allocated in advance. Corelane always allocates in steps."),
    key("remote.log.copy.disable", Boolean, Any, "false", NONE,
        "Stops copying to the remote tier. There are no tiers."),
    key("remote.log.delete.on.disable", Boolean, Any, "false", NONE,
        "Whether leaving tiered storage deletes what is there. There are no tiers."),
    key("remote.storage.enable", Boolean, NotTiered, "false", NONE,
        "Whether old segments go to a remote tier. There are no tiers: only false is taken."),
    key("retention.bytes", Long, Any, "-1", same("log.retention.bytes"),
        "Bytes above which a partition drops its oldest segments under cleanup.policy delete; -1 is no limit."),
    key("retention.ms", Long, AtLeast(-1), "604800000",
        BrokerDefault::FirstOf(&[
            ("log.retention.ms", 1), ("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS),
        ]),
        "Milliseconds after which segments are dropped under cleanup.policy delete; -1 is never."),
    key("segment.bytes", Int, AtLeast(1 << 20), "1073741824", same("log.segment.bytes"),
        "Size at which a segment ends and the next one begins. Records are dropped by whole segments."),
    key("segment.index.bytes", Int, AtLeast(4), "10485760", same("log.index.size.max.bytes"),
        "Kafka's limit of an index file. Corelane's indexes grow with their segment."),
    key("segment.jitter.ms", Long, AtLeast(0), "0",
        BrokerDefault::FirstOf(&[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)]),
        "Kafka's random part of segment.ms, against many segments rolling at once. It has no effect here."),
    key("segment.ms", Long, AtLeast(1), "604800000",
        BrokerDefault::FirstOf(&[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)]),
        "Age at which a segment ends even if it is not full, in milliseconds."),
    key("unclean.leader.election.enable", Boolean, Any, "false", same("unclean.leader.election.enable"),
        "Whether a replica that lacks records may lead. There is one replica, and it lacks none."),
];
