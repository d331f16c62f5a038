//! The member's next step, and its answer.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::GroupRecord;
use corelane_net::messages::{
    ConsumerGroupHeartbeatResponse, ConsumerTopicPartitions, JoinGroupResponse,
};

use super::super::classic::{CONSUMER_PROTOCOL, join_refusal};
use super::super::mutants::{Mutant, active};
use super::super::turn::{Answer, Turn, Waiter};
use super::partitions::{Partitions, assignment, each};
use super::reconcile::{MemberState, Target, next};
use super::{ConsumerGroup, Refusal, Told};

/// A member that is to be told what to do.
#[derive(Debug)]
pub(super) struct Asked {
    pub waiter: Waiter,
    pub member_id: Str,
    pub kind: Kind,
}

/// How it has asked.
#[derive(Debug)]
pub(super) enum Kind {
    /// By a heartbeat.
    Beat {
        /// Whether it is told what it owns even if that has not changed.
        is_full: bool,
        /// What it says that it owns, if it says.
        owned: Option<Vec<ConsumerTopicPartitions>>,
    },
    /// By a JoinGroup: it speaks the classic protocol.
    Join {
        /// What it says that it owns.
        owned: Vec<ConsumerTopicPartitions>,
    },
}

impl Asked {
    pub fn refusal(&self, refusal: &Refusal) -> Answer {
        match &self.kind {
            Kind::Beat { .. } => Answer::Beat(refusal.to_heartbeat()),
            Kind::Join { .. } => Answer::Join(join_refusal(&self.member_id, refusal.code)),
        }
    }

    fn owned(&self) -> Option<&[ConsumerTopicPartitions]> {
        match &self.kind {
            Kind::Beat { owned, .. } => owned.as_deref(),
            Kind::Join { owned } => Some(owned),
        }
    }
}

impl ConsumerGroup {
    /// Tells a member its next step; if long work is under way that the step depends on, after that.
    pub(super) fn tell_or_wait(
        &mut self,
        asked: Asked,
        is_new: bool,
        records: Vec<GroupRecord>,
        turn: &mut Turn<'_>,
    ) {
        if self.is_busy && (is_new || self.epoch > self.target_epoch) {
            self.waiting.push(asked);
            return turn.tell(records, None);
        }
        self.tell(asked, records, turn);
    }

    pub(super) fn tell_waiting(&mut self, mut records: Vec<GroupRecord>, turn: &mut Turn<'_>) {
        for asked in std::mem::take(&mut self.waiting) {
            self.tell(asked, std::mem::take(&mut records), turn);
        }
        turn.tell(records, None);
    }

    fn tell(&mut self, asked: Asked, mut records: Vec<GroupRecord>, turn: &mut Turn<'_>) {
        let answer = self.next_step(&asked, &mut records, turn);
        let answer = answer.unwrap_or_else(|refusal| asked.refusal(&refusal));
        let told: Told = (asked.waiter, answer);
        turn.tell(records, Some(told));
    }

    fn next_step(
        &mut self,
        asked: &Asked,
        records: &mut Vec<GroupRecord>,
        turn: &Turn<'_>,
    ) -> Result<Answer, Refusal> {
        let id = &asked.member_id;
        let has_changed = self.reconcile(id, asked.owned(), records, turn)?;
        let Some(member) = self.members.get_mut(id) else { return Err(self.refuse_unknown(id)) };
        let session = turn.now.monotonic + member.session_timeout(turn.rules);
        member.session = Some(session);
        let mut soonest = session;
        let answer = match &asked.kind {
            Kind::Beat { is_full, .. } => Answer::Beat(ConsumerGroupHeartbeatResponse {
                member_id: Some(id.clone()),
                member_epoch: member.standing.epoch,
                heartbeat_interval_ms: turn.rules.consumer_heartbeat_interval_ms,
                assignment: (*is_full || has_changed)
                    .then(|| assignment(&member.standing.assigned)),
                ..Default::default()
            }),
            Kind::Join { .. } => {
                let sync = turn.now.monotonic + member.rebalance_timeout();
                member.join = None;
                member.sync = Some(sync);
                soonest = soonest.min(sync);
                let protocols = member.classic().map(|classic| &*classic.protocols);
                let first = protocols.and_then(<[_]>::first);
                Answer::Join(JoinGroupResponse {
                    member_id: id.clone(),
                    generation_id: member.standing.epoch,
                    protocol_type: Some(Str::from_static(CONSUMER_PROTOCOL)),
                    protocol_name: first.map(|protocol| protocol.name.clone()),
                    ..Default::default()
                })
            }
        };
        self.arm(soonest);
        Ok(answer)
    }

    /// Leads a member towards its target; true if what it may read has changed.
    fn reconcile(
        &mut self,
        id: &Str,
        owned: Option<&[ConsumerTopicPartitions]>,
        records: &mut Vec<GroupRecord>,
        turn: &Turn<'_>,
    ) -> Result<bool, Refusal> {
        let Some(member) = self.members.get(id) else { return Err(self.refuse_unknown(id)) };
        if member.is_reconciled_to(self.target_epoch) {
            return Ok(false);
        }
        let nothing = Partitions::new();
        let partitions = self.targets.get(id).unwrap_or(&nothing);
        let read = self.ids_read(member, turn.topics);
        let stepped = next(
            &member.standing,
            Target { epoch: self.target_epoch, partitions },
            owned,
            |topic, index| {
                !self.holders.contains_key(&(topic, index)) || active(Mutant::TakeHeldPartitions)
            },
            |topic| read.contains(&topic),
        );
        let stepped = stepped.map_err(|_| {
            let words = "The consumer group member is in a unknown state. The member must abandon all its \
                         partitions and rejoin.";
            Refusal::new(ErrorCode::FencedMemberEpoch, words)
        })?;
        let Some(standing) = stepped else { return Ok(false) };
        let has_changed = !each(&member.standing.assigned).eq(each(&standing.assigned));
        let record = self.current_record(id, &standing);
        self.emit(records, record);
        self.watch_revocation(id, turn);
        Ok(has_changed)
    }

    /// A member that is to give partitions up must do so in time. Those of the classic protocol must join in time.
    fn watch_revocation(&mut self, id: &Str, turn: &Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let must_revoke =
            member.standing.state == MemberState::UnrevokedPartitions && !member.is_classic();
        let deadline = turn.now.monotonic + member.rebalance_timeout();
        member.rebalance = must_revoke.then_some((deadline, member.standing.epoch));
        if must_revoke {
            self.arm(deadline);
        }
    }
}
