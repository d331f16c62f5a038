//! The flusher: one fdatasync of the journal, and one of each segment that was written to
//! directly, acknowledge everything that was written before. Logs that acknowledge only what is
//! flushed are served at once, the others every `flush.ms`.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::log::{Durability, Log};
use crate::runtime::Runtime;
use crate::store::pump::fail_all;
use crate::store::shared::Shared;

/// Runs until the store stops.
pub(crate) async fn run<R: Runtime>(shared: Rc<Shared<R>>) {
    loop {
        shared.flush_work.until(|| shared.flush_wanted.get() || shared.stopping.get()).await;
        if shared.stopping.get() && !shared.flush_wanted.get() {
            return;
        }
        shared.flush_wanted.set(false);
        let now = shared.runtime.monotonic();
        flush(&shared, |log| is_due(log, now)).await;
    }
}

/// How often the logs' `flush.ms` are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Asks for a flush whenever a log's `flush.ms` has passed, until the store stops.
pub(crate) async fn watch<R: Runtime>(shared: Rc<Shared<R>>) {
    while !shared.stopping.get() {
        shared.runtime.sleep(TICK).await;
        let now = shared.runtime.monotonic();
        if shared.unflushed.borrow().iter().any(|log| is_due(log, now)) {
            shared.flush_wanted.set(true);
            shared.flush_work.notify_all();
        }
    }
}

fn is_due<R: Runtime>(log: &Log<R>, now: Duration) -> bool {
    log.with_state(|state| match (state.config.durability, state.unflushed_since) {
        (Durability::Flushed, _) => true,
        (Durability::Written, Some(since)) => {
            let flush_ms = u64::try_from(state.config.flush_ms).unwrap_or(u64::MAX);
            now.saturating_sub(since) >= Duration::from_millis(flush_ms)
        }
        (Durability::Written, None) => false,
    })
}

/// Flushes the journal and the chosen logs' segments.
async fn flush<R: Runtime>(shared: &Rc<Shared<R>>, choose: impl Fn(&Log<R>) -> bool) {
    let (chosen, left): (Vec<_>, Vec<_>) = {
        let all = std::mem::take(&mut *shared.unflushed.borrow_mut());
        all.into_iter().partition(|log| choose(log))
    };
    *shared.unflushed.borrow_mut() = left;
    if chosen.is_empty() {
        return;
    }
    shared.flush_round.set(shared.flush_round.get() + 1);
    let segments = join_all(chosen.iter().map(|log| log.flush_segments()));
    let (journal, _) = futures_util::future::join(shared.journal.sync(), segments).await;
    if let Err(error) = journal {
        chosen.iter().for_each(|log| log.go_offline("the journal can't be flushed"));
        fail_all(shared, "the journal can't be flushed", &error);
    }
    for log in chosen {
        log.with_state(|state| state.unflushed_since = None);
        log.publish();
    }
}
