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
        let due = shard.runtime.monotonic() + BEAT_INTERVAL;
        shard.runtime.sleep(BEAT_INTERVAL).await;
        let late = shard.runtime.monotonic().saturating_sub(due);
        shard.counters.timer_lateness.record(late);
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
