//! Appends, and what follows when they are durable.

use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_storage::log::AppendError;

use super::super::batch::batches;
use super::super::turn::Write;
use super::{Host, Phase, Stored};
use crate::partition::{Partition, PartitionError};
use crate::shard::Shard;
use crate::shard::pauses::Pauses;

/// A write under way.
pub(super) struct Pending {
    /// It is durable when everything below this offset is.
    next_offset: i64,
    write: Write,
    /// Told when it is; dropped when it is lost.
    pub(super) done: Vec<flume::Sender<()>>,
}

impl Host {
    /// Appends the writes of one step; what follows them follows in order.
    pub(super) fn append(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        writes: Vec<Write>,
    ) -> Result<Stored, ErrorCode> {
        if writes.is_empty() {
            return Ok(Stored(None));
        }
        let (done, stored) = flume::bounded(1);
        let mut done = Some(done);
        let last = writes.len() - 1;
        for (number, write) in writes.into_iter().enumerate() {
            match self.append_one(shard, &write) {
                Ok(next_offset) => {
                    let done = done.take_if(|_| number == last).into_iter().collect();
                    self.pending.borrow_mut().push_back(Pending { next_offset, write, done });
                }
                Err(error) => {
                    self.fail(shard, &format!("its records can't be written: {error}"));
                    return Err(code(&error));
                }
            }
        }
        self.pump(shard);
        Ok(Stored(Some(stored)))
    }

    fn append_one(&self, shard: &Shard, write: &Write) -> Result<i64, WriteError> {
        let partition = shard.partition(self.id)?;
        let now_ms = shard.group_time().wall_ms;
        let mut next_offset = 0;
        for batch in batches(&write.records, now_ms)? {
            let appended = partition.append_own(&batch)?;
            next_offset = appended.last_offset + 1;
        }
        Ok(next_offset)
    }

    fn pump(self: &Rc<Self>, shard: &Rc<Shard>) {
        if self.is_pumped.replace(true) {
            return;
        }
        let (host, on) = (self.clone(), shard.clone());
        corelane_storage::runtime::Runtime::spawn(&shard.runtime, async move {
            let mut pauses = Pauses::new(&on.runtime);
            while let Some(next_offset) = host.next_pending() {
                match on.partition(host.id) {
                    Ok(partition) => host.settle(&on, &partition, next_offset).await,
                    Err(error) => host.fail(&on, &error.to_string()),
                }
                pauses.after(1).await;
            }
            host.is_pumped.set(false);
        });
    }

    fn next_pending(&self) -> Option<i64> {
        self.pending.borrow().front().map(|pending| pending.next_offset)
    }

    /// Waits for the first write, and lets follow what follows.
    async fn settle(self: &Rc<Self>, shard: &Rc<Shard>, partition: &Rc<Partition>, next: i64) {
        if let Err(error) = partition.acknowledged(next).await {
            return self.fail(shard, &format!("its records are lost: {error}"));
        }
        // Gone if the coordinator has stopped meanwhile.
        if self.next_pending() != Some(next) {
            return;
        }
        let first = self.pending.borrow_mut().pop_front();
        let Some(Pending { write, done, .. }) = first else { return };
        debug_assert!(matches!(&*self.phase.borrow(), Phase::Active(_)), "else none is pending");
        if self.step(shard, |coordinator, turn| coordinator.stored(write, turn)).is_ok() {
            for done in done {
                // Nobody listens any more if the connection is closed.
                let _ = done.try_send(());
            }
        }
    }
}

/// Why records are not written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Partition(#[from] PartitionError),
    #[error(transparent)]
    Encode(#[from] corelane_net::codec::EncodeError),
}

fn code(error: &WriteError) -> ErrorCode {
    match error {
        WriteError::Partition(PartitionError::Append(error))
            if matches!(**error, AppendError::TooLarge { .. }) =>
        {
            ErrorCode::InvalidCommitOffsetSize
        }
        WriteError::Partition(PartitionError::UnknownPartition) => ErrorCode::NotCoordinator,
        WriteError::Partition(_) => ErrorCode::CoordinatorNotAvailable,
        WriteError::Encode(_) => ErrorCode::UnknownServerError,
    }
}
