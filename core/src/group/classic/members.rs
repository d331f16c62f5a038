//! Who is in, who leads, what all of them speak.

use std::time::Duration;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{JoinGroupRequestProtocol, JoinGroupResponse, SyncGroupResponse};

use super::super::turn::{Turn, Waiter};
use super::member::Member;
use super::{ClassicGroup, State};

/// What an id that was only handed out holds in memory, roughly.
fn pending_join_bytes(id: &str) -> usize {
    size_of::<(Str, Duration)>() + id.len()
}

impl ClassicGroup {
    pub(super) fn insert(&mut self, id: Str, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.static_ids.insert(instance_id.clone(), id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.forget_pending_join(&id);
        self.awaiting_join += usize::from(member.join_waiter.is_some());
        self.count_protocols(&member.protocols, true);
        self.bytes += member.bytes();
        let before = self.members.insert(id, member);
        assert!(before.is_none(), "a member joins once");
    }

    /// Takes a member out, or an id that was only handed out. Whoever waits for it is to be answered
    /// before.
    pub(super) fn remove(&mut self, id: &str) {
        if let Some(member) = self.members.remove(id) {
            self.count_protocols(&member.protocols, false);
            self.awaiting_join -= usize::from(member.join_waiter.is_some());
            self.bytes -= member.bytes();
            if let Some(instance_id) = &member.instance_id {
                self.static_ids.remove(instance_id);
            }
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.forget_pending_join(id);
        self.pending_syncs.remove(id);
    }

    /// Hands out an id that its member is to come back with until `deadline`.
    pub(super) fn expect_join(&mut self, id: Str, deadline: Duration) {
        self.forget_pending_join(&id);
        self.bytes += pending_join_bytes(&id);
        self.pending_joins.insert(id, deadline);
        self.arm(deadline);
    }

    fn forget_pending_join(&mut self, id: &str) {
        if self.pending_joins.remove(id).is_some() {
            self.bytes -= pending_join_bytes(id);
        }
    }

    pub(super) fn set_protocols(&mut self, id: &str, protocols: Vec<JoinGroupRequestProtocol>) {
        let Some(member) = self.members.get_mut(id) else { return };
        self.bytes -= member.bytes();
        let before = std::mem::replace(&mut member.protocols, protocols.clone());
        self.bytes += member.bytes();
        self.count_protocols(&before, false);
        self.count_protocols(&protocols, true);
    }

    pub(super) fn set_assignment(&mut self, id: &str, assignment: bytes::Bytes) {
        let Some(member) = self.members.get_mut(id) else { return };
        self.bytes -= member.bytes();
        member.assignment = assignment;
        self.bytes += member.bytes();
    }

    fn count_protocols(&mut self, protocols: &[JoinGroupRequestProtocol], more: bool) {
        for protocol in protocols {
            let count = self.supported.entry(protocol.name.clone()).or_default();
            *count = if more { *count + 1 } else { *count - 1 };
            if *count == 0 {
                self.supported.remove(&protocol.name);
            }
        }
    }

    pub(super) fn is_supported_by_all(&self, protocol: &str) -> bool {
        // All of none, if everybody has left while others were waited for.
        self.supported.get(protocol).copied().unwrap_or(0) == self.members.len()
    }

    /// Whether a member with these protocols can be in this group.
    pub(super) fn can_speak(
        &self,
        protocol_type: &str,
        protocols: &[JoinGroupRequestProtocol],
    ) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|one| self.is_supported_by_all(&one.name))
    }

    /// The protocol that most members prefer of those that all support.
    pub(super) fn elected_protocol(&self) -> Option<Str> {
        let mut votes: Vec<(&Str, usize)> = Vec::new();
        for member in self.members.values() {
            let vote = member.vote(|name| self.is_supported_by_all(name))?;
            match votes.iter_mut().find(|(name, _)| *name == vote) {
                Some((_, count)) => *count += 1,
                None => votes.push((vote, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    pub(super) fn all_have_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_joins.is_empty()
    }

    /// Whether this member is in, and no other one of its name has taken its place.
    pub(super) fn check_member(
        &self,
        id: &str,
        instance_id: Option<&Str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_ids.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if **current != *id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Lets a member wait for the end of a rebalance. A wait that it has given up without our
    /// knowledge ends.
    pub(super) fn await_join(&mut self, id: &str, waiter: Waiter, turn: &mut Turn<'_>) {
        let superseded = super::join_refusal(id, ErrorCode::RebalanceInProgress);
        self.complete_join(id, superseded, turn);
        if let Some(member) = self.members.get_mut(id) {
            member.join_waiter = Some(waiter);
            self.awaiting_join += 1;
        }
    }

    pub(super) fn complete_join(
        &mut self,
        id: &str,
        response: JoinGroupResponse,
        turn: &mut Turn<'_>,
    ) -> bool {
        let waiter = self.members.get_mut(id).and_then(|member| member.join_waiter.take());
        if let Some(waiter) = waiter {
            self.awaiting_join -= 1;
            turn.answer_join(waiter, response);
        }
        waiter.is_some()
    }

    pub(super) fn complete_sync(
        &mut self,
        id: &str,
        response: SyncGroupResponse,
        turn: &mut Turn<'_>,
    ) -> bool {
        let waiter = self.members.get_mut(id).and_then(|member| member.sync_waiter.take());
        if let Some(waiter) = waiter {
            turn.answer_sync(waiter, response);
        }
        waiter.is_some()
    }

    /// Puts a static member that came back in the place of the one that it was; requests of the
    /// latter are fenced.
    pub(super) fn replace_static(
        &mut self,
        instance_id: &Str,
        old_id: &Str,
        new_id: &Str,
        turn: &mut Turn<'_>,
    ) {
        let error_code = ErrorCode::FencedInstanceId;
        let fenced = super::join_refusal(old_id, error_code);
        self.complete_join(old_id, fenced, turn);
        let fenced = SyncGroupResponse { error_code, ..Default::default() };
        self.complete_sync(old_id, fenced, turn);
        let Some(mut member) = self.members.remove(old_id) else { return };
        member.is_new = false;
        member.session_deadline = None;
        self.members.insert(new_id.clone(), member);
        if self.pending_syncs.remove(old_id) {
            self.pending_syncs.insert(new_id.clone());
        }
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        self.static_ids.insert(instance_id.clone(), new_id.clone());
    }
}
