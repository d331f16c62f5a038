//! Batches that are too large to be checked and copied in one step, which would hold the shard: both are
//! done beforehand, piece by piece, into chunks that the tail then takes as they are.

use crate::batch::{BatchHeader, CRC_START, Crc};
use crate::buffer::AlignedBuf;
use crate::log::append::must_roll;
use crate::log::tail::{CHUNK_BYTES_MAX, Copied};
use crate::log::{AppendError, Appended, Log};
use crate::runtime::Runtime;

/// Longest batch that is checked and copied in one step: some 400 us.
pub const APPENDED_AT_ONCE_BYTES_MAX: usize = 1536 << 10;

impl<R: Runtime> Log<R> {
    /// As [`Log::append`], for a batch of any size; others of the shard have their turns meanwhile. Nothing
    /// else may be appended to this log until it is done.
    ///
    /// # Errors
    /// Every [`AppendError`].
    pub async fn append_in_steps(&self, batch: &[u8]) -> Result<Appended, AppendError> {
        if batch.len() <= APPENDED_AT_ONCE_BYTES_MAX {
            return self.append(batch);
        }
        self.check_size(batch)?;
        let header = *BatchHeader::read_only(batch)?;
        if batch.len() < header.total_bytes() {
            // Says so.
            header.verify_crc(batch)?;
        }
        let (copied, crc) = self.copy_in_steps(batch).await;
        header.compare_crc(crc)?;
        header.check_producer_may_send()?;
        self.append_checked(header, batch, copied)
    }

    /// The end of `batch` in chunks of its own, and the CRC of all that is covered by one.
    async fn copy_in_steps(&self, batch: &[u8]) -> (Copied, u32) {
        let runtime = self.inner_runtime();
        let from = self.with_state(|state| match must_roll(state, batch.len(), runtime.now_ms()) {
            true => CHUNK_BYTES_MAX,
            false => state.active().tail.copied_from(),
        });
        let (mut crc, mut chunks) = (Crc::default(), Vec::new());
        let (here, beforehand) = batch.split_at(from.min(batch.len()));
        crc.update(&here[CRC_START..]);
        for piece in beforehand.chunks(CHUNK_BYTES_MAX) {
            runtime.yield_now().await;
            crc.update(piece);
            let mut chunk = AlignedBuf::with_capacity(CHUNK_BYTES_MAX);
            chunk.put(piece);
            chunks.push(chunk);
        }
        runtime.yield_now().await;
        (Copied { from, chunks }, crc.finish())
    }
}
