//! Records: read back at the start, durable later.

use corelane_net::codec::Str;
use corelane_net::group_records::{ConsumerRecord, GroupRecord};

use super::super::classic::ClassicGroup;
use super::super::consumer::ConsumerGroup;
use super::super::turn::{Now, Then, Turn, Write};
use super::Coordinator;
use super::group::Group;

impl Coordinator {
    /// A record that was read back, in the order of the log.
    pub fn replay(&mut self, record: &GroupRecord, now: Now) {
        match record {
            GroupRecord::Offset(key, value) => {
                if value.is_some() && !self.groups.contains_key(&key.group) {
                    let id = key.group.detached();
                    self.insert(id.clone(), Group::Classic(ClassicGroup::new(id, now)));
                }
                self.offsets.replay(key, value.as_ref());
            }
            GroupRecord::Group(key, Some(value)) => {
                let id = key.group.detached();
                let group = ClassicGroup::restore(id.clone(), value, now);
                self.insert(id, Group::Classic(group));
            }
            GroupRecord::Group(key, None) => {
                if self.with_classic(&key.group, |_| ()).is_some() {
                    self.replay_end(&key.group, now);
                }
            }
            GroupRecord::Consumer(record) => self.replay_consumer(record, now),
        }
    }

    /// The end of a group. One that still has offsets was about to be one of the other protocol: if that
    /// came to nothing, they are those of a group without members.
    fn replay_end(&mut self, id: &Str, now: Now) {
        self.remove(id);
        if self.offsets.live_count(id) > 0 {
            let id = id.detached();
            self.insert(id.clone(), Group::Classic(ClassicGroup::new(id, now)));
        }
    }

    fn replay_consumer(&mut self, record: &ConsumerRecord, now: Now) {
        let id = record.group();
        if self.with_consumer(id, |_| ()).is_none() {
            if record.is_tombstone() {
                return;
            }
            // A classic one of this id was only kept for its offsets, or its tombstone is compacted away.
            self.insert(id.detached(), Group::Consumer(ConsumerGroup::new(id.detached())));
        }
        match record {
            ConsumerRecord::Epoch(_, None) => self.replay_end(id, now),
            record => drop(self.with_consumer(id, |group| group.apply(record))),
        }
    }

    /// Everything is read back: the sessions of some groups' members begin, of those behind `after`.
    /// The last of them; `None` at the end.
    pub fn resume(&mut self, after: Option<&Str>, turn: &mut Turn<'_>) -> Option<Str> {
        let ids = self.ids(after);
        for id in &ids {
            self.with_group(id, |group| group.resume(turn));
        }
        ids.last().cloned()
    }

    /// A write is durable. Writes come here in the order in which turns had them.
    pub fn stored(&mut self, write: Write, turn: &mut Turn<'_>) {
        for record in &write.records {
            if let GroupRecord::Offset(key, value) = record {
                self.offsets.apply(key, value.as_ref());
            }
        }
        match write.then {
            Then::Nothing => {}
            Then::Tell(answer) => {
                self.tells = self.tells.saturating_sub(1);
                turn.answers.extend(answer);
            }
            Then::Propagate { group, generation, shares } => {
                self.with_classic(&group, |group| group.propagate(generation, shares, turn));
            }
            Then::Welcome { group, member_id, leader, may_skip } => {
                self.with_classic(&group, |group| {
                    group.welcome(&member_id, leader.as_ref(), may_skip, turn);
                });
            }
        }
    }
}
