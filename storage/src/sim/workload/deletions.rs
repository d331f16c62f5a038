//! Whoever deletes records, with a lease in hand that was taken before.

use std::time::Duration;

use super::{Broker, World};
use crate::log::{DeleteRecordsError, Lease, Log};
use crate::runtime::{File, Runtime};
use crate::sim::runtime::SimRuntime;

impl World {
    /// Deletes records now and then.
    pub(super) async fn delete(&self, broker: &Broker, runtime: &SimRuntime) {
        for _ in 0..self.rng.within(2..12) {
            let i = self.rng.within(0..self.partitions.len() as u64) as usize;
            let log = broker.log(self.partitions[i].0);
            let outcome = self.delete_once(&log, i, runtime).await;
            match outcome {
                Ok(()) => self.count(|o| o.deletions += 1),
                Err(_) if log.offline_reason().is_some() => return,
                Err(broken) => return self.broke(format!("partition {i}: {broken}")),
            }
        }
    }

    async fn delete_once(
        &self,
        log: &Log<SimRuntime>,
        i: usize,
        runtime: &SimRuntime,
    ) -> Result<(), String> {
        let offsets = log.offsets();
        let (start, end) = (offsets.log_start as u64, offsets.high_watermark as u64);
        let from = self.rng.within(start..end + 1) as i64;
        let max_bytes = self.rng.within(1..500_000) as usize;
        let plan = log.read(from, max_bytes).await.map_err(|e| format!("plan at {from}: {e}"));
        let leases = plan.map(|plan| plan.leases);
        let before = (!self.rng.chance(300_000)).then(|| self.rng.within(0..end + 1) as i64);
        let target = before.unwrap_or(log.offsets().high_watermark);
        self.history.borrow_mut()[i].deletion_asked(target);
        match log.delete_records(before).await {
            Ok(start) if start >= target => self.see_log_start(i, start, runtime)?,
            Ok(start) => return Err(format!("deleted below {target}: the log starts at {start}")),
            Err(DeleteRecordsError::Offline(reason)) => return Err(reason.to_string()),
            Err(error) => return Err(error.to_string()),
        }
        runtime.sleep(Duration::from_micros(self.rng.within(1..900_000))).await;
        match leases {
            Ok(leases) => self.load_leases(leases, i, from).await,
            // Somebody else has deleted in between.
            Err(_) if log.offsets().log_start > from => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What was leased can be read whatever has become of the log.
    async fn load_leases(
        &self,
        leases: Vec<Lease<crate::sim::SimFile>>,
        i: usize,
        from: i64,
    ) -> Result<(), String> {
        let mut bytes = Vec::new();
        for lease in leases {
            if let Lease::File(lease) = &lease
                && self.sim.bytes_of(lease.file.path()).is_none()
            {
                return Err(format!("{} was removed under a lease", lease.file.path().display()));
            }
            let slices = lease.load().await.map_err(|e| format!("leased at {from}: {e}"))?;
            slices.iter().for_each(|s| bytes.extend_from_slice(s));
        }
        let look = self.look(i, false);
        self.history.borrow_mut()[i].compare(from, &bytes, look).map(drop)
    }

    /// Notes a log start that the log has shown.
    pub(super) fn see_log_start(
        &self,
        i: usize,
        log_start: i64,
        runtime: &SimRuntime,
    ) -> Result<(), String> {
        let (_, config) = &self.partitions[i];
        self.history.borrow_mut()[i].log_start_seen(log_start, runtime.now_ms(), config)
    }
}
