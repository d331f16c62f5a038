//! Joining, syncing, living, leaving.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, MemberResponse,
    SyncGroupRequest,
};

use super::super::classic::{ClassicGroup, Joining, join_refusal, sync_refusal};
use super::super::rules::ALL_MEMBERS_BYTES_MAX;
use super::super::turn::{Then, Turn, Waiter};
use super::Coordinator;
use super::group::Group;

/// First version of JoinGroup in which a new member has to come back with its id (KIP-394).
const KNOWN_ID_SINCE: i16 = 4;
/// First version with `skip_assignment` (KIP-814).
const SKIP_SINCE: i16 = 9;

/// Metadata of a member that may join again even when memory is short.
const SMALL_METADATA_BYTES: usize = 16 << 10;

/// The group that takes a member.
enum Admitted {
    /// A classic one that was there.
    Old,
    /// A classic one that was made for it.
    Made,
    /// One of the consumer protocol.
    Mixed,
}

/// Who sends a JoinGroup.
#[derive(Clone, Debug)]
pub struct JoinContext {
    /// The request's version.
    pub version: i16,
    /// As the client calls itself.
    pub client_id: Str,
    /// Its address, as Kafka writes it.
    pub client_host: Str,
    /// Random digits, for the id of a new member.
    pub unique_id: String,
}

impl JoinContext {
    fn joining<'a>(&'a self, request: &'a JoinGroupRequest, waiter: Waiter) -> Joining<'a> {
        Joining {
            request,
            client_id: &self.client_id,
            client_host: &self.client_host,
            unique_id: &self.unique_id,
            must_know_id: self.version >= KNOWN_ID_SINCE,
            may_skip: self.version >= SKIP_SINCE,
            waiter,
        }
    }
}

impl Coordinator {
    /// Lets a member join; the waiter is answered now or later.
    pub fn join(
        &mut self,
        request: &JoinGroupRequest,
        context: &JoinContext,
        waiter: Waiter,
        turn: &mut Turn<'_>,
    ) {
        let is_made = match self.admit(request, turn) {
            Ok(Admitted::Old) => false,
            Ok(Admitted::Made) => true,
            Ok(Admitted::Mixed) => {
                return self.join_mixed(request, context, waiter, turn);
            }
            Err(code) => {
                return turn.answer_join(waiter, join_refusal(&request.member_id, code));
            }
        };
        let joining = context.joining(request, waiter);
        self.with_classic(&request.group_id, |group| {
            // So that it is there after a restart, even if its first rebalance does not end.
            if is_made {
                turn.write(group.first_record(), Then::Nothing);
            }
            group.join(&joining, turn);
        });
    }

    /// Lets a member of the classic protocol join a group of the consumer protocol. If it takes the place of the
    /// last static member of that, all go on as a classic group.
    fn join_mixed(
        &mut self,
        request: &JoinGroupRequest,
        context: &JoinContext,
        waiter: Waiter,
        turn: &mut Turn<'_>,
    ) {
        let joining = context.joining(request, waiter);
        let joined = self.with_consumer(&request.group_id, |group| {
            let had_consumers = group.has_consumers();
            group.join(&joining, turn)?;
            Ok(had_consumers && group.can_downgrade(turn))
        });
        match joined.unwrap_or(Err(ErrorCode::UnknownMemberId)) {
            Ok(true) => drop(self.downgrade(&request.group_id, &[], None, turn)),
            Ok(false) => {}
            Err(code) => turn.answer_join(waiter, join_refusal(&request.member_id, code)),
        }
        self.settle_tells(turn);
    }

    /// Whether this group takes a member, and what kind of group it is.
    fn admit(
        &mut self,
        request: &JoinGroupRequest,
        turn: &mut Turn<'_>,
    ) -> Result<Admitted, ErrorCode> {
        let rules = turn.rules;
        let sessions = rules.session_timeout_min_ms..=rules.session_timeout_max_ms;
        if !sessions.contains(&request.session_timeout_ms) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        let metadata: usize = request.protocols.iter().map(|one| one.metadata.len()).sum();
        let takes_much = request.member_id.is_empty() || metadata > SMALL_METADATA_BYTES;
        if takes_much && self.members_bytes > ALL_MEMBERS_BYTES_MAX {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        if !self.groups.contains_key(&request.group_id) {
            if !request.member_id.is_empty() {
                return Err(ErrorCode::UnknownMemberId);
            }
            if request.protocol_type.is_empty() || request.protocols.is_empty() {
                return Err(ErrorCode::InconsistentGroupProtocol);
            }
        }
        if let Some(Group::Consumer(group)) =
            self.groups.get(&request.group_id).map(|slot| &slot.group)
        {
            if !group.is_empty() {
                // Both ways are closed to those that speak the other protocol.
                let is_open = turn.rules.can_mix();
                return is_open
                    .then_some(Admitted::Mixed)
                    .ok_or(ErrorCode::InconsistentGroupProtocol);
            }
            // Its offsets stay.
            turn.tell(group.tombstones(), None);
            self.with_consumer(&request.group_id, |group| group.send_away(turn));
            self.remove(&request.group_id);
            self.settle_tells(turn);
        }
        let is_made = self.ensure(&request.group_id, turn.now)?;
        Ok(if is_made { Admitted::Made } else { Admitted::Old })
    }

    /// Gets a member its share; the waiter is answered now or later.
    pub fn sync(&mut self, request: &SyncGroupRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        let synced = self.with_group(&request.group_id, |group| match group {
            Group::Classic(group) => {
                group.sync(request, waiter, turn);
                Ok(())
            }
            Group::Consumer(group) => group.sync(request, waiter, turn),
        });
        if let Err(code) = synced.unwrap_or(Err(ErrorCode::UnknownMemberId)) {
            turn.answer_sync(waiter, sync_refusal(code));
        }
        self.settle_tells(turn);
    }

    /// A member lives.
    pub fn heartbeat(&mut self, request: &HeartbeatRequest, turn: &mut Turn<'_>) -> ErrorCode {
        let beat = self.with_group(&request.group_id, |group| match group {
            Group::Classic(group) => group.heartbeat(request, turn),
            Group::Consumer(group) => group.classic_heartbeat(request, turn),
        });
        beat.unwrap_or(ErrorCode::UnknownMemberId)
    }

    /// Members leave.
    pub fn leave(
        &mut self,
        request: &LeaveGroupRequest,
        turn: &mut Turn<'_>,
    ) -> LeaveGroupResponse {
        let leave = |group: &mut ClassicGroup| group.leave(&request.members, turn);
        let left = self.with_classic(&request.group_id, leave);
        let left = left.or_else(|| self.classic_leave(request, turn));
        self.settle_tells(turn);
        let members = left.unwrap_or_else(|| {
            let unknown = request.members.iter().map(|leaving| MemberResponse {
                member_id: leaving.member_id.clone(),
                group_instance_id: leaving.group_instance_id.clone(),
                error_code: ErrorCode::UnknownMemberId,
            });
            unknown.collect()
        });
        LeaveGroupResponse { members, ..Default::default() }
    }
}
