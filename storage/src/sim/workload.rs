//! A broker's life in the simulated world: several shards, idempotent producers that retry,
//! readers, crashes anywhere (in the midst of recovery too), failing and full disks; and the
//! history that says whether the promises of the acknowledgement table were kept.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use zerocopy::IntoBytes;

use super::faults::{Counters, FaultRates};
use super::history::{PartitionHistory, ProducerIdsSeen, Written};
use super::rng::Rng;
use super::runtime::SimRuntime;
use super::{Crash, Simulation};
use crate::batch::{BatchBuilder, BatchHeader, HEADER_BYTES};
use crate::ids::{PartitionId, TopicId};
use crate::log::{AppendError, Durability, Log, LogConfig};
use crate::manifest::Manifest;
use crate::runtime::Runtime;
use crate::store::{Boot, Store, StoreLimits, stopped_cleanly};

const DATA_DIR: &str = "/data";
const LIVES: usize = 6;
const CLIENTS: usize = 5;

/// What happens in this world besides crashes; chosen by the seed.
#[derive(Clone, Copy, Debug)]
struct Climate {
    power_losses: bool,
    io_errors: bool,
    full_disks: bool,
    /// All batches have one size and go straight into segments: what is left of a torn write then
    /// lies exactly where the next life's batches begin.
    uniform: bool,
}

/// A batch that a client has sent and must send again until it is acknowledged.
#[derive(Clone)]
struct Unacknowledged {
    partition: usize,
    sequence: i32,
    batch: Vec<u8>,
}

/// A producer; outlives the broker's crashes.
struct Client {
    producer_id: Cell<i64>,
    next_sequence: Vec<Cell<i32>>,
    unacknowledged: RefCell<Vec<Unacknowledged>>,
}

/// What a run has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) counters: Counters,
    pub(crate) appends: u64,
    pub(crate) acknowledged: u64,
    pub(crate) duplicates: u64,
    pub(crate) reads: u64,
    pub(crate) clean_stops: u64,
    pub(crate) offline: u64,
}

impl Outcome {
    /// Both runs' sums.
    pub(crate) fn plus(&self, other: &Outcome) -> Outcome {
        Outcome {
            counters: self.counters.plus(&other.counters),
            appends: self.appends + other.appends,
            acknowledged: self.acknowledged + other.acknowledged,
            duplicates: self.duplicates + other.duplicates,
            reads: self.reads + other.reads,
            clean_stops: self.clean_stops + other.clean_stops,
            offline: self.offline + other.offline,
        }
    }
}

struct World {
    seed: u64,
    sim: Simulation,
    rng: Rng,
    climate: Climate,
    partitions: Vec<(PartitionId, LogConfig)>,
    history: RefCell<Vec<PartitionHistory>>,
    clients: Vec<Client>,
    ids: RefCell<ProducerIdsSeen>,
    outcome: Cell<Outcome>,
    /// The worst that happened since the log was last compared; `None`: a clean stop.
    since_verified: Cell<Option<Crash>>,
    life: Cell<usize>,
    broken: RefCell<Option<String>>,
}

/// Runs the world of `seed` to its end.
///
/// # Errors
/// The first broken promise.
pub(crate) fn run(seed: u64) -> Result<Outcome, String> {
    live_through(&Rc::new(World::new(seed, false)), LIVES)
}

/// Runs a uniform world ([`Climate::uniform`]) with many lives.
///
/// # Errors
/// The first broken promise.
pub(crate) fn run_uniform(seed: u64) -> Result<Outcome, String> {
    live_through(&Rc::new(World::new(seed, true)), 4 * LIVES)
}

fn live_through(world: &Rc<World>, lives: usize) -> Result<Outcome, String> {
    let seed = world.seed;
    for life in 0..=lives {
        world.life.set(life);
        let is_last = life == lives;
        let rng = &world.rng;
        let crash_after = match rng.within(0..4) {
            _ if is_last => u64::MAX,
            _ if world.climate.uniform => rng.within(20..200),
            0 => u64::MAX,
            // Soon after the last crash, what that one left behind is still near the log's end.
            1 => rng.within(1..150),
            _ => rng.within(1..900),
        };
        world.sim.disk().crash_after_operations(crash_after);
        let ended = world.sim.run_until_crash(world.clone().live(is_last));
        if let Some(broken) = world.broken.take() {
            return Err(format!("seed {seed}, life {life}, {:?}: {broken}", world.climate));
        }
        let power = world.climate.power_losses && rng.coin();
        if ended == Some(true) {
            world.count(|o| o.clean_stops += 1);
            // A clean stop promises everything, a power loss after it or not; but for a disk that lies.
            let power = power && !world.climate.io_errors;
            world.sim.crash(if power { Crash::PowerLoss } else { Crash::Kill });
        } else {
            world.crashed(if power { Crash::PowerLoss } else { Crash::Kill });
        }
    }
    world.count(|o| o.counters = world.sim.disk().counters());
    Ok(world.outcome.get())
}

impl World {
    fn new(seed: u64, uniform: bool) -> Self {
        let rng = Rng::new(seed ^ 0x0057_0a6e);
        let climate = Climate {
            power_losses: rng.coin(),
            io_errors: rng.chance(200_000),
            full_disks: rng.chance(200_000),
            uniform: uniform || rng.chance(150_000),
        };
        let count = if climate.uniform { 1 } else { rng.within(2..6) };
        let partitions: Vec<_> = (0..count).map(|i| (partition(i as u32), config(&rng))).collect();
        let history = partitions.iter().map(|(_, c)| PartitionHistory::new(c.durability)).collect();
        let clients = (0..CLIENTS)
            .map(|_| Client {
                producer_id: Cell::new(-1),
                next_sequence: partitions.iter().map(|_| Cell::new(0)).collect(),
                unacknowledged: RefCell::default(),
            })
            .collect();
        World {
            seed,
            sim: Simulation::new(seed),
            rng,
            climate,
            partitions,
            history: RefCell::new(history),
            clients,
            ids: RefCell::default(),
            outcome: Cell::default(),
            since_verified: Cell::new(None),
            life: Cell::new(0),
            broken: RefCell::default(),
        }
    }

    fn crashed(&self, crash: Crash) {
        let worst = match (self.since_verified.get(), crash) {
            (Some(Crash::PowerLoss), _) | (_, Crash::PowerLoss) => Crash::PowerLoss,
            _ => Crash::Kill,
        };
        self.since_verified.set(Some(worst));
        self.sim.crash(crash);
    }

    fn count(&self, change: impl FnOnce(&mut Outcome)) {
        let mut outcome = self.outcome.get();
        change(&mut outcome);
        self.outcome.set(outcome);
    }

    fn broke(&self, what: String) {
        self.broken.borrow_mut().get_or_insert(what);
    }

    /// One life of the broker; true if it ended with a clean stop.
    async fn live(self: Rc<Self>, is_last: bool) -> bool {
        let runtime = self.sim.runtime();
        self.sim.disk().set_fault_rates(FaultRates::default());
        self.sim.disk().set_space_bytes(u64::MAX);
        let Some((manifest, broker)) = self.boot(&runtime).await else { return false };
        if let Err(broken) = self.verify(&broker).await {
            self.broke(broken);
            return false;
        }
        if is_last {
            return false;
        }
        self.worsen_climate(&runtime);
        let manifest = Rc::new(manifest);
        let clients = self.clients.iter().map(|c| self.produce(c, &broker, &manifest, &runtime));
        let readers = (0..2).map(|_| self.read(&broker, &runtime));
        futures_util::future::join(join_all(clients), join_all(readers)).await;
        if self.rng.coin() || self.broken.borrow().is_some() {
            return false;
        }
        self.sim.disk().set_fault_rates(FaultRates::default());
        self.sim.disk().set_space_bytes(u64::MAX);
        let stops = join_all(broker.stores.iter().map(Store::stop)).await;
        if stops.iter().any(Result::is_err) {
            return false;
        }
        stopped_cleanly(&manifest).await.is_ok()
    }

    async fn boot(&self, runtime: &SimRuntime) -> Option<(Manifest<SimRuntime>, Broker)> {
        let opened = Boot::open(runtime, Path::new(DATA_DIR), [7; 16]).await;
        let (boot, manifest) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.broke(format!("the start is refused: {error}"));
                return None;
            }
        };
        let boot = Arc::new(boot);
        let shards = self.rng.within(1..4) as usize;
        let limits = StoreLimits {
            cache_bytes: 512 << 10,
            unwritten_bytes: 1 << 20,
            journal_file_bytes: 3 << 20,
            journal_files: 2,
        };
        let mut stores = Vec::new();
        for shard in 0..shards {
            let mine = self.partitions.iter().filter(|(id, _)| id.index as usize % shards == shard);
            let recovered = Store::recover(
                runtime.clone(),
                boot.clone(),
                shard,
                shards,
                limits,
                mine.cloned().collect(),
            );
            match recovered.await {
                Ok((store, _)) => stores.push(store),
                Err(error) => {
                    self.broke(format!("a shard can't be recovered: {error}"));
                    return None;
                }
            }
        }
        if let Err(error) = boot.recovered(&manifest).await {
            self.broke(format!("the recovery can't be noted: {error}"));
            return None;
        }
        stores.iter().for_each(Store::start);
        Some((manifest, Broker { stores }))
    }

    /// Holds every log against its history.
    async fn verify(&self, broker: &Broker) -> Result<(), String> {
        for (i, (id, _)) in self.partitions.iter().enumerate() {
            let log = broker.log(*id);
            let say = |what: String| format!("partition {i}: {what}");
            if let Some(reason) = log.offline_reason() {
                return Err(say(format!("offline after a recovery: {reason}")));
            }
            let offsets = log.offsets();
            if offsets.high_watermark != offsets.log_end {
                return Err(say(format!("recovered, but not readable: {offsets:?}")));
            }
            let end = offsets.log_end;
            let recovered = self.history.borrow_mut()[i].recovered(end, self.since_verified.get());
            recovered.map_err(say)?;
            let mut next = 0;
            while next < end {
                next = self.read_once(&log, i, next, 256 << 10).await.map_err(say)?;
            }
        }
        self.since_verified.set(None);
        Ok(())
    }

    async fn read_once(
        &self,
        log: &Log<SimRuntime>,
        i: usize,
        from: i64,
        max_bytes: usize,
    ) -> Result<i64, String> {
        let plan = log.read(from, max_bytes).await.map_err(|e| format!("read at {from}: {e}"))?;
        let end = plan.offsets.high_watermark;
        let mut bytes = Vec::new();
        for lease in plan.leases {
            let slices = lease.load().await.map_err(|e| format!("load at {from}: {e}"))?;
            slices.iter().for_each(|s| bytes.extend_from_slice(s));
        }
        if bytes.is_empty() && from < end {
            return Err(format!("nothing was read at {from}, although {end} is readable"));
        }
        let next = self.history.borrow()[i].compare(from, &bytes)?;
        if next > end.max(from) {
            return Err(format!("read up to {next}, beyond the high watermark {end}"));
        }
        self.count(|o| o.reads += 1);
        Ok(next)
    }

    /// Lets the disk fail and fill up, if this world does that.
    fn worsen_climate(&self, runtime: &SimRuntime) {
        let disk = self.sim.disk();
        if self.climate.io_errors && self.rng.coin() {
            let rate = self.rng.within(200..5_000) as u32;
            disk.set_fault_rates(FaultRates { read_eio: 0, write_eio: rate, sync_eio: rate });
            // From here on a sync may fail and lie about later ones.
            self.history.borrow_mut().iter_mut().for_each(PartitionHistory::sync_failed);
        }
        if self.climate.full_disks {
            disk.set_space_bytes(disk.used_bytes() + self.rng.within(0..8 << 20));
            let (patience, after) = (runtime.clone(), self.rng.within(100..3_000));
            // The disk lives as long as the simulation, and so longer than this task.
            let freed = self.sim.shared_disk();
            runtime.spawn(async move {
                patience.sleep(Duration::from_millis(after)).await;
                freed.set_space_bytes(u64::MAX);
            });
        }
    }

    /// One client's work in one life.
    async fn produce(
        &self,
        client: &Client,
        broker: &Broker,
        manifest: &Manifest<SimRuntime>,
        runtime: &SimRuntime,
    ) {
        if client.producer_id.get() < 0 && !self.new_producer(client, manifest).await {
            return;
        }
        for _ in 0..self.rng.within(5..40) {
            if self.broken.borrow().is_some() {
                return;
            }
            if client.unacknowledged.borrow().is_empty() {
                self.make_batches(client);
            }
            match self.send(client, broker).await {
                Ok(()) => {}
                Err(Stop::Offline) => {
                    self.count(|o| o.offline += 1);
                    return;
                }
                Err(Stop::NewProducer) => {
                    if !self.new_producer(client, manifest).await {
                        return;
                    }
                }
                Err(Stop::Broken(what)) => return self.broke(what),
            }
            if self.rng.coin() {
                let pause_us = self.rng.within(1..20_000);
                runtime.sleep(Duration::from_micros(pause_us)).await;
            }
        }
    }

    async fn new_producer(&self, client: &Client, manifest: &Manifest<SimRuntime>) -> bool {
        let Ok(ids) = manifest.reserve_producer_ids(1).await else { return false };
        if let Err(broken) = self.ids.borrow_mut().given(ids.start, self.life.get()) {
            self.broke(broken);
            return false;
        }
        client.producer_id.set(ids.start);
        client.next_sequence.iter().for_each(|s| s.set(0));
        client.unacknowledged.borrow_mut().clear();
        true
    }

    /// One to four batches for one partition, sent without waiting for each other.
    fn make_batches(&self, client: &Client) {
        let partition = self.rng.within(0..self.partitions.len() as u64) as usize;
        for _ in 0..self.rng.within(1..5) {
            let sequence = client.next_sequence[partition].get();
            let records = if self.climate.uniform { 1 } else { self.rng.within(1..4) as i32 };
            let length = match self.rng.within(0..10) {
                _ if self.climate.uniform => 140_000,
                0 => self.rng.within(100_000..700_000),
                1..4 => self.rng.within(3_000..40_000),
                _ => self.rng.within(1..1_500),
            };
            let filling = self.rng.next() as u8;
            let mut builder = BatchBuilder::new().producer(client.producer_id.get(), 0, sequence);
            for _ in 0..records {
                let value = vec![filling; (length / records as u64) as usize];
                builder = builder.value(self.rng.within(0..1 << 40) as i64, value);
            }
            client.next_sequence[partition].set(sequence + records);
            let batch = builder.build();
            client.unacknowledged.borrow_mut().push(Unacknowledged { partition, sequence, batch });
        }
    }

    /// Sends (again) everything that is not acknowledged, and waits until it is.
    async fn send(&self, client: &Client, broker: &Broker) -> Result<(), Stop> {
        let sent = client.unacknowledged.borrow().clone();
        let mut waits = Vec::new();
        for batch in &sent {
            let (id, _) = self.partitions[batch.partition];
            let log = broker.log(id);
            broker.store(id).admit().await;
            let next_offset = self.append(client, &log, batch)?;
            if self.rng.chance(100_000) {
                let again = self.append(client, &log, batch)?;
                if again != next_offset {
                    return Err(Stop::Broken(format!("sent twice: {next_offset} and {again}")));
                }
            }
            waits.push((batch.partition, log, next_offset));
        }
        for (i, log, next_offset) in waits {
            log.acknowledged(next_offset).await.map_err(|_| Stop::Offline)?;
            let history = &mut self.history.borrow_mut()[i];
            history.acknowledged(next_offset);
            history.flushed(log.offsets().flushed);
            self.count(|o| o.acknowledged += 1);
        }
        client.unacknowledged.borrow_mut().clear();
        Ok(())
    }

    fn append(
        &self,
        client: &Client,
        log: &Log<SimRuntime>,
        sent: &Unacknowledged,
    ) -> Result<i64, Stop> {
        let producer = (client.producer_id.get(), sent.sequence);
        let history = &mut self.history.borrow_mut()[sent.partition];
        let appended = match log.append(&sent.batch) {
            Ok(appended) => appended,
            Err(AppendError::Offline(_)) => return Err(Stop::Offline),
            Err(AppendError::Sequence(_)) if history.lost_acknowledged => {
                return Err(Stop::NewProducer);
            }
            Err(error) => return Err(Stop::Broken(format!("refused {producer:?}: {error}"))),
        };
        let (base_offset, last_offset) = (appended.base_offset, appended.last_offset);
        match history.find(producer) {
            Some(first) if appended.duplicate && first.base_offset == base_offset => {
                self.count(|o| o.duplicates += 1);
            }
            None if !appended.duplicate => {
                self.count(|o| o.appends += 1);
                let mut bytes = sent.batch.clone();
                let mut header = *BatchHeader::read(&bytes).expect("made by the builder");
                header.stamp(base_offset, log.leader_epoch());
                bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
                history.appended(Written { base_offset, last_offset, bytes, producer });
            }
            found => {
                let found = found.map(|w| w.base_offset);
                return Err(Stop::Broken(format!(
                    "batch {producer:?} is at {found:?}, the log says {appended:?}"
                )));
            }
        }
        Ok(last_offset + 1)
    }

    /// A reader: what it sees must be what was appended, and must not vanish again.
    async fn read(&self, broker: &Broker, runtime: &SimRuntime) {
        for _ in 0..self.rng.within(5..30) {
            let i = self.rng.within(0..self.partitions.len() as u64) as usize;
            let log = broker.log(self.partitions[i].0);
            let end = log.offsets().high_watermark;
            if end > 0 && log.offline_reason().is_none() {
                let from = self.rng.within(0..end as u64) as i64;
                let max_bytes = self.rng.within(1..300_000) as usize;
                match self.read_once(&log, i, from, max_bytes).await {
                    Ok(next) => self.history.borrow_mut()[i].acknowledged(next),
                    Err(_) if log.offline_reason().is_some() => return,
                    Err(broken) => return self.broke(format!("partition {i}: {broken}")),
                }
            }
            runtime.sleep(Duration::from_micros(self.rng.within(1..30_000))).await;
        }
    }
}

/// Why a client stops sending.
enum Stop {
    Offline,
    NewProducer,
    Broken(String),
}

struct Broker {
    stores: Vec<Store<SimRuntime>>,
}

impl Broker {
    fn store(&self, id: PartitionId) -> &Store<SimRuntime> {
        &self.stores[id.index as usize % self.stores.len()]
    }

    fn log(&self, id: PartitionId) -> Log<SimRuntime> {
        self.store(id).log(id).expect("every partition has a log")
    }
}

fn partition(index: u32) -> PartitionId {
    PartitionId { topic_id: TopicId([1; 16]), index }
}

fn config(rng: &Rng) -> LogConfig {
    LogConfig {
        segment_bytes: rng.within(100_000..3_000_000) as u32,
        segment_ms: rng.within(500..60_000) as i64,
        durability: if rng.coin() { Durability::Flushed } else { Durability::Written },
        flush_ms: rng.within(1..1_000) as i64,
        ..LogConfig::default()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World(seed {}, {:?})", self.seed, self.climate)
    }
}
