//! One topic.

use std::sync::Arc;

use corelane_storage::ids::{PartitionId, TopicId};

use super::config::Configs;

/// Most partitions one topic may have; as many as Kafka makes in one batch
/// (`ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`).
pub const MAX_PARTITIONS_PER_TOPIC: u32 = 10_000;

/// A topic as the catalog knows it. Immutable: a change makes a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name, legal by [`super::name::check`].
    pub name: Arc<str>,
    /// Its id, never given twice.
    pub id: TopicId,
    /// How many partitions it has: 1..=[`MAX_PARTITIONS_PER_TOPIC`].
    pub partitions: u32,
    /// What was set for it, by Kafka's key names; defaults are not listed.
    pub configs: Configs,
}

impl Topic {
    /// The id of partition `index`, if the topic has it.
    pub fn partition(&self, index: i32) -> Option<PartitionId> {
        let index = u32::try_from(index).ok().filter(|i| *i < self.partitions)?;
        Some(PartitionId { topic_id: self.id, index })
    }

    /// The ids of all partitions.
    pub fn partition_ids(&self) -> impl Iterator<Item = PartitionId> + use<> {
        let topic_id = self.id;
        (0..self.partitions).map(move |index| PartitionId { topic_id, index })
    }
}
