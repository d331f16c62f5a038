//! Sets of partitions, as they are kept, stored and told.

use std::collections::BTreeMap;

use corelane_net::codec::Uuid;
use corelane_net::group_records::OwnedTopicPartitions;
use corelane_net::messages::{ConsumerAssignment, ConsumerTopicPartitions};

/// Partitions by topic, ascending.
pub type Partitions = BTreeMap<Uuid, Vec<i32>>;

/// Partitions by topic, with the member's epoch when it got each (KIP-1251).
pub type Owned = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// For a record or a client.
pub fn told(partitions: &Partitions) -> Vec<ConsumerTopicPartitions> {
    let topic = |(&topic_id, partitions): (&Uuid, &Vec<i32>)| ConsumerTopicPartitions {
        topic_id,
        partitions: partitions.clone(),
    };
    partitions.iter().map(topic).collect()
}

/// From a record.
pub fn partitions_of(told: &[ConsumerTopicPartitions]) -> Partitions {
    let mut partitions = Partitions::new();
    for topic in told {
        partitions.entry(topic.topic_id).or_default().extend(&topic.partitions);
    }
    partitions.values_mut().for_each(|list| {
        list.sort_unstable();
        list.dedup();
    });
    partitions
}

/// For a client.
pub fn assignment(owned: &Owned) -> ConsumerAssignment {
    let topic = |(&topic_id, partitions): (&Uuid, &BTreeMap<i32, i32>)| ConsumerTopicPartitions {
        topic_id,
        partitions: partitions.keys().copied().collect(),
    };
    ConsumerAssignment { topic_partitions: owned.iter().map(topic).collect() }
}

/// For a record.
pub fn stored(owned: &Owned) -> Vec<OwnedTopicPartitions> {
    let topic = |(&topic_id, partitions): (&Uuid, &BTreeMap<i32, i32>)| OwnedTopicPartitions {
        topic_id,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
    };
    owned.iter().map(topic).collect()
}

/// From a record; `epoch` counts where it says none, as before KIP-1251.
pub fn owned_of(stored: &[OwnedTopicPartitions], epoch: i32) -> Owned {
    let mut owned = Owned::new();
    for topic in stored {
        let epochs = topic.assignment_epochs.as_deref().unwrap_or_default();
        let own = owned.entry(topic.topic_id).or_default();
        for (place, &partition) in topic.partitions.iter().enumerate() {
            own.insert(partition, epochs.get(place).copied().unwrap_or(epoch));
        }
    }
    owned.retain(|_, own| !own.is_empty());
    owned
}

/// Every partition.
pub fn each(owned: &Owned) -> impl Iterator<Item = (Uuid, i32)> + '_ {
    owned.iter().flat_map(|(&id, partitions)| partitions.keys().map(move |&index| (id, index)))
}

/// Whether a client that says that it owns `told` owns one of `owned`.
pub fn intersects(told: &[ConsumerTopicPartitions], owned: &Owned) -> bool {
    told.iter().any(|topic| {
        let own = owned.get(&topic.topic_id);
        own.is_some_and(|own| topic.partitions.iter().any(|index| own.contains_key(index)))
    })
}

/// Whether all of `told` are among `owned`.
pub fn is_subset(told: &[ConsumerTopicPartitions], owned: &Owned) -> bool {
    told.iter().all(|topic| {
        let own = owned.get(&topic.topic_id);
        topic.partitions.iter().all(|index| own.is_some_and(|own| own.contains_key(index)))
    })
}
