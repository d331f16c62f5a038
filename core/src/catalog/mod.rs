//! What the cluster knows: topics, their ids, partition counts and configs.
//!
//! Every shard holds a replica of the [`Catalog`]. A change is a [`Command`]: shard 0 checks it,
//! writes it to the command log (durable), then every shard applies it, then it is answered.
//!
//! - `name.rs`: which topic names are legal and which collide
//! - `topic.rs`: one topic
//! - `config/`: Kafka's config keys, their values, and the typed view that logs obey
//! - `change/`: what may change, and Kafka's words against the rest
//! - `command.rs`: the changes, and their versioned encoding

pub mod change;
pub mod command;
pub mod config;
pub mod name;
pub mod topic;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use corelane_storage::ids::TopicId;

pub use command::{BrokerScope, Command};
pub use topic::Topic;

use config::{Configs, Layers, Settings};

/// Of a broker or topic that nothing was set for.
static NO_CONFIGS: Configs = Configs::new();

/// The topics, by name and by id, and the brokers' configs. Applying the same commands in the same order gives the same
/// catalog, on every shard and after every start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<TopicId, Arc<Topic>>,
    /// Names with '.' read as '_', because metric names can't tell the two apart.
    collisions: HashMap<String, Arc<str>>,
    broker_configs: BTreeMap<BrokerScope, Configs>,
    partition_count: u64,
}

impl Catalog {
    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// The topic of this id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// The topics from this name on, whether or not there is one of this name.
    pub fn topics_from(&self, name: &str) -> impl Iterator<Item = &Arc<Topic>> {
        let from = (Bound::Included(name), Bound::Unbounded);
        self.by_name.range::<str, _>(from).map(|(_, topic)| topic)
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.by_name.len()
    }

    /// The first topic whose name comes behind this one: for walks with pauses.
    pub fn topic_behind(&self, name: &str) -> Option<&Arc<Topic>> {
        let behind = (Bound::Excluded(name), Bound::Unbounded);
        self.by_name.range::<str, _>(behind).next().map(|(_, topic)| topic)
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> u64 {
        self.partition_count
    }

    /// What was set for one broker, or for all, while they ran.
    pub fn broker_configs(&self, scope: BrokerScope) -> &Configs {
        self.broker_configs.get(&scope).unwrap_or(&NO_CONFIGS)
    }

    /// Where the configs of a topic, set as `topic` says, are looked for.
    pub fn layers<'a>(
        &'a self,
        topic: &'a Configs,
        host_id: i32,
        settings: &'a Settings,
    ) -> Layers<'a> {
        let broker = self.broker_configs(BrokerScope::Node(host_id));
        let cluster = self.broker_configs(BrokerScope::Cluster);
        Layers { topic, broker, cluster, settings }
    }

    /// Where the configs of a broker are looked for.
    pub fn broker_layers<'a>(&'a self, host_id: i32, settings: &'a Settings) -> Layers<'a> {
        self.layers(&NO_CONFIGS, host_id, settings)
    }

    /// A topic with another name that would collide with `name` ('.' and '_' count as the same).
    pub fn collision(&self, name: &str) -> Option<&str> {
        let other = self.collisions.get(&name::collision_key(name))?;
        (**other != *name).then_some(&**other)
    }

    /// Applies one command. What can't apply (the name is taken, the topic is unknown, it has as
    /// many partitions) changes nothing, so a log that holds a command twice still replays.
    pub fn apply(&mut self, command: &Command) {
        match command {
            Command::CreateTopic(topic) => self.insert(topic.clone()),
            Command::DeleteTopic(id) => drop(self.remove(*id)),
            Command::SetTopicConfigs { id, configs } => {
                self.replace(*id, |topic| topic.configs.clone_from(configs));
            }
            Command::SetPartitions { id, partitions } => {
                self.replace(*id, |topic| topic.partitions = topic.partitions.max(*partitions));
            }
            Command::SetBrokerConfigs { scope, configs } => {
                // What holds nothing leaves no trace, so that equal catalogs are equal.
                match configs.is_empty() {
                    true => self.broker_configs.remove(scope),
                    false => self.broker_configs.insert(*scope, configs.clone()),
                };
            }
        }
    }

    /// The shortest list of commands that makes this catalog, for rewriting the command log.
    pub fn to_commands(&self) -> Vec<Command> {
        let brokers = self.broker_configs.iter().map(|(scope, configs)| {
            Command::SetBrokerConfigs { scope: *scope, configs: configs.clone() }
        });
        let topics = self.topics().map(|topic| Command::CreateTopic(topic.clone()));
        brokers.chain(topics).collect()
    }

    fn insert(&mut self, topic: Arc<Topic>) {
        if self.by_name.contains_key(&topic.name) || self.by_id.contains_key(&topic.id) {
            return;
        }
        self.partition_count += u64::from(topic.partitions);
        self.collisions.insert(name::collision_key(&topic.name), topic.name.clone());
        self.by_id.insert(topic.id, topic.clone());
        self.by_name.insert(topic.name.clone(), topic);
    }

    fn remove(&mut self, id: TopicId) -> Option<Arc<Topic>> {
        let topic = self.by_id.remove(&id)?;
        self.by_name.remove(&topic.name);
        self.collisions.remove(&name::collision_key(&topic.name));
        self.partition_count -= u64::from(topic.partitions);
        Some(topic)
    }

    fn replace(&mut self, id: TopicId, change: impl FnOnce(&mut Topic)) {
        let Some(topic) = self.remove(id) else { return };
        let mut topic = Topic::clone(&topic);
        change(&mut topic);
        self.insert(Arc::new(topic));
    }
}
