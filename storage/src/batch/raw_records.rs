//! The records of a batch as whole, raw bytes, for compaction: it looks at keys, and copies what it
//! keeps. In steps of bounded work; of memory, a record's length at most, and only for bytes that
//! are really there.

use std::io::{self, BufRead, Read};

use super::compression::Decompressor;
use super::records::{RecordsError, read_varint};
use super::{BatchHeader, Compression, HEADER_BYTES, TimestampType};

/// Bytes that one step yields at most.
const STEP_BYTES: usize = 64 << 10;

/// One record, borrowed from the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawRecord<'a> {
    /// Its place in the batch, from 0.
    pub index: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; -1 if none.
    pub timestamp_ms: i64,
    /// `None` is null.
    pub key: Option<&'a [u8]>,
    /// False: a tombstone, if it has a key.
    pub has_value: bool,
    /// All of it, its length included.
    pub bytes: &'a [u8],
    /// Its attributes, of which none is defined yet.
    pub attributes: u8,
    /// What follows its timestamp: from its offset on.
    pub behind_timestamp: &'a [u8],
}

/// What one step has come to.
#[derive(Debug)]
pub(crate) enum RawStep<'a> {
    Record(RawRecord<'a>),
    /// Some bytes were decompressed: a good moment to let others run.
    Paused,
    End,
}

/// Reads the records of one batch.
pub(crate) struct RawRecords<R: BufRead> {
    header: BatchHeader,
    input: Decompressor<R>,
    buffer: Vec<u8>,
    unread: std::ops::Range<usize>,
    index: i32,
    /// Bytes asked for at once.
    step_bytes: usize,
    /// Offset of the last record, relative to the batch's.
    last_delta: i64,
    at_end: bool,
}

impl<R: BufRead> RawRecords<R> {
    /// Reads `records`, the bytes behind `header`; records that decompress to more than
    /// `limit_bytes` are an error.
    ///
    /// # Errors
    /// [`RecordsError::Compression`] if the codec is unknown or can't be set up.
    pub(crate) fn new(
        header: &BatchHeader,
        records: R,
        limit_bytes: u64,
    ) -> Result<Self, RecordsError> {
        let unknown = || io::Error::new(io::ErrorKind::InvalidData, "unknown compression codec");
        let compression = header.compression().ok_or_else(unknown)?;
        // One more, which shows that there is none.
        let step_bytes = match compression {
            Compression::None => STEP_BYTES.min(header.total_bytes() - HEADER_BYTES + 1),
            _ => STEP_BYTES,
        };
        Ok(RawRecords {
            header: *header,
            input: Decompressor::new(compression, records, limit_bytes)?,
            buffer: Vec::new(),
            unread: 0..0,
            index: 0,
            step_bytes,
            last_delta: -1,
            at_end: false,
        })
    }

    /// Goes on.
    ///
    /// # Errors
    /// Every [`RecordsError`]; there is nothing more to read then.
    pub(crate) fn step(&mut self) -> Result<RawStep<'_>, RecordsError> {
        if self.index >= self.header.records_count() {
            return match (self.unread.is_empty(), self.at_end) {
                (false, _) => Err(self.malformed("more records than the batch says")),
                (true, true) => Ok(RawStep::End),
                (true, false) => self.refill().map(|()| RawStep::Paused),
            };
        }
        let Some(length) = self.whole_record()? else {
            if self.at_end {
                return Err(self.malformed("cut short"));
            }
            return self.refill().map(|()| RawStep::Paused);
        };
        let range = self.unread.start..self.unread.start + length;
        let delta = parse(&self.buffer[range.clone()]).map(|fields| fields.offset_delta);
        // Compaction tells records by their offsets.
        let in_order = delta.is_some_and(|delta| {
            delta > self.last_delta && delta <= i64::from(self.header.last_offset_delta())
        });
        if !in_order {
            return Err(self.malformed("no record, or an offset out of order"));
        }
        self.last_delta = delta.unwrap_or_default();
        self.unread.start = range.end;
        let index = self.index;
        self.index += 1;
        let bytes = &self.buffer[range];
        let record = parse(bytes).map(|fields| fields.record(&self.header, index, bytes));
        record.map(RawStep::Record).ok_or(RecordsError::Malformed { index, reason: "no record" })
    }

    /// Bytes of the next record, if all of it was read.
    fn whole_record(&self) -> Result<Option<usize>, RecordsError> {
        let unread = &self.buffer[self.unread.clone()];
        let mut rest = unread;
        let Some(length) = read_varint(&mut rest, 5) else { return Ok(None) };
        let Ok(length) = usize::try_from(length) else {
            return Err(self.malformed("an impossible length"));
        };
        let total = unread.len() - rest.len() + length;
        Ok((total <= unread.len()).then_some(total))
    }

    /// Reads more behind the unread bytes.
    fn refill(&mut self) -> Result<(), RecordsError> {
        if self.unread.start > 0 {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        let wanted = self.unread.end + self.step_bytes;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        match self.input.read(&mut self.buffer[self.unread.end..wanted]) {
            Ok(count) => {
                self.unread.end += count;
                self.at_end = count == 0;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn malformed(&self, reason: &'static str) -> RecordsError {
        RecordsError::Malformed { index: self.index, reason }
    }
}

struct Fields<'a> {
    attributes: u8,
    timestamp_delta: i64,
    behind_timestamp: &'a [u8],
    offset_delta: i64,
    key: Option<&'a [u8]>,
    has_value: bool,
}

impl<'a> Fields<'a> {
    fn record(self, header: &BatchHeader, index: i32, bytes: &'a [u8]) -> RawRecord<'a> {
        let timestamp_ms = match header.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp(),
            TimestampType::CreateTime => header.base_timestamp().wrapping_add(self.timestamp_delta),
        };
        RawRecord {
            index,
            offset: header.base_offset().saturating_add(self.offset_delta),
            timestamp_ms,
            key: self.key,
            has_value: self.has_value,
            bytes,
            attributes: self.attributes,
            behind_timestamp: self.behind_timestamp,
        }
    }
}

/// The record's fields as far as they count here; `None` if it is none.
fn parse(mut bytes: &[u8]) -> Option<Fields<'_>> {
    let rest = &mut bytes;
    read_varint(rest, 5)?;
    let (&attributes, behind) = rest.split_first()?;
    *rest = behind;
    let timestamp_delta = read_varint(rest, 10)?;
    let behind_timestamp = *rest;
    let offset_delta = read_varint(rest, 5)?;
    let key = match usize::try_from(read_varint(rest, 5)?) {
        Err(_) => None,
        Ok(length) => {
            let (key, behind) = rest.split_at_checked(length)?;
            *rest = behind;
            Some(key)
        }
    };
    let has_value = read_varint(rest, 5)? >= 0;
    Some(Fields { attributes, timestamp_delta, behind_timestamp, offset_delta, key, has_value })
}
