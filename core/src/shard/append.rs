//! Appends in arrival order, and their acknowledgement.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use corelane_storage::ids::PartitionId;
use corelane_storage::log::Appended;

use super::Shard;
use crate::partition::{Partition, PartitionError};

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
        let shard = self.clone();
        async move {
            let admitted = async {
                let turn = turn.await;
                shard.store.admit().await;
                turn
            };
            let Some(_turn) = shard.until(deadline, admitted).await else {
                return batches.iter().map(|_| Err(PartitionError::TimedOut)).collect();
            };
            let mut accepted = Vec::with_capacity(batches.len());
            for batch in &batches {
                accepted.push(shard.append_one(batch).await);
            }
            accepted
        }
    }

    async fn append_one(&self, batch: &Batch) -> Result<Accepted, PartitionError> {
        let partition = self.partition(batch.partition)?;
        partition.check_timestamps(&batch.records).await?;
        let appended = partition.append(&batch.records)?;
        Ok(Accepted { partition, appended })
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
        batch: Accepted,
        deadline: Duration,
    ) -> Result<Acknowledged, PartitionError> {
        let wait = batch.partition.acknowledged(batch.appended.last_offset + 1);
        self.until(deadline, wait).await.unwrap_or(Err(PartitionError::TimedOut))?;
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
