//! Readers: what they see must be what was appended, and must not vanish again but by deletion.

use std::time::Duration;

use super::{Broker, World};
use crate::log::{Lease, Log, ReadError};
use crate::runtime::{File, Runtime};
use crate::sim::SimFile;
use crate::sim::compacted::Look;
use crate::sim::runtime::SimRuntime;

impl World {
    pub(super) async fn read_once(
        &self,
        broker: &Broker,
        i: usize,
        from: i64,
        max_bytes: usize,
        is_alone: bool,
    ) -> Result<(i64, Vec<i64>), String> {
        let id = self.partitions[i].0;
        let plan = match broker.log(id).read(from, max_bytes).await {
            Ok(plan) => plan,
            Err(ReadError::OutOfRange { log_start, .. }) if from < log_start => {
                return Ok((log_start, Vec::new()));
            }
            Err(error) => return Err(format!("read at {from}: {error}")),
        };
        let end = plan.offsets.high_watermark;
        let mut bytes = Vec::new();
        for lease in plan.leases {
            let sent = self.sent_from_file(&lease);
            let slices =
                broker.store(id).load(lease).await.map_err(|e| format!("load at {from}: {e}"))?;
            if sent.is_some_and(|sent| {
                sent != slices.iter().flat_map(|s| s.to_vec()).collect::<Vec<_>>()
            }) {
                return Err(format!("the file's range at {from} is not what loading yields"));
            }
            slices.iter().for_each(|s| bytes.extend_from_slice(s));
        }
        if bytes.is_empty() && from < end {
            return Err(format!("nothing was read at {from}, although {end} is readable"));
        }
        let look = self.look(i, is_alone);
        let (next, seen) = self.history.borrow_mut()[i].compare(from, &bytes, look)?;
        if next > end.max(from) {
            return Err(format!("read up to {next}, beyond the high watermark {end}"));
        }
        self.count(|o| o.reads += 1);
        Ok((next, seen))
    }

    /// What is sent without being loaded, as it lies in the file.
    fn sent_from_file(&self, lease: &Lease<SimFile>) -> Option<Vec<u8>> {
        let Lease::File(lease) = lease else { return None };
        let whole = lease.whole()?;
        self.count(|o| o.whole_ranges += 1);
        let file = self.sim.bytes_of(lease.file().path()).unwrap_or_default();
        Some(file.get(whole.start as usize..whole.end as usize).unwrap_or_default().to_vec())
    }

    /// A look at partition `i` now.
    pub(super) fn look(&self, i: usize, is_alone: bool) -> Look {
        let delete_retention_ms = self.partitions[i].1.delete_retention_ms;
        Look { now_ms: self.sim.runtime().now_ms(), delete_retention_ms, is_alone }
    }

    /// A reader: what it sees must be what was appended, and must not vanish again.
    pub(super) async fn read(&self, broker: &Broker, runtime: &SimRuntime) {
        for _ in 0..self.rng.within(5..30) {
            let i = self.rng.within(0..self.partitions.len() as u64) as usize;
            let log = broker.log(self.partitions[i].0);
            let (start, end) = (log.offsets().log_start, log.offsets().high_watermark);
            if let Err(broken) = self.see_log_start(i, start, runtime) {
                return self.broke(format!("partition {i}: {broken}"));
            }
            if end > start && log.offline_reason().is_none() {
                let from = self.rng.within(start as u64..end as u64) as i64;
                let max_bytes = self.rng.within(1..300_000) as usize;
                match self.read_once(broker, i, from, max_bytes, false).await {
                    Ok((next, _)) => self.history.borrow_mut()[i].acknowledged(next.min(end)),
                    Err(_) if log.offline_reason().is_some() => return,
                    Err(broken) => return self.broke(format!("partition {i}: {broken}")),
                }
            }
            let timestamp_ms = runtime.now_ms() - self.rng.within(0..3_000) as i64;
            match self.find_time(&log, i, timestamp_ms).await {
                Err(broken) if log.offline_reason().is_none() => {
                    return self.broke(format!("partition {i}: {broken}"));
                }
                _ => {}
            }
            runtime.sleep(Duration::from_micros(self.rng.within(1..30_000))).await;
        }
    }

    /// Looks for a time. While others append and delete, only what holds at the end is compared.
    pub(super) async fn find_time(
        &self,
        log: &Log<SimRuntime>,
        i: usize,
        timestamp_ms: i64,
    ) -> Result<(), String> {
        let before = log.offsets();
        let found = log.offset_for_timestamp(timestamp_ms).await;
        let found = found.map_err(|e| format!("{timestamp_ms} ms: {e}"))?;
        let found = found.map(|f| (f.offset, f.timestamp_ms));
        let log_start = log.offsets().log_start;
        let end = match found {
            Some((offset, _)) if offset < log_start => return Ok(()),
            Some((offset, _)) => offset + 1,
            None => before.high_watermark,
        };
        let range = log_start..end;
        self.count(|o| o.times_found += u64::from(found.is_some()));
        self.history.borrow()[i].compare_time(range, timestamp_ms, found, self.look(i, false))
    }
}
