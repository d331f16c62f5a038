//! Topic configs: Kafka's names (`TopicConfig`), checked when set, stored as text, read as a
//! [`LogConfig`].

use std::collections::BTreeMap;

use corelane_storage::log::{Durability, LogConfig};

/// Configs that were set for one topic, by key. Only [`check`]ed pairs get in.
pub type Configs = BTreeMap<String, String>;

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// A whole number within these bounds, both included.
    Integer(i64, i64),
    /// A fraction from 0 to 1.
    Ratio,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// These words, separated by commas.
    ListOf(&'static [&'static str]),
    /// Anything.
    Text,
}

/// Smallest `segment.bytes`. Kafka 4 asks for 1 MiB; smaller segments make tests of rolling cheap.
const SEGMENT_BYTES_MIN: i64 = 64 << 10;
const INT_MAX: i64 = i32::MAX as i64;

/// Every key a topic may set. The log obeys those that [`log_config`] reads; the others are kept
/// for the features they belong to.
const KEYS: &[(&str, Shape)] = &[
    ("cleanup.policy", Shape::ListOf(&["delete", "compact"])),
    // Batches are stored as the producer compressed them, never again.
    ("compression.type", Shape::OneOf(&["producer"])),
    ("delete.retention.ms", Shape::Integer(0, i64::MAX)),
    ("file.delete.delay.ms", Shape::Integer(0, i64::MAX)),
    ("flush.messages", Shape::Integer(1, i64::MAX)),
    ("flush.ms", Shape::Integer(0, i64::MAX)),
    ("follower.replication.throttled.replicas", Shape::Text),
    ("index.interval.bytes", Shape::Integer(0, INT_MAX)),
    ("leader.replication.throttled.replicas", Shape::Text),
    ("max.compaction.lag.ms", Shape::Integer(1, i64::MAX)),
    ("max.message.bytes", Shape::Integer(0, INT_MAX)),
    ("message.timestamp.after.max.ms", Shape::Integer(0, i64::MAX)),
    ("message.timestamp.before.max.ms", Shape::Integer(0, i64::MAX)),
    ("message.timestamp.type", Shape::OneOf(&["CreateTime", "LogAppendTime"])),
    ("min.cleanable.dirty.ratio", Shape::Ratio),
    ("min.compaction.lag.ms", Shape::Integer(0, i64::MAX)),
    // There is one replica: asking for more could never be met.
    ("min.insync.replicas", Shape::Integer(1, 1)),
    ("preallocate", Shape::Boolean),
    ("retention.bytes", Shape::Integer(-1, i64::MAX)),
    ("retention.ms", Shape::Integer(-1, i64::MAX)),
    ("segment.bytes", Shape::Integer(SEGMENT_BYTES_MIN, INT_MAX)),
    ("segment.index.bytes", Shape::Integer(4, INT_MAX)),
    ("segment.jitter.ms", Shape::Integer(0, i64::MAX)),
    ("segment.ms", Shape::Integer(1, i64::MAX)),
    ("unclean.leader.election.enable", Shape::Boolean),
];

/// Why a config is refused (INVALID_CONFIG, 40), in words for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such key.
    #[error("unknown topic config name: {0}")]
    UnknownKey(String),
    /// The value does not fit the key.
    #[error("invalid value {value:?} for {key}: expected {expected}")]
    InvalidValue {
        /// The key.
        key: String,
        /// What was sent.
        value: String,
        /// What would have been right.
        expected: String,
    },
}

/// Checks one pair.
pub fn check(key: &str, value: &str) -> Result<(), ConfigError> {
    let Some((_, shape)) = KEYS.iter().find(|(k, _)| *k == key) else {
        return Err(ConfigError::UnknownKey(key.to_owned()));
    };
    if shape.fits(value) {
        return Ok(());
    }
    Err(ConfigError::InvalidValue {
        key: key.to_owned(),
        value: value.chars().take(100).collect(),
        expected: shape.describe(),
    })
}

impl Shape {
    fn fits(self, value: &str) -> bool {
        match self {
            Shape::Integer(min, max) => {
                value.trim().parse::<i64>().is_ok_and(|n| (min..=max).contains(&n))
            }
            Shape::Ratio => value.trim().parse::<f64>().is_ok_and(|n| (0.0..=1.0).contains(&n)),
            Shape::Boolean => matches!(value.trim(), "true" | "false"),
            Shape::OneOf(words) => words.contains(&value.trim()),
            Shape::ListOf(words) => value.split(',').all(|word| words.contains(&word.trim())),
            Shape::Text => true,
        }
    }

    fn describe(self) -> String {
        match self {
            Shape::Integer(min, i64::MAX) => format!("a whole number, at least {min}"),
            Shape::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Shape::Ratio => "a number from 0 to 1".to_owned(),
            Shape::Boolean => "true or false".to_owned(),
            Shape::OneOf(words) => words.join(" or "),
            Shape::ListOf(words) => format!("a list of {}", words.join(", ")),
            Shape::Text => "text".to_owned(),
        }
    }
}

/// The typed view of a topic's configs. `durability` is the broker's own (`--durability`): a topic
/// can ask for more (`flush.messages=1`), never for less.
pub fn log_config(configs: &Configs, durability: Durability) -> LogConfig {
    let integer = |key: &str, default: i64| {
        configs.get(key).and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or(default)
    };
    let flushed = durability == Durability::Flushed || integer("flush.messages", i64::MAX) == 1;
    LogConfig {
        segment_bytes: u32::try_from(integer("segment.bytes", 1 << 30)).unwrap_or(1 << 30),
        segment_ms: integer("segment.ms", 7 * 24 * 3_600_000),
        max_message_bytes: u32::try_from(integer("max.message.bytes", 1_048_588)).unwrap_or(0),
        durability: if flushed { Durability::Flushed } else { Durability::Written },
        flush_ms: integer("flush.ms", 1_000),
        log_append_time: configs
            .get("message.timestamp.type")
            .is_some_and(|kind| kind.trim() == "LogAppendTime"),
        timestamp_before_max_ms: integer("message.timestamp.before.max.ms", i64::MAX),
        timestamp_after_max_ms: integer("message.timestamp.after.max.ms", 3_600_000),
        delete_policy: configs
            .get("cleanup.policy")
            .is_none_or(|policies| policies.split(',').any(|policy| policy.trim() == "delete")),
        retention_ms: integer("retention.ms", 7 * 24 * 3_600_000),
        retention_bytes: integer("retention.bytes", -1),
    }
}

/// Key, value and whether it was set, for every config that was set or that the log obeys.
pub fn effective(configs: &Configs, durability: Durability) -> Vec<(&str, String, bool)> {
    let log = log_config(configs, durability);
    let flush_messages = if log.durability == Durability::Flushed { 1 } else { i64::MAX };
    let timestamps = if log.log_append_time { "LogAppendTime" } else { "CreateTime" };
    let defaults = [
        ("flush.messages", flush_messages.to_string()),
        ("flush.ms", log.flush_ms.to_string()),
        ("max.message.bytes", log.max_message_bytes.to_string()),
        ("message.timestamp.type", timestamps.to_owned()),
        ("segment.bytes", log.segment_bytes.to_string()),
        ("segment.ms", log.segment_ms.to_string()),
    ];
    let set = configs.iter().map(|(key, value)| (&**key, value.clone(), true));
    let unset = defaults.into_iter().filter(|(key, _)| !configs.contains_key(*key));
    set.chain(unset.map(|(key, value)| (key, value, false))).collect()
}
