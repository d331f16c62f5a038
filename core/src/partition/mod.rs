//! One partition as its leader sees it: its log, and whether it may still be touched.
//!
//! - `batches.rs`: walking whole batches in memory
//! - `error.rs`: everything that can go wrong with one partition of a request
//! - `traffic.rs`: what was appended, counted
//! - `epoch.rs`: fencing by leader epoch, and where a client's log diverges (KIP-320)

pub mod batches;
mod epoch;
mod error;
mod traffic;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use corelane_storage::ids::PartitionId;
use corelane_storage::log::{
    APPENDED_AT_ONCE_BYTES_MAX, Appended, Log, LogConfig, LogGauges, LogOffsets, ReadPlan,
    TimestampOffset,
};
use corelane_storage::notify::Signal;
use futures_util::FutureExt;

pub use epoch::{EpochEnd, check_leader_epoch, diverges, epoch_end};
pub use error::PartitionError;
pub use traffic::Traffic;

use crate::runtime::{DiskFile, ShardRuntime};
use crate::shard::semaphore::{Acquire, Permit, Semaphore};

/// What a fetch asks of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// The partition.
    pub partition: PartitionId,
    /// The first offset wanted.
    pub offset: i64,
    /// Bytes it may return; its first batch may be larger.
    pub max_bytes: usize,
    /// The leader epoch that the client knows, or -1.
    pub current_leader_epoch: i32,
    /// The epoch of the client's last record, or -1.
    pub last_fetched_epoch: i32,
}

/// What it gets: either a plan, or the point where the client's log is not ours.
#[derive(Debug)]
pub enum Planned {
    /// Bytes to send; there may be none.
    Read(ReadPlan<DiskFile>),
    /// The client has to truncate first.
    Diverging(EpochEnd, LogOffsets),
}

/// One partition on the shard that owns it. A panic inside its code takes it offline, and nothing
/// else: from then on every request to it gets [`PartitionError::Offline`].
pub struct Partition {
    id: PartitionId,
    log: Log<ShardRuntime>,
    broken: RefCell<Option<Arc<str>>>,
    deleted: Cell<bool>,
    /// Batches that could not be appended at once, and those behind them.
    queued: Cell<usize>,
    /// Their order; `None` until there was one.
    queue: RefCell<Option<Semaphore>>,
    traffic: Traffic,
}

/// A batch that could not be appended at once: its place among those of its partition.
pub struct Queued {
    partition: Rc<Partition>,
    place: Option<Acquire>,
    /// From when its turn has come.
    _turn: Option<Permit>,
}

impl Queued {
    /// Waits until those before it are appended, or given up.
    pub async fn come(&mut self) {
        if let Some(place) = self.place.take() {
            self._turn = Some(place.await);
        }
    }

    /// True if its records have to be looked at, which may take long.
    pub fn must_check_records(&self, batch: &[u8]) -> Result<bool, PartitionError> {
        self.partition.guarded(|log| log.must_check_records(batch))
    }

    /// Looks at the records of `batch`, if need be. Its turn must have come.
    pub async fn check_records(&self, batch: &[u8]) -> Result<(), PartitionError> {
        self.partition.guarded_async(self.partition.log.check_records(batch)).await
    }

    /// Appends `batch`, however large, letting others of the shard have their turns meanwhile. Its own
    /// turn must have come.
    pub async fn append(self, batch: &[u8]) -> Result<Appended, PartitionError> {
        let partition = &self.partition;
        let appended = partition.guarded_async(partition.log.append_in_steps(batch)).await?;
        partition.traffic.count(batch.len(), &appended);
        Ok(appended)
    }

    /// Where it goes.
    pub fn partition(&self) -> &Rc<Partition> {
        &self.partition
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.partition.queued.set(self.partition.queued.get() - 1);
    }
}

impl Partition {
    /// The partition over its log.
    pub fn new(id: PartitionId, log: Log<ShardRuntime>) -> Rc<Partition> {
        let (deleted, queued) = (Cell::new(false), Cell::new(0));
        let (broken, traffic) = (RefCell::default(), Traffic::default());
        let queue = RefCell::default();
        Rc::new(Partition { id, log, broken, deleted, queued, queue, traffic })
    }

    /// Its topic is deleted: whoever still waits is told that there is no such partition.
    pub fn mark_deleted(&self) {
        self.deleted.set(true);
    }

    /// Changes what its log obeys, from the next append on. One that is offline obeys nothing.
    pub fn set_config(&self, config: LogConfig) {
        let _ = self.guarded(|log| log.set_config(config));
    }

    /// Appends one batch; acknowledged later, see [`Partition::acknowledged`]. `None`, and nothing
    /// is appended, if its records have to be looked at first, or it is too large to be appended in one
    /// step, or batches before it still wait: it has to queue ([`Partition::queue`]).
    pub fn append_at_once(&self, batch: &[u8]) -> Result<Option<Appended>, PartitionError> {
        let is_behind = self.queued.get() > 0;
        let appended = self.guarded(|log| {
            let is_large = batch.len() > APPENDED_AT_ONCE_BYTES_MAX;
            let must_wait = is_behind || is_large || log.must_check_records(batch);
            (!must_wait).then(|| log.append(batch)).transpose()
        })??;
        if let Some(appended) = &appended {
            self.traffic.count(batch.len(), appended);
        }
        Ok(appended)
    }

    /// Appends a batch that the broker has made itself: its records need no look. Nothing of clients may
    /// queue here.
    pub fn append_own(&self, batch: &[u8]) -> Result<Appended, PartitionError> {
        debug_assert_eq!(self.queued.get(), 0, "clients write to the broker's own topics");
        let appended = self.guarded(|log| log.append(batch))??;
        self.traffic.count(batch.len(), &appended);
        Ok(appended)
    }

    /// Takes the next place among the batches that queue; until this is dropped, what comes later has
    /// to queue behind it.
    pub fn queue(self: &Rc<Self>) -> Queued {
        self.queued.set(self.queued.get() + 1);
        let mut queue = self.queue.borrow_mut();
        let place = queue.get_or_insert_with(|| Semaphore::new(1)).acquire(1);
        Queued { partition: self.clone(), place: Some(place), _turn: None }
    }

    /// Resolves when everything below `next_offset` is acknowledged.
    pub async fn acknowledged(&self, next_offset: i64) -> Result<(), PartitionError> {
        self.guarded_async(self.log.acknowledged(next_offset)).await
    }

    /// Whether acknowledgements wait for a flush.
    pub fn waits_for_flush(&self) -> bool {
        self.log.waits_for_flush()
    }

    /// Its offsets now.
    pub fn offsets(&self) -> Result<LogOffsets, PartitionError> {
        self.guarded(|log| log.offsets())
    }

    /// Bytes of its log.
    pub fn size_bytes(&self) -> Result<u64, PartitionError> {
        self.guarded(|log| log.size_bytes())
    }

    /// How its log stands; of one that is offline too, as far as it is known.
    pub fn gauges(&self) -> LogGauges {
        self.log.gauges()
    }

    /// What was appended to it since the broker's start.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Its leader epoch.
    pub fn leader_epoch(&self) -> Result<i32, PartitionError> {
        self.guarded(|log| log.leader_epoch())
    }

    /// The leader epoch of the record at `offset`; at the log's ends of the nearest, and the
    /// leader's if there is none.
    pub fn epoch_of(&self, offset: i64) -> Result<i32, PartitionError> {
        self.guarded(|log| log.epoch_of(offset).unwrap_or(log.leader_epoch()))
    }

    /// Fences a client by the leader epoch that it knows (-1: none).
    pub fn check_leader_epoch(&self, asked: i32) -> Result<(), PartitionError> {
        check_leader_epoch(asked, self.leader_epoch()?)
    }

    /// Where leader epoch `asked` ends; `None` if it can't have been here.
    pub fn epoch_end(&self, asked: i32) -> Result<Option<EpochEnd>, PartitionError> {
        self.guarded(|log| {
            epoch_end(asked, log.leader_epoch(), log.end_of_epoch(asked), &log.offsets())
        })
    }

    /// The first readable record with timestamp `timestamp_ms` or later.
    pub async fn offset_for_timestamp(
        &self,
        timestamp_ms: i64,
    ) -> Result<Option<TimestampOffset>, PartitionError> {
        self.guarded_async(self.log.offset_for_timestamp(timestamp_ms)).await
    }

    /// The first of the readable records with the highest timestamp.
    pub async fn max_timestamp(&self) -> Result<Option<TimestampOffset>, PartitionError> {
        self.guarded_async(self.log.max_timestamp()).await
    }

    /// Deletes the records below offset `before`, or below the high watermark; returns the first
    /// offset that is left. Durable on return.
    pub async fn delete_records(&self, before: Option<i64>) -> Result<i64, PartitionError> {
        if !self.guarded(|log| log.has_delete_policy())? {
            return Err(PartitionError::NoDeletePolicy);
        }
        self.guarded_async(self.log.delete_records(before)).await
    }

    /// Plans a read: no record is read, but a file may have to be opened, or its index loaded.
    pub async fn plan(&self, want: &Want) -> Result<Planned, PartitionError> {
        self.guarded_async(self.plan_unguarded(want)).await
    }

    async fn plan_unguarded(&self, want: &Want) -> Result<Planned, PartitionError> {
        let log = &self.log;
        check_leader_epoch(want.current_leader_epoch, log.leader_epoch())?;
        if want.last_fetched_epoch >= 0 {
            let (asked, current) = (want.last_fetched_epoch, log.leader_epoch());
            let end = epoch_end(asked, current, log.end_of_epoch(asked), &log.offsets())
                .ok_or(PartitionError::UnknownFetchedEpoch { asked, current })?;
            if let Some(end) = diverges(asked, want.offset, end) {
                return Ok(Planned::Diverging(end, log.offsets()));
            }
        }
        Ok(Planned::Read(log.read(want.offset, want.max_bytes).await?))
    }

    /// Fires `signal` once the high watermark passes `past_offset`.
    pub fn subscribe(&self, past_offset: i64, signal: &Arc<Signal>) -> Result<(), PartitionError> {
        self.guarded(|log| log.subscribe(past_offset, signal))
    }

    fn check_online(&self) -> Result<(), PartitionError> {
        if self.deleted.get() {
            return Err(PartitionError::UnknownPartition);
        }
        match &*self.broken.borrow() {
            None => Ok(()),
            Some(reason) => Err(PartitionError::Offline(reason.clone())),
        }
    }

    fn guarded<T>(&self, work: impl FnOnce(&Log<ShardRuntime>) -> T) -> Result<T, PartitionError> {
        self.check_online()?;
        catch_unwind(AssertUnwindSafe(|| work(&self.log))).map_err(|_| self.break_down())
    }

    async fn guarded_async<T, E: Into<PartitionError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, PartitionError> {
        self.check_online()?;
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        let outcome = outcome.map_err(|_| self.break_down())?;
        self.check_online()?;
        outcome.map_err(Into::into)
    }

    /// Its state may be half changed: nothing may touch it again before a recovery.
    fn break_down(&self) -> PartitionError {
        tracing::error!(partition = %self.id, "a panic has taken the partition offline");
        let reason = "its code has panicked; see the broker's log";
        *self.broken.borrow_mut() = Some(reason.into());
        // Or a stop would checkpoint what is half changed, and call itself clean.
        self.log.go_offline(reason);
        PartitionError::Panicked
    }
}
