//! All shards, from nothing to serving. Shard 0 leads: it reads what is common, tells the others to
//! recover, and lets all begin when all have recovered. A shard whose leader is gone ends.

use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use corelane_storage::RecoveryReport;
use corelane_storage::buffer::reserve_memory;
use corelane_storage::command_log::CommandLog;
use corelane_storage::log::Durability;
use corelane_storage::manifest::Manifest;
use corelane_storage::store::{Boot, Store, StoreError, StoreLimits};
use futures_util::future::{Either, select};

use super::accept::Listeners;
use super::{ServeError, host, lost_catalog, stop, system};
use crate::catalog::{Catalog, Command, config};
use crate::metrics::scrape::{Question, Sources};
use crate::metrics::status::{Phase, Status};
use crate::runtime::{ShardRuntime, Signals};
use crate::settings::{Configuration, NODE_ID};
use crate::shard::admission::Admission;
use crate::shard::connections::{ConnectionCounts, Connections};
use crate::shard::controller::Controller;
use crate::shard::mailbox::{CALLS_MAX, Inbox, inboxes};
use crate::shard::moves::Loads;
use crate::shard::nodes::Nodes;
use crate::shard::{Broker, ClientAddress, Parts, Shard, Watched, owned};

/// Bytes that fetch answers may hold, of all shards together; each has room for one of the largest.
const FETCH_BUDGET_BYTES: usize = 256 << 20;
const FETCH_BUDGET_BYTES_MIN: usize = 64 << 20;
/// Bytes in memory on their way to the disk, of all shards together, above which producers wait.
const UNWRITTEN_BYTES: u64 = 256 << 20;
const UNWRITTEN_BYTES_MIN: u64 = 64 << 20;
/// What a shard keeps of what lagging readers have read is an eighth of its cache, and no more than this.
const READ_BACK_BYTES_MAX: u64 = 64 << 20;
/// Cache per shard where the machine does not say how much memory it has.
const CACHE_BYTES_UNKNOWN: u64 = 512 << 20;
/// Records of what is changed or gone that the catalog's log may hold before it is rewritten at a start.
const DEAD_COMMANDS_MAX: usize = 64;

/// Settings and channels of a start; every shard has a handle.
#[derive(Clone)]
pub struct Launch {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) configuration: Configuration,
    shards: usize,
    began: Instant,
    /// Shard 0 takes it.
    leader: flume::Receiver<Leader>,
    /// Per shard: its inbox, taken once.
    inboxes: Vec<flume::Receiver<Inbox<Rc<Shard>>>>,
    /// Per shard: what it is to do; disconnected when shard 0 ends.
    steps: Vec<flume::Receiver<Step>>,
    reports: flume::Sender<Result<RecoveryReport, ServeError>>,
    ended: flume::Sender<usize>,
    counts: ConnectionCounts,
    loads: Option<Loads>,
    admission: Admission,
    stopping: flume::Receiver<()>,
    watching: Watching,
}

/// What the HTTP port watches the broker by.
pub(super) struct Watching {
    pub(super) status: Arc<Status>,
    /// Per shard: what it is asked.
    pub(super) questions: Vec<flume::Receiver<Question>>,
    /// Where the port is, if there is one.
    pub(super) url: OnceLock<String>,
}

/// What shard 0 alone has.
struct Leader {
    signals: Signals,
    steps: Vec<flume::Sender<Step>>,
    reports: flume::Receiver<Result<RecoveryReport, ServeError>>,
    ended: flume::Receiver<usize>,
    stopping: flume::Sender<()>,
}

/// What shard 0 tells the others, in this order.
enum Step {
    Recover(Common),
    Serve(Arc<Broker>),
}

/// What all shards recover from.
#[derive(Clone)]
struct Common {
    boot: Arc<Boot>,
    catalog: Catalog,
}

/// A value to be taken once, by whichever thread wants it.
fn once<T>(value: T) -> flume::Receiver<T> {
    let (put, take) = flume::bounded(1);
    // There is room for one.
    let _ = put.send(value);
    take
}

impl Launch {
    /// A start of `shards` shards.
    pub fn new(
        configuration: Configuration,
        shards: usize,
        began: Instant,
        signals: Signals,
        watching: Watching,
    ) -> Launch {
        let (step_senders, steps) = (0..shards).map(|_| flume::bounded(2)).unzip();
        let (reports, report_receiver) = flume::bounded(shards);
        let (ended, ended_receiver) = flume::bounded(shards);
        let (stop, stopping) = flume::bounded(1);
        let leader = Leader {
            signals,
            steps: step_senders,
            reports: report_receiver,
            ended: ended_receiver,
            stopping: stop,
        };
        let admission = Admission::new(configuration.connection_limits.clone());
        // Where each shard has a port, clients come to the right one by themselves.
        let moves = configuration.connections_move && !configuration.port_per_shard;
        let loads = moves.then(|| Loads::new(shards));
        let shared = Shared {
            configuration,
            shards,
            began,
            leader: once(leader),
            inboxes: inboxes(shards, CALLS_MAX).into_iter().map(once).collect(),
            steps,
            reports,
            ended,
            counts: ConnectionCounts::new(shards),
            loads,
            admission,
            stopping,
            watching,
        };
        Launch { shared: Arc::new(shared) }
    }

    pub(super) fn watching(&self) -> &Watching {
        &self.shared.watching
    }

    /// Where a scrape finds its numbers; `shards` is where those are asked.
    pub(super) fn sources(&self, shards: Vec<flume::Sender<Question>>) -> Sources {
        let Shared { configuration, admission, watching, .. } = &*self.shared;
        Sources {
            status: watching.status.clone(),
            data_dir: configuration.data_dir.clone(),
            shards,
            listeners: configuration.listeners.iter().map(|one| one.name.clone()).collect(),
            admission: admission.clone(),
        }
    }

    fn store_limits(&self) -> StoreLimits {
        let shards = self.shared.shards as u64;
        let fifth = || host::memory_bytes().map(|total| total / 5);
        let cache_bytes = self.shared.configuration.cache_bytes.or_else(fifth);
        let cache_bytes = cache_bytes.map_or(CACHE_BYTES_UNKNOWN, |total| total / shards);
        StoreLimits {
            cache_bytes,
            read_back_bytes: (cache_bytes / 8).min(READ_BACK_BYTES_MAX),
            cache_preallocated: self.shared.configuration.cache_preallocated,
            unwritten_bytes: (UNWRITTEN_BYTES / shards).max(UNWRITTEN_BYTES_MIN),
            ..StoreLimits::default()
        }
    }

    fn broker(&self, boot: &Boot, ports: &[u16]) -> Result<Broker, ServeError> {
        let configuration = &self.shared.configuration;
        let listeners = configuration.listeners.iter().zip(ports);
        let listeners = listeners.map(|(listener, port)| ClientAddress {
            listener: listener.name.clone(),
            advertised: listener.advertise.at(*port),
        });
        let nodes = match configuration.port_per_shard {
            true => Nodes::per_shard(NODE_ID, self.shared.shards),
            false => Nodes::one(NODE_ID),
        };
        let own = |node| configuration.settings_of_node(ports, node);
        let node_settings =
            if nodes.are_shards() { nodes.all().map(own).collect() } else { vec![] };
        Ok(Broker {
            nodes,
            cluster_id: URL_SAFE_NO_PAD.encode(boot.cluster_id()),
            listeners: listeners.collect(),
            data_dir: std::path::absolute(&configuration.data_dir)
                .map_err(system("the data directory"))?,
            leader_epoch: boot.start_epoch(),
            default_partitions: configuration.default_partitions,
            auto_create_topics: configuration.auto_create_topics,
            settings: configuration.settings_at(ports),
            node_settings,
        })
    }

    /// One line on stdout, in whatever way logs go.
    fn announce(&self, broker: &Broker, listeners: &Listeners, report: &RecoveryReport) {
        let Shared { configuration, shards, began, watching, .. } = &*self.shared;
        let http = watching.url.get().map(|url| format!(", metrics at {url}/metrics"));
        let line = format!(
            "corelane {version} serves on {listening}{http}, {shards} shards, data in {data_dir}, \
             durability {durability}, {partitions} partitions recovered, started in {elapsed_ms} ms",
            version = env!("CARGO_PKG_VERSION"),
            listening = listening(broker, listeners),
            http = http.unwrap_or_default(),
            data_dir = configuration.data_dir.display(),
            durability = match configuration.durability {
                Durability::Written => "default",
                Durability::Flushed => "strict",
            },
            partitions = report.partitions,
            elapsed_ms = began.elapsed().as_millis(),
        );
        // A broker goes on whose standard output nobody reads.
        let _ = writeln!(io::stdout(), "{line}");
    }
}

/// Each listener's addresses and what it advertises; with its name, if there are several.
fn listening(broker: &Broker, listeners: &Listeners) -> String {
    let several = broker.listeners.len() > 1;
    let each = broker.listeners.iter().zip(listeners.addresses()).map(|(told, addresses)| {
        let name = if several { format!("{} ", told.listener) } else { String::new() };
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let shards = match broker.nodes.all().len() {
            1 => String::new(),
            nodes => format!("; the shards have {nodes} ports from there on"),
        };
        format!("{name}{} (advertised as {}{shards})", addresses.join(", "), told.advertised)
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The main future of each shard.
pub async fn shard(runtime: ShardRuntime, launch: Launch) -> Result<(), ServeError> {
    if runtime.index() == 0 {
        return lead(runtime, launch).await;
    }
    let _ended = Ended { shard: runtime.index(), tell: launch.shared.ended.clone() };
    follow(runtime, launch).await
}

/// Tells shard 0 that this shard has ended, however that came.
struct Ended {
    shard: usize,
    tell: flume::Sender<usize>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Disconnected if shard 0 has ended first, as it should.
        let _ = self.tell.try_send(self.shard);
    }
}

async fn follow(runtime: ShardRuntime, launch: Launch) -> Result<(), ServeError> {
    let steps = &launch.shared.steps[runtime.index()];
    // Disconnected: the start has failed, or the broker has stopped; shard 0 knows why.
    let Ok(Step::Recover(common)) = steps.recv_async().await else { return Ok(()) };
    let (store, report) = match recover(&runtime, &launch, &common).await {
        Ok((store, report)) => (Some(store), Ok(report)),
        Err(error) => (None, Err(error)),
    };
    let _ = launch.shared.reports.send(report);
    let (Ok(Step::Serve(broker)), Some(store)) = (steps.recv_async().await, store) else {
        return Ok(());
    };
    let _shard = assemble(&launch, runtime, common.catalog, broker, store, None)?;
    while steps.recv_async().await.is_ok() {}
    Ok(())
}

async fn lead(runtime: ShardRuntime, launch: Launch) -> Result<(), ServeError> {
    let Ok(leader) = launch.shared.leader.try_recv() else { return Err(ServeError::ShardEnded(0)) };
    let (common, manifest, command_log) = read_common(&runtime, &launch).await?;
    for step in &leader.steps {
        let _ = step.send(Step::Recover(common.clone()));
    }
    let (store, mut report) = recover(&runtime, &launch, &common).await?;
    for _ in 1..runtime.shards() {
        let theirs = leader.reports.recv_async().await;
        report.add(&theirs.map_err(|_| ServeError::ShardEnded(0))??);
    }
    begin_run(&common, &manifest, &store, &report).await?;

    // Listening comes last, so that nobody connects before there is an answer.
    let configuration = &launch.shared.configuration;
    let listeners = Listeners::bind(configuration, runtime.shards())?;
    let broker = Arc::new(launch.broker(&common.boot, &listeners.ports())?);
    for step in leader.steps.iter().skip(1) {
        let _ = step.send(Step::Serve(broker.clone()));
    }
    let controller = Some(Controller::new(command_log, manifest));
    let shard = assemble(&launch, runtime, common.catalog, broker.clone(), store, controller)?;
    launch.shared.watching.status.enter(Phase::Serving);
    launch.announce(&broker, &listeners, &report);
    listeners.start(&shard, &launch.shared.admission, configuration).await?;

    let ended = Box::pin(leader.ended.recv_async());
    match select(Box::pin(leader.signals.terminated()), ended).await {
        Either::Left(_) => {
            launch.shared.watching.status.enter(Phase::Stopping);
            stop::stop(&shard, leader.stopping).await
        }
        Either::Right((shard, _)) => Err(ServeError::ShardEnded(shard.unwrap_or_default())),
    }
}

async fn read_common(
    runtime: &ShardRuntime,
    launch: &Launch,
) -> Result<(Common, Manifest<ShardRuntime>, CommandLog<ShardRuntime>), ServeError> {
    let data_dir = &launch.shared.configuration.data_dir;
    let mut new_cluster_id = [0; 16];
    getrandom::fill(&mut new_cluster_id)
        .map_err(|error| system("random bytes")(std::io::Error::other(error)))?;
    let (boot, manifest) =
        Boot::open(runtime, data_dir, new_cluster_id).await.map_err(store_error(0))?;
    lost_catalog::refuse(runtime, data_dir, &boot).await?;
    let (catalog, command_log) = read_catalog(runtime, data_dir).await?;
    Ok((Common { boot: Arc::new(boot), catalog }, manifest, command_log))
}

async fn read_catalog(
    runtime: &ShardRuntime,
    data_dir: &Path,
) -> Result<(Catalog, CommandLog<ShardRuntime>), ServeError> {
    let (log, payloads) = CommandLog::open(runtime, &data_dir.join("catalog.log")).await?;
    let mut catalog = Catalog::default();
    for (number, payload) in payloads.iter().enumerate() {
        let command =
            Command::decode(payload).map_err(|source| ServeError::Command { number, source })?;
        catalog.apply(&command);
    }
    let live = catalog.to_commands();
    if payloads.len() > 2 * live.len() + DEAD_COMMANDS_MAX {
        log.rewrite(live.iter().map(Command::encode)).await?;
    }
    Ok((catalog, log))
}

async fn recover(
    runtime: &ShardRuntime,
    launch: &Launch,
    common: &Common,
) -> Result<(Store<ShardRuntime>, RecoveryReport), ServeError> {
    let (shard, shards) = (runtime.index(), runtime.shards());
    // Nothing that a log obeys depends on the addresses, which are not known yet.
    let settings = &launch.shared.configuration.settings;
    let with_config = |id: corelane_storage::ids::PartitionId| {
        let topic = common.catalog.topic_by_id(id.topic_id)?;
        let layers = common.catalog.layers(&topic.configs, NODE_ID, settings);
        Some((id, config::log_config(&layers)))
    };
    let partitions = owned(&common.catalog, shard, shards).filter_map(with_config).collect();
    let no_topic = config::Configs::new();
    let layers = common.catalog.layers(&no_topic, NODE_ID, settings);
    let compaction = config::compaction_limits(&layers, shards);
    let boot = common.boot.clone();
    let limits = StoreLimits { compaction, ..launch.store_limits() };
    if limits.cache_preallocated {
        let bytes = limits.cache_bytes;
        reserve_memory(bytes).map_err(|source| ServeError::CacheMemory { bytes, source })?;
    }
    let recovered = Store::recover(runtime.clone(), boot, shard, shards, limits, partitions);
    recovered.await.map_err(store_error(shard))
}

fn store_error(shard: usize) -> impl Fn(StoreError) -> ServeError {
    move |source| ServeError::Store { shard, source }
}

/// From here on this run's journals count, and no earlier one's.
async fn begin_run(
    common: &Common,
    manifest: &Manifest<ShardRuntime>,
    store: &Store<ShardRuntime>,
    report: &RecoveryReport,
) -> Result<(), ServeError> {
    let is_new = common.boot.start_epoch() == 0;
    if !is_new && !common.boot.was_clean() {
        tracing::info!(
            journal_bytes_read = common.boot.journal_bytes_read(),
            segment_bytes_read = report.bytes_read,
            bytes_cut = report.bytes_cut,
            batches = report.batches,
            "recovered: the last stop was not a clean one"
        );
    }
    if report.offline > 0 {
        tracing::error!(partitions = report.offline, "offline because of damage");
    }
    common.boot.recovered(manifest).await.map_err(store_error(0))?;
    let keep = |topic| common.catalog.topic_by_id(topic).is_some();
    store.sweep_orphans(keep).await.map_err(store_error(0))
}

/// Puts the shard together and starts its tasks.
fn assemble(
    launch: &Launch,
    runtime: ShardRuntime,
    catalog: Catalog,
    broker: Arc<Broker>,
    store: Store<ShardRuntime>,
    controller: Option<Controller>,
) -> Result<Rc<Shard>, ServeError> {
    let Shared { inboxes, counts, loads, stopping, shards, watching, .. } = &*launch.shared;
    let index = runtime.index();
    let inbox = inboxes[index].try_recv().map_err(|_| ServeError::ShardEnded(index))?;
    store.start();
    let shard = Shard::new(Parts {
        runtime,
        store,
        broker,
        catalog,
        mailbox: Rc::new(inbox.mailbox()),
        controller,
        connections: Connections::new(index, counts.clone()),
        loads: loads.clone(),
        fetch_budget_bytes: (FETCH_BUDGET_BYTES / shards).max(FETCH_BUDGET_BYTES_MIN),
        stopping: stopping.clone(),
    });
    let questions = watching.questions[index].clone();
    shard.start(inbox, Watched { status: watching.status.clone(), questions });
    shard.start_groups();
    Ok(shard)
}
