//! JoinGroup.

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};

use super::super::rules::{
    GROUP_RECORD_BYTES_MAX, MEMBER_BYTES_MAX, MEMBERS_MAX, NEW_MEMBER_JOIN_TIMEOUT,
};
use super::super::turn::{Then, Turn, Waiter};
use super::member::{Member, kept, protocols_bytes};
use super::{ClassicGroup, State};

/// A JoinGroup, and who sent it.
#[derive(Clone, Debug)]
pub struct Joining<'a> {
    /// The request.
    pub request: &'a JoinGroupRequest,
    /// As the client calls itself.
    pub client_id: &'a str,
    /// Its address, as Kafka writes it: "/127.0.0.1".
    pub client_host: &'a str,
    /// Random digits, for the id of a new member.
    pub unique_id: &'a str,
    /// Whether a new member has to come back with the id it is given (KIP-394).
    pub must_know_id: bool,
    /// Whether the client knows `skip_assignment` (KIP-814).
    pub may_skip: bool,
    /// Who waits for the answer.
    pub waiter: Waiter,
}

impl Joining<'_> {
    fn session_timeout(&self) -> std::time::Duration {
        super::time::millis(self.request.session_timeout_ms)
    }
}

/// The answer to a member that is not let in.
pub fn refusal(member_id: &str, error_code: ErrorCode) -> JoinGroupResponse {
    let member_id = Str::from(member_id);
    JoinGroupResponse { member_id, error_code, protocol_name: None, ..Default::default() }
}

impl ClassicGroup {
    /// Lets a member join, now or when the rebalance ends.
    pub fn join(&mut self, joining: &Joining<'_>, turn: &mut Turn<'_>) {
        let request = joining.request;
        let id = &request.member_id;
        let outcome = if !self.has_room_for(id, turn.rules.group_size_max) {
            self.remove(id);
            Err(("", ErrorCode::GroupMaxSizeReached))
        } else if !self.can_speak(&request.protocol_type, &request.protocols) {
            Err((&**id, ErrorCode::InconsistentGroupProtocol))
        } else if protocols_bytes(&request.protocols) > MEMBER_BYTES_MAX {
            // It could not be stored.
            Err((&**id, ErrorCode::PolicyViolation))
        } else if id.is_empty() {
            self.join_new(joining, turn);
            Ok(())
        } else {
            self.join_again(joining, turn).map_err(|code| (&**id, code))
        };
        if let Err((member_id, code)) = outcome {
            turn.answer_join(joining.waiter, refusal(member_id, code));
        }
    }

    /// Kafka's rule, and a limit of those that are to come back, which Kafka does not count.
    fn has_room_for(&self, id: &str, size_max: usize) -> bool {
        let member = self.members.get(id);
        let is_known = member.is_some() || self.pending_joins.contains_key(id);
        let is_taken = match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                let waits = member.is_some_and(|member| member.join_waiter.is_some());
                waits || self.awaiting_join < size_max
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.members.len() < size_max
            }
        };
        is_taken && (is_known || self.size() < MEMBERS_MAX)
    }

    fn join_new(&mut self, joining: &Joining<'_>, turn: &mut Turn<'_>) {
        let request = joining.request;
        let instance_id = request.group_instance_id.as_ref();
        let prefix = instance_id.map_or(joining.client_id, |instance_id| instance_id);
        // Cut, so that the id can be told in every version.
        let prefix: String = prefix.chars().take(MEMBER_ID_PREFIX_CHARS_MAX).collect();
        let id = Str::from(format!("{prefix}-{}", joining.unique_id));
        let known = instance_id.and_then(|instance_id| self.static_ids.get(instance_id).cloned());
        if let (Some(instance_id), Some(old_id)) = (instance_id, known) {
            self.join_static_again(joining, instance_id, &old_id, id, turn);
        } else if instance_id.is_none() && joining.must_know_id {
            let deadline = turn.now.monotonic + joining.session_timeout();
            self.expect_join(id.clone(), deadline);
            turn.answer_join(joining.waiter, refusal(&id, ErrorCode::MemberIdRequired));
        } else {
            self.add(joining, id, turn);
        }
    }

    fn join_again(&mut self, joining: &Joining<'_>, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        let request = joining.request;
        let id = &request.member_id;
        if self.pending_joins.contains_key(id) {
            if request.group_instance_id.is_some() {
                // No client does: an id that is to come back is never a static member's.
                return Err(ErrorCode::UnknownServerError);
            }
            self.add(joining, id.detached(), turn);
            return Ok(());
        }
        self.check_member(id, request.group_instance_id.as_ref())?;
        let is_same = self.members.get(id).is_some_and(|m| m.protocols == request.protocols);
        match self.state {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            // It has not seen the answer to its last JoinGroup.
            State::CompletingRebalance if is_same => {
                let current = self.current_answer(id, self.is_leader(id));
                turn.answer_join(joining.waiter, current);
            }
            State::Stable if is_same && !self.is_leader(id) => {
                let current = self.current_answer(id, false);
                turn.answer_join(joining.waiter, current);
            }
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                self.update(id, joining, turn);
                self.rebalance_or_complete(turn);
            }
        }
        Ok(())
    }

    /// The answer to a member of a generation that is complete.
    pub(super) fn current_answer(&self, id: &str, with_members: bool) -> JoinGroupResponse {
        JoinGroupResponse {
            member_id: Str::from(id),
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            members: if with_members { self.told_members() } else { Vec::new() },
            ..Default::default()
        }
    }

    fn told_members(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let told = |(id, member): (&Str, &Member)| JoinGroupResponseMember {
            member_id: id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        self.members.iter().map(told).collect()
    }

    fn add(&mut self, joining: &Joining<'_>, id: Str, turn: &mut Turn<'_>) {
        let request = joining.request;
        let deadline = turn.now.monotonic + NEW_MEMBER_JOIN_TIMEOUT;
        let member = Member {
            instance_id: request.group_instance_id.as_ref().map(Str::detached),
            client_id: Str::from(joining.client_id),
            client_host: Str::from(joining.client_host),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: kept(&request.protocols),
            assignment: Bytes::new(),
            is_new: true,
            join_waiter: Some(joining.waiter),
            sync_waiter: None,
            session_deadline: Some(deadline),
        };
        if self.state == State::PreparingRebalance && self.previous == Some(State::Empty) {
            self.new_member_added = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.detached());
        }
        self.insert(id, member);
        self.arm(deadline);
        self.rebalance_or_complete(turn);
    }

    fn update(&mut self, id: &str, joining: &Joining<'_>, turn: &mut Turn<'_>) {
        let request = joining.request;
        self.set_protocols(id, kept(&request.protocols));
        self.await_join(id, joining.waiter, turn);
        if let Some(member) = self.members.get_mut(id) {
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
            member.session_timeout_ms = request.session_timeout_ms;
        }
    }

    /// A static member has been restarted. While its group is stable it goes on with the share that
    /// it had, and nobody else notices.
    fn join_static_again(
        &mut self,
        joining: &Joining<'_>,
        instance_id: &Str,
        old_id: &Str,
        new_id: Str,
        turn: &mut Turn<'_>,
    ) {
        let leader = self.leader.clone();
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let less = self.members.get(old_id).map_or(0, |member| member.metadata(protocol).len());
        let more = protocols_bytes(&joining.request.protocols).saturating_sub(less);
        if self.stored_bytes() + more > GROUP_RECORD_BYTES_MAX {
            let refused = refusal("", ErrorCode::UnknownServerError);
            return turn.answer_join(joining.waiter, refused);
        }
        self.replace_static(instance_id, old_id, &new_id, turn);
        self.update(&new_id, joining, turn);
        self.show_life(&new_id, turn);
        match self.state {
            State::Stable if self.elected_protocol() == self.protocol => {
                let then = Then::Welcome {
                    group: self.id.clone(),
                    member_id: new_id,
                    leader,
                    may_skip: joining.may_skip,
                };
                turn.write(self.record(None), then);
            }
            State::Stable => self.rebalance_or_complete(turn),
            State::CompletingRebalance => self.prepare_rebalance(turn),
            State::Empty | State::PreparingRebalance => self.complete_if_all_joined(turn),
        }
    }

    /// Answers a static member that came back, now that its new id is stored.
    pub fn welcome(&mut self, id: &str, leader: Option<&Str>, may_skip: bool, turn: &mut Turn<'_>) {
        // A rebalance that has begun since will answer it.
        if self.state != State::Stable {
            return;
        }
        let leads = self.is_leader(id);
        let answer = if may_skip {
            JoinGroupResponse { skip_assignment: leads, ..self.current_answer(id, leads) }
        } else {
            // An old client that leads would share out anew if it were told that it leads.
            let leader = leader.cloned().unwrap_or_default();
            JoinGroupResponse { leader, ..self.current_answer(id, false) }
        };
        if self.complete_join(id, answer, turn) {
            // Its session may have ended while it waited, and had no say.
            self.show_life(id, turn);
        }
    }
}

/// Of the client's id, or the static member's name, in a member's id.
const MEMBER_ID_PREFIX_CHARS_MAX: usize = 8_000;
