//! The broker of one life: its start, and what must be true right after it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::{Broker, DATA_DIR, World};
use crate::log::CompactionLimits;
use crate::manifest::Manifest;
use crate::runtime::Runtime;
use crate::sim::runtime::SimRuntime;
use crate::store::{Boot, Store, StoreLimits};

impl World {
    pub(super) async fn boot(
        &self,
        runtime: &SimRuntime,
    ) -> Option<(Manifest<SimRuntime>, Broker)> {
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
            cache_preallocated: false,
            read_back_bytes: 512 << 10,
            unwritten_bytes: 1 << 20,
            journal_file_bytes: 3 << 20,
            journal_files: 2,
            retention_check_ms: 100,
            compaction: CompactionLimits {
                enabled: true,
                // So small, now and then, that a pass ends early.
                map_bytes: if self.rng.coin() { 1 << 20 } else { 24 * 12 },
                bytes_per_second: if self.rng.coin() { u64::MAX } else { 50 << 20 },
                backoff_ms: self.rng.within(1..100),
            },
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
    pub(super) async fn verify(&self, broker: &Broker, runtime: &SimRuntime) -> Result<(), String> {
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
            let (start, end) = (offsets.log_start, offsets.log_end);
            self.see_log_start(i, start, runtime).map_err(say)?;
            let recovered = self.history.borrow_mut()[i].recovered(end, self.since_verified.get());
            recovered.map_err(say)?;
            if start > 0 && log.read(start - 1, 1).await.is_ok() {
                return Err(say(format!("{} can be read, below the log start", start - 1)));
            }
            for age_ms in [0, 200, 1_000] {
                let timestamp_ms = runtime.now_ms() - age_ms;
                self.find_time(&log, i, timestamp_ms).await.map_err(say)?;
            }
            let (mut next, mut seen) = (start, HashSet::new());
            while next < end {
                let (behind, batches) =
                    self.read_once(broker, i, next, 256 << 10, true).await.map_err(say)?;
                next = behind;
                seen.extend(batches);
            }
            // Retention may have been faster than this reader.
            let start = start.max(log.offsets().log_start);
            self.history.borrow()[i].compare_producers(start, &seen).map_err(say)?;
        }
        self.since_verified.set(None);
        Ok(())
    }
}
