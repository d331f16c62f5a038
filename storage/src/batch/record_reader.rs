//! Whole records out of a batch: key, value and headers too, for whoever shows them to people.

use std::io::{self, BufRead, Read};

use super::builder::Record;
use super::compression::Decompressor;
use super::records::{RecordsError, read_varint};
use super::{BatchHeader, TimestampType};

/// Longest varint of a 32-bit number.
const LENGTH_BYTES_MAX: usize = 5;

/// Headers of one record, which has a few. Each takes two bytes of a batch, less than one of them
/// compressed, and 48 of memory.
const HEADERS_MAX: usize = 1 << 20;

/// Bytes decompressed at a time.
const PORTION_BYTES: usize = 64 << 10;

/// The records of one batch, one at a time; memory for one record, which grows as its bytes come.
pub struct RecordReader<R: BufRead> {
    header: BatchHeader,
    input: Decompressor<R>,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were read.
    read: usize,
    index: i32,
}

impl<R: BufRead> RecordReader<R> {
    /// Reads `records`, the bytes behind `header`; an error once they decompress to more than
    /// `limit_bytes`.
    ///
    /// # Errors
    /// [`RecordsError::Compression`] if the codec is unknown or can't be set up.
    pub fn up_to(header: &BatchHeader, records: R, limit_bytes: u64) -> Result<Self, RecordsError> {
        let unknown = || io::Error::new(io::ErrorKind::InvalidData, "unknown compression codec");
        let compression = header.compression().ok_or_else(unknown)?;
        let input = Decompressor::new(compression, records, limit_bytes)?;
        Ok(RecordReader { header: *header, input, buffer: Vec::new(), read: 0, index: 0 })
    }

    /// The next record and its offset; `None` after the last. Names of headers that are not UTF-8
    /// are made so, as Java's clients do.
    ///
    /// # Errors
    /// Every [`RecordsError`]; there is no going on then.
    pub fn next_record(&mut self) -> Result<Option<(i64, Record)>, RecordsError> {
        if self.index == self.header.records_count() {
            return match self.unread(1)?.is_empty() {
                true => Ok(None),
                false => Err(self.malformed("more records than the batch says")),
            };
        }
        let mut front = self.unread(LENGTH_BYTES_MAX)?;
        let available = front.len();
        let length = read_varint(&mut front, LENGTH_BYTES_MAX);
        self.read += available - front.len();
        let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else {
            return Err(self.malformed("no length, or an impossible one"));
        };
        let Some(body) = self.unread(length)?.get(..length) else {
            return Err(self.malformed("cut short"));
        };
        let Some((offset_delta, timestamp_delta, record)) = parse(body) else {
            return Err(
                self.malformed("fields that do not fit its length, or more than a million headers")
            );
        };
        if !(0..=i64::from(self.header.last_offset_delta())).contains(&offset_delta) {
            return Err(self.malformed("an offset outside the batch"));
        }
        let timestamp_ms = match self.header.timestamp_type() {
            TimestampType::LogAppendTime => self.header.max_timestamp(),
            TimestampType::CreateTime => self.header.base_timestamp().wrapping_add(timestamp_delta),
        };
        self.read += length;
        self.index += 1;
        let offset = self.header.base_offset().saturating_add(offset_delta);
        Ok(Some((offset, Record { timestamp_ms, ..record })))
    }

    /// What is decompressed and not read: at least `count` bytes, unless fewer are left.
    fn unread(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.read < count {
            self.buffer.drain(..self.read);
            self.read = 0;
        }
        while self.buffer.len() - self.read < count {
            match self.input.by_ref().take(PORTION_BYTES as u64).read_to_end(&mut self.buffer) {
                Ok(0) => break,
                Ok(_) => {}
                // A portion of compressed bytes that yields nothing: the next one may.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.read..])
    }

    fn malformed(&self, reason: &'static str) -> RecordsError {
        RecordsError::Malformed { index: self.index, reason }
    }
}

/// Offset delta, timestamp delta, and a record yet without its timestamp.
fn parse(body: &[u8]) -> Option<(i64, i64, Record)> {
    let (_attributes, mut rest) = body.split_first()?;
    let timestamp_delta = read_varint(&mut rest, 10)?;
    let offset_delta = read_varint(&mut rest, 5)?;
    let key = nullable(&mut rest)?.map(<[u8]>::to_vec);
    let value = nullable(&mut rest)?.map(<[u8]>::to_vec);
    let count = usize::try_from(read_varint(&mut rest, 5)?).ok().filter(|n| *n <= HEADERS_MAX)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = String::from_utf8_lossy(nullable(&mut rest)??).into_owned();
        headers.push((name, nullable(&mut rest)?.map(<[u8]>::to_vec)));
    }
    let record = Record { key, value, headers, timestamp_ms: 0 };
    rest.is_empty().then_some((offset_delta, timestamp_delta, record))
}

/// `None` if the length is impossible, `Some(None)` if it says null.
fn nullable<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = read_varint(bytes, LENGTH_BYTES_MAX)?;
    if length < 0 {
        return Some(None);
    }
    let (field, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(field))
}
