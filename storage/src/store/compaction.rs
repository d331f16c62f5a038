//! Looks for logs that are worth being compacted, and compacts one after the other: the one with
//! the largest dirty share first.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use crate::ids::PartitionId;
use crate::log::Log;
use crate::log::compaction::{Cleanable, CompactionError, Done, Judged, Pace};
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
    for (i, log) in logs.into_iter().enumerate() {
        if !may_work(shared) {
            return None;
        }
        if !left_alone.contains(&log.id())
            && let Some(found) = log.cleanable().await
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
    best
}

/// False if the log had better be left alone for a while.
async fn compact<R: Runtime>(shared: &Rc<Shared<R>>, log: &Log<R>, cleanable: &Cleanable) -> bool {
    let began = shared.runtime.monotonic();
    let mut pace = Pace::new(shared);
    let compacted = log.compact(cleanable, shared.compaction.get().map_bytes, &mut pace).await;
    let partition = log.id();
    match compacted {
        Ok(done) => {
            let Done { first_dirty, keys, segments_before, segments_after, .. } = done;
            let (bytes_before, bytes_after) = (done.bytes_before, done.bytes_after);
            let took_ms = (shared.runtime.monotonic() - began).as_millis() as u64;
            tracing::info!(
                %partition, first_dirty, keys, segments_before, segments_after, bytes_before,
                bytes_after, took_ms, "compacted a log"
            );
            true
        }
        Err(CompactionError::Stopped | CompactionError::Superseded) => false,
        Err(error) if error.is_lasting() => {
            tracing::error!(
                %partition, %error,
                "a log can't be compacted, and grows: what is wrong has to be put right first; it \
                 is tried again after a restart, or when the topic's configs are set"
            );
            log.set_uncleanable();
            false
        }
        Err(error) => {
            tracing::warn!(%partition, %error, "a compaction has failed; it is tried again");
            false
        }
    }
}

impl<R: Runtime> Log<R> {
    /// What of it is worth being compacted now. Closes the active segment where its records have
    /// waited for too long.
    async fn cleanable(&self) -> Option<Cleanable> {
        loop {
            let now_ms = self.inner_runtime().now_ms();
            self.close_overdue(now_ms);
            match self.judge_compaction(now_ms) {
                Judged::Nothing => return None,
                Judged::Cleanable(found) => return Some(found),
                Judged::Unknown(segment_base) => {
                    if let Err(error) = self.learn_max_timestamp(segment_base).await {
                        let partition = self.id();
                        tracing::warn!(%partition, segment_base, %error, "compaction can't tell a segment's age");
                        return None;
                    }
                }
            }
        }
    }
}
