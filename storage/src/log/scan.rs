//! Reading a log back batch by batch, for those who look for something in it.

use std::io::{self, BufRead, Read};

use crate::batch::{BatchHeader, HEADER_BYTES, RecordTime, RecordWalk, RecordsError, Step};
use crate::buffer::AlignedSlice;
use crate::log::lease::Pieces;
use crate::log::{Log, ReadError};
use crate::runtime::Runtime;

/// Bytes read at once.
const SCAN_BYTES: usize = 64 << 10;

/// Whole batches that were read back.
pub(super) struct Batches {
    bytes: Pieces,
    position: u64,
}

/// One batch that was read back.
pub(super) struct ReadBatch {
    pub header: BatchHeader,
    /// What follows the header.
    pub records: Vec<AlignedSlice>,
}

impl Iterator for Batches {
    type Item = ReadBatch;

    fn next(&mut self) -> Option<ReadBatch> {
        let header = self.bytes.header_at(self.position)?.ok()?;
        let end = self.position + header.total_bytes() as u64;
        let records = self.bytes.slices(self.position + HEADER_BYTES as u64, end);
        self.position = end;
        Some(ReadBatch { header, records })
    }
}

impl<R: Runtime> Log<R> {
    /// Some batches from the one that holds `offset` on; none at the high watermark. `offset` is
    /// raised to the log start.
    pub(super) async fn batches_at(&self, mut offset: i64) -> Result<Batches, ReadError> {
        let plan = loop {
            match self.read(offset, SCAN_BYTES).await {
                Err(ReadError::OutOfRange { log_start, .. }) if offset < log_start => {
                    offset = log_start;
                }
                other => break other?,
            }
        };
        let mut pieces = Vec::new();
        for lease in plan.leases {
            pieces.extend(lease.load().await?);
        }
        self.inner_runtime().yield_now().await;
        Ok(Batches { bytes: Pieces { start: 0, pieces }, position: 0 })
    }

    /// The first batch of `[offset, until)` that `wanted` takes.
    pub(super) async fn find_batch(
        &self,
        mut offset: i64,
        until: i64,
        wanted: impl Fn(&BatchHeader) -> bool,
    ) -> Result<Option<ReadBatch>, ReadError> {
        while offset < until {
            let before = offset;
            for batch in self.batches_at(offset).await? {
                if batch.header.base_offset() >= until {
                    return Ok(None);
                }
                if wanted(&batch.header) {
                    return Ok(Some(batch));
                }
                offset = batch.header.last_offset().saturating_add(1);
            }
            if offset == before {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Shows `visit` the batch's records, until it is content; true if it was.
    pub(super) async fn visit_records(
        &self,
        batch: ReadBatch,
        mut visit: impl FnMut(RecordTime) -> bool,
    ) -> Result<bool, ReadError> {
        let base_offset = batch.header.base_offset();
        let walk = RecordWalk::new(&batch.header, Chain::new(batch.records));
        let walked = match walk {
            Ok(walk) => walk_with_pauses(self.inner_runtime(), walk, usize::MAX, &mut visit).await,
            Err(source) => Err(source),
        };
        let walked = walked.map_err(|source| ReadError::Records { base_offset, source })?;
        Ok(walked == Walked::Content)
    }
}

/// Why a walk over records has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walked {
    /// Whoever looked has seen enough.
    Content,
    /// There are no more records.
    ToTheEnd,
    /// It has taken all the pauses that it may.
    TooFar,
}

/// Shows `visit` the records until it is content, or `pauses_max` times 64 KiB were decompressed.
/// Lets other tasks run in each pause.
pub(super) async fn walk_with_pauses<R: Runtime>(
    runtime: &R,
    mut walk: RecordWalk<impl BufRead>,
    mut pauses_max: usize,
    visit: &mut impl FnMut(RecordTime) -> bool,
) -> Result<Walked, RecordsError> {
    loop {
        match walk.step()? {
            Step::Record(record) if visit(record) => return Ok(Walked::Content),
            Step::Record(_) => {}
            Step::Paused if pauses_max == 0 => return Ok(Walked::TooFar),
            Step::Paused => {
                pauses_max -= 1;
                runtime.yield_now().await;
            }
            Step::End => return Ok(Walked::ToTheEnd),
        }
    }
}

/// Slices, read one after the other.
pub(super) struct Chain {
    slices: std::vec::IntoIter<AlignedSlice>,
    current: Option<AlignedSlice>,
    /// Bytes of `current` that were read.
    read: usize,
}

impl Chain {
    pub(super) fn new(slices: Vec<AlignedSlice>) -> Self {
        let mut slices = slices.into_iter();
        Chain { current: slices.next(), slices, read: 0 }
    }
}

impl BufRead for Chain {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.as_ref().is_some_and(|slice| slice.len() == self.read) {
            self.current = self.slices.next();
            self.read = 0;
        }
        Ok(self.current.as_ref().map_or(&[], |slice| &slice[self.read..]))
    }

    fn consume(&mut self, count: usize) {
        self.read += count;
    }
}

impl Read for Chain {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buf.len());
        buf[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
