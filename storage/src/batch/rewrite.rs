//! A batch written again with some of its records, as compaction does: everything by which others
//! know it stays: offsets, producer, sequences, leader epoch, codec, timestamp type.

use std::io;

use zerocopy::IntoBytes;

use super::builder::put_varint;
use super::compress_stream::CompressStream;
use super::{
    BatchHeader, CONTROL_BIT, CRC_START, Compression, DELETE_HORIZON_BIT, HEADER_BYTES,
    LENGTH_OVERHEAD_BYTES, LOG_APPEND_TIME_BIT, RawRecord, TRANSACTIONAL_BIT, TimestampType,
};

/// Bytes compressed in one step. Few: gzip takes a third of a millisecond for them.
const STEP_BYTES: usize = 16 << 10;

/// A batch under way.
pub(crate) struct Rewrite {
    header: BatchHeader,
    /// Deltas of timestamps count from another base than before.
    is_rebased: bool,
    out: CompressStream,
    /// Records not compressed yet.
    pending: Vec<u8>,
    /// Bytes of `pending` that were.
    compressed: usize,
    count: i32,
    max_timestamp: i64,
}

impl Rewrite {
    /// Begins a batch like `original`. With `delete_horizon_ms`, its tombstones may be removed then
    /// (KIP-534): the base timestamp says so, and the records' deltas count from there.
    ///
    /// # Errors
    /// If the codec can't be set up.
    pub(crate) fn new(original: &BatchHeader, delete_horizon_ms: Option<i64>) -> io::Result<Self> {
        let mut header = *original;
        if let Some(horizon_ms) = delete_horizon_ms {
            header.attributes.set(header.attributes.get() | DELETE_HORIZON_BIT);
            header.base_timestamp.set(horizon_ms);
        }
        let compression = original.compression().unwrap_or(Compression::None);
        Ok(Rewrite {
            header,
            is_rebased: delete_horizon_ms.is_some(),
            out: CompressStream::new(compression, vec![0; HEADER_BYTES])?,
            pending: Vec::new(),
            compressed: 0,
            count: 0,
            max_timestamp: -1,
        })
    }

    /// Adds a record of the original. Offsets must rise.
    pub(crate) fn put(&mut self, record: &RawRecord<'_>) {
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(record.timestamp_ms);
        if !self.is_rebased {
            self.pending.extend_from_slice(record.bytes);
            return;
        }
        let mut front = vec![record.attributes];
        let base_timestamp = self.header.base_timestamp();
        put_varint(&mut front, record.timestamp_ms.wrapping_sub(base_timestamp));
        let length = front.len() + record.behind_timestamp.len();
        put_varint(&mut self.pending, length as i64);
        self.pending.extend_from_slice(&front);
        self.pending.extend_from_slice(record.behind_timestamp);
    }

    /// Compresses some of what was put; true if there is more.
    ///
    /// # Errors
    /// If the codec fails.
    pub(crate) fn step(&mut self) -> io::Result<bool> {
        let rest = &self.pending[self.compressed..];
        let now = &rest[..rest.len().min(STEP_BYTES)];
        self.out.write(now)?;
        self.compressed += now.len();
        let has_more = self.compressed < self.pending.len();
        if !has_more {
            self.pending.clear();
            self.compressed = 0;
        }
        Ok(has_more)
    }

    /// Bytes that were put and are not compressed yet.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.len() - self.compressed
    }

    /// The batch. Everything put must have been compressed.
    ///
    /// # Errors
    /// If the codec fails, or the batch exceeds 2 GiB.
    pub(crate) fn finish(mut self) -> io::Result<Vec<u8>> {
        assert_eq!(self.pending_bytes(), 0, "steps come before the end");
        let bytes = self.out.finish()?;
        self.header.records_count.set(self.count);
        if self.header.timestamp_type() == TimestampType::CreateTime {
            self.header.max_timestamp.set(self.max_timestamp);
        }
        sealed(self.header, bytes)
    }
}

/// The batch of `original` with none of its records: what is left of a batch that still has to say
/// which sequence its producer has come to, or where the log ends.
pub(crate) fn emptied(original: &BatchHeader) -> io::Result<Vec<u8>> {
    let mut header = *original;
    let kept = LOG_APPEND_TIME_BIT | TRANSACTIONAL_BIT | CONTROL_BIT;
    header.attributes.set(header.attributes.get() & kept);
    header.base_timestamp.set(header.max_timestamp());
    header.records_count.set(0);
    sealed(header, vec![0; HEADER_BYTES])
}

/// Puts length, checksum and header in front of the records.
fn sealed(mut header: BatchHeader, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let length = i32::try_from(bytes.len()).map_err(io::Error::other)?;
    header.batch_length.set(length - LENGTH_OVERHEAD_BYTES as i32);
    bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    header.crc.set(crc_fast::crc32_iscsi(&bytes[CRC_START..]));
    bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    Ok(bytes)
}
