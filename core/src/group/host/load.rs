//! Reading a partition back, in slices.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use corelane_storage::ids::PartitionId;
use corelane_storage::log::{Lease, ReadError};
use corelane_storage::runtime::Runtime;

use super::super::batch::{BadBatch, next_batch};
use super::super::coordinator::Coordinator;
use super::super::placement::OFFSETS_TOPIC;
use super::super::turn::Turn;
use super::{Host, Phase, clock};
use crate::partition::{Partition, PartitionError, Planned, Want};
use crate::runtime::DiskFile;
use crate::shard::Shard;
use crate::shard::pauses::Pauses;

/// Bytes that are read at once.
const SLICE_BYTES: usize = 1 << 20;

/// Why a partition can't be read back.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Partition(#[from] PartitionError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Batch(#[from] BadBatch),
    #[error("the log ends at offset {0}, before its end")]
    Short(i64),
}

/// Loads the coordinators of this shard's partitions one after the other, and starts what they need for
/// as long as the shard runs.
pub fn start(shard: &Rc<Shard>) {
    shard.runtime.spawn(clock::forget_old(shard.clone()));
    let on = shard.clone();
    shard.runtime.spawn(async move {
        let Some(topic) = on.topic(OFFSETS_TOPIC) else { return };
        for id in topic.partition_ids().filter(|id| on.owner(*id) == on.id) {
            // One that is deleted meanwhile needs none.
            let _ = on.groups.host(&on, id);
            on.runtime.yield_now().await;
        }
    });
}

impl Host {
    pub(super) fn begin_loading(self: Rc<Self>, shard: &Rc<Shard>) {
        let is_new = shard.partition(self.id).and_then(|partition| partition.offsets());
        if is_new.is_ok_and(|offsets| offsets.log_start == offsets.log_end) {
            self.phase.replace(Phase::Active(Box::default()));
            return;
        }
        let on = shard.clone();
        shard.runtime.spawn(async move {
            let _turn = on.group_loads.acquire(1).await;
            let began = on.runtime.monotonic();
            let loaded = load(&on, self.id).await;
            if !matches!(&*self.phase.borrow(), Phase::Loading) {
                return;
            }
            match loaded {
                Ok(coordinator) => {
                    let (groups, offsets) = (coordinator.group_count(), coordinator.offset_count());
                    let elapsed = on.runtime.monotonic().saturating_sub(began);
                    on.groups.counters.loads.record(elapsed);
                    let elapsed_ms = elapsed.as_millis();
                    tracing::debug!(partition = %self.id, groups, offsets, elapsed_ms, "loaded");
                    self.phase.replace(Phase::Active(Box::new(coordinator)));
                    self.keep_time(&on);
                }
                Err(error) => self.fail(&on, &format!("its groups can't be read back: {error}")),
            }
        });
    }
}

async fn load(shard: &Rc<Shard>, id: PartitionId) -> Result<Coordinator, LoadError> {
    let partition = shard.partition(id)?;
    let offsets = partition.offsets()?;
    partition.acknowledged(offsets.log_end).await?;
    let mut coordinator = Coordinator::default();
    let mut pauses = Pauses::new(&shard.runtime);
    let mut next = offsets.log_start;
    while next < offsets.log_end {
        let mut slice = read(&partition, id, next).await?;
        let begun = next;
        while let Some((header, records)) = next_batch(&mut slice)? {
            let now = shard.group_time();
            // The first batch of a read may begin before the offset asked for.
            if header.last_offset() >= next {
                records.iter().for_each(|record| coordinator.replay(record, now));
                next = header.last_offset() + 1;
            }
            pauses.after(records.len() + 1).await;
        }
        if next == begun {
            return Err(LoadError::Short(next));
        }
    }
    let mut after = None;
    loop {
        let mut turn = Turn::new(shard.group_time(), shard.groups.rules());
        after = coordinator.resume(after.as_ref(), &mut turn);
        debug_assert!(turn.answers.is_empty() && turn.writes.is_empty(), "nobody waits yet");
        if after.is_none() {
            return Ok(coordinator);
        }
        shard.runtime.yield_now().await;
    }
}

async fn read(partition: &Rc<Partition>, id: PartitionId, offset: i64) -> Result<Bytes, LoadError> {
    let want = Want {
        partition: id,
        offset,
        max_bytes: SLICE_BYTES,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
    };
    let Planned::Read(plan) = partition.plan(&want).await? else {
        return Err(LoadError::Short(offset));
    };
    let mut bytes = BytesMut::with_capacity(plan.bytes.min(2 * SLICE_BYTES));
    for lease in plan.leases {
        append(lease, &mut bytes).await?;
    }
    Ok(bytes.freeze())
}

async fn append(lease: Lease<DiskFile>, bytes: &mut BytesMut) -> Result<(), ReadError> {
    for slice in lease.load().await? {
        bytes.extend_from_slice(&slice);
    }
    Ok(())
}
