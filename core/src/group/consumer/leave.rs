//! Members that leave or are given up.

use std::time::Duration;

use corelane_net::codec::Str;
use corelane_net::group_records::GroupRecord;
use corelane_net::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::super::mutants::{Mutant, active};
use super::super::turn::{Answer, Turn, Waiter};
use super::member::Member;
use super::record::absent;
use super::{ConsumerGroup, LEAVES_FOR_A_WHILE, Refusal, Told};

impl ConsumerGroup {
    /// A member says that it leaves. It is for the caller to [`ConsumerGroup::dismiss`] the one that this
    /// returns; a static member that leaves for a while is answered here.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
    pub fn leave(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        waiter: Waiter,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Str>, Refusal> {
        let id = &request.member_id;
        match &request.instance_id {
            None if !self.members.contains_key(id) => return Err(self.refuse_unknown(id)),
            None => {}
            Some(instance_id) => drop(self.check_static(id, instance_id)?),
        }
        if request.member_epoch != LEAVES_FOR_A_WHILE {
            return Ok(Some(id.detached()));
        }
        let mut records = Vec::new();
        if let Some(member) = self.members.get(id) {
            let record = self.current_record(id, &absent(&member.standing));
            self.emit(&mut records, record);
        }
        turn.tell(records, Some((waiter, goodbye(id, LEAVES_FOR_A_WHILE))));
        Ok(None)
    }

    /// Takes members out; the others share out anew. `answer` is given when that is durable.
    pub fn dismiss(&mut self, ids: &[Str], answer: Option<Told>, turn: &mut Turn<'_>) {
        let mut records = Vec::new();
        self.take_out(ids, &mut records, turn);
        turn.tell(records, answer);
    }

    pub(super) fn take_out(
        &mut self,
        ids: &[Str],
        records: &mut Vec<GroupRecord>,
        turn: &mut Turn<'_>,
    ) {
        for id in ids {
            for record in self.member_tombstones(id) {
                self.emit(records, record);
                if active(Mutant::LeaveWithoutTombstones) {
                    records.pop();
                }
            }
        }
        self.drop_patterns(records);
        self.update_epoch(true, records, turn);
    }

    /// Members whose time is over.
    pub fn due(&mut self, now: Duration) -> Vec<Str> {
        for member in self.members.values_mut() {
            // Of an epoch that it has left.
            if member.rebalance.is_some_and(|(_, epoch)| epoch != member.standing.epoch) {
                member.rebalance = None;
            }
        }
        let due = self.members.iter().filter(|(_, member)| member.is_due(now));
        let due: Vec<Str> = due.map(|(id, _)| id.clone()).collect();
        self.soonest = self.exact_soonest();
        due
    }

    pub(super) fn exact_soonest(&self) -> Option<Duration> {
        self.members.values().flat_map(Member::deadlines).min()
    }
}

/// The answer to a member that leaves.
pub fn goodbye(id: &Str, epoch: i32) -> Answer {
    Answer::Beat(ConsumerGroupHeartbeatResponse {
        member_id: Some(id.detached()),
        member_epoch: epoch,
        ..Default::default()
    })
}
