//! Makes batches of version 2.

use zerocopy::IntoBytes;

use super::compress::Compressor;
use super::{BatchHeader, CONTROL_BIT, CRC_START, HEADER_BYTES, LENGTH_OVERHEAD_BYTES, MAGIC_V2};

/// One record to put in a batch.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Record {
    /// Key, or null.
    pub key: Option<Vec<u8>>,
    /// Value, or null.
    pub value: Option<Vec<u8>>,
    /// Names and values, null ones included.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
}

impl Record {
    /// Bytes that it takes at most in a batch, before compression.
    pub fn bytes_max(&self) -> usize {
        // Attributes, two varints of 5 bytes, one of 10, and those before key, value and headers.
        const FIXED_BYTES_MAX: usize = 1 + 2 * 5 + 10 + 3 * 5;
        let field = |field: &Option<Vec<u8>>| field.as_ref().map_or(0, Vec::len);
        let header = |(name, value): &(String, _)| 2 * 5 + name.len() + field(value);
        let headers: usize = self.headers.iter().map(header).sum();
        FIXED_BYTES_MAX + field(&self.key) + field(&self.value) + headers
    }
}

/// Collects records and makes one batch of them, as a producer sends it.
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    records: Vec<Record>,
    producer: Option<(i64, i16, i32)>,
    base_offset: i64,
    leader_epoch: Option<i32>,
    control: bool,
    compressor: Compressor,
}

impl BatchBuilder {
    /// A batch without records, without producer id.
    pub fn new() -> Self {
        BatchBuilder::default()
    }

    /// Adds `record`.
    pub fn record(mut self, record: Record) -> Self {
        self.records.push(record);
        self
    }

    /// Adds a record without key and headers.
    pub fn value(self, timestamp_ms: i64, value: impl Into<Vec<u8>>) -> Self {
        self.record(Record { value: Some(value.into()), timestamp_ms, ..Record::default() })
    }

    /// Sets what an idempotent producer sends; by default there is none of it.
    pub fn producer(mut self, producer_id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer = Some((producer_id, epoch, base_sequence));
        self
    }

    /// Sets what the leader stamps; by default 0 and -1, as producers send it.
    pub fn stamped(mut self, base_offset: i64, leader_epoch: i32) -> Self {
        self.base_offset = base_offset;
        self.leader_epoch = Some(leader_epoch);
        self
    }

    /// Sets how records are compressed; by default not at all.
    pub fn compression(mut self, compressor: Compressor) -> Self {
        self.compressor = compressor;
        self
    }

    /// Marks it as a control batch.
    pub fn control(mut self) -> Self {
        self.control = true;
        self
    }

    /// The batch's bytes.
    ///
    /// # Panics
    /// If it would exceed 2 GiB.
    pub fn build(&self) -> Vec<u8> {
        let base_timestamp = self.records.first().map_or(-1, |r| r.timestamp_ms);
        let max_timestamp = self.records.iter().map(|r| r.timestamp_ms).max().unwrap_or(-1);
        let count =
            i32::try_from(self.records.len()).expect("a batch holds less than 2^31 records");
        let (producer_id, producer_epoch, base_sequence) = self.producer.unwrap_or((-1, -1, -1));

        let bytes = self.header_and_records(base_timestamp);
        let mut bytes = match self.compressor {
            Compressor::NONE => bytes,
            compressor => {
                let mut compressed = vec![0; HEADER_BYTES];
                compressor
                    .compress(&bytes[HEADER_BYTES..], &mut compressed)
                    .expect("memory is there to compress into");
                compressed
            }
        };
        let total = i32::try_from(bytes.len()).expect("a batch is smaller than 2 GiB");
        let mut header = BatchHeader {
            base_offset: self.base_offset.into(),
            batch_length: (total - LENGTH_OVERHEAD_BYTES as i32).into(),
            partition_leader_epoch: self.leader_epoch.unwrap_or(-1).into(),
            magic: MAGIC_V2,
            crc: 0.into(),
            attributes: self.attributes().into(),
            last_offset_delta: (count - 1).into(),
            base_timestamp: base_timestamp.into(),
            max_timestamp: max_timestamp.into(),
            producer_id: producer_id.into(),
            producer_epoch: producer_epoch.into(),
            base_sequence: base_sequence.into(),
            records_count: count.into(),
        };
        bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
        header.crc.set(crc_fast::crc32_iscsi(&bytes[CRC_START..]));
        bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
        bytes
    }

    fn attributes(&self) -> i16 {
        let control = if self.control { CONTROL_BIT } else { 0 };
        control | self.compressor.codec().bits()
    }

    /// Room for a header, and the records behind it.
    fn header_and_records(&self, base_timestamp: i64) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        let mut body = Vec::new();
        for (index, record) in self.records.iter().enumerate() {
            body.clear();
            put_body(&mut body, record, index as i64, base_timestamp);
            put_varint(&mut bytes, body.len() as i64);
            bytes.extend_from_slice(&body);
        }
        bytes
    }
}

fn put_body(body: &mut Vec<u8>, record: &Record, offset_delta: i64, base_timestamp: i64) {
    body.push(0); // attributes: none are defined
    put_varint(body, record.timestamp_ms.wrapping_sub(base_timestamp));
    put_varint(body, offset_delta);
    put_nullable(body, record.key.as_deref());
    put_nullable(body, record.value.as_deref());
    put_varint(body, record.headers.len() as i64);
    for (name, value) in &record.headers {
        put_nullable(body, Some(name.as_bytes()));
        put_nullable(body, value.as_deref());
    }
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}

/// Zigzag, then 7 bits a byte, lowest first (the protocol's VARINT and VARLONG).
pub(super) fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
