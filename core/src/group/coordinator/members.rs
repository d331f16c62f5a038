//! Joining, syncing, living, leaving.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, MemberResponse,
    SyncGroupRequest,
};

use super::super::classic::{Joining, join_refusal, sync_refusal};
use super::super::rules::ALL_MEMBERS_BYTES_MAX;
use super::super::turn::{Then, Turn, Waiter};
use super::Coordinator;

/// First version of JoinGroup in which a new member has to come back with its id (KIP-394).
const KNOWN_ID_SINCE: i16 = 4;
/// First version with `skip_assignment` (KIP-814).
const SKIP_SINCE: i16 = 9;

/// Metadata of a member that may join again even when memory is short.
const SMALL_METADATA_BYTES: usize = 16 << 10;

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
            Ok(is_made) => is_made,
            Err(code) => {
                return turn.answer_join(waiter, join_refusal(&request.member_id, code));
            }
        };
        let joining = Joining {
            request,
            client_id: &context.client_id,
            client_host: &context.client_host,
            unique_id: &context.unique_id,
            must_know_id: context.version >= KNOWN_ID_SINCE,
            may_skip: context.version >= SKIP_SINCE,
            waiter,
        };
        self.with_group(&request.group_id, |group| {
            // So that it is there after a restart, even if its first rebalance does not end.
            if is_made {
                turn.write(group.first_record(), Then::Nothing);
            }
            group.join(&joining, turn);
        });
    }

    /// Whether this group takes a member; true if the group was made for it.
    fn admit(&mut self, request: &JoinGroupRequest, turn: &Turn<'_>) -> Result<bool, ErrorCode> {
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
        self.ensure(&request.group_id, turn.now)
    }

    /// Gets a member its share; the waiter is answered now or later.
    pub fn sync(&mut self, request: &SyncGroupRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        let synced = self.with_group(&request.group_id, |group| group.sync(request, waiter, turn));
        if synced.is_none() {
            turn.answer_sync(waiter, sync_refusal(ErrorCode::UnknownMemberId));
        }
    }

    /// A member lives.
    pub fn heartbeat(&mut self, request: &HeartbeatRequest, turn: &mut Turn<'_>) -> ErrorCode {
        let beat = self.with_group(&request.group_id, |group| group.heartbeat(request, turn));
        beat.unwrap_or(ErrorCode::UnknownMemberId)
    }

    /// Members leave.
    pub fn leave(
        &mut self,
        request: &LeaveGroupRequest,
        turn: &mut Turn<'_>,
    ) -> LeaveGroupResponse {
        let left = self.with_group(&request.group_id, |group| group.leave(&request.members, turn));
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
