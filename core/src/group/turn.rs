//! What one step of a coordinator is given, and what it wants done.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::group_records::GroupRecord;
use corelane_net::messages::{JoinGroupResponse, SyncGroupResponse};

use super::rules::Rules;

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
}

/// Records to be appended together, and what follows once they are durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The records, in order; at least one.
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
}

/// One step: the time and the rules that it goes by, and what it wants done.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The time.
    pub now: Now,
    /// The rules.
    pub rules: &'a Rules,
    /// Answers to be sent.
    pub answers: Vec<(Waiter, Answer)>,
    /// Writes to be made, in order.
    pub writes: Vec<Write>,
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
    /// A step at `now`.
    pub fn new(now: Now, rules: &'a Rules) -> Turn<'a> {
        let tally = Tally::default();
        Turn { now, rules, answers: Vec::new(), writes: Vec::new(), tally }
    }

    pub(super) fn answer_join(&mut self, waiter: Waiter, response: JoinGroupResponse) {
        self.answers.push((waiter, Answer::Join(response)));
    }

    pub(super) fn answer_sync(&mut self, waiter: Waiter, response: SyncGroupResponse) {
        self.answers.push((waiter, Answer::Sync(response)));
    }

    pub(super) fn write(&mut self, record: GroupRecord, then: Then) {
        self.writes.push(Write { records: vec![record], then });
    }
}
