//! Changes of the catalog, as each shard carries them out: its replica, and the partitions that it
//! owns. One change at a time (the controller waits for every shard), so what a change pauses in
//! the middle of is not changed by another.

use std::rc::Rc;
use std::sync::Arc;

use corelane_storage::ids::{PartitionId, TopicId};
use corelane_storage::log::LogConfig;
use corelane_storage::runtime::Runtime;

use super::Shard;
use crate::catalog::config::{Configs, compaction_limits, log_config};
use crate::catalog::{Command, Topic};
use crate::group::placement::OFFSETS_TOPIC;
use crate::group::rules::BATCH_BYTES_MAX;
use crate::partition::Partition;

/// Partitions (or topics without one here) that are dealt with before others get their turn: a
/// shard must not be held for more than 500 us.
const BEFORE_A_PAUSE: usize = 64;

impl Shard {
    /// Applies a command that is durable. Files of deleted partitions are removed by
    /// [`Shard::remove_logs`].
    pub(super) async fn apply(self: &Rc<Self>, command: &Command) {
        match command {
            // A topic is known when its partitions are there, a deleted one is forgotten first.
            Command::CreateTopic(topic) => {
                self.create_partitions(topic, 0).await;
                self.change_catalog(command);
            }
            Command::SetPartitions { id, partitions } => {
                if let Some(topic) = self.topic_by_id(*id) {
                    let grown = Topic { partitions: *partitions, ..Topic::clone(&topic) };
                    self.create_partitions(&grown, topic.partitions).await;
                }
                self.change_catalog(command);
            }
            Command::DeleteTopic(id) => {
                let deleted = self.topic_by_id(*id);
                self.change_catalog(command);
                self.counters.sent.forget(*id);
                if let Some(topic) = deleted {
                    self.delete_partitions(&topic).await;
                    let shard = self.clone();
                    self.runtime.spawn(async move { shard.forget_topic(&topic).await });
                }
            }
            Command::SetTopicConfigs { id, .. } => {
                self.change_catalog(command);
                if let Some(topic) = self.topic_by_id(*id) {
                    self.configure(&topic, &mut 0).await;
                }
            }
            Command::SetBrokerConfigs { .. } => {
                self.change_catalog(command);
                self.configure_compaction();
                self.configure_all().await;
            }
        }
    }

    fn change_catalog(&self, command: &Command) {
        self.catalog.borrow_mut().apply(command);
        self.metadata_cache.borrow_mut().clear();
        self.catalog_version.set(self.catalog_version.get() + 1);
    }

    fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.catalog().topic_by_id(id).cloned()
    }

    /// What the logs of a topic obey now.
    fn log_config(&self, topic: &Topic) -> LogConfig {
        let catalog = self.catalog();
        let broker = &self.broker;
        let mut config =
            log_config(&catalog.layers(&topic.configs, broker.host_id(), &broker.settings));
        if *topic.name == *OFFSETS_TOPIC {
            // Whatever is told to producers: groups must be able to write.
            config.max_message_bytes = config.max_message_bytes.max(BATCH_BYTES_MAX);
        }
        config
    }

    fn configure_compaction(&self) {
        let (catalog, broker, no_topic) = (self.catalog(), &self.broker, Configs::new());
        let layers = catalog.layers(&no_topic, broker.host_id(), &broker.settings);
        self.store.set_compaction(compaction_limits(&layers, self.runtime.shards()));
    }

    fn own(&self, topic: &Topic) -> impl Iterator<Item = PartitionId> + use<'_> {
        topic.partition_ids().filter(|id| self.owner(*id) == self.id)
    }

    async fn pause(&self, done: &mut usize) {
        *done += 1;
        if done.is_multiple_of(BEFORE_A_PAUSE) {
            self.runtime.yield_now().await;
        }
    }

    /// Makes the partitions from number `first` on that this shard owns.
    async fn create_partitions(&self, topic: &Topic, first: u32) {
        // The catalog may have refused it (applied twice); then its logs exist.
        let config = self.log_config(topic);
        let mut done = 0;
        for id in self.own(topic).filter(|id| id.index >= first) {
            if !self.partitions.borrow().contains_key(&id) {
                let log = self.store.create_log(id, config.clone());
                self.partitions.borrow_mut().insert(id, Partition::new(id, log));
            }
            self.pause(&mut done).await;
        }
    }

    async fn delete_partitions(&self, topic: &Topic) {
        let mut done = 0;
        for id in self.own(topic) {
            let partition = self.partitions.borrow_mut().remove(&id);
            if let Some(partition) = partition {
                partition.mark_deleted();
            }
            self.pause(&mut done).await;
        }
    }

    /// Makes a topic's logs obey its configs.
    async fn configure(&self, topic: &Topic, done: &mut usize) {
        let config = self.log_config(topic);
        for id in self.own(topic) {
            if let Ok(partition) = self.partition(id) {
                partition.set_config(config.clone());
            }
            self.pause(done).await;
        }
    }

    async fn configure_all(&self) {
        let mut done = 0;
        let mut next = self.catalog().topics().next().cloned();
        while let Some(topic) = next {
            self.configure(&topic, &mut done).await;
            self.pause(&mut done).await;
            next = self.catalog().topic_behind(&topic.name).cloned();
        }
    }
}
