//! Looks at every log now and then for what its retention lets go.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::select;

use crate::runtime::Runtime;
use crate::store::WeakStore;
use crate::store::shared::Shared;

/// How long a stop may have to wait for this task to see it.
const TICK: Duration = Duration::from_millis(500);

/// How long to wait for one log before the next is looked at too. One may wait for the space that
/// only the others can free.
const PATIENCE: Duration = Duration::from_millis(200);

/// Logs looked at before other tasks get a turn.
const LOGS_MAX: usize = 64;

/// When it looks first: a broker that is restarted often must come to it too.
const FIRST: Duration = Duration::from_secs(30);

/// Runs until the store stops.
pub(crate) async fn run<R: Runtime>(shared: Rc<Shared<R>>, store: WeakStore<R>) {
    let every = Duration::from_millis(shared.limits.retention_check_ms);
    let mut next = shared.runtime.monotonic() + every.min(FIRST);
    while !shared.stopping.get() {
        shared.runtime.sleep(TICK.min(every)).await;
        let now = shared.runtime.monotonic();
        if now < next {
            continue;
        }
        next = now + every;
        let Some(logs) = store.logs() else { return };
        for (i, log) in logs.into_iter().enumerate() {
            if shared.stopping.get() {
                return;
            }
            log.spawn_retention();
            let rests = std::pin::pin!(log.retention_rests());
            let patience = std::pin::pin!(shared.runtime.sleep(PATIENCE));
            select(rests, patience).await;
            if i % LOGS_MAX == LOGS_MAX - 1 {
                shared.runtime.yield_now().await;
            }
        }
    }
}
