//! A broker's life in the simulated world: several shards, idempotent producers that retry,
//! readers, deletions and retention, crashes anywhere (in the midst of recovery too), failing and
//! full disks; and the history that says whether the promises of the acknowledgement table were kept.
//!
//! ```text
//! start.rs      the broker's start, and what must be true right after it
//! clients.rs    idempotent producers
//! readers.rs    readers
//! deletions.rs  whoever deletes records
//! ```

mod clients;
mod deletions;
mod readers;
mod start;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use clients::Client;
use futures_util::future::{join_all, join3};

use super::faults::{Counters, FaultRates};
use super::history::{PartitionHistory, ProducerIdsSeen};
use super::rng::Rng;
use super::runtime::SimRuntime;
use super::{Crash, Simulation};
use crate::ids::{PartitionId, TopicId};
use crate::log::{Durability, Log, LogConfig};
use crate::runtime::Runtime;
use crate::store::{Store, stopped_cleanly};

const DATA_DIR: &str = "/data";
const LIVES: usize = 6;
const CLIENTS: usize = 5;

/// What happens in this world besides crashes; chosen by the seed.
#[derive(Clone, Copy, Debug)]
struct Climate {
    power_losses: bool,
    io_errors: bool,
    full_disks: bool,
    deletions: bool,
    /// All batches have one size and go straight into segments: what is left of a torn write then
    /// lies exactly where the next life's batches begin.
    uniform: bool,
    /// All partitions are compacted, and what is not flushed yet is much.
    compacted: bool,
}

/// What a run has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) counters: Counters,
    pub(crate) appends: u64,
    pub(crate) acknowledged: u64,
    pub(crate) duplicates: u64,
    pub(crate) reads: u64,
    pub(crate) times_found: u64,
    /// Reads whose bytes are just a range of a file.
    pub(crate) whole_ranges: u64,
    pub(crate) deletions: u64,
    /// Log starts seen that nobody but retention has moved.
    pub(crate) expirations: u64,
    /// Records that compaction has taken.
    pub(crate) records_gone: u64,
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
            times_found: self.times_found + other.times_found,
            whole_ranges: self.whole_ranges + other.whole_ranges,
            deletions: self.deletions + other.deletions,
            expirations: self.expirations + other.expirations,
            records_gone: self.records_gone + other.records_gone,
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
    live_through(&Rc::new(World::new(seed, Kind::Any)), LIVES)
}

/// Runs a uniform world ([`Climate::uniform`]) with many lives.
///
/// # Errors
/// The first broken promise.
pub(crate) fn run_uniform(seed: u64) -> Result<Outcome, String> {
    live_through(&Rc::new(World::new(seed, Kind::Uniform)), 4 * LIVES)
}

/// Runs a world of compacted partitions ([`Climate::compacted`]).
///
/// # Errors
/// The first broken promise.
pub(crate) fn run_compacted(seed: u64) -> Result<Outcome, String> {
    live_through(&Rc::new(World::new(seed, Kind::Compacted)), LIVES)
}

/// Which worlds may come of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Any,
    Uniform,
    Compacted,
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
    let expirations = world.history.borrow().iter().map(|h| h.expirations).sum();
    world.count(|o| o.counters = world.sim.disk().counters());
    let gone = world.history.borrow().iter().map(PartitionHistory::records_gone).sum();
    world.count(|o| o.expirations = expirations);
    world.count(|o| o.records_gone = gone);
    Ok(world.outcome.get())
}

impl World {
    fn new(seed: u64, kind: Kind) -> Self {
        let rng = Rng::new(seed ^ 0x0057_0a6e);
        let climate = Climate {
            power_losses: rng.coin() || kind == Kind::Compacted,
            io_errors: rng.chance(200_000) && kind != Kind::Compacted,
            full_disks: rng.chance(200_000),
            deletions: rng.coin(),
            uniform: kind == Kind::Uniform || (kind == Kind::Any && rng.chance(150_000)),
            compacted: kind == Kind::Compacted,
        };
        let count = if climate.uniform { 1 } else { rng.within(2..6) };
        let config = |i| (partition(i as u32), config(&rng, &climate));
        let partitions: Vec<_> = (0..count).map(config).collect();
        let history = partitions.iter().map(|(_, c)| PartitionHistory::new(c)).collect();
        let clients = (0..CLIENTS).map(|_| Client::new(count as usize)).collect();
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
        if let Err(broken) = self.verify(&broker, &runtime).await {
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
        let deleters = self.climate.deletions.then(|| self.delete(&broker, &runtime));
        join3(join_all(clients), join_all(readers), join_all(deleters)).await;
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

fn config(rng: &Rng, climate: &Climate) -> LogConfig {
    // Not both, so that the history can tell whether what is gone had to go.
    let (retention_ms, retention_bytes) = match rng.within(0..3) {
        0 => (rng.within(50..1_500) as i64, -1),
        1 => (-1, rng.within(0..3_000_000) as i64),
        _ => (-1, -1),
    };
    let config = LogConfig {
        retention_ms,
        retention_bytes,
        segment_bytes: rng.within(100_000..3_000_000) as u32,
        segment_ms: rng.within(500..60_000) as i64,
        durability: if rng.coin() { Durability::Flushed } else { Durability::Written },
        flush_ms: rng.within(1..1_000) as i64,
        ..LogConfig::default()
    };
    if climate.compacted {
        let config = compacted(rng, config);
        return LogConfig {
            segment_bytes: rng.within(10_000..100_000) as u32,
            min_cleanable_dirty_ppm: 0,
            min_compaction_lag_ms: 0,
            durability: Durability::Written,
            flush_ms: 1_000,
            ..config
        };
    }
    if !climate.uniform && rng.chance(400_000) { compacted(rng, config) } else { config }
}

fn compacted(rng: &Rng, config: LogConfig) -> LogConfig {
    let delete_retention_ms = match rng.within(0..3) {
        0 => 0,
        1 => rng.within(1..2_000) as i64,
        _ => i64::MAX / 2,
    };
    let never = rng.chance(700_000);
    LogConfig {
        compact_policy: true,
        delete_policy: rng.coin(),
        segment_bytes: rng.within(20_000..400_000) as u32,
        min_cleanable_dirty_ppm: rng.within(0..500_000) as u32,
        min_compaction_lag_ms: if rng.coin() { 0 } else { rng.within(1..300) as i64 },
        max_compaction_lag_ms: if never { i64::MAX } else { rng.within(300..2_000) as i64 },
        delete_retention_ms,
        ..config
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World(seed {}, {:?})", self.seed, self.climate)
    }
}
