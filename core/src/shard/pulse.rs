//! What a shard tells of itself: that it lives, unasked, and its numbers when it is asked.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use corelane_storage::runtime::Runtime;

use super::Shard;
use crate::metrics::scrape::Question;
use crate::metrics::snapshot;
use crate::metrics::status::{BEAT_INTERVAL, Status};

/// Says that the shard lives, for as long as it is polled; and sees how late timers are.
pub(super) async fn beat(shard: Rc<Shard>, status: Arc<Status>) {
    loop {
        status.beat(shard.id, Instant::now(), &shard.store.gauges());
        let (began, busy) = (shard.runtime.monotonic(), shard.runtime.busy());
        shard.runtime.sleep(BEAT_INTERVAL).await;
        let took = shard.runtime.monotonic().saturating_sub(began);
        shard.counters.timer_lateness.record(took.saturating_sub(BEAT_INTERVAL));
        if let Some(loads) = &shard.loads {
            let busy = shard.runtime.busy().saturating_sub(busy);
            let permille = busy.as_micros() * 1_000 / took.as_micros().max(1);
            let permille = u32::try_from(permille).unwrap_or(u32::MAX).min(1_000);
            loads.measured(shard.id, permille, shard.connections.open_count());
        }
    }
}

/// Answers scrapes, one after the other, for as long as it is polled.
pub(super) async fn answer(shard: Rc<Shard>, questions: flume::Receiver<Question>) {
    while let Ok(question) = questions.recv_async().await {
        if !question.is_stale() {
            question.answer(snapshot::take(&shard).await);
        }
    }
}
