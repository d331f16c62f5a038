//! A group of the consumer protocol (KIP-848): the coordinator shares the partitions out, and leads each member
//! from what it owns to what it is to own, independently of the others.
//!
//! A pure state machine: a heartbeat or the time goes in; answers, records and long work come out. Every change is
//! a record first, and applying records is the only way in which the group changes: what is read back after a
//! crash is what was there before. The rules are those of Kafka's `GroupMetadataManager` and `ConsumerGroup`.
//!
//! ```text
//! group epoch      a member or a topic has changed: partitions are to be shared out anew
//! target epoch     for that group epoch they have been
//! member epoch     the member has come that far
//! ```
//!
//! - `heartbeat.rs`: a member says that it lives, and what it wants
//! - `refresh.rs`: the topics have changed, or what is wanted of them: a new epoch, a new target
//! - `tell.rs`: the member's next step, and its answer
//! - `reconcile.rs`: that step
//! - `leave.rs`: members that leave or are given up
//! - `classic.rs`: members that speak the classic protocol (KIP-848's online migration)
//! - `migrate.rs`: from a classic group and to one
//! - `read.rs`: what members want to read, and what of it there is
//! - `pattern.rs`: regular expressions that topics match
//! - `job.rs`: work that is too long for a step
//! - `assignor/`: who shall read what
//! - `member.rs`, `partitions.rs`: what a group consists of
//! - `record.rs`: the group as it is stored
//! - `check.rs`: who may commit, fetch, delete
//! - `describe.rs`: the group as it is told

pub mod assignor;
mod check;
mod classic;
mod describe;
mod heartbeat;
mod job;
mod leave;
mod member;
mod migrate;
pub mod partitions;
mod pattern;
mod read;
mod reconcile;
mod record;
mod refresh;
mod tell;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::{ConsumerRecord, GroupRecord};
use corelane_net::messages::ConsumerGroupHeartbeatResponse;

pub use heartbeat::{Beat, check_request};
pub use job::{Done, Finding, Job};
pub use leave::goodbye;
pub use migrate::BadMember;
pub use pattern::{BadPattern, Pattern};

use super::rules::Rules;
use super::turn::{Answer, Turn, Waiter};
use member::Member;
use partitions::Partitions;
use pattern::Matches;
use read::{Read, Wishes};
use tell::Asked;

/// `member_epoch` of a member that leaves.
pub const LEAVES: i32 = -1;
/// `member_epoch` of a static member that leaves and will come back.
pub const LEAVES_FOR_A_WHILE: i32 = -2;

/// Where a group stands. One that is deleted is not there any more: Kafka's state `Dead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Without members.
    Empty,
    /// Partitions are to be shared out anew.
    Assigning,
    /// Members are on their way to what they are to own.
    Reconciling,
    /// Members have what they are to own.
    Stable,
}

impl State {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Assigning => "Assigning",
            State::Reconciling => "Reconciling",
            State::Stable => "Stable",
        }
    }
}

/// Why a request is refused, as clients are told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// In words.
    pub message: String,
}

impl Refusal {
    /// This code, in these words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }

    /// The answer to a heartbeat.
    pub fn to_heartbeat(&self) -> ConsumerGroupHeartbeatResponse {
        ConsumerGroupHeartbeatResponse {
            error_code: self.code,
            error_message: Some(Str::from(&*self.message)),
            ..Default::default()
        }
    }
}

/// One group.
#[derive(Debug)]
pub struct ConsumerGroup {
    id: Str,
    epoch: i32,
    target_epoch: i32,
    /// Milliseconds since 1970.
    target_since_ms: i64,
    /// Of what the topics that members read were like in this epoch.
    metadata_hash: i64,
    members: BTreeMap<Str, Member>,
    /// Ids of static members, by their names.
    static_ids: HashMap<Str, Str>,
    targets: HashMap<Str, Partitions>,
    /// By how many members a partition is held: owned, or to be given up. Never by two, unless a log says so.
    holders: HashMap<(Uuid, i32), u32>,
    /// The patterns that members subscribe to.
    patterns: BTreeMap<Str, Matches>,
    /// What members want to read.
    wishes: Wishes,
    /// What that comes to, if it was worked out since wishes or matches have changed.
    read: Option<Arc<Read>>,
    /// The version of the topics that was looked at last.
    seen_topics: Option<u64>,
    /// Whether long work is under way.
    is_busy: bool,
    /// Members that are answered when that is done.
    waiting: Vec<Asked>,
    /// No timer of this group ends before; kept up by whoever sets one.
    soonest: Option<Duration>,
    /// What its members and their patterns hold in memory.
    bytes: usize,
}

impl ConsumerGroup {
    /// A group without members.
    pub fn new(id: Str) -> ConsumerGroup {
        ConsumerGroup {
            id,
            epoch: 0,
            target_epoch: 0,
            target_since_ms: 0,
            metadata_hash: 0,
            members: BTreeMap::new(),
            static_ids: HashMap::new(),
            targets: HashMap::new(),
            holders: HashMap::new(),
            patterns: BTreeMap::new(),
            wishes: Wishes::default(),
            read: None,
            seen_topics: None,
            is_busy: false,
            waiting: Vec::new(),
            soonest: None,
            bytes: 0,
        }
    }

    /// Its state.
    pub fn state(&self) -> State {
        let is_reconciled = |member: &Member| member.is_reconciled_to(self.target_epoch);
        if self.members.is_empty() {
            State::Empty
        } else if self.epoch > self.target_epoch {
            State::Assigning
        } else if self.members.values().all(is_reconciled) {
            State::Stable
        } else {
            State::Reconciling
        }
    }

    /// How many members it has.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What its members and their patterns hold in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The group wants to be looked at then; perhaps nothing has to be done.
    pub fn soonest(&self) -> Option<Duration> {
        self.soonest
    }

    /// Answers those who wait for long work: the group is about to be gone.
    pub fn send_away(&mut self, turn: &mut Turn<'_>) {
        for asked in std::mem::take(&mut self.waiting) {
            let gone = Refusal::new(ErrorCode::UnknownMemberId, "The group is gone.");
            turn.answers.push((asked.waiter, asked.refusal(&gone)));
        }
    }

    fn arm(&mut self, deadline: Duration) {
        self.soonest = Some(self.soonest.map_or(deadline, |soonest| soonest.min(deadline)));
    }

    /// Changes the group, and has that written.
    fn emit(&mut self, records: &mut Vec<GroupRecord>, record: ConsumerRecord) {
        self.apply(&record);
        records.push(GroupRecord::Consumer(record));
    }

    fn is_full(&self, rules: &Rules) -> bool {
        self.members.len() >= rules.consumer_group_size_max
    }

    fn refuse_unknown(&self, member_id: &str) -> Refusal {
        let words = format!("Member {member_id} is not a member of group {}.", self.id);
        Refusal::new(ErrorCode::UnknownMemberId, words)
    }
}

/// An answer that waits until records are durable.
type Told = (Waiter, Answer);
