//! One member.

use std::time::Duration;

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::messages::JoinGroupRequestProtocol;

use super::super::turn::Waiter;

/// A member, as it joined.
#[derive(Debug)]
pub(super) struct Member {
    /// The static member's name (KIP-345).
    pub instance_id: Option<Str>,
    pub client_id: Str,
    pub client_host: Str,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// The preferred one first.
    pub protocols: Vec<JoinGroupRequestProtocol>,
    pub assignment: Bytes,
    /// Until its first rebalance ends; such a member is given up even while it waits.
    pub is_new: bool,
    pub join_waiter: Option<Waiter>,
    pub sync_waiter: Option<Waiter>,
    /// When it counts as dead; `None` while it waits for an answer and cannot show signs of life.
    pub session_deadline: Option<Duration>,
}

impl Member {
    /// Whether it waits for an answer and thus cannot send heartbeats.
    pub fn is_excused(&self) -> bool {
        !self.is_new && (self.join_waiter.is_some() || self.sync_waiter.is_some())
    }

    /// Its metadata in a protocol, or nothing.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|one| *one.name == *protocol);
        found.map(|one| one.metadata.clone()).unwrap_or_default()
    }

    /// The first of its protocols that all members support.
    pub fn vote(&self, is_candidate: impl Fn(&str) -> bool) -> Option<&Str> {
        self.protocols.iter().map(|one| &one.name).find(|name| is_candidate(name))
    }

    /// What it holds in memory, roughly. Its id begins with the client's or the static member's name,
    /// and both stand in the group's maps as well.
    pub fn bytes(&self) -> usize {
        let name = self.instance_id.as_ref().map_or(0, |name| name.len());
        let texts = 2 * self.client_id.len() + self.client_host.len() + 3 * name;
        size_of::<Member>() + texts + protocols_bytes(&self.protocols) + self.assignment.len()
    }
}

/// What protocols hold in memory, roughly.
pub(super) fn protocols_bytes(protocols: &[JoinGroupRequestProtocol]) -> usize {
    let one = |protocol: &JoinGroupRequestProtocol| {
        size_of::<JoinGroupRequestProtocol>() + protocol.name.len() + protocol.metadata.len()
    };
    protocols.iter().map(one).sum()
}

/// Protocols in memory of their own; of a name that is there twice the first counts.
pub(super) fn kept(protocols: &[JoinGroupRequestProtocol]) -> Vec<JoinGroupRequestProtocol> {
    let mut kept: Vec<JoinGroupRequestProtocol> = Vec::with_capacity(protocols.len());
    let mut names = std::collections::HashSet::new();
    for protocol in protocols {
        if names.insert(&*protocol.name) {
            kept.push(JoinGroupRequestProtocol {
                name: protocol.name.detached(),
                metadata: Bytes::copy_from_slice(&protocol.metadata),
            });
        }
    }
    kept
}
