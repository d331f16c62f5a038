//! The coordinator of all groups of one partition of the offsets topic: pure. Requests, the time and
//! the news that records are durable go in; answers and records come out.
//!
//! - `members.rs`: joining, syncing, living, leaving
//! - `offsets.rs`: committing, fetching and deleting offsets
//! - `groups.rs`: listing, describing, deleting groups
//! - `age.rs`: offsets that nobody needs any more
//! - `consumer.rs`: groups of the consumer protocol, and those that change from one to the other
//! - `group.rs`: a group of either protocol
//! - `stored.rs`: records: read back at the start, durable later

mod age;
mod consumer;
mod group;
mod groups;
mod members;
mod offsets;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;

pub use age::TopicSearch;
pub use consumer::BeatContext;
pub use members::JoinContext;
pub use offsets::{AskedOffset, CommitContext};

use super::classic::ClassicGroup;
use super::consumer::ConsumerGroup;
use super::offsets::Offsets;
use super::rules::GROUPS_MAX;
use super::turn::{Now, Turn};
use group::Group;

/// A group, and when it is to be looked at.
#[derive(Debug)]
struct Slot {
    group: Group,
    /// As it stands in `wakes`.
    wake: Option<Duration>,
}

/// One partition's groups and offsets.
#[derive(Debug, Default)]
pub struct Coordinator {
    /// By name, so that a look at all of them can go on where it paused.
    groups: BTreeMap<Str, Slot>,
    offsets: Offsets,
    /// When which group is to be looked at; at most one entry a group.
    wakes: BTreeSet<(Duration, Str)>,
    /// What the members of all groups hold in memory.
    members_bytes: usize,
    /// Writes of groups of the consumer protocol that are not durable yet.
    tells: usize,
}

impl Coordinator {
    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// How many offsets there are.
    pub fn offset_count(&self) -> usize {
        self.offsets.count()
    }

    /// When [`Coordinator::expire`] has something to do, if nothing happens before.
    pub fn wake(&self) -> Option<Duration> {
        self.wakes.first().map(|(deadline, _)| *deadline)
    }

    /// Does what is due, at most for one group: callers let others have their turn between two. False
    /// if nothing was.
    pub fn expire(&mut self, turn: &mut Turn<'_>) -> bool {
        match self.wakes.first().cloned() {
            Some((deadline, id)) if deadline <= turn.now.monotonic => {
                self.expire_group(&id, turn);
                true
            }
            _ => false,
        }
    }

    fn expire_group(&mut self, id: &Str, turn: &mut Turn<'_>) {
        let due = self.with_group(id, |group| match group {
            Group::Classic(group) => {
                group.expire(turn);
                Vec::new()
            }
            Group::Consumer(group) => group.due(turn.now.monotonic),
        });
        let due = due.unwrap_or_default();
        if !due.is_empty() {
            tracing::info!(group = %id, members = ?due, "their time is over");
            self.dismiss(id, &due, None, turn);
            self.settle_tells(turn);
        }
    }

    /// As [`Coordinator::with_group`], for a classic group.
    fn with_classic<T>(
        &mut self,
        id: &str,
        work: impl FnOnce(&mut ClassicGroup) -> T,
    ) -> Option<T> {
        self.with_group(id, |group| group.classic().map(work)).flatten()
    }

    /// As [`Coordinator::with_group`], for a group of the consumer protocol.
    fn with_consumer<T>(
        &mut self,
        id: &str,
        work: impl FnOnce(&mut ConsumerGroup) -> T,
    ) -> Option<T> {
        self.with_group(id, |group| group.consumer().map(work)).flatten()
    }

    /// What the members of all groups hold in memory.
    #[cfg(test)]
    fn members_bytes(&self) -> usize {
        self.members_bytes
    }

    /// The groups behind one of them, by name.
    fn behind(&self, after: Option<&Str>) -> impl Iterator<Item = (&Str, &Slot)> {
        let first = after.map_or(Bound::Unbounded, |group| Bound::Excluded(&**group));
        self.groups.range::<str, _>((first, Bound::Unbounded))
    }

    /// Works on a group, and keeps the books of it; `None` if there is no such group.
    fn with_group<T>(&mut self, id: &str, work: impl FnOnce(&mut Group) -> T) -> Option<T> {
        let slot = self.groups.get_mut(id)?;
        let before = slot.group.bytes();
        let value = work(&mut slot.group);
        self.members_bytes = self.members_bytes - before + slot.group.bytes();
        let soonest = slot.group.soonest();
        if soonest != slot.wake {
            let (name, _) = self.groups.get_key_value(id)?;
            let name = name.clone();
            let slot = self.groups.get_mut(id)?;
            if let Some(old) = slot.wake {
                self.wakes.remove(&(old, name.clone()));
            }
            slot.wake = soonest;
            self.wakes.extend(soonest.map(|deadline| (deadline, name)));
        }
        Some(value)
    }

    /// Makes the group if it is not there; true if it was made.
    fn ensure(&mut self, id: &Str, now: Now) -> Result<bool, ErrorCode> {
        if self.groups.contains_key(id) {
            return Ok(false);
        }
        if self.groups.len() >= GROUPS_MAX {
            return Err(ErrorCode::PolicyViolation);
        }
        let id = id.detached();
        self.insert(id.clone(), Group::Classic(ClassicGroup::new(id, now)));
        Ok(true)
    }

    fn insert(&mut self, id: Str, group: Group) {
        self.remove(&id);
        self.members_bytes += group.bytes();
        let wake = group.soonest();
        self.wakes.extend(wake.map(|deadline| (deadline, id.clone())));
        self.groups.insert(id, Slot { group, wake });
    }

    fn remove(&mut self, id: &Str) {
        let Some(slot) = self.groups.remove(id) else { return };
        self.members_bytes -= slot.group.bytes();
        if let Some(wake) = slot.wake {
            self.wakes.remove(&(wake, id.clone()));
        }
    }
}
