//! From a classic group and to one, while its members go on (KIP-848).

use std::collections::BTreeMap;

use corelane_net::codec::Str;
use corelane_net::group_records::{
    ClassicMemberValue, ClassicProtocolValue, ConsumerMemberValue, EmbeddedSubscription,
    GroupRecord, embedded_assignment, embedded_subscription,
};
use corelane_net::messages::JoinGroupRequestProtocol;

use super::super::classic::Migrant;
use super::super::rules::PARTITIONS_MAX;
use super::super::topics::Topics;
use super::super::turn::Turn;
use super::ConsumerGroup;
use super::classic::embedded;
use super::heartbeat::check_size;
use super::member::kept_names;
use super::partitions::{Owned, Partitions, each};
use super::reconcile::{MemberState, Standing};

/// Why a member of a classic group can't be one of the consumer protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMember {
    /// Its metadata or its share is not that of a consumer.
    #[error("the embedded consumer protocol is malformed")]
    Malformed,
    /// A record of its own could not say what it says of itself, or what it owns.
    #[error("{0}")]
    TooLarge(String),
}

impl ConsumerGroup {
    /// The group that a classic one becomes, and its records. Its members own what they had, as members of
    /// the classic protocol.
    ///
    /// # Errors
    /// [`BadMember`].
    pub fn from_classic(
        id: Str,
        generation: i32,
        migrants: Vec<Migrant>,
        turn: &Turn<'_>,
    ) -> Result<(ConsumerGroup, Vec<GroupRecord>), BadMember> {
        let mut group = ConsumerGroup::new(id);
        let mut records = Vec::new();
        let mut moved = BTreeMap::new();
        for migrant in migrants {
            let owned = owned_by(&migrant, generation, turn.topics)?;
            let id = migrant.id.clone();
            let value = member_value(migrant)?;
            check_fits(&value, &owned, turn.topics)?;
            moved.insert(id, (value, owned));
        }
        for (id, (value, _)) in &moved {
            let record = group.member_record(id, value.clone());
            group.emit(&mut records, record);
        }
        let record = group.epoch_record(generation, 0);
        group.emit(&mut records, record);
        for (id, (_, owned)) in &moved {
            let list = |own: &BTreeMap<i32, i32>| own.keys().copied().collect();
            let target: Partitions = owned.iter().map(|(&topic, own)| (topic, list(own))).collect();
            let record = group.target_record(id, &target);
            group.emit(&mut records, record);
        }
        let record = group.target_epoch_record(generation, turn.now);
        group.emit(&mut records, record);
        for (id, (_, assigned)) in moved {
            let standing = Standing {
                epoch: generation,
                previous_epoch: generation,
                state: MemberState::Stable,
                assigned: group.unheld(assigned),
                revoking: Owned::new(),
            };
            let record = group.current_record(&id, &standing);
            group.emit(&mut records, record);
        }
        group.resume(turn.now, turn.rules);
        Ok((group, records))
    }

    /// An assignor on a client may have given a partition to two members; here it belongs to the first.
    fn unheld(&self, mut owned: Owned) -> Owned {
        for (topic, own) in &mut owned {
            own.retain(|index, _| !self.holders.contains_key(&(*topic, *index)));
        }
        owned.retain(|_, own| !own.is_empty());
        owned
    }

    /// Whether a classic group can go on with those that stay when `ids` are taken out.
    pub fn can_downgrade_without(&self, ids: &[Str], turn: &Turn<'_>) -> bool {
        let is_last = |id: &Str| self.members.get(id).is_some_and(|member| !member.is_classic());
        ids.iter().any(is_last)
            && self.allows_downgrade(ids.len(), turn)
            && self.members.iter().all(|(id, member)| member.is_classic() || ids.contains(id))
    }

    /// Whether a classic group can go on with the members that there are.
    pub fn can_downgrade(&self, turn: &Turn<'_>) -> bool {
        self.allows_downgrade(0, turn) && !self.has_consumers()
    }

    fn allows_downgrade(&self, leaving: usize, turn: &Turn<'_>) -> bool {
        let stays = self.members.len() - leaving;
        turn.rules.can_downgrade && stays > 0 && stays <= turn.rules.group_size_max
    }

    /// Whether a member does not speak the classic protocol.
    pub fn has_consumers(&self) -> bool {
        self.members.values().any(|member| !member.is_classic())
    }

    /// Those that stay, with the generation and what they own, for the classic group that this becomes.
    pub fn to_classic(&self, without: &[Str], turn: &Turn<'_>) -> (i32, Vec<Migrant>) {
        let stays = self.members.iter().filter(|(id, _)| !without.contains(id));
        let migrant = |(id, member): (&Str, &super::member::Member)| {
            let classic = member.classic().cloned().unwrap_or_default();
            let protocols: Vec<JoinGroupRequestProtocol> = classic
                .protocols
                .into_iter()
                .map(|one| JoinGroupRequestProtocol { name: one.name, metadata: one.metadata })
                .collect();
            let first = protocols.first().map(|first| embedded_subscription(&first.metadata));
            let version = first.and_then(Result::ok).map_or(0, |(version, _)| version);
            let assignment = embedded(&member.standing.assigned, version, turn.topics);
            Migrant {
                id: id.clone(),
                instance_id: member.value.instance_id.clone(),
                client_id: member.value.client_id.clone(),
                client_host: member.value.client_host.clone(),
                rebalance_timeout_ms: member.value.rebalance_timeout_ms,
                session_timeout_ms: classic.session_timeout_ms,
                protocols,
                metadata: Default::default(),
                assignment: assignment.unwrap_or_default(),
            }
        };
        (self.epoch, stays.map(migrant).collect())
    }
}

fn subscription(migrant: &Migrant) -> Result<EmbeddedSubscription, BadMember> {
    embedded_subscription(&migrant.metadata).map(|(_, read)| read).map_err(|_| BadMember::Malformed)
}

fn owned_by(migrant: &Migrant, generation: i32, topics: &dyn Topics) -> Result<Owned, BadMember> {
    let assignment = embedded_assignment(&migrant.assignment).map_err(|_| BadMember::Malformed)?;
    let mut owned = Owned::new();
    for topic in assignment.assigned_partitions {
        let Some(facts) = topics.facts(&topic.topic) else { continue };
        let own = owned.entry(facts.id).or_default();
        let is_there = |index: &i32| (0..facts.partitions).contains(index);
        own.extend(topic.partitions.into_iter().filter(is_there).map(|index| (index, generation)));
    }
    Ok(owned)
}

/// Here each member has records of its own, in which all of its protocols stand.
fn check_fits(
    value: &ConsumerMemberValue,
    owned: &Owned,
    topics: &dyn Topics,
) -> Result<(), BadMember> {
    check_size(value, topics).map_err(|refusal| BadMember::TooLarge(refusal.message))?;
    match each(owned).count() as i64 > PARTITIONS_MAX {
        true => {
            Err(BadMember::TooLarge(format!("a member owns more than {PARTITIONS_MAX} partitions")))
        }
        false => Ok(()),
    }
}

fn member_value(migrant: Migrant) -> Result<ConsumerMemberValue, BadMember> {
    let subscription = subscription(&migrant)?;
    let protocol = |one: JoinGroupRequestProtocol| ClassicProtocolValue {
        name: one.name,
        metadata: one.metadata,
    };
    Ok(ConsumerMemberValue {
        instance_id: migrant.instance_id,
        rack_id: subscription.rack_id.as_ref().map(Str::detached),
        client_id: migrant.client_id,
        client_host: migrant.client_host,
        subscribed_topic_names: kept_names(&subscription.topics),
        subscribed_topic_regex: None,
        rebalance_timeout_ms: migrant.rebalance_timeout_ms,
        server_assignor: None,
        classic: Some(ClassicMemberValue {
            session_timeout_ms: migrant.session_timeout_ms,
            protocols: migrant.protocols.into_iter().map(protocol).collect(),
        }),
    })
}
