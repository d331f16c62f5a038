//! Walking a log batch by batch, as far as it holds.

use crate::batch::{BatchHeader, HEADER_BYTES};
use crate::buffer::AlignedBuf;
use crate::index::SegmentIndex;
use crate::log::state::LogState;
use crate::recovery::merged::Merged;
use crate::runtime::{DiskError, File, Runtime, block_ceil, block_floor};
use crate::store::Boot;

/// How far a segment holds.
pub(super) struct Walked {
    /// Byte position behind its last whole batch.
    pub end: u64,
    /// Next offset.
    pub offset: i64,
    pub batches: u64,
}

/// Walks from byte `from` with offset `offset`; notes index, epochs and producers in passing.
pub(super) async fn walk<R: Runtime>(
    runtime: &R,
    merged: &mut Merged<R::File>,
    index: &mut SegmentIndex,
    state: &mut LogState<R::File>,
    (from, offset): (u64, i64),
    boot: &Boot,
) -> Result<Walked, DiskError> {
    let now_ms = runtime.now_ms();
    let mut walked = Walked { end: from, offset, batches: 0 };
    let mut yielded_at = from;
    loop {
        let bytes = merged.read(walked.end, HEADER_BYTES).await?;
        let Some(total) = expected_batch(bytes, walked.offset, boot.start_epoch()) else {
            return Ok(walked);
        };
        // Only as much as is really there is ever read, whatever the header claims.
        let batch = merged.read(walked.end, total).await?;
        let Ok(header) = BatchHeader::read(batch) else { return Ok(walked) };
        if batch.len() < total || header.verify_crc(batch).is_err() {
            return Ok(walked);
        }
        index.maybe_push(header.base_offset(), walked.end, header.max_timestamp());
        state.note_epoch(header.leader_epoch(), header.base_offset());
        state.producers.record(header, header.base_offset(), now_ms);
        walked.offset = header.last_offset() + 1;
        walked.end += total as u64;
        walked.batches += 1;
        if walked.end - yielded_at > 1 << 20 {
            yielded_at = walked.end;
            runtime.yield_now().await;
        }
    }
}

/// Size of the batch that begins `bytes`, if it is the one that comes next.
fn expected_batch(bytes: &[u8], offset: i64, start_epoch: i32) -> Option<usize> {
    let header = BatchHeader::read(bytes).ok()?;
    let continues = header.base_offset() == offset
        && header.last_offset_delta() >= 0
        && header.last_offset() < i64::MAX
        && (0..=start_epoch).contains(&header.leader_epoch());
    continues.then_some(header.total_bytes())
}

/// Notes in `index` every batch of `file` from its last entry on, by reading headers up to `end`;
/// returns the bytes read.
pub(crate) async fn rebuild_index<R: Runtime>(
    runtime: &R,
    file: &R::File,
    index: &mut SegmentIndex,
    end: u64,
) -> Result<u64, DiskError> {
    let from = index.last().position;
    let passed = pass_headers(runtime, file, (from, end), |header, position| {
        index.maybe_push(header.base_offset(), position, header.max_timestamp());
    });
    passed.await.map(|(bytes_read, _)| bytes_read)
}

/// Shows `visit` the header of every batch of `file` from `from` on, where one begins, up to `end`, or
/// up to what is none; returns the bytes read, and where it came to.
pub(super) async fn pass_headers<R: Runtime>(
    runtime: &R,
    file: &R::File,
    (from, end): (u64, u64),
    mut visit: impl FnMut(&BatchHeader, u64),
) -> Result<(u64, u64), DiskError> {
    const WINDOW_BYTES: u64 = 1 << 20;
    let mut position = from;
    let (mut window, mut window_at, mut bytes_read) = (AlignedBuf::with_capacity(1), 0, 0);
    while position + HEADER_BYTES as u64 <= end {
        let header_end = position + HEADER_BYTES as u64;
        if position < window_at || header_end > window_at + window.filled() as u64 {
            window_at = block_floor(position);
            let upto = block_ceil((window_at + WINDOW_BYTES).min(end).max(header_end));
            window = file.read_at(window_at, (upto - window_at) as usize).await?;
            bytes_read += window.filled() as u64;
            runtime.yield_now().await;
        }
        let bytes = window.as_bytes().get((position - window_at) as usize..).unwrap_or_default();
        let Ok(header) = BatchHeader::read(bytes) else { break };
        visit(header, position);
        position += header.total_bytes() as u64;
    }
    Ok((bytes_read, position))
}
