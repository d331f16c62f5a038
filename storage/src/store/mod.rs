//! One shard's storage: its partitions' logs over one journal, one cache budget, one flusher.
//!
//! ```text
//! boot.rs      the process-wide part of a start
//! shared.rs    what the logs of a shard share
//! cache_size.rs how much the tail cache may hold
//! pump.rs      cuts runs and writes the journal
//! flusher.rs   group-committed fdatasync
//! upkeep.rs    checkpoints, journal reuse, removing segments, putting idle partitions to rest
//! gauges.rs    how it stands, for who watches it
//! retention.rs looks for what retention lets go
//! compaction.rs looks for logs to compact
//! ```

mod boot;
mod cache_size;
mod compaction;
mod flusher;
mod gauges;
mod pump;
mod retention;
pub(crate) mod shared;
mod upkeep;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use boot::journal_dir;
pub use boot::{Boot, StoreError, stopped_cleanly};
pub use gauges::StoreGauges;

use crate::buffer::AlignedSlice;
use crate::ids::{PartitionId, TopicId};
use crate::journal::writer::Journal;
use crate::log::state::LogState;
use crate::log::{CompactionLimits, Lease, Log, LogConfig, ReadError};
use crate::meters::Meters;
use crate::recovery::{RecoveryReport, recover_log};
use crate::runtime::Runtime;
use crate::store::shared::Shared;

/// One of so many parts of the room for unwritten bytes is for small appends alone.
const SMALL_PART: u64 = 8;

/// Memory and journal space that one shard's storage may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Tails and the cache of written blocks, at most.
    pub cache_bytes: u64,
    /// The cache is as large as it may be from the start, and its memory is there already: see
    /// [`crate::buffer::reserve_memory`].
    pub cache_preallocated: bool,
    /// Memory for what lagging readers have read from segments a moment ago, at most.
    pub read_back_bytes: u64,
    /// Bytes in memory on their way to segments, above which appends wait; large ones leave an eighth of
    /// it to small ones.
    pub unwritten_bytes: u64,
    /// Length of one journal file.
    pub journal_file_bytes: u64,
    /// Journal files in use above which the oldest is emptied and reused.
    pub journal_files: usize,
    /// How often retention looks at every log (Kafka's `log.retention.check.interval.ms`).
    pub retention_check_ms: u64,
    /// What compaction may take.
    pub compaction: CompactionLimits,
}

impl Default for StoreLimits {
    fn default() -> Self {
        StoreLimits {
            cache_bytes: 512 << 20,
            cache_preallocated: false,
            read_back_bytes: 64 << 20,
            unwritten_bytes: 128 << 20,
            journal_file_bytes: 64 << 20,
            journal_files: 8,
            retention_check_ms: 5 * 60 * 1000,
            compaction: CompactionLimits::default(),
        }
    }
}

/// One shard's storage: a cheap handle. Made by [`Store::recover`], works after [`Store::start`].
pub struct Store<R: Runtime> {
    inner: Rc<StoreInner<R>>,
}

impl<R: Runtime> Clone for Store<R> {
    fn clone(&self) -> Self {
        Store { inner: self.inner.clone() }
    }
}

struct StoreInner<R: Runtime> {
    shared: Rc<Shared<R>>,
    leader_epoch: i32,
    logs: RefCell<HashMap<PartitionId, Log<R>>>,
}

/// A store that its own background task does not keep alive.
struct WeakStore<R: Runtime> {
    inner: Weak<StoreInner<R>>,
}

impl<R: Runtime> WeakStore<R> {
    /// All its logs at this moment; `None` once the store is gone.
    fn logs(&self) -> Option<Vec<Log<R>>> {
        let mut logs: Vec<_> = self.inner.upgrade()?.logs.borrow().values().cloned().collect();
        logs.sort_by_key(Log::id);
        Some(logs)
    }
}

impl<R: Runtime> Drop for StoreInner<R> {
    /// The lists hold logs, which hold the lists' owner: without this neither would ever go.
    fn drop(&mut self) {
        self.shared.forget_logs();
    }
}

impl<R: Runtime> Store<R> {
    /// Brings `partitions`, those of shard `shard` of `shards`, to the state in which the last run
    /// left them: every acknowledged batch is there, torn tails are cut. A partition that can't be
    /// recovered is there, offline, and does not stop the others.
    ///
    /// # Errors
    /// [`StoreError`], if the shard as a whole can't be served.
    pub async fn recover(
        runtime: R,
        boot: Arc<Boot>,
        shard: usize,
        shards: usize,
        limits: StoreLimits,
        partitions: Vec<(PartitionId, LogConfig)>,
    ) -> Result<(Store<R>, RecoveryReport), StoreError> {
        let free = take_share(&boot, shard, shards);
        let meters = Rc::new(Meters::default());
        let journal = Journal::new(
            runtime.clone(),
            journal_dir(&boot.data_dir),
            shard as u32,
            boot.numbers.clone(),
            limits.journal_file_bytes,
            free,
            meters.clone(),
        );
        let shared = Shared::new(runtime, boot.data_dir.clone(), limits, journal, meters);
        let mut report = RecoveryReport::default();
        let mut logs = HashMap::with_capacity(partitions.len());
        for (id, config) in partitions {
            let log = recover_log(&shared, &boot, id, config, &mut report).await?;
            logs.insert(id, log);
        }
        let leader_epoch = boot.start_epoch();
        let inner = StoreInner { shared, leader_epoch, logs: RefCell::new(logs) };
        Ok((Store { inner: Rc::new(inner) }, report))
    }

    /// Begins to write. Only after [`Boot::recovered`], since from here on journals of earlier
    /// runs are overwritten.
    pub fn start(&self) {
        let shared = &self.inner.shared;
        shared.runtime.spawn(pump::run(shared.clone()));
        shared.runtime.spawn(flusher::run(shared.clone()));
        shared.runtime.spawn(flusher::watch(shared.clone()));
        shared.runtime.spawn(upkeep::run(shared.clone()));
        let store = WeakStore { inner: Rc::downgrade(&self.inner) };
        shared.runtime.spawn(retention::run(shared.clone(), store));
        let store = WeakStore { inner: Rc::downgrade(&self.inner) };
        shared.runtime.spawn(compaction::run(shared.clone(), store));
    }

    /// The log of a partition of this shard.
    pub fn log(&self, id: PartitionId) -> Option<Log<R>> {
        self.inner.logs.borrow().get(&id).cloned()
    }

    /// A new, empty log; no I/O until there are batches. The one that exists if there is one.
    pub fn create_log(&self, id: PartitionId, config: LogConfig) -> Log<R> {
        let inner = &*self.inner;
        let mut logs = inner.logs.borrow_mut();
        let log = logs.entry(id).or_insert_with(|| {
            let shared = inner.shared.clone();
            let dir = partition_dir(&shared.data_dir, id);
            let state = LogState::new(config, 0, shared.runtime.now_ms());
            Log::new(id, dir, inner.leader_epoch, shared, state)
        });
        log.clone()
    }

    /// Takes the log offline at once and removes its files as soon as nothing uses them.
    ///
    /// # Errors
    /// [`StoreError::Disk`]: what is left behind is swept at the next start.
    pub async fn delete_log(&self, id: PartitionId) -> Result<(), StoreError> {
        let Some(log) = self.inner.logs.borrow_mut().remove(&id) else { return Ok(()) };
        let shared = &self.inner.shared;
        log.go_offline("the topic is deleted");
        let offline_logs = &shared.meters.offline_logs;
        offline_logs.set(offline_logs.get() - 1);
        log.quiesce().await;
        shared.cache_shrank(log.forget_memory());
        let dir = partition_dir(&shared.data_dir, id);
        shared.runtime.remove_dir_all(&dir).await?;
        Ok(())
    }

    /// Removes what is left of a topic whose partitions are all deleted.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub async fn delete_topic_dir(&self, topic_id: TopicId) -> Result<(), StoreError> {
        let shared = &self.inner.shared;
        let dir = topics_dir(&shared.data_dir).join(topic_id.to_string());
        shared.runtime.remove_dir_all(&dir).await?;
        Ok(())
    }

    /// Removes the directories of topics that `keep` does not know: deleted while a crash came
    /// between. Directories with other names are left alone.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub async fn sweep_orphans(&self, keep: impl Fn(TopicId) -> bool) -> Result<(), StoreError> {
        let shared = &self.inner.shared;
        let dir = topics_dir(&shared.data_dir);
        for entry in shared.runtime.list(&dir).await? {
            if let Some(topic_id) = TopicId::from_hex(&entry.name)
                && !keep(topic_id)
            {
                tracing::info!(%topic_id, "removing what is left of a deleted topic");
                shared.runtime.remove_dir_all(&dir.join(&entry.name)).await?;
            }
        }
        Ok(())
    }

    /// Resolves when there is room for an append of `bytes`: the way a producer is slowed down to what
    /// the disk takes. All of it must fit, or a very large one would take the room that is left to small
    /// ones; one that never fits waits for what is always there in the end.
    pub async fn admit(&self, bytes: usize) {
        let limit = self.inner.shared.limits.unwritten_bytes;
        let bytes = (bytes as u64).min(limit / 8 * 3);
        let limit = limit - limit / SMALL_PART - bytes;
        self.inner.shared.room.until(|| self.has_room_within(limit + 1)).await;
    }

    /// As [`Store::admit`], for a small append: there is some room that large ones leave to it.
    pub async fn admit_small(&self) {
        let limit = self.inner.shared.limits.unwritten_bytes;
        self.inner.shared.room.until(|| self.has_room_within(limit)).await;
    }

    /// True if [`Store::admit`] would not wait with a small append.
    pub fn has_room(&self) -> bool {
        let limit = self.inner.shared.limits.unwritten_bytes;
        self.has_room_within(limit - limit / SMALL_PART)
    }

    fn has_room_within(&self, limit: u64) -> bool {
        let shared = &self.inner.shared;
        // With the journal lost, appends are to fail rather than wait.
        shared.unwritten_bytes.get() < limit || shared.failed.borrow().is_some()
    }

    /// Changes what compaction may take, from its next step on.
    pub fn set_compaction(&self, limits: CompactionLimits) {
        self.inner.shared.compaction.set(limits);
    }

    /// What `lease` holds, as [`Lease::load`]; of readers that follow each other closely one goes to
    /// the disk. The lease may be of another shard's log.
    ///
    /// # Errors
    /// Those of [`Lease::load`].
    pub async fn load(&self, lease: Lease<R::File>) -> Result<Vec<AlignedSlice>, ReadError> {
        lease.load_shared(&self.inner.shared.read_back).await
    }

    /// Bytes of memory that tails and the cache hold.
    pub fn cached_bytes(&self) -> u64 {
        self.inner.shared.cached_bytes()
    }

    /// Writes, flushes and checkpoints everything, and ends the background tasks. Appends must
    /// have ended. Afterwards the next start has nothing to recover, if all shards succeed.
    ///
    /// # Errors
    /// [`StoreError::NotAtRest`] with a log that is offline or could not be checkpointed.
    pub async fn stop(&self) -> Result<(), StoreError> {
        let shared = &self.inner.shared;
        shared.ending.set(true);
        let logs: Vec<_> = self.inner.logs.borrow().values().cloned().collect();
        upkeep::checkpoint_all(&logs).await;
        for log in &logs {
            log.quiesce().await;
        }
        shared.stopping.set(true);
        shared.work.notify_all();
        shared.flush_wanted.set(true);
        shared.flush_work.notify_all();
        // One that was deleted meanwhile is offline for that, and nobody will miss it.
        let kept = self.inner.logs.borrow();
        match kept.values().find_map(|log| log.unsafe_to_stop()) {
            Some(reason) => Err(StoreError::NotAtRest(reason)),
            None => Ok(()),
        }
    }
}

impl<R: Runtime> Log<R> {
    /// Resolves when no background task uses the log's files; within a bound, as a full disk may
    /// never let them end.
    async fn quiesce(&self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        let deadline = self.inner_runtime().monotonic() + PATIENCE;
        while self.has_tasks() && self.inner_runtime().monotonic() < deadline {
            self.inner_runtime().sleep(Duration::from_millis(5)).await;
        }
    }
}

fn take_share(boot: &Boot, shard: usize, shards: usize) -> Vec<PathBuf> {
    let files = boot.free_files.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    files.iter().skip(shard).step_by(shards.max(1)).cloned().collect()
}

pub(crate) fn topics_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("topics")
}

pub(crate) fn partition_dir(data_dir: &Path, id: PartitionId) -> PathBuf {
    topics_dir(data_dir).join(id.topic_id.to_string()).join(id.index.to_string())
}
