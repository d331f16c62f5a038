//! Kafka's record batch, version 2: its header, read in place and never copied but for stamping.
//!
//! Format: Kafka protocol guide, "Record Batch"; KIP-98. All integers are big-endian. The CRC-32C
//! covers everything behind itself, so that the broker may stamp base offset and leader epoch,
//! which lie before it, without touching it. Records are opened (`records.rs`) only where their own
//! offsets or timestamps are asked for, never on the way of a produce or a fetch.

use zerocopy::byteorder::big_endian::{I16, I32, I64, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use builder::{BatchBuilder, Record};
pub use compress::{Compressor, CompressorError};
pub use compression::DECOMPRESSED_BYTES_MAX;
pub use contents::{ContentsReader, Limited, RecordContents, RecordHeader};
pub(crate) use crc::Crc;
pub(crate) use raw_records::{RawRecord, RawRecords, RawStep};
pub use record_reader::RecordReader;
pub(crate) use records::records_suit_compaction;
pub use records::{RecordTime, RecordWalk, RecordsError, Step};
pub(crate) use rewrite::{Rewrite, emptied};

mod builder;
mod compress;
mod compress_stream;
mod compression;
mod contents;
mod crc;
mod crc_shift;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod metered;
mod raw_records;
mod record_reader;
mod records;
mod rewrite;
mod snappy_block;
#[cfg(test)]
pub(crate) mod tests;

/// Size of a batch's header, in bytes; also the smallest possible batch.
pub const HEADER_BYTES: usize = 61;

/// The one supported value of the magic byte.
pub const MAGIC_V2: i8 = 2;

/// Bytes that `batch_length` does not count: base offset and the length itself.
const LENGTH_OVERHEAD_BYTES: usize = 12;

/// Where the magic byte lies, in every version of the format.
const MAGIC_POSITION: usize = 16;

/// First byte that the CRC covers: the attributes.
pub(crate) const CRC_START: usize = 21;

const COMPRESSION_MASK: i16 = 0b111;
const LOG_APPEND_TIME_BIT: i16 = 1 << 3;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const CONTROL_BIT: i16 = 1 << 5;
const DELETE_HORIZON_BIT: i16 = 1 << 6;

/// Why bytes are not an acceptable batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// CORRUPT_MESSAGE (2): a length, the magic byte or the CRC does not fit the bytes.
    #[error("corrupt batch: {0}")]
    Corrupt(&'static str),
    /// INVALID_RECORD (87): well-formed, but not what a producer may send.
    #[error("invalid batch: {0}")]
    Invalid(&'static str),
    /// TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53): part of a transaction; there are none yet.
    #[error("transactions are not supported")]
    Transactional,
    /// INVALID_RECORD (87): the message formats of before Kafka 0.11.
    #[error("batch has magic {0}, only 2 is supported")]
    UnsupportedMagic(i8),
}

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, in xerial's framing or raw.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

/// Whose clock a batch's timestamps are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's, for each record.
    CreateTime,
    /// The broker's: `max_timestamp` counts for all records.
    LogAppendTime,
}

/// The first 61 bytes of a batch, as they lie in memory or on disk.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BatchHeader {
    base_offset: I64,
    batch_length: I32,
    partition_leader_epoch: I32,
    magic: i8,
    crc: U32,
    attributes: I16,
    last_offset_delta: I32,
    base_timestamp: I64,
    max_timestamp: I64,
    producer_id: I64,
    producer_epoch: I16,
    base_sequence: I32,
    records_count: I32,
}

const _: () = assert!(size_of::<BatchHeader>() == HEADER_BYTES);

impl BatchHeader {
    /// The header at the front of `bytes`, which may end before the batch does.
    ///
    /// Checks what is needed to find the batch's end and to read its fields: magic and length.
    ///
    /// # Errors
    /// [`BatchError::Corrupt`] if `bytes` is shorter than a header, or the length impossible;
    /// [`BatchError::UnsupportedMagic`] for magic 0 and 1.
    #[inline]
    pub fn read(bytes: &[u8]) -> Result<&BatchHeader, BatchError> {
        let Ok((header, _)) = BatchHeader::ref_from_prefix(bytes) else {
            return Err(match bytes.get(MAGIC_POSITION) {
                Some(&magic @ 0..=1) => BatchError::UnsupportedMagic(magic as i8),
                _ => BatchError::Corrupt("shorter than a batch header"),
            });
        };
        match header.magic {
            MAGIC_V2 => {}
            0 | 1 => return Err(BatchError::UnsupportedMagic(header.magic)),
            _ => return Err(BatchError::Corrupt("unknown magic byte")),
        }
        let total = i64::from(header.batch_length.get()) + LENGTH_OVERHEAD_BYTES as i64;
        if total < HEADER_BYTES as i64 {
            return Err(BatchError::Corrupt("batch length is less than its header"));
        }
        if total > i64::from(i32::MAX) {
            return Err(BatchError::Corrupt("batch length exceeds 2 GiB"));
        }
        Ok(header)
    }

    /// Checks that `bytes` are exactly one batch which a producer outside transactions may send,
    /// CRC included; returns a copy of its header, ready for [`BatchHeader::stamp`].
    ///
    /// The checks of Kafka's `ProduceRequest.validateRecords` and `LogValidator.validateBatch`, as
    /// far as the header goes: compressed records are not opened.
    ///
    /// # Errors
    /// Every [`BatchError`].
    pub fn validate_from_producer(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let header = BatchHeader::read_only(bytes)?;
        header.verify_crc(bytes)?;
        header.check_producer_may_send()?;
        Ok(*header)
    }

    /// The header of the batch that `bytes` is to be, and nothing behind it.
    pub(crate) fn read_only(bytes: &[u8]) -> Result<&BatchHeader, BatchError> {
        if bytes.is_empty() {
            return Err(BatchError::Invalid("no batch at all"));
        }
        let header = BatchHeader::read(bytes)?;
        if bytes.len() > header.total_bytes() {
            return Err(BatchError::Invalid("bytes behind the one batch allowed"));
        }
        Ok(header)
    }

    /// What a producer may send, CRC aside.
    pub(crate) fn check_producer_may_send(&self) -> Result<(), BatchError> {
        let refuse = |reason| Err(BatchError::Invalid(reason));
        if self.base_offset() != 0 {
            return refuse("base offset of a produced batch is not 0");
        }
        if self.records_count() < 1 {
            return refuse("no records");
        }
        if i64::from(self.records_count()) != i64::from(self.last_offset_delta()) + 1 {
            return refuse("record count differs from the offset range");
        }
        if self.is_control() {
            return refuse("control batches are the broker's own");
        }
        if self.is_transactional() {
            return Err(BatchError::Transactional);
        }
        if self.compression().is_none() {
            return refuse("unknown compression codec");
        }
        if self.timestamp_type() == TimestampType::LogAppendTime {
            return refuse("timestamp type LogAppendTime is the broker's own");
        }
        match (self.has_producer_id(), self.producer_epoch(), self.base_sequence()) {
            (true, ..0, _) => refuse("producer id with a negative epoch"),
            (true, _, ..0) => refuse("producer id with a negative sequence"),
            // A sequence without a producer id says nothing; some clients send 0, and Kafka takes it.
            _ => Ok(()),
        }
    }

    /// Compares the CRC-32C of `batch`, of which this is the header, with the one in the header.
    /// Bytes behind the batch are ignored.
    ///
    /// # Errors
    /// [`BatchError::Corrupt`] if it differs, or if `batch` ends before the batch does.
    pub fn verify_crc(&self, batch: &[u8]) -> Result<(), BatchError> {
        let Some(covered) = batch.get(CRC_START..self.total_bytes()) else {
            return Err(BatchError::Corrupt("shorter than its batch length"));
        };
        self.compare_crc(crc_fast::crc32_iscsi(covered))
    }

    /// Holds the CRC-32C of what it covers against the one that the header has.
    pub(crate) fn compare_crc(&self, crc: u32) -> Result<(), BatchError> {
        if crc != self.crc.get() {
            return Err(BatchError::Corrupt("CRC-32C differs"));
        }
        Ok(())
    }

    /// Sets what the leader assigns. Both fields lie outside the CRC.
    pub fn stamp(&mut self, base_offset: i64, leader_epoch: i32) {
        self.base_offset.set(base_offset);
        self.partition_leader_epoch.set(leader_epoch);
    }

    /// Makes `now_ms` the timestamp of all records, and corrects the CRC without reading them
    /// (`crc_shift.rs`). The CRC must have been right before.
    pub fn stamp_log_append_time(&mut self, now_ms: i64) {
        let header_before = self.crc_of_header();
        self.attributes.set(self.attributes.get() | LOG_APPEND_TIME_BIT);
        self.max_timestamp.set(now_ms);
        let change = header_before ^ self.crc_of_header();
        let records_bytes = (self.total_bytes() - HEADER_BYTES) as u32;
        self.crc.set(self.crc.get() ^ crc_shift::shift(change, records_bytes));
    }

    fn crc_of_header(&self) -> u32 {
        crc_fast::crc32_iscsi(&self.as_bytes()[CRC_START..])
    }

    /// Size of the whole batch, header included. At least [`HEADER_BYTES`], at most `i32::MAX`,
    /// as [`BatchHeader::read`] made sure.
    #[inline]
    pub fn total_bytes(&self) -> usize {
        self.batch_length.get() as usize + LENGTH_OVERHEAD_BYTES
    }

    /// Offset of the first record.
    #[inline]
    pub fn base_offset(&self) -> i64 {
        self.base_offset.get()
    }

    /// Offset of the last record; saturates on a damaged header.
    #[inline]
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i64::from(self.last_offset_delta()))
    }

    /// Leader epoch in which it was appended.
    #[inline]
    pub fn leader_epoch(&self) -> i32 {
        self.partition_leader_epoch.get()
    }

    /// Last record's offset, relative to the first one's.
    #[inline]
    pub fn last_offset_delta(&self) -> i32 {
        self.last_offset_delta.get()
    }

    /// Number of records.
    #[inline]
    pub fn records_count(&self) -> i32 {
        self.records_count.get()
    }

    /// The CRC-32C that the batch claims.
    #[inline]
    pub fn crc(&self) -> u32 {
        self.crc.get()
    }

    /// The codec, if it is a known one.
    pub fn compression(&self) -> Option<Compression> {
        match self.attributes.get() & COMPRESSION_MASK {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Whose clock the timestamps are of.
    #[inline]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes.get() & LOG_APPEND_TIME_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// True if it is part of a transaction.
    #[inline]
    pub fn is_transactional(&self) -> bool {
        self.attributes.get() & TRANSACTIONAL_BIT != 0
    }

    /// True if it holds a broker's control record (a transaction's end), not data.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.attributes.get() & CONTROL_BIT != 0
    }

    /// Timestamp that the records' deltas count from, ms since 1970; -1 if none.
    #[inline]
    pub fn base_timestamp(&self) -> i64 {
        self.base_timestamp.get()
    }

    /// When compaction may remove its tombstones, ms since 1970, once it has been told (KIP-534).
    /// The base timestamp says it: no field was left.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes.get() & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp())
    }

    /// Highest timestamp of its records, ms since 1970; -1 if none.
    #[inline]
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp.get()
    }

    /// True if an idempotent or transactional producer sent it.
    #[inline]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id() >= 0
    }

    /// The producer's id, -1 if it has none.
    #[inline]
    pub fn producer_id(&self) -> i64 {
        self.producer_id.get()
    }

    /// The producer's epoch, -1 if it has none.
    #[inline]
    pub fn producer_epoch(&self) -> i16 {
        self.producer_epoch.get()
    }

    /// Sequence number of the first record, -1 if it has none.
    #[inline]
    pub fn base_sequence(&self) -> i32 {
        self.base_sequence.get()
    }

    /// Sequence number of the last record, -1 if it has none. Sequences wrap from `i32::MAX` to 0.
    #[inline]
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence() {
            ..0 => -1,
            base => base.wrapping_add(self.last_offset_delta()) & i32::MAX,
        }
    }
}

impl std::fmt::Debug for BatchHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchHeader")
            .field("offsets", &(self.base_offset()..=self.last_offset()))
            .field("total_bytes", &(i64::from(self.batch_length.get()) + 12))
            .field("leader_epoch", &self.leader_epoch())
            .field("attributes", &self.attributes.get())
            .field("max_timestamp", &self.max_timestamp())
            .field("producer", &(self.producer_id(), self.producer_epoch(), self.base_sequence()))
            .finish()
    }
}
