//! Listing, describing, deleting groups, and what grows old.

use std::ops::Bound;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{DescribedGroup, ListedGroup};

use super::super::offsets::Committed;
use super::super::turn::{Then, Turn, Write};
use super::Coordinator;
use super::group::Group;

impl Coordinator {
    /// The groups, in no order.
    pub fn list(&self) -> impl Iterator<Item = ListedGroup> {
        self.groups.values().map(|slot| slot.group.listed())
    }

    /// The group behind this one in the order of ids, and how many members it has.
    pub fn group_behind(&self, id: Option<&str>) -> Option<(ListedGroup, usize)> {
        let behind = id.map_or(Bound::Unbounded, Bound::Excluded);
        let (_, slot) = self.groups.range::<str, _>((behind, Bound::Unbounded)).next()?;
        Some((slot.group.listed(), slot.group.size()))
    }

    /// The ids of all groups.
    pub fn group_ids(&self) -> Vec<Str> {
        self.groups.keys().cloned().collect()
    }

    /// Whether there is a group, of whichever protocol.
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// A classic group, if it is there.
    pub fn describe(&self, group: &str) -> Option<DescribedGroup> {
        match self.groups.get(group).map(|slot| &slot.group) {
            Some(Group::Classic(group)) => Some(group.described()),
            Some(Group::Consumer(_)) | None => None,
        }
    }

    /// Deletes a group without members, with its offsets.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.
    pub fn delete(&mut self, group: &Str, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        let slot = self.groups.get(group).ok_or(ErrorCode::GroupIdNotFound)?;
        slot.group.check_delete()?;
        self.erase(group, turn);
        Ok(())
    }

    fn erase(&mut self, group: &Str, turn: &mut Turn<'_>) {
        let partitions = self.offsets.partitions_of(group);
        let partitions: Vec<_> = partitions.map(|(topic, index)| (topic.clone(), index)).collect();
        self.forget(group, partitions, turn);
        if let Some(slot) = self.groups.get(group) {
            turn.writes.push(Write { records: slot.group.tombstones(), then: Then::Nothing });
        }
        if let Some(Group::Consumer(group)) = self.groups.get_mut(group).map(|slot| &mut slot.group) {
            group.send_away(turn);
        }
        self.remove(group);
    }

    /// Forgets offsets of a group that nobody has used for long (KIP-211), and the group if it has neither
    /// offsets nor members.
    pub fn grow_old(&mut self, group: &Str, turn: &mut Turn<'_>) {
        let Some(slot) = self.groups.get(group) else { return };
        let (now_ms, retention_ms) = (turn.now.wall_ms, turn.rules.offsets_retention_ms);
        let is_over = |topic: &str, offset: &Committed| {
            if slot.group.is_subscribed(topic) {
                return false;
            }
            let Some(since_ms) = slot.group.unused_since_ms(offset.commit_timestamp_ms) else {
                return false;
            };
            match offset.expire_timestamp_ms {
                -1 => now_ms.saturating_sub(since_ms) >= retention_ms,
                expires_ms => now_ms >= expires_ms,
            }
        };
        let total = self.offsets.partitions_of(group).count();
        let old = self.offsets.settled(group).filter(|(topic, _, offset)| is_over(topic, offset));
        let old: Vec<_> = old.map(|(topic, index, _)| (topic.clone(), index)).collect();
        turn.tally.expired += old.len() as u64;
        let is_empty = old.len() == total && slot.group.check_delete().is_ok();
        match is_empty {
            true => self.erase(group, turn),
            false => self.forget(group, old, turn),
        }
    }

    /// Forgets the offsets of a topic that is deleted, and says which groups had some.
    pub fn topic_deleted(&mut self, topic: &str, turn: &mut Turn<'_>) {
        let groups: Vec<Str> = self.offsets.groups_of_topic(topic).cloned().collect();
        for group in groups {
            let partitions = self.offsets.partitions_of(&group);
            let partitions = partitions.filter(|(name, _)| ***name == *topic);
            let partitions: Vec<_> =
                partitions.map(|(name, index)| (name.clone(), index)).collect();
            self.forget(&group, partitions, turn);
        }
    }
}
