//! Topics as requests name them: by name, or since KIP-516 by id.

use std::sync::Arc;

use corelane_net::codec::Uuid;
use corelane_storage::ids::{PartitionId, TopicId};

use crate::catalog::name::is_internal;
use crate::catalog::{Catalog, Topic};
use crate::partition::PartitionError;

/// A topic id from the wire.
pub fn topic_id(id: Uuid) -> TopicId {
    TopicId(id.0)
}

/// A topic id for the wire.
pub fn uuid(id: TopicId) -> Uuid {
    Uuid(id.0)
}

/// Finds topics in one version of one API.
#[derive(Clone, Copy)]
pub struct Finder<'a> {
    /// Where to look.
    pub catalog: &'a Catalog,
    /// True in versions that name topics by id.
    pub by_id: bool,
}

impl<'a> Finder<'a> {
    /// The topic, by whichever of the two counts in this version.
    pub fn topic(&self, name: &str, id: Uuid) -> Result<&'a Arc<Topic>, PartitionError> {
        if self.by_id {
            self.catalog.topic_by_id(topic_id(id)).ok_or(PartitionError::UnknownTopicId)
        } else {
            self.catalog.topic(name).ok_or(PartitionError::UnknownPartition)
        }
    }

    /// One of its partitions, for somebody who changes it: none of the broker's own.
    pub fn partition_to_change(
        &self,
        name: &str,
        id: Uuid,
        index: i32,
    ) -> Result<PartitionId, PartitionError> {
        let topic = self.topic(name, id)?;
        if is_internal(&topic.name) {
            return Err(PartitionError::InternalTopic(topic.name.clone()));
        }
        topic.partition(index).ok_or(PartitionError::UnknownPartition)
    }

    /// One of its partitions.
    pub fn partition(
        &self,
        name: &str,
        id: Uuid,
        index: i32,
    ) -> Result<PartitionId, PartitionError> {
        self.topic(name, id)?.partition(index).ok_or(PartitionError::UnknownPartition)
    }
}
