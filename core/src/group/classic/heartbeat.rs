//! Signs of life, and members that leave.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{HeartbeatRequest, MemberIdentity, MemberResponse};

use super::super::turn::Turn;
use super::join::refusal;
use super::time::millis;
use super::{ClassicGroup, State};

impl ClassicGroup {
    /// A member lives: tells whether it may go on.
    pub fn heartbeat(&mut self, request: &HeartbeatRequest, turn: &mut Turn<'_>) -> ErrorCode {
        let checked = self.check_member(&request.member_id, request.group_instance_id.as_ref());
        if let Err(code) = checked {
            return code;
        }
        if request.generation_id != self.generation {
            return ErrorCode::IllegalGeneration;
        }
        self.show_life(&request.member_id, turn);
        match self.state {
            State::Empty => ErrorCode::UnknownMemberId,
            State::PreparingRebalance => ErrorCode::RebalanceInProgress,
            State::CompletingRebalance | State::Stable => ErrorCode::None,
        }
    }

    /// The member's session begins anew.
    pub(super) fn show_life(&mut self, id: &str, turn: &Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let deadline = turn.now.monotonic + millis(member.session_timeout_ms);
        member.session_deadline = Some(deadline);
        self.arm(deadline);
    }

    /// Takes members out; one answer for each.
    pub fn leave(
        &mut self,
        leaving: &[MemberIdentity],
        turn: &mut Turn<'_>,
    ) -> Vec<MemberResponse> {
        let mut answers = Vec::with_capacity(leaving.len());
        let mut has_changed = false;
        for identity in leaving {
            let error_code = self.leave_one(identity, turn).err().unwrap_or_default();
            has_changed |= error_code.is_none();
            answers.push(MemberResponse {
                member_id: identity.member_id.clone(),
                group_instance_id: identity.group_instance_id.clone(),
                error_code,
            });
        }
        if has_changed {
            match self.state {
                State::Empty => {}
                State::PreparingRebalance => self.complete_if_all_joined(turn),
                State::CompletingRebalance | State::Stable => self.prepare_rebalance(turn),
            }
        }
        answers
    }

    fn leave_one(
        &mut self,
        leaving: &MemberIdentity,
        turn: &mut Turn<'_>,
    ) -> Result<(), ErrorCode> {
        let instance_id = leaving.group_instance_id.as_ref();
        let id = if leaving.member_id.is_empty() {
            // An administrator knows the static member's name alone.
            let known = instance_id.and_then(|instance_id| self.static_ids.get(instance_id));
            known.cloned().ok_or(ErrorCode::UnknownMemberId)?
        } else if self.pending_joins.contains_key(&leaving.member_id) {
            self.remove(&leaving.member_id);
            return Ok(());
        } else {
            self.check_member(&leaving.member_id, instance_id)?;
            leaving.member_id.clone()
        };
        self.dismiss(&id, turn);
        Ok(())
    }

    /// Takes a member out; whoever waits for it is told so.
    pub(super) fn dismiss(&mut self, id: &Str, turn: &mut Turn<'_>) {
        self.complete_join(id, refusal("", ErrorCode::UnknownMemberId), turn);
        self.complete_sync(id, super::sync::refusal(ErrorCode::UnknownMemberId), turn);
        self.remove(id);
    }
}
