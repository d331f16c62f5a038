//! Records of groups as record batches, and back.

use bytes::{Buf, Bytes};
use corelane_net::codec::{DecodeError, EncodeError};
use corelane_net::group_records::GroupRecord;
use corelane_storage::batch::{
    BatchBuilder, BatchError, BatchHeader, Compression, HEADER_BYTES, Record,
};

/// Bytes of keys and values after which a batch is full: one is read back without a pause.
const FULL_BATCH_BYTES: usize = 32 << 10;

/// Why stored bytes are not records of groups.
#[derive(Debug, thiserror::Error)]
pub enum BadBatch {
    /// It is no batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Coordinators never write such ones, and nobody else may write.
    #[error("the batch at offset {0} is compressed")]
    Compressed(i64),
    /// A record ends before its fields do.
    #[error("a record in the batch at offset {0} is cut short")]
    Cut(i64),
    /// A key or a value is of no known form.
    #[error("a record in the batch at offset {base_offset}: {source}")]
    Record {
        /// The batch's base offset.
        base_offset: i64,
        /// What does not fit.
        source: DecodeError,
    },
}

/// The batches of `records`, in order.
///
/// # Errors
/// If a record can't be said in its format.
pub fn batches(records: &[GroupRecord], timestamp_ms: i64) -> Result<Vec<Vec<u8>>, EncodeError> {
    let mut batches = Vec::new();
    let (mut builder, mut bytes) = (BatchBuilder::new(), 0);
    for record in records {
        let (key, value) = record.encode()?;
        if bytes > 0 && bytes + key.len() + value.as_ref().map_or(0, Bytes::len) > FULL_BATCH_BYTES
        {
            batches.push(std::mem::take(&mut builder).build());
            bytes = 0;
        }
        bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        let (key, value) = (Some(key.to_vec()), value.map(|value| value.to_vec()));
        builder = builder.record(Record { key, value, timestamp_ms, ..Record::default() });
    }
    if bytes > 0 {
        batches.push(builder.build());
    }
    Ok(batches)
}

/// The first batch of `bytes` taken off, with its records that are known; `None` at the end.
///
/// # Errors
/// Every [`BadBatch`].
pub fn next_batch(bytes: &mut Bytes) -> Result<Option<(BatchHeader, Vec<GroupRecord>)>, BadBatch> {
    if bytes.len() < HEADER_BYTES {
        return Ok(None);
    }
    let header = *BatchHeader::read(bytes)?;
    let total = header.total_bytes();
    if bytes.len() < total {
        return Ok(None);
    }
    let batch = bytes.split_to(total);
    header.verify_crc(&batch)?;
    if header.is_control() {
        return Ok(Some((header, Vec::new())));
    }
    let base_offset = header.base_offset();
    if header.compression() != Some(Compression::None) {
        return Err(BadBatch::Compressed(base_offset));
    }
    let mut rest = batch.slice(HEADER_BYTES..);
    let mut records = Vec::new();
    for _ in 0..header.records_count() {
        let (key, value) = key_and_value(&mut rest).ok_or(BadBatch::Cut(base_offset))?;
        // Kafka passes over what it does not know, too: a newer version has written it.
        let Some(key) = key else { continue };
        let record = GroupRecord::decode(&key, value.as_ref())
            .map_err(|source| BadBatch::Record { base_offset, source })?;
        records.extend(record);
    }
    Ok(Some((header, records)))
}

/// Takes one record off; its headers are passed over.
fn key_and_value(rest: &mut Bytes) -> Option<(Option<Bytes>, Option<Bytes>)> {
    let length = usize::try_from(varint(rest)?).ok()?;
    let mut record = (length <= rest.len()).then(|| rest.split_to(length))?;
    let _attributes = record.try_get_u8().ok()?;
    let (_timestamp_delta, _offset_delta) = (varint(&mut record)?, varint(&mut record)?);
    let key = nullable(&mut record)?;
    let value = nullable(&mut record)?;
    Some((key, value))
}

fn nullable(record: &mut Bytes) -> Option<Option<Bytes>> {
    match usize::try_from(varint(record)?) {
        Ok(length) => (length <= record.len()).then(|| Some(record.split_to(length))),
        Err(_) => Some(None),
    }
}

/// Zigzag, 7 bits a byte, lowest first.
fn varint(bytes: &mut Bytes) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use corelane_net::group_records::{OffsetCommitKey, OffsetCommitValue};

    use super::*;

    fn record(partition: i32, metadata: &str) -> GroupRecord {
        let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition };
        let value = OffsetCommitValue { metadata: metadata.into(), ..Default::default() };
        GroupRecord::Offset(key, (partition % 3 != 0).then_some(value))
    }

    #[test]
    fn records_come_back_in_their_order() {
        let metadata = "m".repeat(4_000);
        let records: Vec<_> = (0..300).map(|partition| record(partition, &metadata)).collect();
        let batches = batches(&records, 7).unwrap();
        assert!(batches.len() > 2 && batches.iter().all(|b| b.len() < FULL_BATCH_BYTES + 8_192));
        let mut bytes = Bytes::from(batches.concat());
        let mut read = Vec::new();
        while let Some((_, records)) = next_batch(&mut bytes).unwrap() {
            read.extend(records);
        }
        assert_eq!(read, records);
        assert!(super::batches(&[], 7).unwrap().is_empty());
    }

    #[test]
    fn damage_is_an_error() {
        let whole = batches(&[record(1, "x")], 7).unwrap().remove(0);
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(matches!(next_batch(&mut flipped.into()), Err(BadBatch::Batch(_))));
        // A key that is cut, in a batch whose checksum is right.
        let key = Some(vec![0, 1, 0, 9, b'g']);
        let cut = BatchBuilder::new().record(Record { key, ..Record::default() }).build();
        assert!(matches!(next_batch(&mut cut.into()), Err(BadBatch::Record { .. })));
        // Keys of later versions are passed over.
        let key = Some(vec![0, 99, 0]);
        let newer = BatchBuilder::new().record(Record { key, ..Record::default() }).build();
        assert_eq!(next_batch(&mut newer.into()).unwrap().unwrap().1, []);
        // The rest of a batch is in the next read.
        assert!(next_batch(&mut Bytes::from(whole).slice(..70)).unwrap().is_none());
    }
}
