//! Batches of a closed segment, one after the other, read from its file, each with a right checksum.

use std::path::PathBuf;
use std::sync::Arc;

use zerocopy::IntoBytes;

use super::error::CompactionError;
use super::pace::Pace;
use super::plan::Part;
use crate::batch::{BatchHeader, CRC_START, Crc, HEADER_BYTES};
use crate::buffer::{AlignedBuf, AlignedSlice};
use crate::log::Log;
use crate::log::scan::Chain;
use crate::log::segment::segment_path;
use crate::runtime::{File, OpenMode, Runtime, block_ceil, block_floor};

/// Bytes read at once.
const WINDOW_BYTES: u64 = 256 << 10;

/// The longest batch, if its topic does not take longer ones: what a damaged length may cost.
const BATCH_BYTES_MAX: usize = 128 << 20;

/// One batch, in the pieces in which it was read.
pub(super) struct SourceBatch {
    pub header: BatchHeader,
    /// What follows the header.
    records: Vec<AlignedSlice>,
}

impl SourceBatch {
    pub(super) fn new(header: BatchHeader, records: Vec<AlignedSlice>) -> Self {
        SourceBatch { header, records }
    }

    /// What follows the header.
    pub(super) fn records(&self) -> Chain {
        Chain::new(self.records.clone())
    }

    pub(super) fn records_bytes(&self) -> usize {
        self.header.total_bytes() - HEADER_BYTES
    }

    /// All of it.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.header.as_bytes()).chain(self.records.iter().map(|piece| &**piece))
    }
}

/// A segment that is being read.
pub(super) struct Source<R: Runtime> {
    file: R::File,
    path: PathBuf,
    end: u64,
    batch_bytes_max: usize,
    /// Where the next byte is.
    position: u64,
    window: AlignedBuf,
    window_at: u64,
    /// Keeps the file from being removed.
    _reader: Arc<()>,
}

impl<R: Runtime> Log<R> {
    /// The whole segment.
    pub(super) async fn source(&self, part: &Part) -> Result<Source<R>, CompactionError> {
        let inner = &*self.inner;
        let (shared, runtime) = (&inner.shared, &inner.shared.runtime);
        let found = self.with_state(|state| {
            let segment = state.segment_named(part.name)?;
            Some((segment.readers.clone(), state.config.max_message_bytes as usize))
        });
        let (reader, max_message_bytes) = found.ok_or(CompactionError::Superseded)?;
        let path = segment_path(&inner.dir, part.name);
        let open = async || runtime.open(&path, OpenMode::Read).await;
        Ok(Source {
            file: shared.with_descriptors(open).await?,
            path,
            end: part.bytes,
            batch_bytes_max: max_message_bytes.max(BATCH_BYTES_MAX),
            position: 0,
            window: AlignedBuf::with_capacity(1),
            window_at: 0,
            _reader: reader,
        })
    }
}

impl<R: Runtime> Source<R> {
    /// The next batch; `None` at the end.
    pub(super) async fn next(
        &mut self,
        pace: &mut Pace<R>,
    ) -> Result<Option<SourceBatch>, CompactionError> {
        let begin = self.position;
        if begin == self.end {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES];
        let mut filled = 0;
        for piece in self.take(begin, HEADER_BYTES, pace).await? {
            bytes[filled..filled + piece.len()].copy_from_slice(&piece);
            filled += piece.len();
        }
        let Ok(&header) = BatchHeader::read(&bytes) else {
            return Err(self.damaged(begin, "no batch begins here"));
        };
        let (batch_bytes, limit_bytes) = (header.total_bytes(), self.batch_bytes_max);
        if batch_bytes > limit_bytes {
            let (path, position) = (self.path.clone(), begin);
            return Err(CompactionError::BatchTooLong { path, position, batch_bytes, limit_bytes });
        }
        let records = self.take(begin, batch_bytes - HEADER_BYTES, pace).await?;
        let mut crc = Crc::default();
        crc.update(&bytes[CRC_START..]);
        for piece in &records {
            crc.update(piece);
            pace.worked(piece.len() / 32, 0).await?;
        }
        if crc.finish() != header.crc() {
            return Err(self.damaged(begin, "the batch's checksum is wrong"));
        }
        Ok(Some(SourceBatch::new(header, records)))
    }

    /// The next `length` bytes, of the batch that begins at `begin`.
    async fn take(
        &mut self,
        begin: u64,
        length: usize,
        pace: &mut Pace<R>,
    ) -> Result<Vec<AlignedSlice>, CompactionError> {
        if self.end - self.position < length as u64 {
            return Err(self.damaged(begin, "the segment ends inside a batch"));
        }
        let (mut pieces, mut left) = (Vec::new(), length);
        while left > 0 {
            if self.position >= self.window_at + self.window.filled() as u64 {
                self.load(pace).await?;
            }
            let from = (self.position - self.window_at) as usize;
            if from >= self.window.filled() {
                return Err(self.damaged(begin, "the file is too short"));
            }
            let to = self.window.filled().min(from + left);
            pieces.push(self.window.slice(from, to));
            self.position += (to - from) as u64;
            left -= to - from;
        }
        Ok(pieces)
    }

    /// Reads on from the position.
    async fn load(&mut self, pace: &mut Pace<R>) -> Result<(), CompactionError> {
        self.window_at = block_floor(self.position);
        let end = block_ceil((self.window_at + WINDOW_BYTES).min(self.end));
        self.window = self.file.read_at(self.window_at, (end - self.window_at) as usize).await?;
        pace.read(self.window.filled()).await
    }

    fn damaged(&self, position: u64, reason: &'static str) -> CompactionError {
        CompactionError::Damaged { path: self.path.clone(), position, reason }
    }
}
