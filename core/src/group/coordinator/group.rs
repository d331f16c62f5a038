//! A group of either protocol.

use std::time::Duration;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::GroupRecord;
use corelane_net::messages::ListedGroup;

use super::super::classic::{ClassicGroup, State};
use super::super::consumer::ConsumerGroup;
use super::super::turn::Turn;

/// A group.
#[derive(Debug)]
pub(super) enum Group {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

impl Group {
    pub fn classic(&mut self) -> Option<&mut ClassicGroup> {
        match self {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) => None,
        }
    }

    pub fn consumer(&mut self) -> Option<&mut ConsumerGroup> {
        match self {
            Group::Classic(_) => None,
            Group::Consumer(group) => Some(group),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Group::Classic(group) => group.state() == State::Empty,
            Group::Consumer(group) => group.is_empty(),
        }
    }

    /// Members, and those that are to come back with the id they were given.
    pub fn size(&self) -> usize {
        match self {
            Group::Classic(group) => group.size(),
            Group::Consumer(group) => group.size(),
        }
    }

    /// What its members hold in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Group::Classic(group) => group.bytes(),
            Group::Consumer(group) => group.bytes(),
        }
    }

    pub fn soonest(&self) -> Option<Duration> {
        match self {
            Group::Classic(group) => group.soonest(),
            Group::Consumer(group) => group.soonest(),
        }
    }

    pub fn resume(&mut self, turn: &mut Turn<'_>) {
        match self {
            Group::Classic(group) => group.resume(turn),
            Group::Consumer(group) => group.resume(turn.now, turn.rules),
        }
    }

    pub fn listed(&self) -> ListedGroup {
        match self {
            Group::Classic(group) => group.listed(),
            Group::Consumer(group) => group.listed(),
        }
    }

    pub fn tombstones(&self) -> Vec<GroupRecord> {
        match self {
            Group::Classic(group) => vec![group.tombstone()],
            Group::Consumer(group) => group.tombstones(),
        }
    }

    pub fn check_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Group::Classic(group) => group.check_delete(),
            Group::Consumer(group) => group.check_delete(),
        }
    }

    pub fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        match self {
            Group::Classic(group) => group.check_delete_offsets(),
            Group::Consumer(_) => Ok(()),
        }
    }

    pub fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Group::Classic(group) => group.is_subscribed(topic),
            Group::Consumer(group) => group.is_subscribed(topic),
        }
    }

    /// From when on an offset that was committed at `committed_ms` counts as unused (KIP-211).
    pub fn unused_since_ms(&self, committed_ms: i64) -> Option<i64> {
        match self {
            Group::Classic(group) => group.unused_since_ms(committed_ms),
            Group::Consumer(_) => Some(committed_ms),
        }
    }

    /// Whether a member may fetch offsets.
    pub fn check_fetch(&self, member_id: Option<&Str>, epoch: i32) -> Result<(), ErrorCode> {
        match self {
            Group::Classic(_) => Ok(()),
            Group::Consumer(group) => group.check_fetch(member_id, epoch),
        }
    }
}
