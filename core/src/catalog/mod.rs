//! What the cluster knows: topics, their ids, partition counts and configs.
//!
//! Every shard holds a replica of the [`Catalog`]. A change is a [`Command`]: shard 0 checks it,
//! writes it to the command log (durable), then every shard applies it, then it is answered.
//!
//! - `name.rs`: which topic names are legal and which collide
//! - `topic.rs`: one topic
//! - `config.rs`: topic configs, Kafka's key names, and their typed view
//! - `command.rs`: the changes, and their versioned encoding

pub mod command;
pub mod config;
pub mod name;
pub mod topic;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use corelane_storage::ids::TopicId;

pub use command::Command;
pub use topic::Topic;

/// The topics, by name and by id. Applying the same commands in the same order gives the same
/// catalog, on every shard and after every start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<TopicId, Arc<Topic>>,
    /// Names with '.' read as '_', because metric names can't tell the two apart.
    collisions: HashMap<String, Arc<str>>,
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

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.by_name.len()
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> u64 {
        self.topics().map(|t| u64::from(t.partitions)).sum()
    }

    /// A topic with another name that would collide with `name` ('.' and '_' count as the same).
    pub fn collision(&self, name: &str) -> Option<&str> {
        let other = self.collisions.get(&name::collision_key(name))?;
        (**other != *name).then_some(&**other)
    }

    /// Applies one command. What can't apply (the name is taken, the topic is unknown) changes
    /// nothing, so a log that holds a command twice still replays.
    pub fn apply(&mut self, command: &Command) {
        match command {
            Command::CreateTopic(topic) => self.insert(topic.clone()),
            Command::DeleteTopic(id) => self.remove(*id),
        }
    }

    /// The shortest list of commands that makes this catalog, for rewriting the command log.
    pub fn to_commands(&self) -> Vec<Command> {
        self.topics().map(|topic| Command::CreateTopic(topic.clone())).collect()
    }

    fn insert(&mut self, topic: Arc<Topic>) {
        if self.by_name.contains_key(&topic.name) || self.by_id.contains_key(&topic.id) {
            return;
        }
        self.collisions.insert(name::collision_key(&topic.name), topic.name.clone());
        self.by_id.insert(topic.id, topic.clone());
        self.by_name.insert(topic.name.clone(), topic);
    }

    fn remove(&mut self, id: TopicId) {
        let Some(topic) = self.by_id.remove(&id) else { return };
        self.by_name.remove(&topic.name);
        self.collisions.remove(&name::collision_key(&topic.name));
    }
}
