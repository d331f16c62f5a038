//! Looks for logs that are worth being compacted, and compacts one after the other: the one with
//! the largest dirty share first.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use crate::ids::PartitionId;
use crate::log::compaction::{Cleanable, CompactionError, Done, Judged, Pace};
use crate::log::{CheckpointError, Log};
use crate::runtime::Runtime;
use crate::store::WeakStore;
use crate::store::shared::Shared;

/// How long a stop may have to wait for this task to see it.
const TICK: Duration = Duration::from_millis(500);

/// Logs looked at before other tasks get a turn.
const LOGS_MAX: usize = 64;

/// Runs until the store stops.
pub(crate) async fn run<R: Runtime>(shared: Rc<Shared<R>>, store: WeakStore<R>) {
    let mut looked = shared.runtime.monotonic();
    while !shared.stopping.get() {
        let backoff = Duration::from_millis(shared.compaction.get().backoff_ms.max(1));
        shared.runtime.sleep(TICK.min(backoff)).await;
        if shared.runtime.monotonic() < looked + backoff {
            continue;
        }
        let mut left_alone = HashSet::new();
        loop {
            let Some(logs) = store.logs() else { return };
            let Some((log, cleanable)) = choose(&shared, logs, &left_alone).await else { break };
            if !compact(&shared, &log, &cleanable).await {
                left_alone.insert(log.id());
            }
        }
        looked = shared.runtime.monotonic();
    }
}

fn may_work<R: Runtime>(shared: &Shared<R>) -> bool {
    shared.compaction.get().enabled && !shared.ending.get() && !shared.stopping.get()
}

async fn choose<R: Runtime>(
    shared: &Shared<R>,
    logs: Vec<Log<R>>,
    left_alone: &HashSet<PartitionId>,
) -> Option<(Log<R>, Cleanable)> {
    let mut best: Option<(Log<R>, Cleanable)> = None;
    let (mut uncleanable, mut dirty_ppm_max) = (0, 0);
    for (i, log) in logs.into_iter().enumerate() {
        if !may_work(shared) {
            return None;
        }
        uncleanable += usize::from(log.is_uncleanable());
        let (dirty_ppm, found) = log.cleanable().await;
        dirty_ppm_max = dirty_ppm_max.max(dirty_ppm);
        if let Some(found) = found
            && !left_alone.contains(&log.id())
        {
            let urgency = |c: &Cleanable| (c.is_overdue, c.dirty_ppm());
            if best.as_ref().is_none_or(|(_, best)| urgency(best) < urgency(&found)) {
                best = Some((log, found));
            }
        }
        if i % LOGS_MAX == LOGS_MAX - 1 {
            shared.runtime.yield_now().await;
        }
    }
    shared.meters.compaction.uncleanable_logs.set(uncleanable);
    shared.meters.compaction.dirty_ppm_max.set(dirty_ppm_max);
    best
}

/// False if the log had better be left alone for a while.
async fn compact<R: Runtime>(shared: &Rc<Shared<R>>, log: &Log<R>, cleanable: &Cleanable) -> bool {
    let began = shared.runtime.monotonic();
    let mut pace = Pace::new(shared, log, cleanable);
    let compacted = log.compact(cleanable, shared.compaction.get().map_bytes, &mut pace).await;
    let took = shared.runtime.monotonic() - began;
    let meters = &shared.meters.compaction;
    meters.took_us.add(took.as_micros() as u64);
    let partition = log.id();
    let error = match compacted {
        Ok(done) => {
            let Done { first_dirty, keys, segments_before, segments_after, .. } = done;
            let (bytes_before, bytes_after) = (done.bytes_before, done.bytes_after);
            meters.ended.add(1);
            meters.freed_bytes.add(bytes_before.saturating_sub(bytes_after));
            tracing::info!(
                %partition, first_dirty, keys, segments_before, segments_after, bytes_before,
                bytes_after, took_ms = took.as_millis() as u64, "compacted a log"
            );
            return true;
        }
        Err(CompactionError::Stopped | CompactionError::Superseded) => return false,
        Err(error @ CompactionError::Checkpoint(CheckpointError::NewestDamaged(_))) => {
            // All that it said is in memory.
            log.checkpoint().await;
            error
        }
        Err(error) => error,
    };
    meters.failed.add(1);
    if error.is_lasting() {
        tracing::error!(
            %partition, %error,
            "a log can't be compacted, and grows: what is wrong has to be put right first; it is \
             tried again after a restart, or when the topic's configs are set"
        );
        log.set_uncleanable();
    } else {
        tracing::warn!(%partition, %error, "a compaction has failed; it is tried again");
    }
    false
}

impl<R: Runtime> Log<R> {
    /// How much of it is dirty, in millionths, and what of it is worth being compacted now. Closes the
    /// active segment where its records have waited for too long.
    async fn cleanable(&self) -> (u32, Option<Cleanable>) {
        loop {
            let now_ms = self.inner_runtime().now_ms();
            self.close_overdue(now_ms);
            match self.judge_compaction(now_ms) {
                Judged::Nothing { dirty_ppm } => return (dirty_ppm, None),
                Judged::Cleanable(found) => return (found.dirty_ppm(), Some(found)),
                Judged::Unknown(segment_base) => {
                    if let Err(error) = self.learn_max_timestamp(segment_base).await {
                        let partition = self.id();
                        tracing::warn!(%partition, segment_base, %error, "compaction can't tell a segment's age");
                        return (0, None);
                    }
                }
            }
        }
    }
}
