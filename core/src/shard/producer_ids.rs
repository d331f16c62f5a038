//! Producer ids, handed out from a block that shard 0 has reserved durably. What is left of a block
//! when the broker stops is never given: ids are plenty.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use corelane_storage::manifest::ManifestError;

use super::Shard;
use super::mailbox::CallError;
use super::semaphore::Semaphore;

/// Ids that a shard reserves at once; as many as a Kafka broker asks its controller for.
pub const BLOCK_LEN: u32 = 1_000;

/// Why there is no producer id.
#[derive(Debug, thiserror::Error)]
pub enum ProducerIdError {
    /// The block could not be made durable.
    #[error("reserving producer ids: {0}")]
    Manifest(#[from] ManifestError),
    /// Shard 0 does not answer.
    #[error("reserving producer ids: {0}")]
    Call(#[from] CallError),
}

/// One shard's block.
pub struct ProducerIds {
    block: RefCell<Range<i64>>,
    refill: Semaphore,
}

impl Default for ProducerIds {
    fn default() -> Self {
        ProducerIds { block: RefCell::new(0..0), refill: Semaphore::new(1) }
    }
}

impl ProducerIds {
    /// The next id; asks shard 0 for a block where needed, once for all who wait.
    pub async fn next(&self, shard: &Rc<Shard>) -> Result<i64, ProducerIdError> {
        if let Some(id) = self.take() {
            return Ok(id);
        }
        let _only_one = self.refill.acquire(1).await;
        loop {
            if let Some(id) = self.take() {
                return Ok(id);
            }
            let reserved = shard.call_async(0, |shard| {
                let shard = shard.clone();
                async move { shard.controller_or_panic().reserve_producer_ids(BLOCK_LEN).await }
            });
            *self.block.borrow_mut() = reserved.await??;
        }
    }

    fn take(&self) -> Option<i64> {
        self.block.borrow_mut().next()
    }
}
