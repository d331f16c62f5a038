//! Members that speak the classic protocol in a group of this one (KIP-848's online migration): to them an epoch is a
//! generation, and a step is a rebalance of their own.

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::{
    ClassicMemberValue, ClassicProtocolValue, ConsumerMemberValue, EmbeddedAssignment,
    EmbeddedSubscription, EmbeddedTopicPartitions, embedded_subscription,
    encode_embedded_assignment,
};
use corelane_net::messages::{
    ConsumerTopicPartitions, HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol,
    MemberIdentity, MemberResponse, SyncGroupRequest, SyncGroupResponse,
};

use super::super::classic::{CONSUMER_PROTOCOL, Joining, join_refusal};
use super::super::topics::Topics;
use super::super::turn::{Answer, Turn, Waiter};
use super::heartbeat::{Place, check_size};
use super::member::{Member, kept_names};
use super::partitions::Owned;
use super::reconcile::MemberState;
use super::tell::{Asked, Kind};
use super::{ConsumerGroup, Refusal};

impl ConsumerGroup {
    /// Lets a member of the classic protocol join.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn join(&mut self, joining: &Joining<'_>, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        let request = joining.request;
        let is_unknown = request.member_id.is_empty();
        let id = match is_unknown {
            true => Str::from(joining.unique_id),
            false => request.member_id.detached(),
        };
        self.check_room(&id, turn.rules).map_err(|refusal| refusal.code)?;
        let subscription = self.check_protocols(request)?;
        if is_unknown && joining.must_know_id && request.group_instance_id.is_none() {
            let answer = Answer::Join(join_refusal(&id, ErrorCode::MemberIdRequired));
            turn.answers.push((joining.waiter, answer));
            return Ok(());
        }
        let place = self.place_of_classic(&id, request, is_unknown)?;
        let value = joined(self.value_in(&id, &place), joining, &subscription);
        check_size(&value, turn.topics).map_err(|refusal| refusal.code)?;
        let mut records = Vec::new();
        let has_changed = self.put(&id, &place, value, None, &mut records);
        self.refresh(has_changed, &mut records, turn);
        let owned = told_owned(&subscription, turn.topics);
        let asked = Asked { waiter: joining.waiter, member_id: id, kind: Kind::Join { owned } };
        self.tell_or_wait(asked, true, records, turn);
        Ok(())
    }

    fn check_protocols(
        &self,
        request: &JoinGroupRequest,
    ) -> Result<EmbeddedSubscription, ErrorCode> {
        let speaks = |member: &Member, name: &str| {
            member.classic().is_none_or(|one| one.protocols.iter().any(|own| *own.name == *name))
        };
        let is_common =
            |one: &JoinGroupRequestProtocol| self.members.values().all(|m| speaks(m, &one.name));
        let first = request.protocols.first();
        let first = first.filter(|_| *request.protocol_type == *CONSUMER_PROTOCOL);
        let first = first.filter(|_| request.protocols.iter().any(is_common));
        let metadata = &first.ok_or(ErrorCode::InconsistentGroupProtocol)?.metadata;
        let read = embedded_subscription(metadata);
        read.map(|(_, read)| read).map_err(|_| ErrorCode::InconsistentGroupProtocol)
    }

    fn place_of_classic(
        &self,
        id: &Str,
        request: &JoinGroupRequest,
        is_unknown: bool,
    ) -> Result<Place, ErrorCode> {
        let is_there = self.members.contains_key(id);
        let Some(instance_id) = &request.group_instance_id else {
            return Ok(if is_there { Place::Own } else { Place::New });
        };
        if !is_unknown {
            self.check_static(id, instance_id).map_err(|refusal| refusal.code)?;
            return Ok(Place::Own);
        }
        let current = self.static_member(instance_id);
        Ok(current.map_or(Place::New, |(current, _)| Place::Instead(current.clone())))
    }

    /// Tells a member of the classic protocol its share.
    ///
    /// # Errors
    /// Why it has none.
    pub fn sync(
        &mut self,
        request: &SyncGroupRequest,
        waiter: Waiter,
        turn: &mut Turn<'_>,
    ) -> Result<(), ErrorCode> {
        let id = &request.member_id;
        let member = self.classic_member(id, request.group_instance_id.as_ref())?;
        if request.generation_id != member.standing.epoch {
            return Err(ErrorCode::IllegalGeneration);
        }
        let first = member.classic().and_then(|classic| classic.protocols.first());
        let other_type =
            request.protocol_type.as_ref().is_some_and(|asked| **asked != *CONSUMER_PROTOCOL);
        let other_name = request
            .protocol_name
            .as_ref()
            .is_some_and(|asked| first.is_none_or(|first| first.name != *asked));
        if other_type || other_name {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let must_revoke = member.standing.state == MemberState::UnrevokedPartitions;
        if self.epoch > member.standing.epoch && !must_revoke {
            self.expect_join(id, turn);
            return Err(ErrorCode::RebalanceInProgress);
        }
        let answer = SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment: share(member, turn.topics)?,
            ..Default::default()
        };
        self.show_life(id, turn);
        if let Some(member) = self.members.get_mut(id) {
            member.sync = None;
        }
        turn.tell(Vec::new(), Some((waiter, Answer::Sync(answer))));
        Ok(())
    }

    /// A member of the classic protocol lives: tells whether it may go on.
    pub fn classic_heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        turn: &mut Turn<'_>,
    ) -> ErrorCode {
        let id = &request.member_id;
        let member = match self.classic_member(id, request.group_instance_id.as_ref()) {
            Ok(member) => member,
            Err(code) => return code,
        };
        if request.generation_id != member.standing.epoch {
            return ErrorCode::IllegalGeneration;
        }
        let must_join = member.standing.epoch < self.epoch
            || match member.standing.state {
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !self.must_wait(id, member),
                MemberState::Stable | MemberState::Unknown => false,
            };
        self.show_life(id, turn);
        if !must_join {
            return ErrorCode::None;
        }
        self.expect_join(id, turn);
        ErrorCode::RebalanceInProgress
    }

    /// Whether others still hold all that it is to get.
    fn must_wait(&self, id: &Str, member: &Member) -> bool {
        let target = self.targets.get(id).into_iter().flatten();
        let mut missing = target.flat_map(|(topic, partitions)| {
            let own = member.standing.assigned.get(topic);
            let is_missing = move |index: &&i32| own.is_none_or(|own| !own.contains_key(*index));
            partitions.iter().filter(is_missing).map(|index| (*topic, *index))
        });
        missing.any(|partition| self.holders.contains_key(&partition))
    }

    /// Members of the classic protocol that leave: those to take out, and one answer for each.
    pub fn classic_leave(&self, leaving: &[MemberIdentity]) -> (Vec<Str>, Vec<MemberResponse>) {
        let (mut out, mut answers) = (Vec::new(), Vec::with_capacity(leaving.len()));
        for identity in leaving {
            let found = self.leaving_member(identity);
            let is_twice = found.as_ref().is_ok_and(|id| out.contains(id));
            let error_code = match &found {
                Ok(_) if is_twice => ErrorCode::UnknownMemberId,
                Ok(_) => ErrorCode::None,
                Err(code) => *code,
            };
            answers.push(MemberResponse {
                member_id: match &found {
                    Ok(id) => id.clone(),
                    Err(_) => identity.member_id.clone(),
                },
                group_instance_id: identity.group_instance_id.clone(),
                error_code,
            });
            out.extend(found.ok().filter(|_| !is_twice));
        }
        (out, answers)
    }

    fn leaving_member(&self, leaving: &MemberIdentity) -> Result<Str, ErrorCode> {
        let id = match &leaving.group_instance_id {
            // An administrator knows the static member's name alone.
            Some(name) if leaving.member_id.is_empty() => self.static_ids.get(name).cloned(),
            _ => None,
        };
        let id = id.unwrap_or_else(|| leaving.member_id.detached());
        self.classic_member(&id, leaving.group_instance_id.as_ref())?;
        Ok(id)
    }

    fn classic_member(&self, id: &Str, instance_id: Option<&Str>) -> Result<&Member, ErrorCode> {
        let member = match instance_id {
            None => self.members.get(id).ok_or(ErrorCode::UnknownMemberId)?,
            Some(name) => self.check_static(id, name).map_err(|refusal: Refusal| refusal.code)?,
        };
        if member.is_classic() { Ok(member) } else { Err(ErrorCode::UnknownMemberId) }
    }

    fn show_life(&mut self, id: &Str, turn: &Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let deadline = turn.now.monotonic + member.session_timeout(turn.rules);
        member.session = Some(deadline);
        self.arm(deadline);
    }

    /// From now on the member has its rebalance timeout to join again.
    fn expect_join(&mut self, id: &Str, turn: &Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let timeout = member.rebalance_timeout();
        let deadline = *member.join.get_or_insert(turn.now.monotonic + timeout);
        self.arm(deadline);
    }
}

fn joined(
    mut value: ConsumerMemberValue,
    joining: &Joining<'_>,
    subscription: &EmbeddedSubscription,
) -> ConsumerMemberValue {
    let request = joining.request;
    let protocol = |one: &JoinGroupRequestProtocol| ClassicProtocolValue {
        name: one.name.detached(),
        metadata: Bytes::copy_from_slice(&one.metadata),
    };
    if let Some(instance_id) = &request.group_instance_id {
        value.instance_id = Some(instance_id.detached());
    }
    if let Some(rack_id) = &subscription.rack_id {
        value.rack_id = Some(rack_id.detached());
    }
    value.client_id = Str::from(joining.client_id);
    value.client_host = Str::from(joining.client_host);
    value.subscribed_topic_names = kept_names(&subscription.topics);
    value.subscribed_topic_regex = None;
    value.rebalance_timeout_ms = request.rebalance_timeout_ms;
    value.server_assignor = None;
    value.classic = Some(ClassicMemberValue {
        session_timeout_ms: request.session_timeout_ms,
        protocols: request.protocols.iter().map(protocol).collect(),
    });
    value
}

/// What a member says that it owns, by id; topics that there are not any more nobody can own.
fn told_owned(
    subscription: &EmbeddedSubscription,
    topics: &dyn Topics,
) -> Vec<ConsumerTopicPartitions> {
    let topic = |owned: &EmbeddedTopicPartitions| {
        let topic_id = topics.facts(&owned.topic)?.id;
        Some(ConsumerTopicPartitions { topic_id, partitions: owned.partitions.clone() })
    };
    subscription.owned_partitions.iter().filter_map(topic).collect()
}

/// What a member may read, as consumers of the classic protocol understand it.
fn share(member: &Member, topics: &dyn Topics) -> Result<Bytes, ErrorCode> {
    let first = member.classic().and_then(|classic| classic.protocols.first());
    let version = first.and_then(|first| embedded_subscription(&first.metadata).ok());
    let version = version.map_or(0, |(version, _)| version);
    embedded(&member.standing.assigned, version, topics)
}

pub(super) fn embedded(
    owned: &Owned,
    version: i16,
    topics: &dyn Topics,
) -> Result<Bytes, ErrorCode> {
    let topic = |(id, partitions): (_, &std::collections::BTreeMap<i32, i32>)| {
        let partitions = partitions.keys().copied().collect();
        Some(EmbeddedTopicPartitions { topic: topics.name(id)?, partitions })
    };
    let assigned_partitions = owned.iter().map(|(&id, own)| (id, own)).filter_map(topic).collect();
    let assignment = EmbeddedAssignment { assigned_partitions, user_data: None };
    encode_embedded_assignment(&assignment, version).map_err(|_| ErrorCode::UnknownServerError)
}
