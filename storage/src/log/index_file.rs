//! A segment's index on disk.

use std::path::Path;

use crate::index::{INTERVAL_BYTES, SegmentIndex};
use crate::log::seal::aligned;
use crate::log::segment::{SegmentName, index_path};
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime, block_ceil};

/// The index of the segment as far as its file can be trusted; empty without a file.
pub(crate) async fn read_index_file<R: Runtime>(
    runtime: &R,
    dir: &Path,
    name: SegmentName,
) -> Result<SegmentIndex, DiskError> {
    let file = match runtime.open(&index_path(dir, name), OpenMode::Read).await {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(SegmentIndex::new(name.base_offset)),
        Err(error) => return Err(error),
    };
    let length = block_ceil(file.len().await?) as usize;
    let bytes = file.read_at(0, length.max(BLOCK_BYTES)).await?;
    Ok(SegmentIndex::decode(bytes.as_bytes(), name.base_offset).index)
}

/// True if entries are missing before `end`, so that the segment has to be read again.
pub(crate) fn is_incomplete(index: &SegmentIndex, end: u64) -> bool {
    // A batch may be long, and the next entry is due only behind it.
    index.last().position + 2 * INTERVAL_BYTES < end
}

/// Writes the index's pages from `first_page` on. Pages carry their own checksum, so an index
/// that a crash leaves half-written is noticed and rebuilt, and needs no sync of its own. So is one
/// that is not written because the disk is full: nothing must wait for space only to save work.
pub(crate) async fn write_index_file<R: Runtime>(
    runtime: &R,
    dir: &Path,
    name: SegmentName,
    index: &SegmentIndex,
    first_page: usize,
) -> Result<(), DiskError> {
    if index.page_count() <= first_page {
        return Ok(());
    }
    let bytes = index.encode(first_page..index.page_count());
    let position = (first_page * BLOCK_BYTES) as u64;
    let write = async {
        let file = runtime.open(&index_path(dir, name), OpenMode::Create).await?;
        file.write_at(position, aligned(&bytes)).await
    };
    match write.await {
        Err(error) if error.is_no_space() => Ok(()),
        other => other,
    }
}
