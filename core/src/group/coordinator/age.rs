//! Offsets that nobody needs any more: unused for long, or of a topic that is gone. Each step looks at
//! some; callers let others have their turn between two.

use corelane_net::codec::{Str, Uuid};

use super::super::offsets::{Committed, Place};
use super::super::rules::STEP_MAX;
use super::super::turn::Turn;
use super::Coordinator;
use super::group::Group;

/// An offset of a topic that is not there has to be so old to be an orphan.
const ORPHAN_AGE_MS: i64 = 60_000;

/// How far a look for the offsets of one topic has come.
#[derive(Clone, Debug, Default)]
pub struct TopicSearch {
    /// The group that was looked at last.
    group: Option<Str>,
    /// The partition of the topic, in the group behind it.
    place: Option<Place>,
}

impl Coordinator {
    /// Forgets offsets of a group that nobody has used for long (KIP-211), or whose topic is not there any
    /// more, and the group if it has neither offsets nor members. True when all were looked at.
    pub fn grow_old(
        &mut self,
        group: &Str,
        place: &mut Option<Place>,
        is_there: impl Fn(Uuid) -> bool,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(slot) = self.groups.get(group) else { return true };
        let (mut old, mut looked) = (Vec::new(), 0);
        let mut last = None;
        for kept in self.offsets.behind(group, place.as_ref()).take(STEP_MAX) {
            looked += 1;
            last = Some(kept.place());
            let is_unused = |offset: &Committed| {
                is_orphan(offset, &is_there, turn) || is_old(&slot.group, kept.topic, offset, turn)
            };
            if kept.settled().is_some_and(is_unused) {
                old.push(kept.place());
            }
        }
        *place = last;
        turn.tally.expired += old.len() as u64;
        self.forget(group, old, turn);
        let is_done = looked < STEP_MAX;
        if is_done {
            self.erase_if_unused(group, turn);
        }
        is_done
    }

    /// Forgets the offsets of a topic that is deleted. One of the same name that was made meanwhile keeps
    /// its own. True when all groups were looked at.
    pub fn topic_deleted(
        &mut self,
        topic: &str,
        id: Uuid,
        search: &mut TopicSearch,
        turn: &mut Turn<'_>,
    ) -> bool {
        for _ in 0..STEP_MAX {
            let next = self.offsets.groups_behind(search.group.as_ref()).next();
            let Some(group) = next.cloned() else { return true };
            let before = search.place.take().unwrap_or_else(|| (Str::from(topic), i32::MIN));
            let of_topic = self.offsets.behind(&group, Some(&before));
            let of_topic = of_topic.take_while(|kept| **kept.topic == *topic).take(STEP_MAX);
            let (mut gone, mut last, mut looked) = (Vec::new(), None, 0);
            for kept in of_topic {
                looked += 1;
                last = Some(kept.place());
                // Without an id it was written by somebody else, at some time before.
                if kept.newest().is_some_and(|newest| newest == id || newest == Uuid::ZERO) {
                    gone.push(kept.place());
                }
            }
            let has_more = looked == STEP_MAX;
            match has_more {
                true => search.place = last,
                false => search.group = Some(group.clone()),
            }
            let is_much = has_more || !gone.is_empty();
            self.forget(&group, gone, turn);
            if is_much {
                return false;
            }
        }
        false
    }
}

/// Whether its topic was deleted while nobody could forget the offset: the broker was killed, or its
/// group was being read back.
fn is_orphan(offset: &Committed, is_there: impl Fn(Uuid) -> bool, turn: &Turn<'_>) -> bool {
    // Shards learn of a new topic one after the other.
    let is_settled = turn.now.wall_ms.saturating_sub(offset.commit_timestamp_ms) >= ORPHAN_AGE_MS;
    is_settled && offset.topic_id != Uuid::ZERO && !is_there(offset.topic_id)
}

fn is_old(group: &Group, topic: &str, offset: &Committed, turn: &Turn<'_>) -> bool {
    let (now_ms, retention_ms) = (turn.now.wall_ms, turn.rules.offsets_retention_ms);
    if group.is_subscribed(topic) {
        return false;
    }
    let Some(since_ms) = group.unused_since_ms(offset.commit_timestamp_ms) else { return false };
    match offset.expire_timestamp_ms {
        -1 => now_ms.saturating_sub(since_ms) >= retention_ms,
        expires_ms => now_ms >= expires_ms,
    }
}
