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
use crate::catalog::change::{self, ConfigChange, NewTopic, Refusal, View};
use crate::catalog::{Catalog, Command, Topic};
use crate::group::placement::OFFSETS_TOPIC;
use crate::group::rules::Rules;
use crate::runtime::ShardRuntime;

/// Why a change of the catalog is refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It can't be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// UNKNOWN_TOPIC_OR_PARTITION (3): the topic to delete.
    #[error("This server does not host this topic-partition.")]
    UnknownTopic,
    /// UNKNOWN_TOPIC_ID (100): the topic to delete.
    #[error("This server does not host this topic ID.")]
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

/// More partitions that are asked for.
#[derive(Clone, Debug)]
pub struct MorePartitions {
    /// The topic's name.
    pub topic: String,
    /// How many it shall have.
    pub count: i32,
    /// The brokers of each new one; `None` lets the broker choose.
    pub assignments: Option<Vec<Vec<i32>>>,
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
        let deleted = match &command {
            Command::DeleteTopic(id) => shard.catalog().topic_by_id(*id).cloned(),
            _ => None,
        };
        self.log.append(&command.encode()).await?;
        let command = Arc::new(command);
        // This shard first: its catalog is what the next change is checked against.
        let applied = on_each(shard.count, async |shard_index| {
            let command = command.clone();
            let apply = move |shard: &Rc<Shard>| {
                let shard = shard.clone();
                async move { shard.apply(&command).await }
            };
            shard.call_async(shard_index, apply).await
        });
        let applied = applied.await;
        if let Some(topic) = deleted {
            shard.runtime.spawn(remove_files(shard.clone(), topic));
        }
        Ok(applied?)
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

    /// Makes one change, from any shard: `decide` sees the catalog as all changes before have left
    /// it, and says what to return and the command that makes it so, if one is needed.
    async fn change<T: Send + 'static>(
        self: &Rc<Self>,
        decide: impl FnOnce(&View<'_>) -> Result<(T, Option<Command>), ChangeError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        let change = move |shard: &Rc<Shard>| {
            let shard = shard.clone();
            async move {
                let controller = shard.controller_or_panic();
                let _turn = controller.turn.acquire(1).await;
                let (outcome, command) = {
                    let catalog = shard.catalog();
                    decide(&shard.view(&catalog))?
                };
                if let Some(command) = command {
                    controller.commit(&shard, command).await?;
                }
                Ok(outcome)
            }
        };
        self.call_async(0, change).await?
    }

    fn view<'a>(&'a self, catalog: &'a Catalog) -> View<'a> {
        View {
            catalog,
            nodes: self.broker.nodes,
            default_partitions: self.broker.default_partitions,
            settings: &self.broker.settings,
        }
    }

    /// Creates a topic. With `check_only`, says what would be created.
    pub async fn create_topic(
        self: &Rc<Self>,
        new: NewTopic,
        check_only: bool,
    ) -> Result<Arc<Topic>, ChangeError> {
        let decide = move |view: &View<'_>| {
            let topic = Arc::new(change::create(view, new, new_topic_id()?)?);
            let command = (!check_only).then(|| Command::CreateTopic(topic.clone()));
            Ok((topic, command))
        };
        self.change(decide).await
    }

    /// The topic in which groups are kept; made if it is not there.
    pub async fn ensure_offsets_topic(self: &Rc<Self>) -> Result<(), ChangeError> {
        if self.topic(OFFSETS_TOPIC).is_some() {
            return Ok(());
        }
        let decide = |view: &View<'_>| {
            if view.catalog.topic(OFFSETS_TOPIC).is_some() {
                return Ok(((), None));
            }
            let topic =
                change::create_offsets_topic(view, &Rules::of(view.settings), new_topic_id()?)?;
            Ok(((), Some(Command::CreateTopic(Arc::new(topic)))))
        };
        self.change(decide).await
    }

    /// Gives a topic more partitions; they can be used when this returns.
    pub async fn add_partitions(
        self: &Rc<Self>,
        more: MorePartitions,
        check_only: bool,
    ) -> Result<(), ChangeError> {
        let decide = move |view: &View<'_>| {
            let MorePartitions { topic, count, assignments } = more;
            let (topic, partitions) =
                change::add_partitions(view, &topic, count, assignments.as_deref())?;
            let command = Command::SetPartitions { id: topic.id, partitions };
            Ok(((), (!check_only).then_some(command)))
        };
        self.change(decide).await
    }

    /// Changes a topic's configs; its logs obey them when this returns.
    pub async fn alter_topic_configs(
        self: &Rc<Self>,
        name: String,
        asked: ConfigChange,
        check_only: bool,
    ) -> Result<(), ChangeError> {
        let decide = move |view: &View<'_>| {
            let (topic, configs) = change::alter_topic(view, &name, &asked)?;
            let needed = !check_only && topic.configs != configs;
            let command = Command::SetTopicConfigs { id: topic.id, configs };
            Ok(((), needed.then_some(command)))
        };
        self.change(decide).await
    }

    /// Changes the configs of this broker, or of all ("").
    pub async fn alter_broker_configs(
        self: &Rc<Self>,
        name: String,
        asked: ConfigChange,
        check_only: bool,
    ) -> Result<(), ChangeError> {
        let decide = move |view: &View<'_>| {
            let (scope, configs) = change::alter_broker(view, &name, &asked)?;
            let needed = !check_only && *view.catalog.broker_configs(scope) != configs;
            let command = Command::SetBrokerConfigs { scope, configs };
            Ok(((), needed.then_some(command)))
        };
        self.change(decide).await
    }

    /// Deletes a topic. Its logs are out of reach when this returns; their files are removed behind
    /// it.
    pub async fn delete_topic(self: &Rc<Self>, key: TopicKey) -> Result<Arc<Topic>, ChangeError> {
        let decide = move |view: &View<'_>| {
            let topic = find(view.catalog, &key)?;
            let command = Command::DeleteTopic(topic.id);
            Ok((topic, Some(command)))
        };
        self.change(decide).await
    }
}

fn find(catalog: &Catalog, key: &TopicKey) -> Result<Arc<Topic>, ChangeError> {
    match key {
        TopicKey::Name(name) => catalog.topic(name).cloned().ok_or(ChangeError::UnknownTopic),
        TopicKey::Id(id) => catalog.topic_by_id(*id).cloned().ok_or(ChangeError::UnknownTopicId),
    }
}

/// Carries out on one shard after another what is durable already, on all of them whatever becomes
/// of it on some: else these would differ for as long as the broker runs. The first error.
pub(super) async fn on_each<E>(
    shards: usize,
    mut call: impl AsyncFnMut(usize) -> Result<(), E>,
) -> Result<(), E> {
    let mut outcome = Ok(());
    for shard_index in 0..shards {
        let called = call(shard_index).await;
        outcome = outcome.and(called);
    }
    outcome
}

/// Removes what is left of a deleted topic; what a failure or a stop leaves behind is swept at the
/// next start.
async fn remove_files(shard: Rc<Shard>, topic: Arc<Topic>) {
    let removed = on_each(shard.count, async |owner| {
        let theirs = topic.clone();
        shard.call_async(owner, move |shard| shard.clone().remove_logs(theirs)).await
    });
    if let Err(error) = removed.await {
        tracing::error!(topic = &*topic.name, %error, "logs of a deleted topic stay");
        return;
    }
    if let Err(error) = shard.store.delete_topic_dir(topic.id).await {
        tracing::error!(topic = &*topic.name, %error, "the directory of a deleted topic stays");
    }
}

/// A random id (as a UUID of version 4), never one of those that Kafka reserves (0 and 1).
fn new_topic_id() -> Result<TopicId, ChangeError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| ChangeError::Random(error.to_string()))?;
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    Ok(TopicId(id))
}
