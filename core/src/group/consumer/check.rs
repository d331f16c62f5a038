//! Who may commit, fetch, delete.

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;

use super::ConsumerGroup;
use super::member::Member;

/// From this version of OffsetCommit on a client knows the codes of this protocol.
const COMMITS_SINCE: i16 = 9;

impl ConsumerGroup {
    /// Whether a commit is taken: of a member in this epoch, or in an older one of partitions that it has had
    /// since (KIP-1251), or of anybody while the group has no members.
    pub fn check_commit(
        &self,
        version: i16,
        member_id: &str,
        epoch: i32,
        partitions: impl Iterator<Item = (Uuid, i32)>,
    ) -> Result<(), ErrorCode> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if !member.is_classic() && version < COMMITS_SINCE {
            return Err(ErrorCode::UnsupportedVersion);
        }
        if epoch == member.standing.epoch {
            return Ok(());
        }
        let is_current = |(topic, index)| {
            let standing = &member.standing;
            let since = [&standing.assigned, &standing.revoking]
                .into_iter()
                .find_map(|owned| owned.get(&topic)?.get(&index));
            since.is_some_and(|since| epoch >= *since)
        };
        if epoch > member.standing.epoch || !partitions.into_iter().all(is_current) {
            return Err(stale(member));
        }
        Ok(())
    }

    /// Whether a member may fetch offsets; who names no member may.
    pub fn check_fetch(&self, member_id: Option<&Str>, epoch: i32) -> Result<(), ErrorCode> {
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = member_id.and_then(|id| self.members.get(id));
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        if epoch == member.standing.epoch { Ok(()) } else { Err(stale(member)) }
    }

    /// Whether the group may be deleted.
    pub fn check_delete(&self) -> Result<(), ErrorCode> {
        if self.members.is_empty() { Ok(()) } else { Err(ErrorCode::NonEmptyGroup) }
    }

    /// Whether a member reads this topic.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        let reads = |member: &Member| {
            member.value.subscribed_topic_names.iter().any(|name| **name == *topic)
        };
        let matches = |topics: &[Str]| topics.iter().any(|name| **name == *topic);
        self.members.values().any(reads)
            || self.patterns.values().any(|found| matches(&found.topics))
    }
}

fn stale(member: &Member) -> ErrorCode {
    match member.is_classic() {
        true => ErrorCode::IllegalGeneration,
        false => ErrorCode::StaleMemberEpoch,
    }
}
