//! What has a topic and a partition for labels. A partition's owner knows its log; what was sent of
//! it, the shards of the connections know.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::sync::Arc;

use corelane_storage::ids::TopicId;

use super::ShardView;
use crate::metrics::counters::Sent;
use crate::metrics::families::{self as f, Family};
use crate::metrics::snapshot::{PartitionSnapshot, SentChunk, ShardSnapshot};
use crate::metrics::text::{Page, labels};

/// One topic, of all shards together.
struct Merged {
    id: TopicId,
    /// By index; those of shards that are not up are missing.
    partitions: BTreeMap<u32, PartitionSnapshot>,
    sent: Vec<Sent>,
}

/// A partition to be told of.
struct Row {
    labels: String,
    partition: PartitionSnapshot,
    sent: Sent,
}

/// The topics of all shards, by name.
pub struct Topics(BTreeMap<Arc<str>, Merged>);

impl Topics {
    /// Those that `shards` told of.
    pub fn of(shards: &[ShardView]) -> Topics {
        Topics(merged(shards))
    }

    /// How far a partition can be read, if its shard is up.
    pub fn high_watermark(&self, topic: &str, partition: i32) -> Option<i64> {
        let partition = u32::try_from(partition).ok()?;
        let partition = self.0.get(topic)?.partitions.get(&partition)?;
        Some(partition.log.offsets.high_watermark)
    }
}

/// All of them, by topic and partition.
pub fn render(page: &mut Page, topics: &Topics) {
    let rows = rows(topics);
    each(page, &f::RECEIVED_BYTES, &rows, |row| row.partition.received[0]);
    each(page, &f::RECEIVED_RECORDS, &rows, |row| row.partition.received[1]);
    each(page, &f::RECEIVED_BATCHES, &rows, |row| row.partition.received[2]);
    each(page, &f::SENT_BYTES, &rows, |row| row.sent.bytes);
    each(page, &f::SENT_RECORDS, &rows, |row| row.sent.records);
    each(page, &f::LOG_START, &rows, |row| row.partition.log.offsets.log_start);
    each(page, &f::HIGH_WATERMARK, &rows, |row| row.partition.log.offsets.high_watermark);
    each(page, &f::LOG_END, &rows, |row| row.partition.log.offsets.log_end);
    each(page, &f::SIZE, &rows, |row| row.partition.log.size_bytes);
    each(page, &f::SEGMENTS, &rows, |row| row.partition.log.segments);
    each(page, &f::OFFLINE, &rows, |row| u8::from(row.partition.log.is_offline));
}

fn each<V: Display>(
    page: &mut Page,
    family: &'static Family,
    rows: &[Row],
    value: impl Fn(&Row) -> V,
) {
    page.family(family);
    rows.iter().for_each(|row| page.sample(&row.labels, value(row)));
}

fn rows(topics: &Topics) -> Vec<Row> {
    let topics = &topics.0;
    let mut rows = Vec::with_capacity(topics.values().map(|topic| topic.partitions.len()).sum());
    for (name, topic) in topics {
        for (index, partition) in &topic.partitions {
            let sent = topic.sent.get(*index as usize).copied().unwrap_or_default();
            let labels = labels(&[("topic", name), ("partition", index)]);
            rows.push(Row { labels, partition: *partition, sent });
        }
    }
    rows
}

fn merged(shards: &[ShardView]) -> BTreeMap<Arc<str>, Merged> {
    let mut topics = BTreeMap::new();
    // Shards that are up come first: they know which of two topics of one name is the newer.
    for is_up in [true, false] {
        let such = shards.iter().filter(|shard| shard.is_up == is_up);
        for snapshot in such.filter_map(|shard| shard.last.as_deref()) {
            merge(&mut topics, snapshot, is_up);
        }
    }
    topics
}

fn merge(topics: &mut BTreeMap<Arc<str>, Merged>, snapshot: &ShardSnapshot, is_up: bool) {
    for topic in &snapshot.topics {
        if let Entry::Vacant(vacant) = topics.entry(topic.name.clone()) {
            vacant.insert(Merged { id: topic.id, partitions: BTreeMap::new(), sent: Vec::new() });
        }
    }
    let owned = snapshot.partitions.iter().flatten().filter(|_| is_up);
    for partition in owned {
        if let Some(merged) = same(topics, snapshot, partition.topic) {
            merged.partitions.insert(partition.index, *partition);
        }
    }
    for chunk in &snapshot.sent {
        if let Some(merged) = same(topics, snapshot, chunk.topic) {
            add(&mut merged.sent, chunk);
        }
    }
}

/// The topic at `place` of a snapshot; none if another has its name by now: it may be deleted and
/// made again between two shards' answers, and each series is told once.
fn same<'a>(
    topics: &'a mut BTreeMap<Arc<str>, Merged>,
    snapshot: &ShardSnapshot,
    place: usize,
) -> Option<&'a mut Merged> {
    let topic = snapshot.topics.get(place)?;
    topics.get_mut(&topic.name).filter(|merged| merged.id == topic.id)
}

fn add(to: &mut Vec<Sent>, chunk: &SentChunk) {
    let end = chunk.first + chunk.sent.len();
    if to.len() < end {
        to.resize(end, Sent::default());
    }
    for (to, sent) in to[chunk.first..].iter_mut().zip(&chunk.sent) {
        to.bytes += sent.bytes;
        to.records += sent.records;
    }
}
