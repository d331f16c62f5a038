//! How far groups have read.
//!
//! An offset is visible when its record is durable: whoever reads it may rely on it that no crash takes
//! it back. Until then it only counts as one that is there.

use std::collections::BTreeMap;
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

/// One partition of one topic: where a look at many of a group's offsets goes on.
pub type Place = (Str, i32);

impl Committed {
    /// Whether it is of the topic that has its name now, not of one that had it before.
    pub fn is_of(&self, current: Option<Uuid>) -> bool {
        self.topic_id == Uuid::ZERO || current == Some(self.topic_id)
    }
}

#[derive(Debug, Default)]
struct Entry {
    visible: Option<Committed>,
    /// Records on their way to the disk.
    pending: u32,
    /// The topic's id in the newest record about it, durable or not; `None` if that is a tombstone.
    newest: Option<Uuid>,
}

type Topics = BTreeMap<Str, BTreeMap<i32, Entry>>;

#[derive(Debug, Default)]
struct OfGroup {
    topics: Topics,
    /// Entries whose newest record is no tombstone.
    live: usize,
}

/// A partition that a group has an offset of, or had until a tombstone that is not durable yet.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The topic.
    pub topic: &'a Str,
    /// The partition.
    pub partition: i32,
    entry: &'a Entry,
}

impl<'a> Kept<'a> {
    /// What is visible.
    pub fn visible(&self) -> Option<&'a Committed> {
        self.entry.visible.as_ref()
    }

    /// What is visible, if no record about it is on its way.
    pub fn settled(&self) -> Option<&'a Committed> {
        self.visible().filter(|_| self.entry.pending == 0)
    }

    /// The topic's id in the newest record, durable or not; `None` if that is a tombstone.
    pub fn newest(&self) -> Option<Uuid> {
        self.entry.newest
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        (self.topic.clone(), self.partition)
    }
}

/// The offsets of all groups of one partition of the offsets topic.
#[derive(Debug, Default)]
pub struct Offsets {
    groups: BTreeMap<Str, OfGroup>,
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
        self.find(group, topic, partition)?.visible.as_ref()
    }

    /// Whether a group has an offset of this partition, or one on its way, that no tombstone follows.
    pub fn is_live(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.find(group, topic, partition).is_some_and(|entry| entry.newest.is_some())
    }

    /// Whether there is an entry of it, be it one that goes.
    pub fn contains(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.find(group, topic, partition).is_some()
    }

    fn find(&self, group: &str, topic: &str, partition: i32) -> Option<&Entry> {
        self.groups.get(group)?.topics.get(topic)?.get(&partition)
    }

    /// How many offsets of a group no tombstone follows.
    pub fn live_count(&self, group: &str) -> usize {
        self.groups.get(group).map_or(0, |found| found.live)
    }

    /// A group's partitions behind a place, by topic and partition.
    pub fn behind<'a>(
        &'a self,
        group: &str,
        after: Option<&Place>,
    ) -> impl Iterator<Item = Kept<'a>> + use<'a> {
        let first = after.map_or(Bound::Unbounded, |(topic, _)| Bound::Included(&**topic));
        let found = self.groups.get(group);
        let topics = found.map(|found| found.topics.range::<str, _>((first, Bound::Unbounded)));
        let after = after.cloned();
        topics.into_iter().flatten().flat_map(move |(topic, partitions)| {
            let first = match &after {
                Some((begun, partition)) if begun == topic => Bound::Excluded(*partition),
                _ => Bound::Unbounded,
            };
            let partitions = partitions.range((first, Bound::Unbounded));
            partitions.map(move |(partition, entry)| Kept { topic, partition: *partition, entry })
        })
    }

    /// Groups with offsets behind one of them, by name.
    pub fn groups_behind(&self, after: Option<&Str>) -> impl Iterator<Item = &Str> {
        let first = after.map_or(Bound::Unbounded, |group| Bound::Excluded(&**group));
        self.groups.range::<str, _>((first, Bound::Unbounded)).map(|(group, _)| group)
    }

    /// A record about this offset is on its way, of a topic with this id, or a tombstone;
    /// [`Offsets::apply`] follows.
    pub fn announce(&mut self, key: &OffsetCommitKey, newest: Option<Uuid>) {
        self.with_entry(key, |entry| {
            entry.pending += 1;
            entry.newest = newest;
        });
    }

    /// A record that was announced is durable.
    pub fn apply(&mut self, key: &OffsetCommitKey, value: Option<&OffsetCommitValue>) {
        self.with_entry(key, |entry| entry.pending = entry.pending.saturating_sub(1));
        self.set(key, value);
    }

    /// A record that was read back.
    pub fn replay(&mut self, key: &OffsetCommitKey, value: Option<&OffsetCommitValue>) {
        if value.is_some() || self.contains(&key.group, &key.topic, key.partition) {
            self.with_entry(key, |entry| entry.newest = value.map(|value| value.topic_id));
            self.set(key, value);
        }
    }

    fn set(&mut self, key: &OffsetCommitKey, value: Option<&OffsetCommitValue>) {
        let new = value.map(committed);
        let bytes = |committed: &Committed| committed.metadata.len();
        let more = new.as_ref().map_or(0, bytes);
        let (less, is_gone) = self.with_entry(key, |entry| {
            let less = std::mem::replace(&mut entry.visible, new).as_ref().map_or(0, bytes);
            (less, entry.visible.is_none() && entry.pending == 0)
        });
        self.metadata_bytes = self.metadata_bytes + more - less;
        if is_gone {
            self.remove(key);
        }
    }

    /// Works on an entry, which is made if it is not there, and keeps the books of it.
    fn with_entry<T>(&mut self, key: &OffsetCommitKey, work: impl FnOnce(&mut Entry) -> T) -> T {
        let Offsets { groups, count, .. } = self;
        if !groups.contains_key(&key.group) {
            groups.insert(key.group.detached(), OfGroup::default());
        }
        let Some(OfGroup { topics, live }) = groups.get_mut(&key.group) else {
            unreachable!("just made")
        };
        if !topics.contains_key(&key.topic) {
            topics.insert(key.topic.detached(), BTreeMap::new());
        }
        let Some(partitions) = topics.get_mut(&key.topic) else { unreachable!("just made") };
        let entry = partitions.entry(key.partition).or_insert_with(|| {
            *count += 1;
            Entry::default()
        });
        let was_live = entry.newest.is_some();
        let value = work(entry);
        match (was_live, entry.newest.is_some()) {
            (false, true) => *live += 1,
            (true, false) => *live -= 1,
            _ => {}
        }
        value
    }

    fn remove(&mut self, key: &OffsetCommitKey) {
        let Some(OfGroup { topics, live }) = self.groups.get_mut(&key.group) else { return };
        let Some(partitions) = topics.get_mut(&key.topic) else { return };
        if let Some(entry) = partitions.remove(&key.partition) {
            self.count -= 1;
            *live -= usize::from(entry.newest.is_some());
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
