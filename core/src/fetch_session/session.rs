//! One session: its partitions, in order, and what the client knows of each.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{Asked, PartitionKey, Position};

/// Stands for "the client does not know it", so that the next answer tells.
const UNKNOWN: i64 = -1;

/// What an answer says of one partition, as far as it decides whether to say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The high watermark, or -1.
    pub high_watermark: i64,
    /// The partition's first offset, or -1.
    pub log_start: i64,
    /// Whether records are sent.
    pub has_records: bool,
    /// Whether there is an error, or a point from which the client must truncate.
    pub must_tell: bool,
}

/// One session. The epoch is that of the next request.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) epoch: i32,
    /// Whether it names topics by id; it does so for all its life.
    pub(super) by_id: bool,
    /// Monotonic time.
    pub(super) created: Duration,
    /// Monotonic time.
    pub(super) last_used: Duration,
    /// By place: in this order the partitions share out the bytes of an answer.
    order: BTreeMap<u64, Member>,
    places: HashMap<PartitionKey, u64>,
    next_place: u64,
}

#[derive(Debug)]
struct Member {
    key: PartitionKey,
    position: Position,
    high_watermark: i64,
    log_start: i64,
}

/// The epoch after `epoch`: 1 after the largest, because 0 opens a session.
pub fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

impl Member {
    /// Remembers what the client is told; says whether it is new to it.
    fn show(&mut self, shown: &Shown) -> bool {
        let before = (self.high_watermark, self.log_start);
        self.log_start = shown.log_start;
        // Told again when the error is over.
        self.high_watermark = if shown.must_tell { UNKNOWN } else { shown.high_watermark };
        before != (shown.high_watermark, shown.log_start)
    }
}

impl Session {
    pub(super) fn new(by_id: bool, now: Duration) -> Session {
        Session {
            epoch: next_epoch(0),
            by_id,
            created: now,
            last_used: now,
            order: BTreeMap::new(),
            places: HashMap::new(),
            next_place: 1,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Adds a partition behind the others, or changes the position of one that is there.
    pub(super) fn put(&mut self, key: &PartitionKey, position: Position) {
        let known = self.places.get(key).and_then(|place| self.order.get_mut(place));
        if let Some(member) = known {
            member.position = position;
            return;
        }
        let key = PartitionKey { topic: self.own(key), index: key.index };
        self.push(Member { key, position, high_watermark: UNKNOWN, log_start: UNKNOWN });
    }

    /// Adds a partition that is not there yet, as it has just been answered.
    pub(super) fn add(&mut self, asked: &Asked, shown: &Shown) {
        self.put(&asked.key, asked.position);
        if let Some(mut last) = self.order.last_entry() {
            last.get_mut().show(shown);
        }
    }

    /// Drops a partition, if it is there.
    pub(super) fn forget(&mut self, key: &PartitionKey) {
        if let Some(place) = self.places.remove(key) {
            self.order.remove(&place);
        }
    }

    /// Gives back the memory of partitions that were dropped, if it is much.
    pub(super) fn shrink(&mut self) {
        if self.places.capacity() / 4 > self.places.len() {
            self.places.shrink_to(2 * self.places.len());
        }
    }

    /// All partitions, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let asked = |(place, member): (&u64, &Member)| Asked {
            key: member.key.clone(),
            position: member.position,
            place: *place,
        };
        self.order.iter().map(asked).collect()
    }

    /// True if the answer must name the partition at `place`; remembers what it then says. One that
    /// gets records goes behind all others, so that none starves.
    pub(super) fn tell(&mut self, place: u64, shown: &Shown) -> bool {
        let Some(member) = self.order.get_mut(&place) else { return false };
        let changed = member.show(shown);
        if shown.has_records
            && let Some(member) = self.order.remove(&place)
        {
            self.push(member);
        }
        changed || shown.must_tell || shown.has_records
    }

    fn push(&mut self, member: Member) {
        let place = self.next_place;
        self.next_place += 1;
        self.places.insert(member.key.clone(), place);
        self.order.insert(place, member);
    }

    /// The topic in memory that outlives the request; shared with the partition before, if that is
    /// of the same topic.
    fn own(&self, key: &PartitionKey) -> super::TopicKey {
        match self.order.last_key_value() {
            Some((_, last)) if last.key.topic == key.topic => last.key.topic.clone(),
            _ => key.topic.detached(),
        }
    }
}

#[cfg(test)]
impl Session {
    /// Panics unless both maps know the same partitions.
    pub(super) fn check(&self) {
        assert_eq!(self.places.len(), self.order.len());
        assert!(self.places.capacity() <= 16 + 8 * self.places.len(), "room for what is gone");
        for (place, member) in &self.order {
            assert_eq!(self.places.get(&member.key), Some(place));
        }
    }
}
