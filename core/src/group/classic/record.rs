//! The group as it is stored.

use std::collections::BTreeMap;

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::group_records::{
    GroupMetadataKey, GroupMetadataValue, GroupRecord, MemberMetadata,
};
use corelane_net::messages::JoinGroupRequestProtocol;

use super::super::rules::GROUP_RECORD_BYTES_MAX;
use super::super::turn::{Now, Turn};
use super::member::Member;
use super::{ClassicGroup, State};

/// What a member's record has beside its texts: lengths and time-outs.
const MEMBER_RECORD_OVERHEAD_BYTES: usize = 32;

impl ClassicGroup {
    /// The record of the group as it is, with these shares or those that its members have.
    pub(super) fn record(&self, shares: Option<&BTreeMap<Str, Bytes>>) -> GroupRecord {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |(id, member): (&Str, &Member)| MemberMetadata {
            member_id: id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: match shares {
                Some(shares) => shares.get(id).cloned().unwrap_or_default(),
                None => member.assignment.clone(),
            },
        };
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_since_ms.unwrap_or(-1),
            members: self.members.iter().map(member).collect(),
        };
        GroupRecord::Group(GroupMetadataKey { group: self.id.clone() }, Some(value))
    }

    /// The record of a group that was made just now.
    pub fn first_record(&self) -> GroupRecord {
        let value = GroupMetadataValue {
            protocol: None,
            leader: None,
            current_state_timestamp: self.state_since_ms.unwrap_or(-1),
            ..Default::default()
        };
        GroupRecord::Group(GroupMetadataKey { group: self.id.clone() }, Some(value))
    }

    /// The record that says that the group is gone.
    pub fn tombstone(&self) -> GroupRecord {
        GroupRecord::Group(GroupMetadataKey { group: self.id.clone() }, None)
    }

    /// Bytes of its record, without shares, roughly and rather too many.
    pub(super) fn record_bytes(&self) -> usize {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |(id, member): (&Str, &Member)| {
            let instance = member.instance_id.as_ref().map_or(0, |id| id.len());
            let texts = id.len() + instance + member.client_id.len() + member.client_host.len();
            MEMBER_RECORD_OVERHEAD_BYTES + texts + member.metadata(protocol).len()
        };
        2 * self.id.len() + self.members.iter().map(member).sum::<usize>()
    }

    /// The same, with the shares that the members have.
    pub(super) fn stored_bytes(&self) -> usize {
        let shares = self.members.values().map(|member| member.assignment.len());
        self.record_bytes() + shares.sum::<usize>()
    }

    /// Whether one record can say the group as it is.
    pub fn fits_a_record(&self) -> bool {
        self.stored_bytes() <= GROUP_RECORD_BYTES_MAX
    }

    /// The group as it was stored. Its members' sessions begin with [`ClassicGroup::resume`].
    pub fn restore(id: Str, value: &GroupMetadataValue, now: Now) -> ClassicGroup {
        let mut group = ClassicGroup::new(id, now);
        let kept = |text: &Str| (!text.is_empty()).then(|| text.detached());
        group.generation = value.generation;
        group.protocol_type = kept(&value.protocol_type);
        group.protocol = value.protocol.as_ref().map(Str::detached);
        group.leader = value.leader.as_ref().map(Str::detached);
        let since = value.current_state_timestamp;
        group.state_since_ms = (since != -1).then_some(since);
        if !value.members.is_empty() {
            group.state = State::Stable;
        }
        for stored in &value.members {
            let member = restore_member(stored, value.protocol.as_ref());
            if !group.members.contains_key(&stored.member_id) {
                group.insert(stored.member_id.detached(), member);
            }
        }
        group.learn_subscriptions();
        group
    }

    /// Begins the members' sessions. A group that is larger than it may be by now has to find out who
    /// stays.
    pub fn resume(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        ids.iter().for_each(|id| self.show_life(id, turn));
        if self.members.len() > turn.rules.group_size_max {
            self.prepare_rebalance(turn);
        }
    }
}

fn restore_member(stored: &MemberMetadata, protocol: Option<&Str>) -> Member {
    let rebalance_timeout_ms = match stored.rebalance_timeout {
        -1 => stored.session_timeout,
        timeout_ms => timeout_ms,
    };
    let protocol = JoinGroupRequestProtocol {
        name: protocol.map(Str::detached).unwrap_or_default(),
        metadata: Bytes::copy_from_slice(&stored.subscription),
    };
    Member {
        instance_id: stored.group_instance_id.as_ref().map(Str::detached),
        client_id: stored.client_id.detached(),
        client_host: stored.client_host.detached(),
        rebalance_timeout_ms,
        session_timeout_ms: stored.session_timeout,
        protocols: vec![protocol],
        assignment: Bytes::copy_from_slice(&stored.assignment),
        is_new: false,
        join_waiter: None,
        sync_waiter: None,
        session_deadline: None,
    }
}
