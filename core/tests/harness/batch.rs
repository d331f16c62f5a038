//! Record batches of format v2 (kafka.apache.org/documentation/#recordbatch), good and bad ones.

use super::wire::Encoder;

/// A batch to be; every field may lie.
#[derive(Clone)]
pub struct Batch {
    pub magic: i8,
    pub attributes: i16,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    /// Values of its records, without keys or headers.
    pub values: Vec<Vec<u8>>,
    /// Milliseconds since the epoch, one a record; the last one's for those that are missing.
    pub timestamps_ms: Vec<i64>,
    /// Bytes that stand in place of the records.
    pub raw_records: Option<Vec<u8>>,
    /// Claimed instead of the number of records.
    pub count: Option<i32>,
    /// Claimed instead of the number of records minus one.
    pub last_offset_delta: Option<i32>,
    /// Xored onto the true CRC-32C.
    pub crc_damage: u32,
}

const HEADER_BYTES: usize = 61;
/// Attributes bit of a control batch.
pub const CONTROL: i16 = 1 << 5;
/// Attributes of a batch whose records are compressed with zstd.
pub const ZSTD: i16 = 4;
/// Attributes bit of a transactional batch.
pub const TRANSACTIONAL: i16 = 1 << 4;

impl Batch {
    /// A good batch, not idempotent.
    pub fn of(values: &[&[u8]]) -> Batch {
        Batch {
            magic: 2,
            attributes: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            values: values.iter().map(|value| value.to_vec()).collect(),
            timestamps_ms: vec![1_700_000_000_000],
            raw_records: None,
            count: None,
            last_offset_delta: None,
            crc_damage: 0,
        }
    }

    /// A batch of a few KiB whose two records have 1 GiB of zeros between them, to whoever searches it. Of the two
    /// times in its header no record has the later one.
    pub fn slow_to_search(times_ms: [i64; 2]) -> Batch {
        /// Most bytes of one block of zstd.
        const BLOCK_BYTES: u32 = 128 << 10;
        const BLOCKS: u32 = 8 << 10;
        let value_bytes = i64::from(BLOCKS * BLOCK_BYTES);
        let front = Encoder::new().i8(0).varint(0).varint(0).varint(-1).varint(value_bytes).0;
        let first = Encoder::new().varint(front.len() as i64 + value_bytes + 1).raw(&front).0;
        // Behind the value: no headers, and the second record.
        let second = Encoder::new().i8(0).varint(0).varint(1).varint(-1).varint(-1).varint(0).0;
        let last = Encoder::new().varint(0).varint(second.len() as i64).raw(&second).0;
        let block = |is_last: bool, is_repeated: bool, len: u32| {
            let header = len << 3 | u32::from(is_repeated) << 1 | u32::from(is_last);
            header.to_le_bytes()[..3].to_vec()
        };
        // RFC 8878: a frame of unknown length, with a window of one block.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
        frame.extend([block(false, false, first.len() as u32), first].concat());
        (0..BLOCKS).for_each(|_| frame.extend([block(false, true, BLOCK_BYTES), vec![0]].concat()));
        frame.extend([block(true, false, last.len() as u32), last].concat());
        Batch {
            attributes: ZSTD,
            timestamps_ms: times_ms.to_vec(),
            raw_records: Some(frame),
            ..Batch::of(&[b"", b""])
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let records = self.values.len() as i32;
        let timestamp_ms =
            |record: usize| self.timestamps_ms[record.min(self.timestamps_ms.len() - 1)];
        let all = (0..self.timestamps_ms.len()).map(timestamp_ms);
        let mut covered = Encoder::new()
            .i16(self.attributes)
            .i32(self.last_offset_delta.unwrap_or(records - 1))
            .i64(timestamp_ms(0))
            .i64(all.max().expect("a timestamp"))
            .i64(self.producer_id)
            .i16(self.producer_epoch)
            .i32(self.base_sequence)
            .i32(self.count.unwrap_or(records));
        if let Some(raw) = &self.raw_records {
            covered = covered.raw(raw);
        }
        let written = if self.raw_records.is_some() { &[][..] } else { &self.values };
        for (delta, value) in written.iter().enumerate() {
            let age_ms = timestamp_ms(delta) - timestamp_ms(0);
            let record = Encoder::new().i8(0).varint(age_ms).varint(delta as i64).varint(-1);
            let record = record.varint(value.len() as i64).raw(value).varint(0).0;
            covered = covered.varint(record.len() as i64).raw(&record);
        }
        let crc = crc32c(&covered.0) ^ self.crc_damage;
        // Base offset, then the length of what follows: leader epoch, magic, CRC and what the CRC covers.
        Encoder::new()
            .i64(0)
            .i32((4 + 1 + 4 + covered.0.len()) as i32)
            .i32(-1)
            .i8(self.magic)
            .raw(&crc.to_be_bytes())
            .raw(&covered.0)
            .0
    }
}

/// A batch of two records, the first of which has a value of `blocks` times 128 KiB of zeros: a few
/// bytes a block, in a Zstandard frame (RFC 8878) of blocks that repeat one byte.
pub fn zeros_by_zstd(blocks: usize, timestamp_ms: i64) -> Vec<u8> {
    const BLOCK_BYTES: usize = 128 << 10;
    let mut batch = Batch::of(&[b"", b""]);
    (batch.attributes, batch.timestamps_ms) = (ZSTD, vec![timestamp_ms]);
    let mut bytes = batch.encode();
    bytes.truncate(HEADER_BYTES);
    let value_bytes = blocks * BLOCK_BYTES;
    let front = Encoder::new().i8(0).varint(0).varint(0).varint(-1).varint(value_bytes as i64).0;
    let record_bytes = front.len() + value_bytes + 1;
    let front = Encoder::new().varint(record_bytes as i64).raw(&front).0;
    let second = Encoder::new().i8(0).varint(0).varint(1).varint(-1).varint(0).varint(0).0;
    let back = Encoder::new().varint(0).varint(second.len() as i64).raw(&second).0;
    let block = |is_last: bool, kind: usize, bytes: usize, content: &[u8]| {
        let head = usize::from(is_last) | kind << 1 | bytes << 3;
        [&head.to_le_bytes()[..3], content].concat()
    };
    // No checksum, no size, a window of 128 KiB.
    bytes.extend([0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3]);
    bytes.extend(block(false, 0, front.len(), &front));
    bytes.extend(block(false, 1, BLOCK_BYTES, &[0]).repeat(blocks));
    bytes.extend(block(true, 0, back.len(), &back));
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// A message set of the format before v2 (magic 0 or 1) with one message, as clients of Kafka 0.10 sent it.
pub fn old_message_set(magic: i8, value: &[u8]) -> Vec<u8> {
    let mut covered = Encoder::new().i8(magic).i8(0);
    if magic == 1 {
        covered = covered.i64(1_700_000_000_000);
    }
    let covered = covered.i32(-1).bytes(value).0;
    let message = Encoder::new().raw(&crc32(&covered).to_be_bytes()).raw(&covered).0;
    Encoder::new().i64(0).bytes(&message).0
}

/// CRC-32C (Castagnoli), bit by bit: slow and plainly right.
fn crc32c(bytes: &[u8]) -> u32 {
    reflected_crc(bytes, 0x82f6_3b78)
}

/// CRC-32 (IEEE 802.3).
fn crc32(bytes: &[u8]) -> u32 {
    reflected_crc(bytes, 0xedb8_8320)
}

fn reflected_crc(bytes: &[u8], polynomial: u32) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ polynomial } else { crc >> 1 };
        }
    }
    !crc
}
