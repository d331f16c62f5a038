//! Appends in arrival order, and their acknowledgement.
//!
//! A batch whose records have to be looked at first, which may take long, leaves the shard's order
//! for a queue of its own, and takes with it what comes later for the same partition.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use corelane_storage::ids::PartitionId;
use corelane_storage::log::Appended;
use corelane_storage::runtime::Runtime;

use super::Shard;
use super::semaphore::Acquire;
use crate::metrics::stages::{Stage, Stopwatch};
use crate::partition::{Partition, PartitionError, Queued};

/// One batch of a produce request.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where it goes.
    pub partition: PartitionId,
    /// As it came: a slice of the frame.
    pub records: Bytes,
}

/// A batch that is in the log, but not yet acknowledged.
pub struct Accepted {
    partition: Rc<Partition>,
    appended: Appended,
    /// Since it is in the log.
    watch: Stopwatch,
}

/// The batches of one request that could not be appended at once.
struct Late {
    /// Their place among those whose records are looked at, one request at a time.
    turn: Acquire,
    /// Each with its place in the request.
    batches: Vec<(usize, Queued)>,
}

/// What a producer is told of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Offset of its first record.
    pub base_offset: i64,
    /// The broker's timestamp if the topic asks for it, else -1.
    pub log_append_time_ms: i64,
    /// The partition's first offset.
    pub log_start_offset: i64,
}

impl Shard {
    /// Appends batches of partitions that this shard owns. Their place in the shard's order is
    /// taken by this call, before the future is polled. Waits while too many bytes are unwritten;
    /// what has not begun when `deadline` (monotonic) passes is not appended.
    ///
    /// One result per batch, in order.
    pub fn append(
        self: &Rc<Self>,
        batches: Vec<Batch>,
        deadline: Duration,
    ) -> impl Future<Output = Vec<Result<Accepted, PartitionError>>> + use<> {
        let turn = self.append_turn.acquire(1);
        let (shard, mut watch) = (self.clone(), self.stopwatch());
        async move {
            let admitted = async {
                let turn = turn.await;
                shard.store.admit().await;
                turn
            };
            let Some(turn) = shard.until(deadline, admitted).await else {
                return batches.iter().map(|_| Err(PartitionError::TimedOut)).collect();
            };
            shard.lap(&mut watch, Stage::Queue);
            let (mut accepted, late) = shard.append_at_once(&batches);
            drop(turn);
            shard.lap(&mut watch, Stage::Append);
            accepted.iter_mut().flatten().for_each(|accepted| accepted.watch = watch);
            if let Some(late) = late {
                // Boxed: hardly a request needs it, and all would have to carry it.
                Box::pin(shard.append_late(late, &batches, &mut accepted, deadline)).await;
            }
            accepted
        }
    }

    /// What is late counts as timed out until it is appended.
    fn append_at_once(
        &self,
        batches: &[Batch],
    ) -> (Vec<Result<Accepted, PartitionError>>, Option<Late>) {
        let mut late = Vec::new();
        let append_one = |(place, batch): (usize, &Batch)| {
            let partition = self.partition(batch.partition)?;
            match partition.append_at_once(&batch.records)? {
                Some(appended) => Ok(Accepted { partition, appended, watch: Stopwatch::default() }),
                None => {
                    late.push((place, partition.queue()));
                    Err(PartitionError::TimedOut)
                }
            }
        };
        let accepted = batches.iter().enumerate().map(append_one).collect();
        // Its turn is taken now, in the shard's order.
        let late = (!late.is_empty())
            .then(|| Late { turn: self.late_append_turn.acquire(1), batches: late });
        (accepted, late)
    }

    async fn append_late(
        &self,
        late: Late,
        batches: &[Batch],
        accepted: &mut [Result<Accepted, PartitionError>],
        deadline: Duration,
    ) {
        let Some(_turn) = self.until(deadline, late.turn).await else { return };
        for (place, queued) in late.batches {
            if self.runtime.monotonic() >= deadline {
                return;
            }
            let partition = queued.partition().clone();
            let admitted = async {
                self.store.admit().await;
                queued.append(&batches[place].records).await
            };
            if let Some(outcome) = self.until(deadline, admitted).await {
                let watch = Stopwatch::default();
                accepted[place] = outcome.map(|appended| Accepted { partition, appended, watch });
            }
        }
    }

    /// One result per batch, in order: with `wait`, when every accepted batch is acknowledged or
    /// refused, at most until `deadline` (monotonic); without, as soon as it is in the log.
    pub async fn outcomes(
        &self,
        accepted: Vec<Result<Accepted, PartitionError>>,
        wait: bool,
        deadline: Duration,
    ) -> Vec<Result<Acknowledged, PartitionError>> {
        let mut outcomes = Vec::with_capacity(accepted.len());
        for batch in accepted {
            outcomes.push(match batch {
                Ok(batch) if wait => self.acknowledged(batch, deadline).await,
                Ok(batch) => batch.outcome(),
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    async fn acknowledged(
        &self,
        mut batch: Accepted,
        deadline: Duration,
    ) -> Result<Acknowledged, PartitionError> {
        let wait = batch.partition.acknowledged(batch.appended.last_offset + 1);
        self.until(deadline, wait).await.unwrap_or(Err(PartitionError::TimedOut))?;
        let stage = if batch.partition.waits_for_flush() { Stage::Flush } else { Stage::Write };
        self.lap(&mut batch.watch, stage);
        batch.outcome()
    }
}

impl Accepted {
    fn outcome(&self) -> Result<Acknowledged, PartitionError> {
        Ok(Acknowledged {
            base_offset: self.appended.base_offset,
            log_append_time_ms: self.appended.log_append_time_ms,
            log_start_offset: self.partition.offsets()?.log_start,
        })
    }
}
