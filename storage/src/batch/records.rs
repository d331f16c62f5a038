//! Walking the records of a batch: their offsets and timestamps, and whether they have keys, without
//! looking at keys, values and headers. In steps of bounded work and memory, compressed or not.

use std::io::{self, BufRead, Read};

use super::compression::{DECOMPRESSED_BYTES_MAX, Decompressor};
use super::{BatchHeader, TimestampType};

/// Bytes that one step yields.
const STEP_BYTES: usize = 64 << 10;

/// What comes before a record's key: length, attributes, timestamp delta, offset delta, the key's
/// length.
const FRONT_BYTES_MAX: usize = 5 + 1 + 10 + 5 + 5;

/// Why a batch's records can't be walked, although the batch's checksum is right.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The compressed bytes are damaged, or yield more than a batch may.
    #[error("records can't be decompressed: {0}")]
    Compression(#[from] io::Error),
    /// A record is none, or there are more or fewer of them than the header says.
    #[error("record {index}: {reason}")]
    Malformed {
        /// Its place in the batch, from 0.
        index: i32,
        /// What does not fit.
        reason: &'static str,
    },
}

/// One record's place and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTime {
    /// Its place in the batch, from 0.
    pub index: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; -1 if none.
    pub timestamp_ms: i64,
    /// False if its key is null.
    pub has_key: bool,
}

/// What one step of a walk has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next record.
    Record(RecordTime),
    /// Up to 64 KiB of records were decompressed, or 16 KiB that yield nothing yet were taken in: a
    /// good moment to let others run.
    Paused,
    /// There are no more records.
    End,
}

/// The records of one batch.
pub struct RecordWalk<R: BufRead> {
    header: BatchHeader,
    input: Decompressor<R>,
    buffer: Box<[u8]>,
    /// The bytes of `buffer` that are not looked at yet.
    unread: std::ops::Range<usize>,
    /// Bytes of the last record still to be passed over.
    to_skip: u64,
    index: i32,
    at_end: bool,
}

impl<R: BufRead> RecordWalk<R> {
    /// Walks `records`, the bytes behind `header`.
    ///
    /// # Errors
    /// [`RecordsError::Compression`] if the codec is unknown or can't be set up.
    pub fn new(header: &BatchHeader, records: R) -> Result<Self, RecordsError> {
        RecordWalk::up_to(header, records, DECOMPRESSED_BYTES_MAX)
    }

    /// As [`RecordWalk::new`], but records that decompress to more than `limit_bytes` are an error.
    ///
    /// # Errors
    /// [`RecordsError::Compression`] if the codec is unknown or can't be set up.
    pub fn up_to(header: &BatchHeader, records: R, limit_bytes: u64) -> Result<Self, RecordsError> {
        let unknown = || io::Error::new(io::ErrorKind::InvalidData, "unknown compression codec");
        let compression = header.compression().ok_or_else(unknown)?;
        Ok(RecordWalk {
            header: *header,
            input: Decompressor::new(compression, records, limit_bytes)?,
            buffer: vec![0; STEP_BYTES].into_boxed_slice(),
            unread: 0..0,
            to_skip: 0,
            index: 0,
            at_end: false,
        })
    }

    /// Goes on.
    ///
    /// # Errors
    /// Every [`RecordsError`]; the walk is over then.
    pub fn step(&mut self) -> Result<Step, RecordsError> {
        let passed = self.to_skip.min(self.unread.len() as u64);
        self.unread.start += passed as usize;
        self.to_skip -= passed;
        let is_last = self.index == self.header.records_count();
        let is_short = self.to_skip > 0 || is_last || self.unread.len() < FRONT_BYTES_MAX;
        if is_short && !self.at_end {
            self.refill()?;
            return Ok(Step::Paused);
        }
        if self.to_skip > 0 {
            return Err(self.malformed("cut short"));
        }
        if !is_last {
            return self.record().map(Step::Record);
        }
        match self.unread.is_empty() {
            true => Ok(Step::End),
            false => Err(self.malformed("more records than the batch says")),
        }
    }

    /// Moves the unread bytes to the front and reads more behind them.
    fn refill(&mut self) -> Result<(), RecordsError> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        // What is left of a record may be passed over before there is room for anything else.
        match self.input.read(&mut self.buffer[self.unread.end..]) {
            Ok(count) => {
                self.unread.end += count;
                self.at_end = count == 0;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn record(&mut self) -> Result<RecordTime, RecordsError> {
        let mut front = &self.buffer[self.unread.clone()];
        let available = front.len();
        let fields = read_front(&mut front);
        let read = available - front.len();
        let Some(fields) = fields else { return Err(self.malformed("cut short")) };
        let body = read - fields.length_bytes;
        let Some(rest) = u64::try_from(fields.length).ok().and_then(|l| l.checked_sub(body as u64))
        else {
            return Err(self.malformed("an impossible length"));
        };
        if !(0..=i64::from(self.header.last_offset_delta())).contains(&fields.offset_delta) {
            return Err(self.malformed("an offset outside the batch"));
        }
        let timestamp_ms = match self.header.timestamp_type() {
            TimestampType::LogAppendTime => self.header.max_timestamp(),
            TimestampType::CreateTime => {
                self.header.base_timestamp().wrapping_add(fields.timestamp_delta)
            }
        };
        let has_key = rest > 0 && read_varint(&mut front, 5).is_some_and(|length| length >= 0);
        self.unread.start += read;
        self.to_skip = rest;
        let index = self.index;
        self.index += 1;
        let offset = self.header.base_offset().saturating_add(fields.offset_delta);
        Ok(RecordTime { index, offset, timestamp_ms, has_key })
    }

    fn malformed(&self, reason: &'static str) -> RecordsError {
        RecordsError::Malformed { index: self.index, reason }
    }
}

/// True if every record of an uncompressed batch has a key and a higher offset than the one before,
/// as far as its records are some at all. At once: for batches that are small.
pub(crate) fn records_suit_compaction(header: &BatchHeader, mut records: &[u8]) -> bool {
    let mut last_delta = -1;
    for _ in 0..header.records_count() {
        let Some(length) = read_varint(&mut records, 5) else { return false };
        let split = usize::try_from(length).ok().and_then(|l| records.split_at_checked(l));
        let Some((mut body, behind)) = split else { return false };
        records = behind;
        let Some((_attributes, rest)) = body.split_first() else { return false };
        body = rest;
        let deltas = (read_varint(&mut body, 10), read_varint(&mut body, 5));
        let key_length = read_varint(&mut body, 5);
        let (Some(delta), Some(0..)) = (deltas.1, key_length) else { return false };
        if delta <= last_delta {
            return false;
        }
        last_delta = delta;
    }
    true
}

struct Front {
    /// Of the length itself.
    length_bytes: usize,
    /// Of what follows it.
    length: i64,
    timestamp_delta: i64,
    offset_delta: i64,
}

fn read_front(bytes: &mut &[u8]) -> Option<Front> {
    let available = bytes.len();
    let length = read_varint(bytes, 5)?;
    let length_bytes = available - bytes.len();
    let (_attributes, rest) = bytes.split_first()?;
    *bytes = rest;
    let timestamp_delta = read_varint(bytes, 10)?;
    let offset_delta = read_varint(bytes, 5)?;
    Some(Front { length_bytes, length, timestamp_delta, offset_delta })
}

/// Zigzag, 7 bits a byte, lowest first (the protocol's VARINT and VARLONG); at most `bytes_max` bytes.
pub(super) fn read_varint(bytes: &mut &[u8], bytes_max: usize) -> Option<i64> {
    let mut value = 0u64;
    for i in 0..bytes_max {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}
