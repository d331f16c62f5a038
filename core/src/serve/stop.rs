//! From serving to a directory that needs no recovery: no new connections, requests under way are
//! answered, everything is written and flushed, and the manifest says so.

use std::rc::Rc;
use std::time::Duration;

use corelane_storage::runtime::Runtime;
use corelane_storage::store::stopped_cleanly;
use futures_util::future::join_all;

use super::ServeError;
use crate::shard::Shard;

/// How long requests under way may take; then their connections are cut.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
const DRAIN_LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Stops all shards; on shard 0.
pub async fn stop(shard: &Rc<Shard>, stopping: flume::Sender<()>) -> Result<(), ServeError> {
    // Listeners close, and long polls are answered with what there is.
    drop(stopping);
    let open: usize = everywhere(shard, |shard| drain(shard.clone())).await?.into_iter().sum();
    if open > 0 {
        tracing::warn!(connections = open, "cut off: their requests took too long");
    }
    let rest = everywhere(shard, |shard| {
        let store = shard.store.clone();
        async move { store.stop().await.map_err(|error| error.to_string()) }
    });
    if let Some(reason) = rest.await?.into_iter().find_map(Result::err) {
        return Err(ServeError::NotClean(reason));
    }
    if let Some(controller) = shard.controller() {
        let marked = stopped_cleanly(controller.manifest()).await;
        marked.map_err(|error| ServeError::NotClean(error.to_string()))?;
    }
    tracing::info!("stopped cleanly");
    Ok(())
}

/// Runs `job` on every shard at once.
async fn everywhere<T, F>(
    shard: &Rc<Shard>,
    job: impl Fn(&Rc<Shard>) -> F + Clone + Send + 'static,
) -> Result<Vec<T>, ServeError>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    let calls = (0..shard.count).map(|to| {
        let job = job.clone();
        async move {
            let outcome = shard.call_async(to, move |shard| job(shard)).await;
            outcome.map_err(|source| ServeError::Stop { shard: to, source })
        }
    });
    join_all(calls).await.into_iter().collect()
}

/// Waits until all connections have ended; returns how many have not.
async fn drain(shard: Rc<Shard>) -> usize {
    let deadline = shard.runtime.monotonic() + DRAIN_TIMEOUT;
    shard.connections.stop_reading();
    while shard.connections.open_count() > 0 && shard.runtime.monotonic() < deadline {
        shard.runtime.sleep(DRAIN_LOOK_INTERVAL).await;
    }
    shard.connections.open_count()
}
