//! Batches of a closed segment, one after the other, read from its file, each with a right checksum.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::CompactionError;
use super::pace::Pace;
use super::plan::Part;
use crate::batch::{BatchHeader, HEADER_BYTES};
use crate::buffer::AlignedBuf;
use crate::log::Log;
use crate::log::segment::segment_path;
use crate::runtime::{File, OpenMode, Runtime, block_ceil, block_floor};

/// Bytes read at once.
const WINDOW_BYTES: u64 = 256 << 10;

/// A segment that is being read.
pub(super) struct Source<R: Runtime> {
    file: R::File,
    path: PathBuf,
    end: u64,
    /// Where the next batch begins.
    position: u64,
    window: AlignedBuf,
    window_at: u64,
    /// Keeps the file from being removed.
    _reader: Arc<()>,
}

impl<R: Runtime> Log<R> {
    /// The segment from the batch on that holds `offset`, or a little before.
    pub(super) async fn source(&self, part: &Part) -> Result<Source<R>, CompactionError> {
        let inner = &*self.inner;
        let (shared, runtime) = (&inner.shared, &inner.shared.runtime);
        let reader = self.with_state(|state| {
            state.segment_named(part.name).map(|segment| segment.readers.clone())
        });
        let reader = reader.ok_or(CompactionError::Superseded)?;
        let path = segment_path(&inner.dir, part.name);
        let open = async || runtime.open(&path, OpenMode::Read).await;
        let file = shared.with_descriptors(open).await?;
        let window = AlignedBuf::with_capacity(1);
        let end = part.bytes;
        Ok(Source { file, path, end, position: 0, window, window_at: 0, _reader: reader })
    }
}

impl<R: Runtime> Source<R> {
    /// The next batch; `None` at the end.
    pub(super) async fn next(
        &mut self,
        pace: &mut Pace<R>,
    ) -> Result<Option<(BatchHeader, &[u8])>, CompactionError> {
        if self.position == self.end {
            return Ok(None);
        }
        let position = self.position;
        self.load(position + HEADER_BYTES as u64, pace).await?;
        let header = match BatchHeader::read(self.bytes_at(position)) {
            Ok(header) => *header,
            Err(_) => return Err(self.damaged("no batch begins here")),
        };
        let total = header.total_bytes();
        self.load(position + total as u64, pace).await?;
        if header.verify_crc(self.bytes_at(position)).is_err() {
            return Err(self.damaged("the batch's checksum is wrong"));
        }
        self.position += total as u64;
        Ok(Some((header, &self.bytes_at(position)[..total])))
    }

    fn bytes_at(&self, position: u64) -> &[u8] {
        self.window.as_bytes().get((position - self.window_at) as usize..).unwrap_or_default()
    }

    /// Brings the bytes from the position to `upto` into the window.
    async fn load(&mut self, upto: u64, pace: &mut Pace<R>) -> Result<(), CompactionError> {
        if upto > self.end {
            return Err(self.damaged("the segment ends inside a batch"));
        }
        if upto <= self.window_at + self.window.filled() as u64 && self.window_at <= self.position {
            return Ok(());
        }
        self.window_at = block_floor(self.position);
        let end = block_ceil(upto.max(self.window_at + WINDOW_BYTES).min(self.end));
        self.window = self.file.read_at(self.window_at, (end - self.window_at) as usize).await?;
        pace.moved(self.window.filled()).await;
        if pace.must_stop() {
            return Err(CompactionError::Stopped);
        }
        if self.window_at + (self.window.filled() as u64) < upto {
            return Err(self.damaged("the file is too short"));
        }
        Ok(())
    }

    fn damaged(&self, reason: &'static str) -> CompactionError {
        let (path, position) = (self.path.clone(), self.position);
        CompactionError::Damaged { path, position, reason }
    }
}
