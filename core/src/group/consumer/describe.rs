//! The group as it is told.

use corelane_net::codec::{Str, Uuid};
use corelane_net::messages::{
    DescribedConsumerAssignment, DescribedConsumerGroup, DescribedConsumerGroupMember,
    DescribedConsumerTopicPartitions, ListedGroup,
};

use super::super::classic::CONSUMER_PROTOCOL;
use super::super::topics::Topics;
use super::super::turn::Turn;
use super::ConsumerGroup;
use super::member::Member;
use super::partitions::Owned;

impl ConsumerGroup {
    /// As ConsumerGroupDescribe tells it.
    pub fn described(&self, turn: &Turn<'_>) -> DescribedConsumerGroup {
        let member = |(id, member): (&Str, &Member)| self.described_member(id, member, turn.topics);
        DescribedConsumerGroup {
            group_id: self.id.clone(),
            group_state: Str::from_static(self.state().name()),
            group_epoch: self.epoch,
            assignment_epoch: self.target_epoch,
            assignor_name: Str::from_static(self.assignor(turn).name()),
            members: self.members.iter().map(member).collect(),
            ..Default::default()
        }
    }

    fn described_member(
        &self,
        id: &Str,
        member: &Member,
        topics: &dyn Topics,
    ) -> DescribedConsumerGroupMember {
        let value = &member.value;
        let target = self.targets.get(id).into_iter().flatten();
        let target = target.map(|(&topic, partitions)| (topic, partitions.clone()));
        let owned = |owned: &Owned| {
            let list = |(&id, own): (&Uuid, &std::collections::BTreeMap<i32, i32>)| {
                (id, own.keys().copied().collect::<Vec<i32>>())
            };
            owned.iter().map(list).collect::<Vec<_>>()
        };
        // What it is still to give up it may read until it has.
        let mut assigned = owned(&member.standing.assigned);
        for (topic, more) in owned(&member.standing.revoking) {
            match assigned.iter_mut().find(|(id, _)| *id == topic) {
                Some((_, partitions)) => partitions.extend(more),
                None => assigned.push((topic, more)),
            }
        }
        DescribedConsumerGroupMember {
            member_id: id.clone(),
            instance_id: value.instance_id.clone(),
            rack_id: value.rack_id.clone(),
            member_epoch: member.standing.epoch,
            client_id: value.client_id.clone(),
            client_host: value.client_host.clone(),
            subscribed_topic_names: value.subscribed_topic_names.clone(),
            // Kafka tells an empty one as there is one, and so do clients send it.
            // Empty, not null, as Kafka tells it.
            subscribed_topic_regex: Some(value.subscribed_topic_regex.clone().unwrap_or_default()),
            assignment: named(assigned.into_iter(), topics),
            target_assignment: named(target, topics),
            member_type: if member.is_classic() { 0 } else { 1 },
        }
    }

    /// As ListGroups tells it.
    pub fn listed(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: Str::from_static(CONSUMER_PROTOCOL),
            group_state: Str::from_static(self.state().name()),
            group_type: Str::from_static("consumer"),
        }
    }
}

/// Topics that are deleted have no name any more, and are left out.
fn named(
    partitions: impl Iterator<Item = (Uuid, Vec<i32>)>,
    topics: &dyn Topics,
) -> DescribedConsumerAssignment {
    let topic = |(topic_id, partitions): (Uuid, Vec<i32>)| {
        let topic_name = topics.name(topic_id)?;
        Some(DescribedConsumerTopicPartitions { topic_id, topic_name, partitions })
    };
    DescribedConsumerAssignment { topic_partitions: partitions.filter_map(topic).collect() }
}
