//! Reading the records of a batch with the beginnings of their keys, values and headers: of each no more
//! is kept than was asked for, however large it is (`record_reader.rs` reads them whole).

use std::io::{self, BufRead, Read};

use super::compression::{DECOMPRESSED_BYTES_MAX, Decompressor};
use super::{BatchHeader, RecordsError, TimestampType};

/// Headers kept of one record; more are read and counted.
const HEADERS_MAX: usize = 1000;

/// The first bytes of something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limited {
    /// As many as were asked for.
    pub bytes: Vec<u8>,
    /// How many there are.
    pub total_bytes: u64,
}

/// A record's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Its name.
    pub key: Limited,
    /// `None` if it is null.
    pub value: Option<Limited>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordContents {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; -1 if none.
    pub timestamp_ms: i64,
    /// `None` if it is null.
    pub key: Option<Limited>,
    /// `None` if it is null.
    pub value: Option<Limited>,
    /// The first of them.
    pub headers: Vec<RecordHeader>,
    /// How many there are.
    pub headers_total: u64,
}

/// The records of one batch, one after the other.
pub struct ContentsReader<R: BufRead> {
    header: BatchHeader,
    input: Counted<Decompressor<R>>,
    index: i32,
    limit_bytes: usize,
}

impl<R: BufRead> ContentsReader<R> {
    /// Reads `records`, the bytes behind `header`; of each key, value and header name at most
    /// `limit_bytes`.
    ///
    /// # Errors
    /// [`RecordsError::Compression`] if the codec is unknown or can't be set up.
    pub fn new(header: &BatchHeader, records: R, limit_bytes: usize) -> Result<Self, RecordsError> {
        let unknown = || io::Error::new(io::ErrorKind::InvalidData, "unknown compression codec");
        let compression = header.compression().ok_or_else(unknown)?;
        let input = Decompressor::new(compression, records, DECOMPRESSED_BYTES_MAX)?;
        Ok(ContentsReader { header: *header, input: Counted::new(input), index: 0, limit_bytes })
    }

    /// The next record; `None` behind the last one that the header counts.
    ///
    /// # Errors
    /// Every [`RecordsError`]; nothing more can be read then.
    pub fn next_record(&mut self) -> Result<Option<RecordContents>, RecordsError> {
        if self.index >= self.header.records_count() {
            return Ok(None);
        }
        let record = self.record().map_err(|fault| match fault {
            Fault::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => error.into(),
            Fault::Io(_) => self.malformed("cut short"),
            Fault::Reason(reason) => self.malformed(reason),
        })?;
        self.index += 1;
        Ok(Some(record))
    }

    fn record(&mut self) -> Result<RecordContents, Fault> {
        let length = self.input.varint()?;
        let begin = self.input.count;
        let _attributes = self.input.byte()?;
        let timestamp_delta = self.input.varint()?;
        let offset_delta = self.input.varint()?;
        if !(0..=i64::from(self.header.last_offset_delta())).contains(&offset_delta) {
            return Err(Fault::Reason("an offset outside the batch"));
        }
        let end = u64::try_from(length).ok().and_then(|length| begin.checked_add(length));
        let end = end.ok_or(Fault::Reason("an impossible length"))?;
        let key = self.field(end)?;
        let value = self.field(end)?;
        let (headers, headers_total) = self.headers(end)?;
        if self.input.count != end {
            return Err(Fault::Reason("its fields do not fill its length"));
        }
        let timestamp_ms = match self.header.timestamp_type() {
            TimestampType::LogAppendTime => self.header.max_timestamp(),
            TimestampType::CreateTime => self.header.base_timestamp().wrapping_add(timestamp_delta),
        };
        let offset = self.header.base_offset().saturating_add(offset_delta);
        Ok(RecordContents { offset, timestamp_ms, key, value, headers, headers_total })
    }

    fn headers(&mut self, end: u64) -> Result<(Vec<RecordHeader>, u64), Fault> {
        let count = u64::try_from(self.input.varint()?);
        let count = count.map_err(|_| Fault::Reason("a negative number of headers"))?;
        let mut headers = Vec::new();
        for _ in 0..count {
            let key = self.field(end)?.ok_or(Fault::Reason("a header without a name"))?;
            let value = self.field(end)?;
            if headers.len() < HEADERS_MAX {
                headers.push(RecordHeader { key, value });
            }
        }
        Ok((headers, count))
    }

    /// A length and so many bytes; -1 is null.
    fn field(&mut self, end: u64) -> Result<Option<Limited>, Fault> {
        let length = self.input.varint()?;
        if length == -1 {
            return Ok(None);
        }
        let length = u64::try_from(length).map_err(|_| Fault::Reason("a negative length"))?;
        if self.input.count.checked_add(length).is_none_or(|behind| behind > end) {
            return Err(Fault::Reason("a length beyond its end"));
        }
        let kept = length.min(self.limit_bytes as u64);
        let mut bytes = Vec::new();
        self.input.take_into(kept, &mut bytes)?;
        self.input.pass_over(length - kept)?;
        Ok(Some(Limited { bytes, total_bytes: length }))
    }

    fn malformed(&self, reason: &'static str) -> RecordsError {
        RecordsError::Malformed { index: self.index, reason }
    }
}

enum Fault {
    Io(io::Error),
    Reason(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

/// Bytes with a count of what was read; through a buffer, as they are asked for one by one.
struct Counted<R> {
    inner: R,
    buffer: Box<[u8]>,
    unread: std::ops::Range<usize>,
    count: u64,
}

impl<R: Read> Counted<R> {
    fn new(inner: R) -> Self {
        Counted { inner, buffer: vec![0; 16 << 10].into_boxed_slice(), unread: 0..0, count: 0 }
    }

    /// What is buffered, at least one byte.
    fn fill(&mut self) -> io::Result<&[u8]> {
        while self.unread.is_empty() {
            match self.inner.read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.unread = 0..count,
                // Bytes were taken in that yield nothing yet.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.unread.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.unread.start += count;
        self.count += count as u64;
    }

    fn byte(&mut self) -> io::Result<u8> {
        let byte = self.fill()?[0];
        self.consume(1);
        Ok(byte)
    }

    fn take_into(&mut self, mut length: u64, out: &mut Vec<u8>) -> io::Result<()> {
        while length > 0 {
            let available = self.fill()?;
            let count = available.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            out.extend_from_slice(&available[..count]);
            self.consume(count);
            length -= count as u64;
        }
        Ok(())
    }

    fn pass_over(&mut self, mut length: u64) -> io::Result<()> {
        while length > 0 {
            let count = self.fill()?.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            self.consume(count);
            length -= count as u64;
        }
        Ok(())
    }

    /// Zigzag, 7 bits a byte, lowest first.
    fn varint(&mut self) -> Result<i64, Fault> {
        let mut value = 0u64;
        for i in 0..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(Fault::Reason("a number of more than ten bytes"))
    }
}
