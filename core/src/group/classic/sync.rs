//! SyncGroup: the leader brings the shares, everybody gets its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{SyncGroupRequest, SyncGroupResponse};

use super::super::rules::GROUP_RECORD_BYTES_MAX;
use super::super::turn::{Then, Turn, Waiter};
use super::{ClassicGroup, State};

/// The answer to a member that gets no share.
pub fn refusal(error_code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code, ..Default::default() }
}

impl ClassicGroup {
    /// Answers with the member's share, now or when the leader's shares are stored.
    pub fn sync(&mut self, request: &SyncGroupRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        if let Err(code) = self.check_sync(request) {
            return turn.answer_sync(waiter, refusal(code));
        }
        let id = &request.member_id;
        match self.state {
            // Without members there is none that could sync: the check has refused it.
            State::Empty => turn.answer_sync(waiter, refusal(ErrorCode::UnknownMemberId)),
            State::PreparingRebalance => {
                turn.answer_sync(waiter, refusal(ErrorCode::RebalanceInProgress));
            }
            State::CompletingRebalance => {
                self.complete_sync(id, refusal(ErrorCode::RebalanceInProgress), turn);
                if let Some(member) = self.members.get_mut(id) {
                    member.sync_waiter = Some(waiter);
                }
                self.has_synced(id);
                if self.is_leader(id) {
                    self.store_shares(request, turn);
                }
            }
            State::Stable => {
                self.has_synced(id);
                let share = self.members.get(id).map(|member| member.assignment.clone());
                let answer = self.share_answer(share.unwrap_or_default());
                turn.answer_sync(waiter, answer);
            }
        }
    }

    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_ref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |asked: &Option<Str>, ours: &Option<Str>| asked.is_some() && asked != ours;
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn has_synced(&mut self, id: &str) {
        self.pending_syncs.remove(id);
        if self.pending_syncs.is_empty() {
            self.sync_timer = None;
        }
    }

    fn store_shares(&mut self, request: &SyncGroupRequest, turn: &mut Turn<'_>) {
        let mut shares: BTreeMap<Str, Bytes> =
            self.members.keys().map(|id| (id.clone(), Bytes::new())).collect();
        for given in &request.assignments {
            // Shares of strangers are not kept.
            if let Some(share) = shares.get_mut(&given.member_id) {
                *share = given.assignment.clone();
            }
        }
        let bytes: usize = shares.values().map(Bytes::len).sum();
        if self.record_bytes().saturating_add(bytes) > GROUP_RECORD_BYTES_MAX {
            // As Kafka answers when the record is too large for the topic.
            self.take_shares_back(ErrorCode::UnknownServerError, turn);
            return self.rebalance_or_complete(turn);
        }
        shares.values_mut().for_each(|share| *share = Bytes::copy_from_slice(share));
        let record = self.record(Some(&shares));
        let (group, generation) = (self.id.clone(), self.generation);
        turn.write(record, Then::Propagate { group, generation, shares });
    }

    /// Hands the shares out, now that they are stored.
    pub fn propagate(
        &mut self,
        generation: i32,
        mut shares: BTreeMap<Str, Bytes>,
        turn: &mut Turn<'_>,
    ) {
        // Else another rebalance has begun, or these were stored twice.
        if self.state != State::CompletingRebalance || self.generation != generation {
            return;
        }
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in ids {
            let share = shares.remove(&id).unwrap_or_default();
            self.set_assignment(&id, share.clone());
            let answer = self.share_answer(share);
            if self.complete_sync(&id, answer, turn) {
                self.show_life(&id, turn);
            }
        }
        self.go_to(State::Stable, turn.now);
        turn.tally.rebalances += 1;
    }

    /// Nobody has a share any more; who waits for one is told why.
    pub(super) fn take_shares_back(&mut self, code: ErrorCode, turn: &mut Turn<'_>) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in ids {
            self.set_assignment(&id, Bytes::new());
            if self.complete_sync(&id, refusal(code), turn) {
                self.show_life(&id, turn);
            }
        }
    }

    fn share_answer(&self, assignment: Bytes) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment,
            ..Default::default()
        }
    }
}
