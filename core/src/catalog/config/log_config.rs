//! The typed view of a topic's configs that its partitions' logs obey.

use corelane_storage::log::{CompactionLimits, Durability, LogConfig};

use super::broker_keys::broker_key;
use super::layers::Layers;
use super::value::elements;

/// What the logs of a topic obey. `--durability strict` is a floor: a topic can ask for more
/// (`flush.messages=1`), never for less.
pub fn log_config(layers: &Layers<'_>) -> LogConfig {
    let strict = layers.settings.durability == Durability::Flushed;
    let flushed = strict || layers.integer("flush.messages") == 1;
    let segment_bytes = layers.nullable_integer("internal.segment.bytes");
    let segment_bytes = segment_bytes.unwrap_or_else(|| layers.integer("segment.bytes"));
    let policy = layers.text("cleanup.policy").unwrap_or_default();
    LogConfig {
        segment_bytes: u32_of(segment_bytes),
        segment_ms: layers.integer("segment.ms"),
        max_message_bytes: u32_of(layers.integer("max.message.bytes")),
        durability: if flushed { Durability::Flushed } else { Durability::Written },
        flush_ms: layers.integer("flush.ms"),
        log_append_time: layers.text("message.timestamp.type").as_deref() == Some("LogAppendTime"),
        timestamp_before_max_ms: layers.integer("message.timestamp.before.max.ms"),
        timestamp_after_max_ms: layers.integer("message.timestamp.after.max.ms"),
        delete_policy: elements(&policy).any(|word| word == "delete"),
        compact_policy: elements(&policy).any(|word| word == "compact"),
        retention_ms: layers.integer("retention.ms"),
        retention_bytes: layers.integer("retention.bytes").max(-1),
        min_cleanable_dirty_ppm: millionths(layers.text("min.cleanable.dirty.ratio")),
        min_compaction_lag_ms: layers.integer("min.compaction.lag.ms"),
        max_compaction_lag_ms: layers.integer("max.compaction.lag.ms"),
        delete_retention_ms: layers.integer("delete.retention.ms"),
    }
}

/// What compaction may take of one of `shards` shards.
pub fn compaction_limits(layers: &Layers<'_>, shards: usize) -> CompactionLimits {
    let text = |name| broker_key(name).and_then(|key| layers.broker_config(key).value);
    let number = |name| text(name).and_then(|text| text.trim().parse::<f64>().ok());
    let shards = shards.max(1) as f64;
    let defaults = CompactionLimits::default();
    // Numbers that are too large become the largest there is: no limit.
    let part = |name| number(name).map(|total| (total / shards) as u64);
    CompactionLimits {
        enabled: text("log.cleaner.enable").is_none_or(|text| text != "false"),
        map_bytes: part("log.cleaner.dedupe.buffer.size")
            .unwrap_or(defaults.map_bytes)
            .max(MAP_BYTES_MIN),
        bytes_per_second: part("log.cleaner.io.max.bytes.per.second").unwrap_or(u64::MAX).max(1),
        backoff_ms: number("log.cleaner.backoff.ms")
            .map_or(defaults.backoff_ms, |backoff_ms| backoff_ms as u64),
    }
}

/// Memory for keys that each shard has at least; what Kafka gives a thread.
const MAP_BYTES_MIN: u64 = 1 << 20;

/// A share as millionths; a half, Kafka's default, for what another release has stored and is none.
fn millionths(share: Option<String>) -> u32 {
    let share = share.and_then(|text| text.trim().parse::<f64>().ok()).filter(|s| s.is_finite());
    (share.unwrap_or(0.5).clamp(0.0, 1.0) * 1e6).round() as u32
}

/// The rules of the keys keep values in these bounds.
fn u32_of(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}
