//! ConsumerGroupHeartbeat of a member that joins or goes on.

use std::collections::HashSet;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::{ConsumerMemberValue, ConsumerRecord, GroupRecord};
use corelane_net::messages::{ConsumerGroupHeartbeatRequest, ConsumerTopicPartitions};

use super::super::rules::{MEMBER_RECORD_BYTES_MAX, PARTITIONS_MAX, Rules};
use super::super::topics::Topics;
use super::super::turn::{Turn, Waiter};
use super::assignor::Assignor;
use super::member::{Member, kept_names, value_bytes};
use super::partitions::is_subset;
use super::pattern::Pattern;
use super::read::{facts, partition_count};
use super::reconcile::Standing;
use super::tell::{Asked, Kind};
use super::{ConsumerGroup, LEAVES, LEAVES_FOR_A_WHILE, Refusal};

/// From this version on members make their ids up themselves (KIP-1082).
const OWN_ID_SINCE: i16 = 1;

/// A heartbeat, and who sent it.
#[derive(Clone, Debug)]
pub struct Beat<'a> {
    /// The request.
    pub request: &'a ConsumerGroupHeartbeatRequest,
    /// As the client calls itself.
    pub client_id: &'a str,
    /// Its address, as Kafka writes it: "/127.0.0.1".
    pub client_host: &'a str,
    /// Random digits, for the id of a member that has none.
    pub unique_id: &'a str,
    /// The pattern in the request, compiled.
    pub pattern: Option<&'a Pattern>,
    /// Who waits for the answer.
    pub waiter: Waiter,
}

/// Memory of a pattern that a member may change to even when memory is short.
const SMALL_PATTERN_BYTES: usize = 64 << 10;

impl Beat<'_> {
    /// Whether it may need much memory, though it is no new member's.
    pub fn takes_much(&self) -> bool {
        self.pattern.is_some_and(|pattern| pattern.bytes() > SMALL_PATTERN_BYTES)
    }
}

/// Whether the request is one that the protocol knows.
///
/// # Errors
/// INVALID_REQUEST, UNSUPPORTED_ASSIGNOR.
pub fn check_request(
    request: &ConsumerGroupHeartbeatRequest,
    version: i16,
    rules: &Rules,
) -> Result<(), Refusal> {
    let epoch = request.member_epoch;
    let is_empty = |text: &Option<Str>| text.as_ref().is_some_and(|text| text.is_empty());
    let must_have_id = version >= OWN_ID_SINCE || epoch > 0 || epoch == LEAVES;
    let wrong = if must_have_id && request.member_id.is_empty() {
        "MemberId can't be empty."
    } else if request.group_id.is_empty() {
        "GroupId can't be empty."
    } else if is_empty(&request.instance_id) {
        "InstanceId can't be empty."
    } else if is_empty(&request.rack_id) {
        "RackId can't be empty."
    } else if epoch == 0 && request.rebalance_timeout_ms == -1 {
        "RebalanceTimeoutMs must be provided in first request."
    } else if epoch == 0 && request.topic_partitions.as_ref().is_none_or(|own| !own.is_empty()) {
        "TopicPartitions must be empty when (re-)joining."
    } else if epoch == 0
        && request.subscribed_topic_names.is_none()
        && request.subscribed_topic_regex.is_none()
    {
        "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."
    } else if epoch == LEAVES_FOR_A_WHILE && request.instance_id.is_none() {
        "InstanceId can't be null."
    } else if epoch < LEAVES_FOR_A_WHILE {
        "MemberEpoch is invalid."
    } else {
        return check_assignor(request, rules);
    };
    Err(Refusal::new(ErrorCode::InvalidRequest, wrong))
}

fn check_assignor(request: &ConsumerGroupHeartbeatRequest, rules: &Rules) -> Result<(), Refusal> {
    let Some(name) = &request.server_assignor else { return Ok(()) };
    let wish = Assignor::named(name);
    if wish.is_some_and(|wish| rules.consumer_assignors.contains(&wish)) {
        return Ok(());
    }
    let known: Vec<&str> = rules.consumer_assignors.iter().map(|one| one.name()).collect();
    let words = format!(
        "ServerAssignor {name} is not supported. Supported assignors: {}.",
        known.join(", ")
    );
    Err(Refusal::new(ErrorCode::UnsupportedAssignor, words))
}

/// Whose place in the group it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody's yet.
    New,
    /// The member's own.
    Own,
    /// A static member's whose id was another.
    Instead(Str),
}

impl ConsumerGroup {
    /// Lets a member join, or go on; it is answered now or when it is known what it is to own.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn heartbeat(&mut self, beat: &Beat<'_>, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let request = beat.request;
        let (id, place, value) = self.placed(beat, turn)?;
        let mut records = Vec::new();
        let has_changed = self.put(&id, &place, value, beat.pattern, &mut records);
        self.refresh(has_changed, &mut records, turn);
        let wants_all = request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some()
                || request.subscribed_topic_regex.is_some())
            && request.topic_partitions.is_some();
        let is_join = request.member_epoch == 0;
        let owned = request.topic_partitions.clone();
        let kind = Kind::Beat { is_full: is_join || wants_all, owned };
        let asked = Asked { waiter: beat.waiter, member_id: id, kind };
        self.tell_or_wait(asked, is_join, records, turn);
        Ok(())
    }

    /// Whether [`ConsumerGroup::heartbeat`] will take it.
    ///
    /// # Errors
    /// Why not.
    pub fn check_heartbeat(&self, beat: &Beat<'_>, turn: &Turn<'_>) -> Result<(), Refusal> {
        self.placed(beat, turn).map(drop)
    }

    /// Whose heartbeat it is, where the member stands, and what it says of itself.
    fn placed(
        &self,
        beat: &Beat<'_>,
        turn: &Turn<'_>,
    ) -> Result<(Str, Place, ConsumerMemberValue), Refusal> {
        let request = beat.request;
        let id = match request.member_id.is_empty() {
            true => Str::from(beat.unique_id),
            false => request.member_id.detached(),
        };
        self.check_room(&id, turn.rules)?;
        let place = self.place_of(&id, request)?;
        let value = updated(self.value_in(&id, &place), beat);
        check_size(&value, turn.topics)?;
        Ok((id, place, value))
    }

    pub(super) fn check_room(&self, id: &Str, rules: &Rules) -> Result<(), Refusal> {
        if !self.is_full(rules) || self.members.contains_key(id) {
            return Ok(());
        }
        let words = format!(
            "The consumer group has reached its maximum capacity of {} members.",
            rules.consumer_group_size_max
        );
        Err(Refusal::new(ErrorCode::GroupMaxSizeReached, words))
    }

    fn place_of(
        &self,
        id: &Str,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<Place, Refusal> {
        let owned = request.topic_partitions.as_deref();
        let is_join = request.member_epoch == 0;
        let Some(instance_id) = &request.instance_id else {
            return match self.members.get(id) {
                Some(member) => {
                    check_epoch(member, request.member_epoch, owned).map(|()| Place::Own)
                }
                None if is_join => Ok(Place::New),
                None => Err(self.refuse_unknown(id)),
            };
        };
        if is_join {
            return match self.static_member(instance_id) {
                None if self.members.contains_key(id) => Ok(Place::Own),
                None => Ok(Place::New),
                Some((current, member)) => {
                    let is_released =
                        member.is_classic() || member.standing.epoch == LEAVES_FOR_A_WHILE;
                    match is_released {
                        true => Ok(Place::Instead(current.clone())),
                        false => Err(unreleased(id, instance_id, current)),
                    }
                }
            };
        }
        let member = self.check_static(id, instance_id)?;
        check_epoch(member, request.member_epoch, owned).map(|()| Place::Own)
    }

    pub(super) fn static_member(&self, instance_id: &str) -> Option<(&Str, &Member)> {
        let id = self.static_ids.get(instance_id)?;
        self.members.get_key_value(id)
    }

    /// The static member of this name, if it has this id.
    pub(super) fn check_static(&self, id: &str, instance_id: &str) -> Result<&Member, Refusal> {
        let Some((current, member)) = self.static_member(instance_id) else {
            let words = format!("Instance id {instance_id} is unknown.");
            return Err(Refusal::new(ErrorCode::UnknownMemberId, words));
        };
        if **current != *id {
            let words = format!(
                "Static member {id} with instance id {instance_id} was fenced by member {current}."
            );
            return Err(Refusal::new(ErrorCode::FencedInstanceId, words));
        }
        Ok(member)
    }

    /// What the member that has this place has said before.
    pub(super) fn value_in(&self, id: &Str, place: &Place) -> ConsumerMemberValue {
        let holder = match place {
            Place::New => None,
            Place::Own => self.members.get(id),
            Place::Instead(old) => self.members.get(old),
        };
        holder.map(|member| member.value.clone()).unwrap_or_default()
    }

    /// Puts a member into its place; true if it wants to read something else than before, or is new.
    pub(super) fn put(
        &mut self,
        id: &Str,
        place: &Place,
        value: ConsumerMemberValue,
        pattern: Option<&Pattern>,
        records: &mut Vec<GroupRecord>,
    ) -> bool {
        if let Place::Instead(old) = place {
            self.replace(old, id, records);
        }
        let before = self.members.get(id).map(|member| member.value.clone());
        let has_changed = before.as_ref().is_none_or(|before| {
            before.subscribed_topic_names != value.subscribed_topic_names
                || before.subscribed_topic_regex != value.subscribed_topic_regex
        });
        if before.as_ref() != Some(&value) {
            let record = self.member_record(id, value);
            self.emit(records, record);
        }
        if has_changed {
            self.keep_patterns(id, pattern, records);
        }
        // What is being shared out goes by the ids that there were.
        let is_missed = self.is_busy && matches!(place, Place::Instead(_));
        has_changed || is_missed
    }

    /// Hands a static member's place to the one that it is now.
    fn replace(&mut self, old: &Str, new: &Str, records: &mut Vec<GroupRecord>) {
        let Some(member) = self.members.get(old).cloned() else { return };
        let target = self.targets.get(old).cloned().unwrap_or_default();
        for record in self.member_tombstones(old) {
            self.emit(records, record);
        }
        let standing = Standing { epoch: 0, previous_epoch: 0, ..member.standing };
        let record = self.member_record(new, member.value);
        self.emit(records, record);
        let record = self.target_record(new, &target);
        self.emit(records, record);
        let record = self.current_record(new, &standing);
        self.emit(records, record);
    }

    /// Knows the pattern of this member, and forgets those that nobody has any more.
    pub(super) fn keep_patterns(
        &mut self,
        id: &Str,
        compiled: Option<&Pattern>,
        records: &mut Vec<GroupRecord>,
    ) {
        self.drop_patterns(records);
        let wanted = self.members.get(id).and_then(Member::pattern).cloned();
        if let Some(wanted) = wanted {
            self.expect_matches(&wanted);
            self.change_matches(&wanted, |matches| {
                if matches.pattern.is_none() {
                    matches.pattern = compiled.cloned();
                }
            });
        }
    }

    /// Forgets patterns that nobody has any more.
    pub(super) fn drop_patterns(&mut self, records: &mut Vec<GroupRecord>) {
        let wanted: HashSet<&Str> = self.wishes.patterns().collect();
        let unused: Vec<Str> =
            self.patterns.keys().filter(|text| !wanted.contains(text)).cloned().collect();
        for text in unused {
            let record: ConsumerRecord = self.pattern_tombstone(&text);
            self.emit(records, record);
        }
    }
}

/// Whether this is the member's epoch: the one expected, or, if the answer that told it was lost, the one before.
fn check_epoch(
    member: &Member,
    epoch: i32,
    owned: Option<&[ConsumerTopicPartitions]>,
) -> Result<(), Refusal> {
    let standing = &member.standing;
    let compared = if epoch == 0 || epoch == standing.epoch {
        return Ok(());
    } else if epoch > standing.epoch {
        "greater"
    } else {
        let has_missed = epoch == standing.previous_epoch;
        if has_missed && owned.is_some_and(|owned| is_subset(owned, &standing.assigned)) {
            return Ok(());
        }
        "smaller"
    };
    let words = format!(
        "The consumer group member has a {compared} member epoch ({epoch}) than the one known by the group \
         coordinator ({}). The member must abandon all its partitions and rejoin.",
        standing.epoch
    );
    Err(Refusal::new(ErrorCode::FencedMemberEpoch, words))
}

fn unreleased(id: &str, instance_id: &str, current: &str) -> Refusal {
    let words = format!(
        "Static member {id} with instance id {instance_id} cannot join the group because the instance id is \
         owned by {current} member."
    );
    Refusal::new(ErrorCode::UnreleasedInstanceId, words)
}

/// Whether a record can say it, and one member's share of it.
pub(super) fn check_size(value: &ConsumerMemberValue, topics: &dyn Topics) -> Result<(), Refusal> {
    if value_bytes(value) > MEMBER_RECORD_BYTES_MAX {
        let words = format!("A member may say at most {MEMBER_RECORD_BYTES_MAX} bytes of itself.");
        return Err(Refusal::new(ErrorCode::PolicyViolation, words));
    }
    if partition_count(&facts(value.subscribed_topic_names.iter(), topics)) > PARTITIONS_MAX {
        let words = format!("A group may read at most {PARTITIONS_MAX} partitions.");
        return Err(Refusal::new(ErrorCode::PolicyViolation, words));
    }
    Ok(())
}

fn updated(mut value: ConsumerMemberValue, beat: &Beat<'_>) -> ConsumerMemberValue {
    let request = beat.request;
    let update = |field: &mut Option<Str>, news: &Option<Str>| {
        if let Some(news) = news {
            *field = Some(news.detached());
        }
    };
    update(&mut value.instance_id, &request.instance_id);
    update(&mut value.rack_id, &request.rack_id);
    update(&mut value.server_assignor, &request.server_assignor);
    update(&mut value.subscribed_topic_regex, &request.subscribed_topic_regex);
    if let Some(names) = &request.subscribed_topic_names {
        value.subscribed_topic_names = kept_names(names);
    }
    if request.rebalance_timeout_ms != -1 {
        value.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    value.client_id = Str::from(beat.client_id);
    value.client_host = Str::from(beat.client_host);
    value.classic = None;
    value
}
