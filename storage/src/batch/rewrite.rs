//! A batch written again with some of its records, as compaction does: everything by which others
//! know it stays: offsets, producer, sequences, leader epoch, codec, timestamp type.

use std::io;

use zerocopy::IntoBytes;

use super::builder::put_varint;
use super::compress_stream::CompressStream;
use super::{
    BatchHeader, CONTROL_BIT, CRC_START, Compression, Crc, DELETE_HORIZON_BIT, HEADER_BYTES,
    LENGTH_OVERHEAD_BYTES, LOG_APPEND_TIME_BIT, RawRecord, TRANSACTIONAL_BIT, TimestampType,
};

/// Bytes compressed in one step. Few: gzip takes a third of a millisecond for them.
const STEP_BYTES: usize = 8 << 10;

/// Bytes that one step of sealing takes in.
const SEAL_STEP_BYTES: usize = 1 << 20;

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
    /// Begins a batch like `original`, of about `records_bytes` before compression. With
    /// `delete_horizon_ms`, its tombstones may be removed then (KIP-534): the base timestamp says so,
    /// and the records' deltas count from there.
    ///
    /// # Errors
    /// If the codec can't be set up.
    pub(crate) fn new(
        original: &BatchHeader,
        delete_horizon_ms: Option<i64>,
        records_bytes: u64,
    ) -> io::Result<Self> {
        let mut header = *original;
        if let Some(horizon_ms) = delete_horizon_ms {
            header.attributes.set(header.attributes.get() | DELETE_HORIZON_BIT);
            header.base_timestamp.set(horizon_ms);
        }
        let compression = original.compression().unwrap_or(Compression::None);
        Ok(Rewrite {
            header,
            is_rebased: delete_horizon_ms.is_some(),
            out: CompressStream::new(compression, vec![0; HEADER_BYTES], records_bytes)?,
            pending: Vec::new(),
            compressed: 0,
            count: 0,
            max_timestamp: -1,
        })
    }

    /// Adds a record of the original. Offsets must rise. What is returned is the rest of it, to be
    /// added by [`Rewrite::extend`].
    pub(crate) fn put<'a>(&mut self, record: &RawRecord<'a>) -> &'a [u8] {
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(record.timestamp_ms);
        if !self.is_rebased {
            return record.bytes;
        }
        let mut front = vec![record.attributes];
        let base_timestamp = self.header.base_timestamp();
        put_varint(&mut front, record.timestamp_ms.wrapping_sub(base_timestamp));
        let length = front.len() + record.behind_timestamp.len();
        put_varint(&mut self.pending, length as i64);
        self.pending.extend_from_slice(&front);
        record.behind_timestamp
    }

    /// Goes on with the record that was put.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
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

    /// Ends the records; what is left to do is to seal the batch. Everything put must have been
    /// compressed.
    ///
    /// # Errors
    /// If the codec fails, or the batch exceeds 2 GiB.
    pub(crate) fn finish(mut self) -> io::Result<Sealing> {
        assert_eq!(self.pending_bytes(), 0, "steps come before the end");
        let bytes = self.out.finish()?;
        self.header.records_count.set(self.count);
        if self.header.timestamp_type() == TimestampType::CreateTime {
            self.header.max_timestamp.set(self.max_timestamp);
        }
        Sealing::new(self.header, bytes)
    }
}

/// A batch that lacks its checksum.
pub(crate) struct Sealing {
    header: BatchHeader,
    /// Room for the header, then the records.
    bytes: Vec<u8>,
    crc: Crc,
    /// Bytes that `crc` has taken in.
    covered: usize,
}

impl Sealing {
    fn new(mut header: BatchHeader, mut bytes: Vec<u8>) -> io::Result<Self> {
        let length = i32::try_from(bytes.len()).map_err(io::Error::other)?;
        header.batch_length.set(length - LENGTH_OVERHEAD_BYTES as i32);
        bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
        Ok(Sealing { header, bytes, crc: Crc::default(), covered: CRC_START })
    }

    /// Takes in some of it; true if there is more.
    pub(crate) fn step(&mut self) -> bool {
        let end = self.bytes.len().min(self.covered + SEAL_STEP_BYTES);
        self.crc.update(&self.bytes[self.covered..end]);
        self.covered = end;
        end < self.bytes.len()
    }

    /// The batch.
    pub(crate) fn sealed(mut self) -> Vec<u8> {
        while self.covered < self.bytes.len() {
            self.step();
        }
        self.header.crc.set(self.crc.finish());
        self.bytes[..HEADER_BYTES].copy_from_slice(self.header.as_bytes());
        self.bytes
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
    Ok(Sealing::new(header, vec![0; HEADER_BYTES])?.sealed())
}
