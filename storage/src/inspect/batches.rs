//! Batch after batch of one segment, as its file and the journals make it together.

use std::io::{self, BufRead, Read};

use crate::batch::{BatchHeader, CRC_START, HEADER_BYTES};
use crate::inspect::plain_disk::{PlainFile, now};
use crate::recovery::Merged;
use crate::runtime::DiskError;

/// Bytes looked at at once.
const PIECE_BYTES: u64 = 512 << 10;

/// A batch and its place.
#[derive(Clone, Copy, Debug)]
pub struct BatchPlace {
    /// Its header.
    pub header: BatchHeader,
    /// Base offset of its segment.
    pub segment_base: i64,
    /// Where in the segment it begins.
    pub position: u64,
}

/// Why the bytes at some place are not the batch that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoBatch {
    pub reason: String,
    /// Where the next one may begin, and with which offset, if the header can be believed that far.
    pub next: Option<(u64, i64)>,
}

/// What a batch has to fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub offset: i64,
    /// Whether it may be a later one: compaction leaves gaps.
    pub may_skip: bool,
    /// Leader epochs that it may have.
    pub epochs: (i32, i32),
    /// Whether to compute its checksum.
    pub checksum: bool,
}

/// The batch at `position`, which lies before the segment's limit.
pub(super) fn read_batch(
    merged: &mut Merged<PlainFile>,
    position: u64,
    expected: Expected,
) -> Result<Result<BatchHeader, NoBatch>, DiskError> {
    let refuse = |reason: String| Ok(Err(NoBatch { reason, next: None }));
    let limit = merged.limit();
    let bytes = now(merged.read(position, HEADER_BYTES))?;
    if bytes.iter().all(|byte| *byte == 0) {
        return refuse("zeros".to_owned());
    }
    let header = match BatchHeader::read(bytes) {
        Ok(header) => *header,
        Err(error) => return refuse(error.to_string()),
    };
    let end = position + header.total_bytes() as u64;
    let (first, last) = (header.base_offset(), header.last_offset());
    let is_sound = header.last_offset_delta() >= 0 && last < i64::MAX && end <= limit;
    let next = is_sound.then(|| (end, last + 1));
    let fault = |reason: String| Ok(Err(NoBatch { reason, next }));
    if end > limit {
        return refuse(format!("a batch of {} bytes, which ends beyond it", header.total_bytes()));
    }
    if !is_sound {
        return refuse(format!("a batch with the impossible offsets {first} to {last}"));
    }
    if expected.checksum && !crc_fits(merged, &header, position)? {
        return fault("a batch whose checksum (CRC-32C) differs".to_owned());
    }
    let follows = first == expected.offset || (expected.may_skip && first > expected.offset);
    if !follows {
        return fault(format!("a batch with offset {first} where {} should be", expected.offset));
    }
    let (lowest, highest) = expected.epochs;
    if !(lowest..=highest).contains(&header.leader_epoch()) {
        let epoch = header.leader_epoch();
        return fault(format!("a batch of leader epoch {epoch}, expected {lowest} to {highest}"));
    }
    Ok(Ok(header))
}

fn crc_fits(
    merged: &mut Merged<PlainFile>,
    header: &BatchHeader,
    position: u64,
) -> Result<bool, DiskError> {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    let mut at = position + CRC_START as u64;
    let end = position + header.total_bytes() as u64;
    while at < end {
        let piece = now(merged.read(at, (end - at).min(PIECE_BYTES) as usize))?;
        if piece.is_empty() {
            return Ok(false);
        }
        digest.update(piece);
        at += piece.len() as u64;
    }
    Ok(digest.finalize() == u64::from(header.crc()))
}

/// The bytes of a batch behind its header.
pub(super) struct RecordBytes<'a> {
    merged: &'a mut Merged<PlainFile>,
    position: u64,
    end: u64,
}

impl<'a> RecordBytes<'a> {
    pub(super) fn of(
        merged: &'a mut Merged<PlainFile>,
        header: &BatchHeader,
        position: u64,
    ) -> RecordBytes<'a> {
        let end = position + header.total_bytes() as u64;
        RecordBytes { merged, position: position + HEADER_BYTES as u64, end }
    }
}

impl BufRead for RecordBytes<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position >= self.end {
            return Ok(&[]);
        }
        let wanted = (self.end - self.position).min(PIECE_BYTES) as usize;
        now(self.merged.read(self.position, wanted)).map_err(io::Error::other)
    }

    fn consume(&mut self, count: usize) {
        self.position += count as u64;
    }
}

impl Read for RecordBytes<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buf.len());
        buf[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
