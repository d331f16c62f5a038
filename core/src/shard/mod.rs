//! One shard: everything that one core owns, and the way to the other shards.
//!
//! - `placement.rs`: which shard owns a partition
//! - `nodes.rs`: what clients take for brokers: the host, or each of its shards
//! - `mailbox.rs`: calls from shard to shard
//! - `metadata_cache.rs`: answers to Metadata, encoded before
//! - `semaphore.rs`: a counter with a strictly fair queue; budgets and turns are made of it
//! - `budget.rs`: bytes that fetch answers may hold
//! - `turns.rs`: one loaded fetch answer per connection
//! - `pauses.rs`: pauses of long work
//! - `apply.rs`: changes of the catalog, as each shard carries them out
//! - `append.rs`: appends in arrival order, and their acknowledgement
//! - `read.rs`: plans of a fetch at the shard that owns the partitions
//! - `controller.rs`: shard 0 alone: changes of the catalog, blocks of producer ids
//! - `producer_ids.rs`: producer ids, handed out from a block
//! - `pulse.rs`: what it tells of itself, unasked and asked
//! - `connections.rs`: accepted sockets, and who gets the next one
//! - `admission.rs`: how many may connect, and how many there are
//! - `moves/`: connections that move to the shard that owns most of what they ask for
//! - `socket.rs`: what `net` needs of a socket and a clock

pub mod admission;
pub mod append;
mod apply;
pub mod budget;
pub mod connections;
pub mod controller;
pub mod mailbox;
pub mod metadata_cache;
pub mod moves;
pub mod nodes;
pub mod pauses;
pub mod placement;
pub mod producer_ids;
mod pulse;
pub mod read;
pub mod semaphore;
pub mod socket;
pub mod turns;

#[cfg(test)]
mod tests;

use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use corelane_storage::ids::PartitionId;
use corelane_storage::runtime::Runtime;
use corelane_storage::store::Store;
use futures_util::FutureExt;

use crate::catalog::config::Settings;
use crate::catalog::{Catalog, Topic};
use crate::fetch_session::{SessionCache, SessionLimits};
use crate::group::Groups;
use crate::group::rules::Rules;
use crate::metrics::counters::Counters;
use crate::metrics::scrape::Question;
use crate::metrics::status::Status;
use crate::partition::{Partition, PartitionError};
use crate::runtime::ShardRuntime;
use crate::settings::HostPort;

use budget::FetchBudget;
use connections::Connections;
use controller::Controller;
use mailbox::{CallError, Inbox, Mailbox};
use metadata_cache::MetadataCache;
use moves::Loads;
use nodes::{Node, Nodes};
use placement::shard_of;
use producer_ids::ProducerIds;
use semaphore::Semaphore;
use socket::Clock;

/// Searches in records that one shard does at once, and requests for some that it has under way.
const RECORD_SEARCHES_MAX: usize = 2;

/// Partitions of the offsets topic that one shard reads back at once.
const GROUP_LOADS_MAX: usize = 2;

/// A listener, by its place in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub usize);

/// What the clients of one listener are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// The listener's name.
    pub listener: String,
    /// Where they connect to.
    pub advertised: HostPort,
}

/// What is the same on every shard for as long as the broker runs.
#[derive(Clone, Debug)]
pub struct Broker {
    /// What clients take for brokers.
    pub nodes: Nodes,
    /// The cluster's id: base64url of 16 bytes, without padding, as Kafka writes it.
    pub cluster_id: String,
    /// What the clients of each listener are told to connect to.
    pub listeners: Vec<ClientAddress>,
    /// Where all data is; absolute.
    pub data_dir: PathBuf,
    /// Leader epoch of every partition in this run.
    pub leader_epoch: i32,
    /// Partitions of a topic that is created without saying how many.
    pub default_partitions: u32,
    /// Whether naming a topic may create it.
    pub auto_create_topics: bool,
    /// What the command line says, as broker configs.
    pub settings: Settings,
    /// The same as each node tells it, where each shard is one.
    pub node_settings: Vec<Settings>,
}

impl Broker {
    /// This host's id: that of its configs.
    pub fn host_id(&self) -> i32 {
        self.nodes.host_id()
    }

    /// What clients are told to connect to, for `node`, that came in by `listener`.
    pub fn advertised(&self, listener: ListenerId, node: Node) -> HostPort {
        self.listeners[listener.0].advertised.above(node.number)
    }

    /// What the command line says, as `node` tells it.
    pub fn settings_of(&self, node: Node) -> &Settings {
        self.node_settings.get(usize::from(node.number)).unwrap_or(&self.settings)
    }
}

/// One shard's state; tasks of the shard share it by `Rc`.
pub struct Shard {
    /// Its number, from 0.
    pub id: usize,
    /// How many shards there are.
    pub count: usize,
    /// Its executor and disk.
    pub runtime: ShardRuntime,
    /// Its logs.
    pub store: Store<ShardRuntime>,
    /// The broker's identity and settings.
    pub broker: Arc<Broker>,
    /// Its sockets.
    pub connections: Connections,
    /// How busy all shards are; `None` where connections stay on their shard.
    pub loads: Option<Loads>,
    /// Bytes that fetch answers may hold at once.
    pub fetch_budget: FetchBudget,
    /// What the consumers connected to this shard ask for again and again.
    pub fetch_sessions: RefCell<SessionCache>,
    /// Disconnected as soon as the broker stops: long polls end early.
    pub stopping: flume::Receiver<()>,
    /// What it counts.
    pub counters: Counters,
    /// Shard 0 only.
    controller: Option<Controller>,
    mailbox: Rc<Mailbox<Rc<Shard>>>,
    catalog: RefCell<Catalog>,
    /// Counts the changes of `catalog`.
    catalog_version: Cell<u64>,
    /// Answers made from `catalog` as it is.
    pub metadata_cache: RefCell<MetadataCache>,
    partitions: RefCell<HashMap<PartitionId, Rc<Partition>>>,
    /// Requests of this shard's connections that have searches under way, here or on other shards:
    /// such a call may last long, and to each shard there are only so many at once.
    pub search_calls: Semaphore,
    /// Searches in records, each of which may hold a decompressor's window (up to 128 MiB).
    pub record_searches: Semaphore,
    /// Appends happen in the order in which they queue here.
    append_turn: Semaphore,
    /// Those that could not be appended when it was their turn queue here.
    late_append_turn: Semaphore,
    /// Before, those whose records have to be looked at queue here.
    record_check_turn: Semaphore,
    producer_ids: ProducerIds,
    /// The groups whose partition of the offsets topic this shard owns.
    pub groups: Groups,
    /// Partitions of the offsets topic that are read back at once.
    pub group_loads: Semaphore,
}

/// What a shard is made of.
pub struct Parts {
    /// Its executor and disk; knows its number and how many shards there are.
    pub runtime: ShardRuntime,
    /// Its recovered logs: one per partition of `catalog` that it owns.
    pub store: Store<ShardRuntime>,
    /// The broker's identity and settings.
    pub broker: Arc<Broker>,
    /// The catalog as recovered.
    pub catalog: Catalog,
    /// The way to the other shards.
    pub mailbox: Rc<Mailbox<Rc<Shard>>>,
    /// The controller, on shard 0.
    pub controller: Option<Controller>,
    /// Its sockets.
    pub connections: Connections,
    /// How busy all shards are, if connections may move.
    pub loads: Option<Loads>,
    /// Bytes that fetch answers may hold at once.
    pub fetch_budget_bytes: usize,
    /// Disconnected as soon as the broker stops.
    pub stopping: flume::Receiver<()>,
}

/// How a shard is watched.
pub struct Watched {
    /// Where it says that it lives.
    pub status: Arc<Status>,
    /// Where it is asked for its numbers.
    pub questions: flume::Receiver<Question>,
}

impl Shard {
    /// Puts the shard together.
    pub fn new(parts: Parts) -> Rc<Shard> {
        let (id, count) = (parts.runtime.index(), parts.runtime.shards());
        let fetch_sessions = SessionCache::new(SessionLimits::default(), id, count);
        let rules = Rules::of(&parts.broker.settings);
        let shard = Shard {
            id,
            count,
            runtime: parts.runtime,
            store: parts.store,
            broker: parts.broker,
            connections: parts.connections,
            loads: parts.loads,
            fetch_budget: FetchBudget::new(parts.fetch_budget_bytes),
            fetch_sessions: RefCell::new(fetch_sessions),
            stopping: parts.stopping,
            counters: Counters::default(),
            controller: parts.controller,
            mailbox: parts.mailbox,
            catalog: RefCell::default(),
            catalog_version: Cell::new(0),
            metadata_cache: RefCell::default(),
            partitions: RefCell::default(),
            search_calls: Semaphore::new(RECORD_SEARCHES_MAX),
            record_searches: Semaphore::new(RECORD_SEARCHES_MAX),
            append_turn: Semaphore::new(1),
            late_append_turn: Semaphore::new(1),
            record_check_turn: Semaphore::new(1),
            producer_ids: ProducerIds::default(),
            groups: Groups::new(rules),
            group_loads: Semaphore::new(GROUP_LOADS_MAX),
        };
        for id in owned(&parts.catalog, shard.id, shard.count) {
            if let Some(log) = shard.store.log(id) {
                shard.partitions.borrow_mut().insert(id, Partition::new(id, log));
            }
        }
        shard.catalog.replace(parts.catalog);
        Rc::new(shard)
    }

    /// Starts what runs for as long as the shard does: its mailbox, its budgets, its pulse.
    pub fn start(self: &Rc<Self>, inbox: Inbox<Rc<Shard>>, watched: Watched) {
        let inbox = Rc::new(inbox);
        let (shard, jobs) = (self.clone(), inbox.clone());
        self.runtime.spawn(async move {
            let runtime = shard.runtime.clone();
            jobs.run_jobs(&shard, |rest| runtime.spawn(rest)).await;
        });
        let mailbox = self.mailbox.clone();
        self.runtime.spawn(async move { inbox.run_replies(&mailbox).await });
        let budget = self.fetch_budget.clone();
        self.runtime.spawn(async move { budget.collect().await });
        let clock = Clock(self.runtime.clone());
        self.runtime.spawn(async move { corelane_net::frame::give_back(&clock).await });
        self.runtime.spawn(pulse::beat(self.clone(), watched.status));
        self.runtime.spawn(pulse::answer(self.clone(), watched.questions));
    }

    /// The catalog's replica; not to be held across an await.
    pub fn catalog(&self) -> Ref<'_, Catalog> {
        self.catalog.borrow()
    }

    /// Another one after every change of the catalog; as long as this process lives.
    pub fn catalog_version(&self) -> u64 {
        self.catalog_version.get()
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.catalog().topic(name).cloned()
    }

    /// The shard that owns `partition`.
    pub fn owner(&self, partition: PartitionId) -> usize {
        shard_of(partition, self.count)
    }

    /// A partition that this shard owns.
    pub fn partition(&self, id: PartitionId) -> Result<Rc<Partition>, PartitionError> {
        self.partitions.borrow().get(&id).cloned().ok_or(PartitionError::UnknownPartition)
    }

    /// Takes the logs of a deleted topic offline and removes their files.
    async fn remove_logs(self: Rc<Self>, topic: Arc<Topic>) {
        for id in topic.partition_ids().filter(|id| self.owner(*id) == self.id) {
            if let Err(error) = self.store.delete_log(id).await {
                tracing::error!(partition = %id, %error, "files of a deleted partition stay");
            }
        }
    }

    /// Runs `job` on shard `to`, at once if that is this one.
    pub async fn call<T: Send + 'static>(
        self: &Rc<Self>,
        to: usize,
        job: impl FnOnce(&Rc<Shard>) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        if to == self.id {
            return catch_unwind(AssertUnwindSafe(|| job(self))).map_err(|_| CallError::Panicked);
        }
        self.mailbox.send(to, job).await?.await
    }

    /// Runs `job` and the future that it returns on shard `to`, as a task of its own: it goes on
    /// even if the caller stops waiting.
    pub async fn call_async<T: Send + 'static, F: Future<Output = T> + 'static>(
        self: &Rc<Self>,
        to: usize,
        job: impl FnOnce(&Rc<Shard>) -> F + Send + 'static,
    ) -> Result<T, CallError> {
        if to != self.id {
            return self.mailbox.send_async(to, job).await?.await;
        }
        let (done, outcome) = flume::bounded(1);
        let rest = catch_unwind(AssertUnwindSafe(|| job(self))).map_err(|_| CallError::Panicked)?;
        self.runtime.spawn(async move {
            let value = AssertUnwindSafe(rest).catch_unwind().await;
            // Fails only if the caller no longer waits.
            let _ = done.send(value.map_err(|_| CallError::Panicked));
        });
        outcome.recv_async().await.unwrap_or(Err(CallError::Stopped))
    }

    /// The calling side of this shard's mailbox.
    pub fn mailbox(&self) -> &Mailbox<Rc<Shard>> {
        &self.mailbox
    }

    /// The controller; on shard 0 only.
    pub fn controller(&self) -> Option<&Controller> {
        self.controller.as_ref()
    }

    /// A producer id that was never given before.
    pub async fn next_producer_id(self: &Rc<Self>) -> Result<i64, producer_ids::ProducerIdError> {
        self.producer_ids.next(self).await
    }

    /// Monotonic time `wait_ms` from now; at once if negative.
    pub fn deadline(&self, wait_ms: i32) -> Duration {
        self.runtime.monotonic() + Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
    }

    /// What `future` gives, or `None` once `deadline` (monotonic) has passed.
    pub async fn until<T>(&self, deadline: Duration, future: impl Future<Output = T>) -> Option<T> {
        let (mut future, mut sleep) = (pin!(future), pin!(None));
        poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(value));
            }
            // A timer costs more than a look: only who has to wait gets one.
            if sleep.is_none() {
                sleep.set(Some(self.runtime.sleep_until(deadline)));
            }
            let over = sleep.as_mut().as_pin_mut().map(|sleep| sleep.poll(cx));
            over.unwrap_or(Poll::Pending).map(|()| None)
        })
        .await
    }
}

/// The partitions of `catalog` that shard `shard` of `shards` owns.
pub fn owned(
    catalog: &Catalog,
    shard: usize,
    shards: usize,
) -> impl Iterator<Item = PartitionId> + '_ {
    let ids = catalog.topics().flat_map(|topic| topic.partition_ids());
    ids.filter(move |id| shard_of(*id, shards) == shard)
}
