//! A group of the classic protocol: its members share partitions out among themselves, and the
//! coordinator sees to it that all do so at the same time.
//!
//! A pure state machine: a request or the time goes in, answers and records come out. The rules are those of Kafka's
//! `GroupMetadataManager` and `ClassicGroup`.
//!
//! ```text
//! Empty -> PreparingRebalance -> CompletingRebalance -> Stable
//!            members join          the leader syncs      heartbeats, commits
//! ```
//!
//! - `member.rs`: one member
//! - `members.rs`: who is in, who leads, what all of them speak
//! - `subscriptions.rs`: which topics they read
//! - `join.rs`: JoinGroup
//! - `rebalance.rs`: from one generation to the next
//! - `sync.rs`: SyncGroup
//! - `heartbeat.rs`: signs of life, and members that leave
//! - `time.rs`: what happens when nobody does anything
//! - `commit.rs`: who may commit and delete offsets
//! - `record.rs`: the group as it is stored
//! - `describe.rs`: the group as it is told
//! - `migrate.rs`: members that come from the consumer protocol, or go there

mod commit;
mod describe;
mod heartbeat;
mod join;
mod member;
mod members;
mod migrate;
mod rebalance;
mod record;
mod subscriptions;
mod sync;
mod time;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use corelane_net::codec::Str;

pub use join::{Joining, refusal as join_refusal};
use member::Member;
pub use migrate::Migrant;
pub use sync::refusal as sync_refusal;
use time::JoinTimer;
pub(super) use time::millis;

use super::turn::Now;

/// `protocol_type` of consumers: their metadata names topics.
pub const CONSUMER_PROTOCOL: &str = "consumer";

/// Where a group stands. One that is deleted is not there any more: Kafka's state `Dead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Without members.
    Empty,
    /// Members join.
    PreparingRebalance,
    /// Members wait for their shares.
    CompletingRebalance,
    /// Members have their shares.
    Stable,
}

impl State {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// One group.
#[derive(Debug)]
pub struct ClassicGroup {
    id: Str,
    state: State,
    /// The state before; only whether it was Empty matters.
    previous: Option<State>,
    generation: i32,
    protocol_type: Option<Str>,
    /// The protocol of this generation.
    protocol: Option<Str>,
    leader: Option<Str>,
    /// Milliseconds since 1970.
    state_since_ms: Option<i64>,
    members: BTreeMap<Str, Member>,
    /// Ids of static members, by their names.
    static_ids: HashMap<Str, Str>,
    /// Ids that were handed out, until when their members may come back with them (KIP-394).
    pending_joins: BTreeMap<Str, Duration>,
    /// Members that wait in a JoinGroup.
    awaiting_join: usize,
    /// How many members support each protocol.
    supported: HashMap<Str, usize>,
    /// Members of this generation that have not asked for their share.
    pending_syncs: BTreeSet<Str>,
    /// The topics that consumers have subscribed to, if that can be known.
    subscribed: Option<HashSet<Str>>,
    /// Whether somebody came during the initial delay.
    new_member_added: bool,
    join_timer: Option<JoinTimer>,
    sync_timer: Option<Duration>,
    /// No timer of this group ends before; kept up by whoever sets one.
    soonest: Option<Duration>,
    /// What its members hold in memory.
    bytes: usize,
}

impl ClassicGroup {
    /// A group without members.
    pub fn new(id: Str, now: Now) -> ClassicGroup {
        ClassicGroup {
            id,
            state: State::Empty,
            previous: None,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            state_since_ms: Some(now.wall_ms),
            members: BTreeMap::new(),
            static_ids: HashMap::new(),
            pending_joins: BTreeMap::new(),
            awaiting_join: 0,
            supported: HashMap::new(),
            pending_syncs: BTreeSet::new(),
            subscribed: None,
            new_member_added: false,
            join_timer: None,
            sync_timer: None,
            soonest: None,
            bytes: 0,
        }
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Its generation; grows with every rebalance.
    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// What its members hold in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Members, and those that are to come back with the id they were given.
    pub fn size(&self) -> usize {
        self.members.len() + self.pending_joins.len()
    }

    fn go_to(&mut self, state: State, now: Now) {
        self.previous = Some(self.state);
        self.state = state;
        self.state_since_ms = Some(now.wall_ms);
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL)
    }
}
