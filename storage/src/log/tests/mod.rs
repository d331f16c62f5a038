//! One log in the simulated world, asked for one thing at a time.

mod deletion;
mod large;
mod lost_length;
mod read_back;
mod time;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{PartitionId, TopicId};
use crate::log::{Log, LogConfig};
use crate::manifest::Manifest;
use crate::runtime::Runtime;
use crate::sim::{Crash, SimRuntime, Simulation};
use crate::store::{Boot, Store, StoreLimits, partition_dir, stopped_cleanly};

const ID: PartitionId = PartitionId { topic_id: TopicId([1; 16]), index: 0 };

/// Small segments, and nothing that deletes of itself.
fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 200_000, retention_ms: -1, ..LogConfig::default() }
}

pub(crate) struct Broker {
    pub(crate) runtime: SimRuntime,
    manifest: Manifest<SimRuntime>,
    pub(crate) store: Store<SimRuntime>,
    pub(crate) log: Log<SimRuntime>,
}

impl Broker {
    pub(crate) async fn start(sim: &Simulation, config: LogConfig) -> Broker {
        let broker = Broker::start_unchecked(sim, config).await;
        assert_eq!(broker.log.offline_reason(), None);
        broker
    }

    /// Its log may be offline.
    pub(crate) async fn start_unchecked(sim: &Simulation, config: LogConfig) -> Broker {
        Broker::start_within(sim, config, StoreLimits { cache_bytes: 0, ..StoreLimits::default() })
            .await
    }

    pub(crate) async fn start_within(
        sim: &Simulation,
        config: LogConfig,
        limits: StoreLimits,
    ) -> Broker {
        let runtime = sim.runtime();
        let (boot, manifest) = Boot::open(&runtime, Path::new("/data"), [7; 16]).await.unwrap();
        let boot = Arc::new(boot);
        let limits = StoreLimits { retention_check_ms: 1_000, ..limits };
        let logs = vec![(ID, config)];
        let recovered = Store::recover(runtime.clone(), boot.clone(), 0, 1, limits, logs).await;
        let (store, _) = recovered.unwrap();
        boot.recovered(&manifest).await.unwrap();
        store.start();
        let log = store.log(ID).unwrap();
        Broker { runtime, manifest, store, log }
    }

    /// Appends, and waits for the acknowledgement.
    pub(crate) async fn append(&self, batch: &[u8]) -> i64 {
        let appended = self.log.append(batch).unwrap();
        self.log.acknowledged(appended.last_offset + 1).await.unwrap();
        appended.base_offset
    }

    pub(crate) async fn sleep_s(&self, seconds: u64) {
        self.runtime.sleep(Duration::from_secs(seconds)).await;
    }

    /// Names of the files with this ending.
    pub(crate) async fn files(&self, ending: &str) -> Vec<String> {
        let names = self.runtime.list(&log_dir()).await.unwrap();
        names.into_iter().map(|e| e.name).filter(|name| name.ends_with(ending)).collect()
    }

    pub(crate) async fn stop(self) {
        self.store.stop().await.unwrap();
        stopped_cleanly(&self.manifest).await.unwrap();
    }
}

pub(crate) fn log_dir() -> PathBuf {
    partition_dir(Path::new("/data"), ID)
}

/// Every way in which a broker may end.
pub(crate) const ENDS: [Option<Crash>; 3] = [None, Some(Crash::Kill), Some(Crash::PowerLoss)];

/// Runs `before` in one life of the broker, ends it as `end` says, and runs `after` in the next.
pub(crate) fn two_lives(
    seed: u64,
    config: &LogConfig,
    end: Option<Crash>,
    before: impl AsyncFnOnce(&Simulation, &Broker),
    after: impl AsyncFnOnce(&Simulation, &Broker),
) {
    let sim = Simulation::new(seed);
    sim.run_until(async {
        let broker = Broker::start(&sim, config.clone()).await;
        before(&sim, &broker).await;
        if end.is_none() {
            broker.stop().await;
        }
    });
    sim.crash(end.unwrap_or(Crash::Kill));
    sim.run_until(async {
        let broker = Broker::start(&sim, config.clone()).await;
        after(&sim, &broker).await;
    });
}
