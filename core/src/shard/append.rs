//! Appends in arrival order, and their acknowledgement.
//!
//! What would hold the shard for long leaves the shard's order, and takes with it what comes later for
//! the same partition: batches whose records have to be looked at first, very large ones, and the
//! rest of a request once it has had its share of a turn. So small requests for other partitions wait for
//! none of them.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use corelane_storage::ids::PartitionId;
use corelane_storage::log::Appended;
use corelane_storage::runtime::Runtime;

use super::Shard;
use crate::metrics::stages::{Stage, Stopwatch};
use crate::partition::{Partition, PartitionError, Queued};

/// What one request appends before others of the shard have their turn: to check and to copy so many bytes
/// takes about 150 us.
const TURN_BYTES: usize = 512 << 10;

/// What a batch costs beside its bytes, as so many more.
const BATCH_COST_BYTES: usize = 4 << 10;

/// Requests of more bytes wait for the disk where others can pass them.
const LARGE_BYTES: usize = 64 << 10;

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

/// One batch of a produce request, on its way through the shard that owns its partition.
pub enum Entry {
    /// To be appended.
    Asked(Batch),
    /// Appended.
    Accepted(Accepted),
    /// Its producer can be told. That of a partition of another shard stands so until that shard has answered.
    Ended(Result<Acknowledged, PartitionError>),
}

impl Entry {
    fn asked(&self) -> Option<&Batch> {
        match self {
            Entry::Asked(batch) => Some(batch),
            Entry::Accepted(_) | Entry::Ended(_) => None,
        }
    }

    /// How its batch has fared; one that was left on its way has timed out.
    pub fn outcome(self) -> Result<Acknowledged, PartitionError> {
        match self {
            Entry::Ended(outcome) => outcome,
            Entry::Asked(_) | Entry::Accepted(_) => Err(PartitionError::TimedOut),
        }
    }
}

/// The batches of one request that could not be appended at once, each with its place in the request.
type Late = Vec<(usize, Queued)>;

/// What is left of a request's share of a turn.
struct Share {
    left_bytes: usize,
}

impl Share {
    fn whole() -> Share {
        Share { left_bytes: TURN_BYTES }
    }

    fn take(&mut self, batch: &Batch) {
        let cost = batch.records.len() + BATCH_COST_BYTES;
        self.left_bytes = self.left_bytes.saturating_sub(cost);
    }

    fn is_used_up(&self) -> bool {
        self.left_bytes == 0
    }
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
    /// Appends the batches that are asked for, of partitions that this shard owns. Their place in the
    /// shard's order is taken by this call, before the future is polled. Waits while too many bytes are
    /// unwritten; what has not begun when `deadline` (monotonic) passes is not appended.
    ///
    /// Resolves to the entries, each in its place: accepted, or ended.
    pub fn append(
        self: &Rc<Self>,
        mut entries: Vec<Entry>,
        deadline: Duration,
    ) -> impl Future<Output = Vec<Entry>> + use<> {
        let turn = self.append_turn.acquire(1);
        let (shard, mut watch) = (self.clone(), self.stopwatch());
        async move {
            let asked = entries.iter().filter_map(Entry::asked);
            let bytes: usize = asked.map(|batch| batch.records.len()).sum();
            let is_large = bytes > LARGE_BYTES;
            let admitted = async {
                let turn = turn.await;
                if !is_large {
                    shard.store.admit_small().await;
                }
                turn
            };
            let Some(turn) = shard.until(deadline, admitted).await else {
                give_up(&mut entries);
                return entries;
            };
            shard.lap(&mut watch, Stage::Queue);
            // Nor does it pass one that waits for the room that it needs.
            let is_behind = !shard.store.has_room() || shard.late_append_turn.available() == 0;
            let share = match is_large && is_behind {
                true => Share { left_bytes: 0 },
                false => Share::whole(),
            };
            let late = shard.append_at_once(&mut entries, share);
            drop(turn);
            shard.lap(&mut watch, Stage::Append);
            for entry in &mut entries {
                if let Entry::Accepted(accepted) = entry {
                    accepted.watch = watch;
                }
            }
            if !late.is_empty() {
                // Boxed: hardly a request needs it, and all would have to carry it.
                Box::pin(shard.append_late(late, &mut entries, deadline)).await;
                give_up(&mut entries);
            }
            entries
        }
    }

    /// What is late is still asked for. Its place among those of its partition is taken now, in the
    /// shard's order.
    fn append_at_once(&self, entries: &mut [Entry], mut share: Share) -> Late {
        let mut late = Vec::new();
        let mut append_one = |place: usize, batch: &Batch| {
            let partition = self.partition(batch.partition)?;
            let appended = match share.is_used_up() {
                true => None,
                false => partition.append_at_once(&batch.records)?,
            };
            let Some(appended) = appended else {
                late.push((place, partition.queue()));
                return Ok(None);
            };
            share.take(batch);
            Ok(Some(Accepted { partition, appended, watch: Stopwatch::default() }))
        };
        for (place, entry) in entries.iter_mut().enumerate() {
            let Some(batch) = entry.asked() else { continue };
            match append_one(place, batch) {
                Ok(Some(accepted)) => *entry = Entry::Accepted(accepted),
                Ok(None) => {}
                Err(error) => *entry = Entry::Ended(Err(error)),
            }
        }
        late
    }

    async fn append_late(&self, late: Late, entries: &mut [Entry], deadline: Duration) {
        // What was appended before has had a turn.
        let mut share = Share { left_bytes: 0 };
        for (place, queued) in late {
            if share.is_used_up() {
                share = Share::whole();
                self.runtime.yield_now().await;
            }
            if self.runtime.monotonic() >= deadline {
                return;
            }
            let Some(batch) = entries[place].asked() else { continue };
            share.take(batch);
            let partition = queued.partition().clone();
            let appended = self.append_queued(queued, &batch.records);
            if let Some(outcome) = self.until(deadline, appended).await {
                let watch = Stopwatch::default();
                entries[place] = match outcome {
                    Ok(appended) => Entry::Accepted(Accepted { partition, appended, watch }),
                    Err(error) => Entry::Ended(Err(error)),
                };
            }
        }
    }

    async fn append_queued(
        &self,
        mut queued: Queued,
        batch: &[u8],
    ) -> Result<Appended, PartitionError> {
        queued.come().await;
        if queued.must_check_records(batch)? {
            // One at a time: to decompress takes memory.
            let _turn = self.record_check_turn.acquire(1).await;
            queued.check_records(batch).await?;
        }
        // One at a time, or all that wait for room would be woken for each write, and go over it.
        let _turn = self.late_append_turn.acquire(1).await;
        self.store.admit(batch.len()).await;
        queued.append(batch).await
    }

    /// Ends the entries that are accepted: with `wait`, when every batch is acknowledged or refused, at
    /// most until `deadline` (monotonic); without, at once.
    pub async fn end(&self, entries: &mut [Entry], wait: bool, deadline: Duration) {
        for entry in entries {
            let Entry::Accepted(batch) = entry else { continue };
            let outcome = match wait {
                true => self.acknowledged(batch, deadline).await,
                false => batch.outcome(),
            };
            *entry = Entry::Ended(outcome);
        }
    }

    async fn acknowledged(
        &self,
        batch: &mut Accepted,
        deadline: Duration,
    ) -> Result<Acknowledged, PartitionError> {
        let wait = batch.partition.acknowledged(batch.appended.last_offset + 1);
        self.until(deadline, wait).await.unwrap_or(Err(PartitionError::TimedOut))?;
        let stage = if batch.partition.waits_for_flush() { Stage::Flush } else { Stage::Write };
        self.lap(&mut batch.watch, stage);
        batch.outcome()
    }
}

/// What is still asked for is not appended any more.
fn give_up(entries: &mut [Entry]) {
    for entry in entries {
        if matches!(entry, Entry::Asked(_)) {
            *entry = Entry::Ended(Err(PartitionError::TimedOut));
        }
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
