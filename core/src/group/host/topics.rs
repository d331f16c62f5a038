//! The topics, as coordinators see them: the catalog's.

use std::cell::Ref;

use corelane_net::codec::{Str, Uuid};
use corelane_storage::ids::TopicId;

use super::super::topics::{TopicFacts, Topics};
use crate::catalog::{Catalog, Topic};
use crate::shard::Shard;

/// The catalog of one shard, held for a step.
#[derive(Debug)]
pub(super) struct CatalogTopics<'a> {
    catalog: Ref<'a, Catalog>,
    version: u64,
}

impl Shard {
    pub(super) fn topics_as_coordinators_see_them(&self) -> CatalogTopics<'_> {
        CatalogTopics { catalog: self.catalog(), version: self.catalog_version() }
    }
}

impl Topics for CatalogTopics<'_> {
    fn version(&self) -> u64 {
        self.version
    }

    fn facts(&self, name: &str) -> Option<TopicFacts> {
        let topic = self.catalog.topic(name)?;
        let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
        Some(TopicFacts { id: Uuid(topic.id.0), partitions })
    }

    fn name(&self, id: Uuid) -> Option<Str> {
        self.catalog.topic_by_id(TopicId(id.0)).map(|topic| Str::from(&*topic.name))
    }

    fn count(&self) -> usize {
        self.catalog.topic_count()
    }

    fn names(&self) -> Vec<Str> {
        self.catalog.topics().map(|topic: &std::sync::Arc<Topic>| Str::from(&*topic.name)).collect()
    }
}
