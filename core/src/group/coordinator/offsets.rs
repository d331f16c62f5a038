//! Committing, fetching and deleting offsets.

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::{GroupRecord, OffsetCommitKey, OffsetCommitValue};
use corelane_net::messages::OffsetCommitRequestPartition;

use super::super::offsets::{Committed, Place};
use super::super::rules::{OFFSETS_MAX, OFFSETS_METADATA_BYTES_MAX, STEP_MAX};
use super::super::turn::{Then, Turn, Write};
use super::Coordinator;
use super::group::Group;

/// From this version of OffsetCommit on an unknown group is called so.
const GROUP_NOT_FOUND_SINCE: i16 = 9;

/// Who commits.
#[derive(Clone, Debug)]
pub struct CommitContext {
    /// The request's version.
    pub version: i16,
    /// The group.
    pub group_id: Str,
    /// The member, or empty.
    pub member_id: Str,
    /// The static member's name.
    pub group_instance_id: Option<Str>,
    /// The generation, or -1.
    pub generation: i32,
    /// Milliseconds for which the offsets are kept, or -1 for as long as the broker says.
    pub retention_ms: i64,
}

/// A partition whose offset is committed.
#[derive(Clone, Debug)]
pub struct AskedOffset {
    /// The topic, in memory of its own: it is kept.
    pub topic: Str,
    /// Its id.
    pub topic_id: Uuid,
    /// The partition and its offset.
    pub partition: OffsetCommitRequestPartition,
}

impl Coordinator {
    /// Remembers offsets, as soon as the write that the turn gets is durable; one code for each. More
    /// than [`STEP_MAX`] are a matter of several steps.
    ///
    /// # Errors
    /// The code for all of them.
    pub fn commit(
        &mut self,
        context: &CommitContext,
        asked: &[AskedOffset],
        turn: &mut Turn<'_>,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        debug_assert!(asked.len() <= STEP_MAX);
        if !self.groups.contains_key(&context.group_id) {
            match context.generation {
                ..0 => self.ensure(&context.group_id, turn.now).map(drop)?,
                _ if context.version >= GROUP_NOT_FOUND_SINCE => {
                    return Err(ErrorCode::GroupIdNotFound);
                }
                _ => return Err(ErrorCode::IllegalGeneration),
            }
        }
        let (member_id, instance_id) = (&context.member_id, context.group_instance_id.as_ref());
        let check = |group: &mut Group| match group {
            Group::Classic(group) => {
                group.check_commit(member_id, instance_id, context.generation, turn)
            }
            Group::Consumer(group) => {
                let partition = |one: &AskedOffset| (one.topic_id, one.partition.partition_index);
                let partitions = asked.iter().map(partition);
                group.check_commit(context.version, member_id, context.generation, partitions)
            }
        };
        self.with_group(&context.group_id, check).unwrap_or(Err(ErrorCode::UnknownMemberId))?;
        let mut codes = Vec::with_capacity(asked.len());
        let mut records = Vec::with_capacity(asked.len());
        for one in asked {
            let taken = self.commit_one(context, one, turn);
            codes.push(taken.as_ref().err().copied().unwrap_or_default());
            records.extend(taken.ok());
        }
        if !records.is_empty() {
            turn.tally.commits += records.len() as u64;
            turn.writes.push(Write { records, then: Then::Nothing });
        }
        Ok(codes)
    }

    fn commit_one(
        &mut self,
        context: &CommitContext,
        asked: &AskedOffset,
        turn: &Turn<'_>,
    ) -> Result<GroupRecord, ErrorCode> {
        let partition = &asked.partition;
        let metadata = partition.committed_metadata.clone().unwrap_or_default();
        if metadata.encode_utf16().count() > turn.rules.offset_metadata_max {
            return Err(ErrorCode::OffsetMetadataTooLarge);
        }
        let index = partition.partition_index;
        let is_new = !self.offsets.contains(&context.group_id, &asked.topic, index);
        if (is_new && self.offsets.count() >= OFFSETS_MAX)
            || self.offsets.metadata_bytes() + metadata.len() > OFFSETS_METADATA_BYTES_MAX
        {
            return Err(ErrorCode::InvalidCommitOffsetSize);
        }
        let now_ms = turn.now.wall_ms;
        let expires = context.retention_ms != -1;
        let value = OffsetCommitValue {
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch.max(-1),
            metadata: metadata.detached(),
            commit_timestamp: now_ms,
            expire_timestamp: match expires {
                true => now_ms.saturating_add(context.retention_ms),
                false => -1,
            },
            topic_id: asked.topic_id,
        };
        let (group, topic) = (context.group_id.clone(), asked.topic.clone());
        let key = OffsetCommitKey { group, topic, partition: index };
        self.offsets.announce(&key, Some(asked.topic_id));
        Ok(GroupRecord::Offset(key, Some(value)))
    }

    /// Whether a member may fetch offsets of its group.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.
    pub fn check_fetch(
        &self,
        group: &str,
        member_id: Option<&Str>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        let slot = self.groups.get(group);
        slot.map_or(Ok(()), |slot| slot.group.check_fetch(member_id, epoch))
    }

    /// The visible offset of a partition.
    pub fn offset(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?;
        self.offsets.get(group, topic, partition)
    }

    /// Some visible offsets of a group behind a place, and the next place; `None` at the end.
    pub fn offsets<'a>(
        &'a self,
        group: &str,
        after: Option<&Place>,
    ) -> (Vec<(&'a Str, i32, &'a Committed)>, Option<Place>) {
        let (mut some, mut looked, mut last) = (Vec::new(), 0, None);
        if self.groups.contains_key(group) {
            for kept in self.offsets.behind(group, after).take(STEP_MAX) {
                looked += 1;
                last = Some(kept);
                some.extend(kept.visible().map(|offset| (kept.topic, kept.partition, offset)));
            }
        }
        (some, last.filter(|_| looked == STEP_MAX).map(|kept| kept.place()))
    }

    /// Forgets offsets; one code for each partition.
    ///
    /// # Errors
    /// The code for all of them.
    pub fn delete_offsets(
        &mut self,
        group: &Str,
        asked: &[Place],
        turn: &mut Turn<'_>,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let slot = self.groups.get(group).ok_or(ErrorCode::GroupIdNotFound)?;
        slot.group.check_delete_offsets()?;
        let code = |(topic, _): &Place| match slot.group.is_subscribed(topic) {
            true => ErrorCode::GroupSubscribedToTopic,
            false => ErrorCode::None,
        };
        let codes: Vec<ErrorCode> = asked.iter().map(code).collect();
        let free = asked.iter().zip(&codes).filter(|(_, code)| code.is_none());
        let free: Vec<Place> = free.map(|(asked, _)| asked.clone()).collect();
        self.forget(group, free, turn);
        Ok(codes)
    }

    /// Writes tombstones for those of the partitions that have an offset.
    pub(super) fn forget(
        &mut self,
        group: &Str,
        partitions: impl IntoIterator<Item = Place>,
        turn: &mut Turn<'_>,
    ) {
        let mut records = Vec::new();
        for (topic, partition) in partitions {
            if self.offsets.is_live(group, &topic, partition) {
                let key = OffsetCommitKey { group: group.clone(), topic, partition };
                self.offsets.announce(&key, None);
                records.push(GroupRecord::Offset(key, None));
            }
        }
        if !records.is_empty() {
            turn.writes.push(Write { records, then: Then::Nothing });
        }
    }
}
