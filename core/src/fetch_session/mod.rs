//! Fetch sessions (KIP-227): what a consumer asks for again and again is remembered, so that it
//! names only what changes, and is told only what has changed. Pure: requests, rows and times in,
//! decisions out.
//!
//! - `asked.rs`: the partitions that a request names, each once
//! - `session.rs`: one session: its partitions, in order, and what the client knows of each
//! - `cache.rs`: the sessions of one shard, and who makes room for whom

mod asked;
mod cache;
mod session;

#[cfg(test)]
mod tests;

use corelane_net::codec::{Str, Uuid};

use crate::catalog::name;

pub use asked::Asking;
pub use cache::{
    Begun, FetchKind, Opening, SessionCache, SessionError, SessionLimits, TravellingSession,
};
pub use session::{Shown, next_epoch};

/// A topic as the client names it: by name up to Fetch 12, by id from 13 on (KIP-516).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicKey {
    /// Its name.
    Name(Str),
    /// Its id.
    Id(Uuid),
}

impl TopicKey {
    /// What counts in a request: the id if `by_id`, else the name.
    pub fn new(name: &Str, id: Uuid, by_id: bool) -> TopicKey {
        if by_id { TopicKey::Id(id) } else { TopicKey::Name(name.clone()) }
    }

    /// Whether there can be such a topic. Only then may a session remember it: what is not legal has
    /// any length.
    pub fn is_legal(&self) -> bool {
        match self {
            TopicKey::Name(name) => name::check(name).is_ok(),
            TopicKey::Id(_) => true,
        }
    }

    /// In memory of its own: may outlive the request's frame.
    pub fn detached(&self) -> TopicKey {
        match self {
            TopicKey::Name(name) => TopicKey::Name(name.detached()),
            TopicKey::Id(id) => TopicKey::Id(*id),
        }
    }
}

/// A partition as the client names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    /// Its topic.
    pub topic: TopicKey,
    /// Its index; may be one that the topic does not have.
    pub index: i32,
}

/// What a client wants of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first offset.
    pub offset: i64,
    /// Bytes that it may return.
    pub max_bytes: i32,
    /// The leader epoch that the client knows, or -1.
    pub current_leader_epoch: i32,
    /// The epoch of the last record that it has, or -1.
    pub last_fetched_epoch: i32,
}

/// One partition of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub key: PartitionKey,
    /// From where, and how much.
    pub position: Position,
    /// Its place in the session's order; 0 without a session.
    pub place: u64,
}
