//! What was appended to one partition since the broker's start.

use corelane_storage::log::Appended;
use corelane_storage::meters::Count;

/// Batches that were taken; what an idempotent producer sent again is not counted again.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Bytes of the batches, as they came.
    pub bytes: Count,
    /// Their records.
    pub records: Count,
    /// How many they were.
    pub batches: Count,
}

impl Traffic {
    /// One batch.
    pub(super) fn count(&self, batch_bytes: usize, appended: &Appended) {
        if appended.duplicate {
            return;
        }
        self.bytes.add(batch_bytes as u64);
        self.records.add(appended.last_offset.abs_diff(appended.base_offset) + 1);
        self.batches.add(1);
    }
}
