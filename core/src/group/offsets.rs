//! How far groups have read.
//!
//! An offset is visible when its record is durable: whoever reads it may rely on it that no crash takes
//! it back. Until then it only counts as one that is there.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use corelane_net::codec::{Str, Uuid};
use corelane_net::group_records::{OffsetCommitKey, OffsetCommitValue};

/// What a group keeps for one partition. Boxed texts are rare: most clients keep none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the record before, or -1.
    pub leader_epoch: i32,
    /// What the client wants kept with it.
    pub metadata: Str,
    /// Milliseconds since 1970.
    pub commit_timestamp_ms: i64,
    /// When it expires whatever the group does, or -1.
    pub expire_timestamp_ms: i64,
    /// The topic's id, or zero.
    pub topic_id: Uuid,
}

impl Committed {
    /// Whether it is of the topic that has its name now, not of one that had it before.
    pub fn is_of(&self, current: Option<Uuid>) -> bool {
        self.topic_id == Uuid::ZERO || current.is_none_or(|current| current == self.topic_id)
    }
}

#[derive(Debug, Default)]
struct Entry {
    visible: Option<Committed>,
    /// Records on their way to the disk.
    pending: u32,
}

type Topics = BTreeMap<Str, BTreeMap<i32, Entry>>;

/// The offsets of all groups of one partition of the offsets topic.
#[derive(Debug, Default)]
pub struct Offsets {
    groups: HashMap<Str, Topics>,
    count: usize,
    metadata_bytes: usize,
}

impl Offsets {
    /// How many there are, those on their way included.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of what clients want kept with them.
    pub fn metadata_bytes(&self) -> usize {
        self.metadata_bytes
    }

    /// The visible offset.
    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?.get(topic)?.get(&partition)?.visible.as_ref()
    }

    /// A group's visible offsets, by topic and partition.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = (&Str, i32, &Committed)> {
        self.entries(group).filter_map(|(topic, partition, entry)| {
            Some((topic, partition, entry.visible.as_ref()?))
        })
    }

    /// A group's visible offsets behind this topic and partition, in their order: a walk over all of
    /// them can pause.
    pub fn behind<'a>(
        &'a self,
        group: &str,
        place: Option<(&'a str, i32)>,
    ) -> impl Iterator<Item = (&'a Str, i32, &'a Committed)> {
        let from = place.map_or(Bound::Unbounded, |(topic, _)| Bound::Included(topic));
        let topics = self.groups.get(group).into_iter();
        let topics = topics.flat_map(move |all| all.range::<str, _>((from, Bound::Unbounded)));
        let entries = topics.flat_map(move |(topic, partitions)| {
            let same = place.filter(|(name, _)| **name == **topic);
            let from = same.map_or(Bound::Unbounded, |(_, partition)| Bound::Excluded(partition));
            let behind = partitions.range((from, Bound::Unbounded));
            behind.map(move |(partition, entry)| (topic, *partition, entry))
        });
        entries.filter_map(|(topic, partition, entry)| {
            Some((topic, partition, entry.visible.as_ref()?))
        })
    }

    /// As [`Offsets::of_group`], without those about which a record is on its way.
    pub fn settled(&self, group: &str) -> impl Iterator<Item = (&Str, i32, &Committed)> {
        let settled = self.entries(group).filter(|(_, _, entry)| entry.pending == 0);
        settled.filter_map(|(topic, partition, entry)| {
            Some((topic, partition, entry.visible.as_ref()?))
        })
    }

    /// A group's partitions, those whose offset is on its way included.
    pub fn partitions_of(&self, group: &str) -> impl Iterator<Item = (&Str, i32)> {
        self.entries(group).map(|(topic, partition, _)| (topic, partition))
    }

    fn entries(&self, group: &str) -> impl Iterator<Item = (&Str, i32, &Entry)> {
        let topics = self.groups.get(group).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, entry)| (topic, *partition, entry))
        })
    }

    /// Whether there is one, or one on its way.
    pub fn contains(&self, group: &str, topic: &str, partition: i32) -> bool {
        let topics = self.groups.get(group);
        topics.and_then(|topics| topics.get(topic)).is_some_and(|all| all.contains_key(&partition))
    }

    /// Groups that have an offset of this topic.
    pub fn groups_of_topic<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Str> {
        let has = move |(_, topics): &(&Str, &Topics)| topics.contains_key(topic);
        self.groups.iter().filter(has).map(|(group, _)| group)
    }

    /// A record about this offset is on its way; [`Offsets::apply`] follows.
    pub fn announce(&mut self, key: &OffsetCommitKey) {
        let entry = self.entry(key);
        entry.pending += 1;
    }

    /// A record that was announced is durable.
    pub fn apply(&mut self, key: &OffsetCommitKey, value: Option<&OffsetCommitValue>) {
        let entry = self.entry(key);
        entry.pending = entry.pending.saturating_sub(1);
        self.set(key, value);
    }

    /// A record that was read back.
    pub fn replay(&mut self, key: &OffsetCommitKey, value: Option<&OffsetCommitValue>) {
        if value.is_some() || self.contains(&key.group, &key.topic, key.partition) {
            self.set(key, value);
        }
    }

    fn set(&mut self, key: &OffsetCommitKey, value: Option<&OffsetCommitValue>) {
        let new = value.map(committed);
        let bytes = |committed: &Committed| committed.metadata.len();
        let more = new.as_ref().map_or(0, bytes);
        let entry = self.entry(key);
        let less = std::mem::replace(&mut entry.visible, new).as_ref().map_or(0, bytes);
        let is_gone = entry.visible.is_none() && entry.pending == 0;
        self.metadata_bytes = self.metadata_bytes + more - less;
        if is_gone {
            self.remove(key);
        }
    }

    fn entry(&mut self, key: &OffsetCommitKey) -> &mut Entry {
        let Offsets { groups, count, .. } = self;
        if !groups.contains_key(&key.group) {
            groups.insert(key.group.detached(), Topics::new());
        }
        let Some(topics) = groups.get_mut(&key.group) else { unreachable!("just made") };
        if !topics.contains_key(&key.topic) {
            topics.insert(key.topic.detached(), BTreeMap::new());
        }
        let Some(partitions) = topics.get_mut(&key.topic) else { unreachable!("just made") };
        partitions.entry(key.partition).or_insert_with(|| {
            *count += 1;
            Entry::default()
        })
    }

    fn remove(&mut self, key: &OffsetCommitKey) {
        let Some(topics) = self.groups.get_mut(&key.group) else { return };
        let Some(partitions) = topics.get_mut(&key.topic) else { return };
        if partitions.remove(&key.partition).is_some() {
            self.count -= 1;
        }
        if partitions.is_empty() {
            topics.remove(&key.topic);
        }
        if topics.is_empty() {
            self.groups.remove(&key.group);
        }
    }
}

fn committed(value: &OffsetCommitValue) -> Committed {
    Committed {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.detached(),
        commit_timestamp_ms: value.commit_timestamp,
        expire_timestamp_ms: value.expire_timestamp,
        topic_id: value.topic_id,
    }
}
