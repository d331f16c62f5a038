//! Shard 0 alone: changes of the catalog and blocks of producer ids.
//!
//! A change is checked, written to the command log (durable), applied on every shard, and then
//! answered. One at a time: so whoever asks for a topic that another is just creating waits for it
//! and finds it there.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use corelane_storage::command_log::{CommandLog, CommandLogError};
use corelane_storage::ids::TopicId;
use corelane_storage::manifest::{Manifest, ManifestError};
use corelane_storage::runtime::Runtime;

use super::Shard;
use super::mailbox::CallError;
use super::semaphore::Semaphore;
use crate::catalog::config::{self, ConfigError, Configs};
use crate::catalog::name::{self, NameError};
use crate::catalog::topic::MAX_PARTITIONS_PER_TOPIC;
use crate::catalog::{Catalog, Command, Topic};
use crate::runtime::ShardRuntime;

/// Most partitions of all topics together.
pub const MAX_PARTITIONS: u64 = 200_000;

/// A topic that is asked for.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Its name, not yet checked.
    pub name: String,
    /// How many partitions; `None` is the broker's default.
    pub partitions: Option<i32>,
    /// Its configs, not yet checked.
    pub configs: Configs,
}

/// Why a change of the catalog is refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// INVALID_TOPIC_EXCEPTION (17).
    #[error(transparent)]
    Name(#[from] NameError),
    /// INVALID_TOPIC_EXCEPTION (17).
    #[error("{name} collides with the existing topic {with}: '.' and '_' count as the same")]
    Collision {
        /// The name asked for.
        name: String,
        /// The topic that is in its way.
        with: String,
    },
    /// INVALID_TOPIC_EXCEPTION (17).
    #[error("{0} is a name that the broker keeps for itself")]
    Internal(String),
    /// TOPIC_ALREADY_EXISTS (36).
    #[error("topic {0} already exists")]
    Exists(String),
    /// INVALID_PARTITIONS (37).
    #[error("a topic has at least one partition, not {0}")]
    NoPartitions(i32),
    /// POLICY_VIOLATION (44).
    #[error(
        "too many partitions: at most {MAX_PARTITIONS_PER_TOPIC} per topic, {MAX_PARTITIONS} in all"
    )]
    TooManyPartitions,
    /// INVALID_CONFIG (40).
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// UNKNOWN_TOPIC_OR_PARTITION (3).
    #[error("no such topic")]
    UnknownTopic,
    /// UNKNOWN_TOPIC_ID (100).
    #[error("no topic of this id")]
    UnknownTopicId,
    /// KAFKA_STORAGE_ERROR (56): not durable; whether it will be there after a restart is unknown.
    #[error(transparent)]
    Log(#[from] CommandLogError),
    /// UNKNOWN_SERVER_ERROR (-1): no entropy for a topic id.
    #[error("no random bytes for a topic id: {0}")]
    Random(String),
    /// UNKNOWN_SERVER_ERROR (-1): a shard has stopped or panicked.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Which topic to delete.
#[derive(Clone, Debug)]
pub enum TopicKey {
    /// By name.
    Name(String),
    /// By id.
    Id(TopicId),
}

/// Shard 0's part; its methods run there, as tasks that nobody cancels.
pub struct Controller {
    log: CommandLog<ShardRuntime>,
    manifest: Manifest<ShardRuntime>,
    turn: Semaphore,
}

impl Controller {
    /// The controller over the catalog's log and the manifest.
    pub fn new(log: CommandLog<ShardRuntime>, manifest: Manifest<ShardRuntime>) -> Controller {
        Controller { log, manifest, turn: Semaphore::new(1) }
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest<ShardRuntime> {
        &self.manifest
    }

    /// Reserves a block of producer ids; durable when this returns.
    pub async fn reserve_producer_ids(&self, count: u32) -> Result<Range<i64>, ManifestError> {
        self.manifest.reserve_producer_ids(count).await
    }

    async fn commit(&self, shard: &Rc<Shard>, command: Command) -> Result<(), ChangeError> {
        self.log.append(&command.encode()).await?;
        // This shard first: its catalog is what the next change is checked against.
        shard.apply(&command);
        let command = Arc::new(command);
        for peer in 1..shard.count {
            let command = command.clone();
            shard.call(peer, move |shard| shard.apply(&command)).await?;
        }
        Ok(())
    }
}

impl Shard {
    /// The controller.
    ///
    /// # Panics
    /// On another shard than 0; the caller's error, which the mailbox turns into a failed call.
    pub fn controller_or_panic(&self) -> &Controller {
        self.controller().expect("the controller is on shard 0")
    }

    /// Creates a topic, from any shard. With `check_only`, says what would be created.
    pub async fn create_topic(
        self: &Rc<Self>,
        new: NewTopic,
        check_only: bool,
    ) -> Result<Arc<Topic>, ChangeError> {
        let change = move |shard: &Rc<Shard>| {
            let shard = shard.clone();
            async move {
                let controller = shard.controller_or_panic();
                let _turn = controller.turn.acquire(1).await;
                let default_partitions = shard.broker.default_partitions;
                let topic = check(&shard.catalog(), new, default_partitions)?;
                let topic = Arc::new(Topic { id: new_topic_id()?, ..topic });
                if !check_only {
                    controller.commit(&shard, Command::CreateTopic(topic.clone())).await?;
                }
                Ok(topic)
            }
        };
        self.call_async(0, change).await?
    }

    /// Deletes a topic, from any shard. Its logs are out of reach when this returns; their files
    /// are removed behind it.
    pub async fn delete_topic(self: &Rc<Self>, key: TopicKey) -> Result<Arc<Topic>, ChangeError> {
        let change = move |shard: &Rc<Shard>| {
            let shard = shard.clone();
            async move {
                let controller = shard.controller_or_panic();
                let _turn = controller.turn.acquire(1).await;
                let topic = find(&shard.catalog(), &key)?;
                controller.commit(&shard, Command::DeleteTopic(topic.id)).await?;
                shard.runtime.spawn(remove_files(shard.clone(), topic.clone()));
                Ok(topic)
            }
        };
        self.call_async(0, change).await?
    }
}

fn find(catalog: &Catalog, key: &TopicKey) -> Result<Arc<Topic>, ChangeError> {
    match key {
        TopicKey::Name(name) => catalog.topic(name).cloned().ok_or(ChangeError::UnknownTopic),
        TopicKey::Id(id) => catalog.topic_by_id(*id).cloned().ok_or(ChangeError::UnknownTopicId),
    }
}

/// Removes what is left of a deleted topic; what a failure or a stop leaves behind is swept at the
/// next start.
async fn remove_files(shard: Rc<Shard>, topic: Arc<Topic>) {
    for owner in 0..shard.count {
        let theirs = topic.clone();
        let removed = shard.call_async(owner, move |shard| shard.clone().remove_logs(theirs));
        if let Err(error) = removed.await {
            tracing::error!(topic = &*topic.name, %error, "the logs of a deleted topic stay");
            return;
        }
    }
    if let Err(error) = shard.store.delete_topic_dir(topic.id).await {
        tracing::error!(topic = &*topic.name, %error, "the directory of a deleted topic stays");
    }
}

/// The topic that `new` asks for, without its id, if `catalog` can take it.
pub fn check(
    catalog: &Catalog,
    new: NewTopic,
    default_partitions: u32,
) -> Result<Topic, ChangeError> {
    name::check(&new.name)?;
    if catalog.topic(&new.name).is_some() {
        return Err(ChangeError::Exists(new.name));
    }
    if let Some(with) = catalog.collision(&new.name) {
        return Err(ChangeError::Collision { with: with.to_owned(), name: new.name });
    }
    if name::is_internal(&new.name) {
        return Err(ChangeError::Internal(new.name));
    }
    let partitions = match new.partitions {
        None => default_partitions,
        Some(n) if n < 1 => return Err(ChangeError::NoPartitions(n)),
        Some(n) => n.unsigned_abs(),
    };
    let total = catalog.partition_count() + u64::from(partitions);
    if partitions > MAX_PARTITIONS_PER_TOPIC || total > MAX_PARTITIONS {
        return Err(ChangeError::TooManyPartitions);
    }
    for (key, value) in &new.configs {
        config::check(key, value)?;
    }
    let id = TopicId::ZERO;
    Ok(Topic { name: new.name.into(), id, partitions, configs: new.configs })
}

/// A random id (as a UUID of version 4), never one of those that Kafka reserves (0 and 1).
fn new_topic_id() -> Result<TopicId, ChangeError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| ChangeError::Random(error.to_string()))?;
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    Ok(TopicId(id))
}
