//! The one table of keys: what the broker obeys from its start.
//!
//! A key has Kafka's name where Kafka has it, and begins with `corelane.` where it does not.

use super::kind::Kind;
use crate::catalog::config::{Definition, broker_key};

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name; `<name>` in it stands for a listener's.
    pub name: &'static str,
    /// Other names of it.
    pub(super) aliases: &'static [&'static str],
    /// A flag of its own, besides `--set`.
    pub(super) flag: Option<&'static str>,
    /// An environment variable besides the one that its name makes.
    pub(super) variable: Option<&'static str>,
    pub(super) kind: Kind,
    pub(super) default: Default,
    /// What it does, in a line.
    pub help: &'static str,
}

/// What holds if nobody says anything.
#[derive(Clone, Copy, Debug)]
pub(super) enum Default {
    /// This text.
    Text(&'static str),
    /// What the broker config of the same name says.
    Config,
    /// Nothing; in words, what follows from that.
    Nothing(&'static str),
}

impl Key {
    /// The value that holds if nobody says anything, in its one form.
    pub fn default_text(&self) -> Option<&'static str> {
        match self.default {
            Default::Text(text) => Some(text),
            Default::Config => self.definition().and_then(|definition| definition.default),
            Default::Nothing(_) => None,
        }
    }

    /// What follows if there is no value, for people.
    pub fn without_value(&self) -> &'static str {
        match self.default {
            Default::Nothing(words) => words,
            Default::Text(_) | Default::Config => "not set",
        }
    }

    pub(super) fn definition(&self) -> Option<&'static Definition> {
        broker_key(self.name).map(|key| &key.definition)
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        self.variable.map_or_else(|| derived_variable(self.name), str::to_owned)
    }

    /// Every environment variable that sets it.
    pub(super) fn variables(&self) -> Vec<String> {
        let names = [self.name].into_iter().chain(self.aliases.iter().copied());
        let derived = names.map(derived_variable);
        self.variable.map(str::to_owned).into_iter().chain(derived).collect()
    }

    /// Its flag, as one would write it.
    pub fn flag(&self) -> String {
        self.flag.map_or_else(|| format!("--set {}=VALUE", self.name), str::to_owned)
    }

    /// Other names of it.
    pub fn aliases(&self) -> &'static [&'static str] {
        self.aliases
    }
}

/// The variable that a key's name makes.
pub(super) fn derived_variable(name: &str) -> String {
    let bare = name.strip_prefix("corelane.").unwrap_or(name);
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name = bare.chars().filter(|c| !matches!(c, '<' | '>')).map(word).collect::<String>();
    format!("CORELANE_{name}")
}

/// All of them, in the order in which they are shown.
pub fn keys() -> &'static [Key] {
    KEYS
}

const fn key(name: &'static str, kind: Kind, default: Default, help: &'static str) -> Key {
    Key { name, aliases: &[], flag: None, variable: None, kind, default, help }
}

/// The default of a topic config.
const fn topic_default(name: &'static str, help: &'static str) -> Key {
    key(name, Kind::Config, Default::Config, help)
}

impl Key {
    const fn with_flag(self, flag: &'static str) -> Key {
        Key { flag: Some(flag), ..self }
    }

    const fn with_variable(self, variable: &'static str) -> Key {
        Key { variable: Some(variable), ..self }
    }

    const fn with_aliases(self, aliases: &'static [&'static str]) -> Key {
        Key { aliases, ..self }
    }
}

/// The key of the limits of single listeners.
pub(super) const LISTENER_MAX_CONNECTIONS: &str = "listener.name.<name>.max.connections";

const UNLIMITED: i64 = i32::MAX as i64;

#[rustfmt::skip] // One key per group of lines.
static KEYS: &[Key] = &[
    key("listeners", Kind::List, Default::Text("PLAINTEXT://127.0.0.1:9092"),
        "Where clients are accepted: [NAME://]HOST:PORT, more than one with commas between.")
        .with_flag("--listen").with_variable("CORELANE_LISTEN"),
    key("advertised.listeners", Kind::List, Default::Nothing("as listeners"),
        "What clients are told to connect to, for each listener: [NAME://]HOST[:PORT].")
        .with_flag("--advertise").with_variable("CORELANE_ADVERTISE"),
    key("listener.security.protocol.map", Kind::List, Default::Nothing("PLAINTEXT for each listener"),
        "The protocol of each listener, as NAME:PLAINTEXT. There is no other yet."),
    key("max.connections", Kind::Whole { min: 1, max: UNLIMITED }, Default::Text("2147483647"),
        "Connections that may be open at once, on all listeners together."),
    key(LISTENER_MAX_CONNECTIONS, Kind::Whole { min: 1, max: UNLIMITED },
        Default::Nothing("as max.connections"),
        "Connections that may be open at once on the listener of this name."),
    key("max.connections.per.ip", Kind::Whole { min: 0, max: UNLIMITED }, Default::Text("2147483647"),
        "Connections that one address may have open; 0 admits only those of max.connections.per.ip.overrides."),
    key("max.connections.per.ip.overrides", Kind::List, Default::Nothing("none"),
        "Connections that single addresses or hosts may have open, as 10.0.0.7:100,backup.example.org:5."),
    key("connections.max.idle.ms", Kind::SpanOrNever { min_ms: 1_000 }, Default::Text("600000"),
        "A connection without requests is closed after this; -1 is never."),
    key("socket.request.max.bytes", Kind::Bytes { min: 64 << 10, max: 1 << 30 }, Default::Text("104857600"),
        "Largest request taken.")
        .with_flag("--max-request-bytes").with_variable("CORELANE_MAX_REQUEST_BYTES"),
    key("log.dirs", Kind::Directory, Default::Text("./corelane-data"),
        "The directory of all data; made where missing.")
        .with_flag("--data-dir").with_variable("CORELANE_DATA_DIR").with_aliases(&["log.dir"]),
    key("num.partitions", Kind::Whole { min: 1, max: 10_000 }, Default::Text("1"),
        "Partitions of a topic that is created without saying how many.")
        .with_flag("--default-partitions").with_variable("CORELANE_DEFAULT_PARTITIONS"),
    key("auto.create.topics.enable", Kind::Boolean, Default::Text("true"),
        "Whether a client that names a topic creates it.")
        .with_flag("--auto-create-topics").with_variable("CORELANE_AUTO_CREATE_TOPICS"),
    topic_default("log.retention.ms",
        "Default of retention.ms: segments whose newest record is older are dropped; -1 is never."),
    topic_default("log.retention.minutes", "Default of retention.ms in minutes, where log.retention.ms is not set."),
    topic_default("log.retention.hours",
        "Default of retention.ms in hours, where neither log.retention.ms nor log.retention.minutes is set."),
    topic_default("log.retention.bytes",
        "Default of retention.bytes: a larger partition drops its oldest segments; -1 is no limit."),
    topic_default("log.cleanup.policy",
        "Default of cleanup.policy: delete drops old segments, compact keeps the last record of each key."),
    key("log.cleaner.enable", Kind::Boolean, Default::Config, "Whether compacted topics are compacted."),
    topic_default("log.cleaner.dedupe.buffer.size",
        "Memory for the keys of what is being compacted, of all shards together: 30 bytes a key."),
    topic_default("log.cleaner.io.max.bytes.per.second",
        "Bytes that compaction reads and writes a second at most, on all shards together."),
    topic_default("log.cleaner.backoff.ms", "Time between two looks for topics to compact, while there are none."),
    topic_default("log.cleaner.min.cleanable.ratio",
        "Default of min.cleanable.dirty.ratio: share of a log that is uncompacted when it is compacted."),
    topic_default("log.cleaner.min.compaction.lag.ms",
        "Default of min.compaction.lag.ms: how long a record is safe from compaction."),
    topic_default("log.cleaner.max.compaction.lag.ms",
        "Default of max.compaction.lag.ms: how long a record may wait for compaction."),
    topic_default("log.cleaner.delete.retention.ms",
        "Default of delete.retention.ms: how long the mark of a deleted key is kept."),
    topic_default("log.segment.bytes", "Default of segment.bytes: size at which a segment ends."),
    topic_default("log.roll.ms", "Default of segment.ms: age at which a segment ends."),
    topic_default("log.roll.hours", "Default of segment.ms in hours, where log.roll.ms is not set."),
    topic_default("message.max.bytes", "Default of max.message.bytes: largest batch taken, as it was compressed."),
    topic_default("log.message.timestamp.type",
        "Default of message.timestamp.type: whose clock stamps records, CreateTime or LogAppendTime."),
    topic_default("log.message.timestamp.before.max.ms",
        "Default of message.timestamp.before.max.ms: how far a record's time may lie behind."),
    topic_default("log.message.timestamp.after.max.ms",
        "Default of message.timestamp.after.max.ms: how far a record's time may lie ahead."),
    topic_default("log.flush.interval.messages",
        "Default of flush.messages: with 1, a record is acknowledged when it is flushed to the disk."),
    topic_default("log.flush.interval.ms",
        "Default of flush.ms: how long written records may stay unflushed, which a power loss can cost."),
    topic_default("log.flush.scheduler.interval.ms", "Default of flush.ms, where log.flush.interval.ms is not set."),
    topic_default("group.consumer.assignors",
        "What shares partitions out in groups of the consumer protocol: uniform, range."),
    topic_default("group.consumer.heartbeat.interval.ms",
        "Milliseconds between heartbeats of members of the consumer protocol."),
    topic_default("group.consumer.max.size",
        "Members that one group of the consumer protocol may have; never more than 10,000."),
    topic_default("group.consumer.migration.policy",
        "Which groups change their protocol: disabled, downgrade, upgrade, bidirectional."),
    topic_default("group.consumer.session.timeout.ms",
        "How long a member of the consumer protocol may be silent."),
    topic_default("group.initial.rebalance.delay.ms",
        "How long the first rebalance of a group waits for more members."),
    topic_default("group.min.session.timeout.ms", "Shortest session that a member may ask for."),
    topic_default("group.max.session.timeout.ms", "Longest session that a member may ask for."),
    topic_default("group.max.size", "Members that one group may have; never more than 10,000."),
    topic_default("offset.metadata.max.bytes",
        "Longest text that a client may keep with a committed offset."),
    topic_default("offsets.retention.minutes",
        "How long offsets are kept that nobody uses any more."),
    topic_default("offsets.retention.check.interval.ms", "How often such offsets are looked for."),
    topic_default("offsets.topic.num.partitions",
        "Partitions of __consumer_offsets, when the first group makes it; never changed after that."),
    topic_default("offsets.topic.segment.bytes",
        "segment.bytes of __consumer_offsets, when the first group makes it."),
    key("corelane.durability", Kind::OneOf(&["default", "strict"]), Default::Text("default"),
        "What an acknowledgement promises: default, that the write is done; strict, that it is flushed.")
        .with_flag("--durability"),
    key("corelane.shards", Kind::Whole { min: 1, max: 1_024 }, Default::Nothing("one per usable core"),
        "Shards, each with a thread of its own. The data does not depend on it.")
        .with_flag("--shards"),
    key("corelane.spin.us", Kind::Whole { min: 0, max: 1_000_000 }, Default::Text("0"),
        "How long an idle shard looks for work before it sleeps: quicker calls between shards, for processor time."),
    key("corelane.connections.move", Kind::Boolean, Default::Text("true"),
        "Whether a connection goes on at the shard that owns most of what it asks for."),
    key("corelane.port.per.shard", Kind::Boolean, Default::Text("false"),
        "Whether each shard is a broker of its own to clients: node 1024 + shard, at the listener's port + shard."),
    key("corelane.cache.bytes", Kind::Bytes { min: 1 << 20, max: i64::MAX as u64 },
        Default::Nothing("a fifth of the memory"),
        "Memory for the newest data, of all shards together.")
        .with_flag("--cache-bytes"),
    key("corelane.cache.preallocate", Kind::Boolean, Default::Text("false"),
        "Whether that memory is taken at the start, and kept, rather than as readers turn out to need it."),
    key("corelane.http.listen", Kind::AddressOrNone, Default::Text("127.0.0.1:9644"),
        "Where metrics and health are served by HTTP; none is nowhere.")
        .with_flag("--http-listen"),
];
