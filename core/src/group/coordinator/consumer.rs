//! Groups of the consumer protocol (KIP-848): heartbeats, and groups that change from one protocol to the other.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    ConsumerGroupHeartbeatRequest, DescribedConsumerGroup, LeaveGroupRequest, MemberResponse,
};

use super::super::classic::ClassicGroup;
use super::super::consumer::{
    Beat, ConsumerGroup, Done, LEAVES, LEAVES_FOR_A_WHILE, Pattern, Refusal, check_request, goodbye,
};
use super::super::mutants::{Mutant, active};
use super::super::rules::{ALL_MEMBERS_BYTES_MAX, GROUPS_MAX};
use super::super::turn::{Answer, Then, Turn, Waiter, Write};
use super::Coordinator;
use super::group::Group;

/// Who sends a ConsumerGroupHeartbeat.
#[derive(Clone, Debug)]
pub struct BeatContext {
    /// The request's version.
    pub version: i16,
    /// As the client calls itself.
    pub client_id: Str,
    /// Its address, as Kafka writes it.
    pub client_host: Str,
    /// Random digits, for the id of a member that has none.
    pub unique_id: String,
    /// The pattern in the request, compiled.
    pub pattern: Option<Pattern>,
}

impl Coordinator {
    /// A member lives, joins or leaves; the waiter is answered now or later.
    pub fn beat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        context: &BeatContext,
        waiter: Waiter,
        turn: &mut Turn<'_>,
    ) {
        if let Err(refusal) = self.try_beat(request, context, waiter, turn) {
            turn.answers.push((waiter, Answer::Beat(refusal.to_heartbeat())));
        }
        self.settle_tells(turn);
    }

    fn try_beat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        context: &BeatContext,
        waiter: Waiter,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        check_request(request, context.version, turn.rules)?;
        let id = &request.group_id;
        if [LEAVES, LEAVES_FOR_A_WHILE].contains(&request.member_epoch) {
            let leave = |group: &mut ConsumerGroup| group.leave(request, waiter, turn);
            let left = self.with_consumer(id, leave);
            let Some(member) = left.unwrap_or_else(|| Err(self.no_consumer_group(id)))? else {
                return Ok(());
            };
            let answer = (waiter, goodbye(&member, request.member_epoch));
            self.dismiss(id, &[member], Some(answer), turn);
            return Ok(());
        }
        let beat = Beat {
            request,
            client_id: &context.client_id,
            client_host: &context.client_host,
            unique_id: &context.unique_id,
            pattern: context.pattern.as_ref(),
            waiter,
        };
        if request.member_epoch == 0 || beat.takes_much() {
            self.check_memory()?;
        }
        if request.member_epoch == 0 {
            self.admit_consumer(&beat, turn)?;
        }
        let beaten = self.with_consumer(id, |group| group.heartbeat(&beat, turn));
        beaten.unwrap_or_else(|| {
            let refusal = self.no_consumer_group(id);
            let is_there = self.groups.contains_key(id);
            let words = format!("Consumer group {id} not found.");
            Err(if is_there { refusal } else { Refusal::new(refusal.code, words) })
        })
    }

    fn check_memory(&self) -> Result<(), Refusal> {
        if self.members_bytes <= ALL_MEMBERS_BYTES_MAX {
            return Ok(());
        }
        let words = "The members of this partition's groups hold too much memory.";
        Err(Refusal::new(ErrorCode::GroupMaxSizeReached, words))
    }

    /// Sees to it that there is a group of this protocol for a member that joins. If that will be refused,
    /// everything stays as it is.
    fn admit_consumer(&mut self, beat: &Beat<'_>, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let id = &beat.request.group_id;
        let old = match self.groups.get(id).map(|slot| &slot.group) {
            Some(Group::Consumer(_)) => return Ok(()),
            Some(group @ Group::Classic(_)) if !group.is_empty() => {
                return self.upgrade(beat, turn);
            }
            None if self.groups.len() >= GROUPS_MAX => {
                let words = "There are too many groups.";
                return Err(Refusal::new(ErrorCode::PolicyViolation, words));
            }
            old => old,
        };
        let new = ConsumerGroup::new(id.detached());
        new.check_heartbeat(beat, turn)?;
        if let Some(Group::Classic(old)) = old {
            // Its offsets stay.
            turn.tell(vec![old.tombstone()], None);
        }
        self.insert(id.detached(), Group::Consumer(new));
        Ok(())
    }

    /// A classic group becomes one of the consumer protocol, for the first member that speaks it.
    fn upgrade(&mut self, beat: &Beat<'_>, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let id = &beat.request.group_id;
        let refused = self.no_consumer_group(id);
        let rules = turn.rules;
        let Some(Group::Classic(group)) = self.groups.get_mut(id).map(|slot| &mut slot.group)
        else {
            return Err(refused);
        };
        if !rules.can_upgrade
            || !group.is_for_consumers()
            || group.size() >= rules.consumer_group_size_max
        {
            return Err(refused);
        }
        let (generation, migrants) = (group.generation(), group.migrants());
        let migrated = ConsumerGroup::from_classic(id.detached(), generation, migrants, turn);
        let (migrated, records) = migrated.map_err(|error| {
            let words =
                format!("Cannot upgrade the classic group {id} to consumer group because {error}.");
            Refusal::new(ErrorCode::GroupIdNotFound, words)
        })?;
        migrated.check_heartbeat(beat, turn)?;
        group.send_away(turn);
        turn.tell(vec![group.tombstone()], None);
        turn.tell(records, None);
        tracing::info!(group = %id, "a classic group is one of the consumer protocol from now on");
        self.insert(id.detached(), Group::Consumer(migrated));
        Ok(())
    }

    /// Takes members out of a group of the consumer protocol. If none of its own stays, the others go on as a
    /// classic group.
    pub(super) fn dismiss(
        &mut self,
        id: &Str,
        members: &[Str],
        answer: Option<(Waiter, Answer)>,
        turn: &mut Turn<'_>,
    ) {
        let is_last = self.with_consumer(id, |group| group.can_downgrade_without(members, turn));
        if is_last == Some(true) && self.downgrade(id, members, answer.clone(), turn) {
            self.with_classic(id, |group| group.call_together(turn));
            return;
        }
        self.with_consumer(id, |group| group.dismiss(members, answer, turn));
    }

    /// Those that stay go on as a classic group, where they are; false if one record can't say it.
    pub(super) fn downgrade(
        &mut self,
        id: &Str,
        without: &[Str],
        answer: Option<(Waiter, Answer)>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let downgraded = self.with_consumer(id, |group| {
            let (generation, migrants) = group.to_classic(without, turn);
            let (classic, record) =
                ClassicGroup::of_migrants(id.detached(), generation, migrants, turn.now);
            // Many members that say much of themselves fit records of their own, but not one together.
            if !classic.fits_a_record() {
                return None;
            }
            group.send_away(turn);
            let mut records = group.tombstones();
            records.push(record);
            turn.tell(records, answer);
            Some(classic)
        });
        let Some(classic) = downgraded.flatten() else { return false };
        tracing::info!(group = %id, "a group of the consumer protocol is a classic one from now on");
        self.insert(id.detached(), Group::Classic(classic));
        true
    }

    /// What a job has found out.
    pub fn finish(&mut self, group: &Str, done: Done, turn: &mut Turn<'_>) {
        self.with_consumer(group, |group| group.finish(done, turn));
        self.settle_tells(turn);
    }

    /// A group of the consumer protocol.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND.
    pub fn describe_consumer(
        &self,
        id: &Str,
        turn: &Turn<'_>,
    ) -> Result<DescribedConsumerGroup, Refusal> {
        match self.groups.get(id).map(|slot| &slot.group) {
            Some(Group::Consumer(group)) => Ok(group.described(turn)),
            _ => Err(self.no_consumer_group(id)),
        }
    }

    /// Members of the classic protocol leave a group of the consumer protocol.
    pub(super) fn classic_leave(
        &mut self,
        request: &LeaveGroupRequest,
        turn: &mut Turn<'_>,
    ) -> Option<Vec<MemberResponse>> {
        let leave = |group: &mut ConsumerGroup| {
            let (out, answers) = group.classic_leave(&request.members);
            if !out.is_empty() {
                group.dismiss(&out, None, turn);
            }
            answers
        };
        self.with_consumer(&request.group_id, leave)
    }

    pub(super) fn no_consumer_group(&self, id: &str) -> Refusal {
        let words = match self.groups.contains_key(id) {
            true => format!("Group {id} is not a consumer group."),
            false => format!("Group {id} not found."),
        };
        Refusal::new(ErrorCode::GroupIdNotFound, words)
    }

    /// Sends answers that wait for nothing at once; the others behind the records before them.
    pub(super) fn settle_tells(&mut self, turn: &mut Turn<'_>) {
        // Those before were looked at already.
        for write in turn.writes.split_off(turn.settled) {
            match write {
                Write { records, then: Then::Tell(Some(answer)) }
                    if records.is_empty() && self.tells == 0 =>
                {
                    turn.answers.push(answer);
                }
                Write { records, then: Then::Tell(Some(answer)) }
                    if active(Mutant::AnswerBeforeWrite) =>
                {
                    turn.answers.push(answer);
                    self.tells += 1;
                    turn.writes.push(Write { records, then: Then::Tell(None) });
                }
                write => {
                    self.tells += usize::from(matches!(write.then, Then::Tell(_)));
                    turn.writes.push(write);
                }
            }
        }
        turn.settled = turn.writes.len();
    }
}
