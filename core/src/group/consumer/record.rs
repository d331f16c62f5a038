//! The group as it is stored.

use corelane_net::codec::Str;
use corelane_net::group_records::{
    ConsumerCurrentValue, ConsumerEpochValue, ConsumerGroupKey, ConsumerMemberKey,
    ConsumerMemberValue, ConsumerPatternKey, ConsumerPatternValue, ConsumerRecord,
    ConsumerTargetEpochValue, ConsumerTargetValue, GroupRecord,
};

use super::super::rules::Rules;
use super::super::turn::Now;
use super::member::{Member, member_bytes};
use super::partitions::{Partitions, each, owned_of, partitions_of, stored, told};
use super::read::Wish;
use super::reconcile::{MemberState, NEW, Standing};
use super::{ConsumerGroup, LEAVES_FOR_A_WHILE};

/// Epoch of a member whose current assignment is gone, and soon it is too.
const GONE: i32 = -1;

impl ConsumerGroup {
    /// Changes the group as a record says: one that is being written, or one that was read back. The record of
    /// the group's own end is for whoever holds the group.
    pub fn apply(&mut self, record: &ConsumerRecord) {
        match record {
            ConsumerRecord::Epoch(_, Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            ConsumerRecord::Epoch(_, None) => {}
            ConsumerRecord::Member(key, Some(value)) => self.set_member(&key.member_id, value),
            ConsumerRecord::Member(key, None) => self.remove_member(&key.member_id),
            ConsumerRecord::TargetEpoch(_, value) => {
                self.target_epoch = value.as_ref().map_or(-1, |value| value.assignment_epoch);
                self.target_since_ms = value.as_ref().map_or(0, |value| value.assignment_timestamp);
            }
            ConsumerRecord::Target(key, Some(value)) => {
                let target = partitions_of(&value.topic_partitions);
                self.targets.insert(key.member_id.detached(), target);
            }
            ConsumerRecord::Target(key, None) => drop(self.targets.remove(&key.member_id)),
            ConsumerRecord::Current(key, Some(value)) => {
                let epoch = value.member_epoch;
                let standing = Standing {
                    epoch,
                    previous_epoch: value.previous_member_epoch,
                    state: MemberState::of(value.state),
                    assigned: owned_of(&value.assigned_partitions, epoch),
                    revoking: owned_of(&value.partitions_pending_revocation, epoch),
                };
                self.set_standing(&key.member_id, standing);
            }
            ConsumerRecord::Current(key, None) => {
                if self.members.contains_key(&key.member_id) {
                    let gone = Standing { epoch: GONE, previous_epoch: GONE, ..NEW };
                    self.set_standing(&key.member_id, gone);
                }
            }
            ConsumerRecord::Pattern(key, Some(value)) => {
                self.expect_matches(&key.pattern);
                self.change_matches(&key.pattern, |matches| {
                    matches.topics = value.topics.iter().map(Str::detached).collect();
                });
            }
            ConsumerRecord::Pattern(key, None) => self.forget_matches(&key.pattern),
        }
    }

    fn set_member(&mut self, id: &Str, value: &ConsumerMemberValue) {
        let bytes = member_bytes(id, value);
        if let Some(member) = self.members.get_mut(id) {
            self.bytes = self.bytes + bytes - member_bytes(id, &member.value);
            let before = std::mem::replace(&mut member.value, value.clone());
            let (wish, is_new) = self.wishes.add(Wish::of(value));
            let before_wish = std::mem::replace(&mut member.wish, wish);
            if self.wishes.remove(&before_wish) || is_new {
                self.read = None;
            }
            if before.instance_id != value.instance_id {
                self.forget_name(id, &before);
            }
        } else {
            self.bytes += bytes;
            let (wish, is_new) = self.wishes.add(Wish::of(value));
            if is_new {
                self.read = None;
            }
            self.members.insert(id.detached(), Member::new(value.clone(), wish));
        }
        if let Some(instance_id) = &value.instance_id {
            self.static_ids.insert(instance_id.clone(), id.detached());
        }
    }

    fn remove_member(&mut self, id: &Str) {
        let Some(member) = self.members.remove(id) else { return };
        self.bytes -= member_bytes(id, &member.value);
        if self.wishes.remove(&member.wish) {
            self.read = None;
        }
        self.count_holders(&member.standing, false);
        self.forget_name(id, &member.value);
    }

    /// Gives up a static member's name, unless it is another one's by now.
    fn forget_name(&mut self, id: &Str, value: &ConsumerMemberValue) {
        if let Some(instance_id) = &value.instance_id
            && self.static_ids.get(instance_id) == Some(id)
        {
            self.static_ids.remove(instance_id);
        }
    }

    fn set_standing(&mut self, id: &Str, standing: Standing) {
        if !self.members.contains_key(id) {
            // The record of the member itself follows: compaction keeps the last of each.
            self.set_member(id, &ConsumerMemberValue::default());
        }
        self.count_holders(&standing, true);
        let Some(member) = self.members.get_mut(id) else { return };
        let before = std::mem::replace(&mut member.standing, standing);
        self.count_holders(&before, false);
    }

    fn count_holders(&mut self, standing: &Standing, more: bool) {
        for partition in each(&standing.assigned).chain(each(&standing.revoking)) {
            let holders = self.holders.entry(partition).or_default();
            *holders = if more { *holders + 1 } else { holders.saturating_sub(1) };
            if *holders == 0 {
                self.holders.remove(&partition);
            }
        }
    }

    /// Begins the members' sessions, and goes on waiting for those that are to give partitions up.
    pub fn resume(&mut self, now: Now, rules: &Rules) {
        for member in self.members.values_mut() {
            member.session = Some(now.monotonic + member.session_timeout(rules));
            if member.standing.state == MemberState::UnrevokedPartitions && !member.is_classic() {
                let deadline = now.monotonic + member.rebalance_timeout();
                member.rebalance = Some((deadline, member.standing.epoch));
            }
        }
        self.soonest = self.exact_soonest();
    }

    /// All that says that the group and everything of it is gone.
    pub fn tombstones(&self) -> Vec<GroupRecord> {
        let ids = || self.members.keys();
        let current = ids().map(|id| ConsumerRecord::Current(self.member_key(id), None));
        // Those of members that a half-written batch has left, too.
        let targets =
            self.targets.keys().map(|id| ConsumerRecord::Target(self.member_key(id), None));
        let epoch = [ConsumerRecord::TargetEpoch(self.key(), None)];
        let members = ids().map(|id| ConsumerRecord::Member(self.member_key(id), None));
        let patterns = self.patterns.keys().map(|pattern| self.pattern_tombstone(pattern));
        let group = [ConsumerRecord::Epoch(self.key(), None)];
        let all = current.chain(targets).chain(epoch).chain(members).chain(patterns).chain(group);
        all.map(GroupRecord::Consumer).collect()
    }

    /// The records of one member's end.
    pub(super) fn member_tombstones(&self, id: &Str) -> [ConsumerRecord; 3] {
        [
            ConsumerRecord::Current(self.member_key(id), None),
            ConsumerRecord::Target(self.member_key(id), None),
            ConsumerRecord::Member(self.member_key(id), None),
        ]
    }

    pub(super) fn epoch_record(&self, epoch: i32, metadata_hash: i64) -> ConsumerRecord {
        ConsumerRecord::Epoch(self.key(), Some(ConsumerEpochValue { epoch, metadata_hash }))
    }

    pub(super) fn member_record(&self, id: &Str, value: ConsumerMemberValue) -> ConsumerRecord {
        ConsumerRecord::Member(self.member_key(id), Some(value))
    }

    pub(super) fn target_epoch_record(&self, epoch: i32, now: Now) -> ConsumerRecord {
        let value =
            ConsumerTargetEpochValue { assignment_epoch: epoch, assignment_timestamp: now.wall_ms };
        ConsumerRecord::TargetEpoch(self.key(), Some(value))
    }

    pub(super) fn target_record(&self, id: &Str, target: &Partitions) -> ConsumerRecord {
        let value = ConsumerTargetValue { topic_partitions: told(target) };
        ConsumerRecord::Target(self.member_key(id), Some(value))
    }

    pub(super) fn current_record(&self, id: &Str, standing: &Standing) -> ConsumerRecord {
        let value = ConsumerCurrentValue {
            member_epoch: standing.epoch,
            previous_member_epoch: standing.previous_epoch,
            state: standing.state.number(),
            assigned_partitions: stored(&standing.assigned),
            partitions_pending_revocation: stored(&standing.revoking),
        };
        ConsumerRecord::Current(self.member_key(id), Some(value))
    }

    pub(super) fn pattern_record(
        &self,
        pattern: &Str,
        topics: Vec<Str>,
        version: u64,
        now: Now,
    ) -> ConsumerRecord {
        let value = ConsumerPatternValue {
            topics,
            version: i64::try_from(version).unwrap_or(i64::MAX),
            timestamp: now.wall_ms,
        };
        ConsumerRecord::Pattern(self.pattern_key(pattern), Some(value))
    }

    pub(super) fn pattern_tombstone(&self, pattern: &Str) -> ConsumerRecord {
        ConsumerRecord::Pattern(self.pattern_key(pattern), None)
    }

    fn key(&self) -> ConsumerGroupKey {
        ConsumerGroupKey { group: self.id.clone() }
    }

    fn member_key(&self, id: &Str) -> ConsumerMemberKey {
        ConsumerMemberKey { group: self.id.clone(), member_id: id.clone() }
    }

    fn pattern_key(&self, pattern: &Str) -> ConsumerPatternKey {
        ConsumerPatternKey { group: self.id.clone(), pattern: pattern.clone() }
    }
}

/// How a static member stands that has left for a while.
pub(super) fn absent(standing: &Standing) -> Standing {
    let revoking = Default::default();
    Standing { epoch: LEAVES_FOR_A_WHILE, revoking, ..standing.clone() }
}
