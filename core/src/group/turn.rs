//! What one step of a coordinator is given, and what it wants done.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::group_records::GroupRecord;
use corelane_net::messages::{
    ConsumerGroupHeartbeatResponse, JoinGroupResponse, SyncGroupResponse,
};

use super::consumer::Job;
use super::rules::Rules;
use super::topics::{NoTopics, Topics};

/// The time, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For time-outs.
    pub monotonic: Duration,
    /// For what is told to clients and kept: milliseconds since 1970.
    pub wall_ms: i64,
}

/// Somebody who waits for an answer; each number is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Waiter(pub u64);

/// An answer to somebody who waited.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To a JoinGroup.
    Join(JoinGroupResponse),
    /// To a SyncGroup.
    Sync(SyncGroupResponse),
    /// To a ConsumerGroupHeartbeat.
    Beat(ConsumerGroupHeartbeatResponse),
}

/// Records to be appended together, and what follows once they are durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The records, in order; at least one, unless somebody is to be told something.
    pub records: Vec<GroupRecord>,
    /// What follows.
    pub then: Then,
}

/// What follows a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// Nothing but that offsets are visible.
    Nothing,
    /// The members of this generation learn their shares.
    Propagate {
        /// The group.
        group: Str,
        /// The generation that was synced.
        generation: i32,
        /// The shares by member.
        shares: BTreeMap<Str, Bytes>,
    },
    /// A static member that came back is answered, without a rebalance.
    Welcome {
        /// The group.
        group: Str,
        /// The member's new id.
        member_id: Str,
        /// The leader before it came back.
        leader: Option<Str>,
        /// Whether the client understands that it need not share out anew (KIP-814).
        may_skip: bool,
    },
    /// Somebody is answered: what he is told no crash takes back.
    Tell(Option<(Waiter, Answer)>),
}

/// One step: the time and the rules that it goes by, and what it wants done.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The time.
    pub now: Now,
    /// The rules.
    pub rules: &'a Rules,
    /// The topics that there are.
    pub topics: &'a dyn Topics,
    /// Answers to be sent.
    pub answers: Vec<(Waiter, Answer)>,
    /// Writes to be made, in order.
    pub writes: Vec<Write>,
    /// Of these, how many the coordinator has looked at: whether somebody can be answered at once.
    pub(super) settled: usize,
    /// Work that is too long for a step.
    pub jobs: Vec<Job>,
    /// What metrics tell of.
    pub tally: Tally,
}

/// What happened in a step, as far as it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Offsets that were committed.
    pub commits: u64,
    /// Offsets that nobody has used for long, and that were forgotten.
    pub expired: u64,
    /// Rebalances that were completed.
    pub rebalances: u64,
}

impl<'a> Turn<'a> {
    /// A step at `now`, that has nothing to do with topics.
    pub fn new(now: Now, rules: &'a Rules) -> Turn<'a> {
        let (answers, writes, jobs) = (Vec::new(), Vec::new(), Vec::new());
        let tally = Tally::default();
        Turn { now, rules, topics: &NoTopics, answers, writes, settled: 0, jobs, tally }
    }

    /// The same step, with these topics.
    pub fn with_topics(self, topics: &'a dyn Topics) -> Turn<'a> {
        Turn { topics, ..self }
    }

    pub(super) fn answer_join(&mut self, waiter: Waiter, response: JoinGroupResponse) {
        self.answers.push((waiter, Answer::Join(response)));
    }

    pub(super) fn answer_sync(&mut self, waiter: Waiter, response: SyncGroupResponse) {
        self.answers.push((waiter, Answer::Sync(response)));
    }

    /// Writes records, and answers when they and all before them are durable.
    pub(super) fn tell(&mut self, records: Vec<GroupRecord>, answer: Option<(Waiter, Answer)>) {
        if !records.is_empty() || answer.is_some() {
            self.writes.push(Write { records, then: Then::Tell(answer) });
        }
    }

    pub(super) fn write(&mut self, record: GroupRecord, then: Then) {
        self.writes.push(Write { records: vec![record], then });
    }
}
