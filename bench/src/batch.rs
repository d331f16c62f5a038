//! Batches to send.

use bytes::Bytes;
use corelane_storage::batch::{BatchBuilder, HEADER_BYTES};

use crate::direct_file::fill;
use crate::error::BenchError;

/// Largest batch, as large as one request may be.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// One batch of equal records without keys.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) bytes: Bytes,
    pub(crate) records: usize,
}

impl Batch {
    /// As many records with values of `record_bytes` as fit `batch_bytes`, and at least one. The
    /// values do not compress.
    ///
    /// # Errors
    /// [`BenchError::Argument`] for sizes beyond 64 MiB.
    pub(crate) fn of(
        record_bytes: usize,
        batch_bytes: usize,
        timestamp_ms: i64,
    ) -> Result<Batch, BenchError> {
        let largest = record_bytes.max(batch_bytes);
        if largest > BATCH_BYTES_MAX {
            let text = format!("{largest} bytes: a batch has at most {BATCH_BYTES_MAX}");
            return Err(BenchError::Argument(text));
        }
        let records = records_that_fit(record_bytes, batch_bytes);
        let mut builder = BatchBuilder::new();
        let mut value = vec![0; record_bytes];
        for record in 0..records {
            fill(&mut value, record as u64 + 1);
            builder = builder.value(timestamp_ms, value.clone());
        }
        Ok(Batch { bytes: builder.build().into(), records })
    }
}

fn records_that_fit(record_bytes: usize, batch_bytes: usize) -> usize {
    let mut left_bytes = batch_bytes.saturating_sub(HEADER_BYTES);
    let mut records = 0;
    while let Some(rest) = left_bytes.checked_sub(encoded_bytes(records, record_bytes)) {
        left_bytes = rest;
        records += 1;
    }
    records.max(1)
}

/// A record without key and headers: its length, attributes, timestamp delta, offset delta, null
/// key, value with its length, number of headers.
fn encoded_bytes(offset_delta: usize, value_bytes: usize) -> usize {
    let rest = 1 + 1 + varint_bytes(offset_delta) + 1 + varint_bytes(value_bytes) + value_bytes + 1;
    varint_bytes(rest) + rest
}

/// Bytes of a number that is not negative, zigzag.
fn varint_bytes(number: usize) -> usize {
    let bits = usize::BITS - (number << 1).leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

#[cfg(test)]
mod tests {
    use corelane_storage::batch::BatchHeader;

    use super::Batch;

    #[test]
    fn a_batch_is_as_full_as_it_can_be() {
        for (record_bytes, batch_bytes) in
            [(100, 64 << 10), (0, 1000), (1, 300), (63, 5000), (64, 5000), (8191, 1 << 20)]
        {
            let batch = Batch::of(record_bytes, batch_bytes, 1).unwrap();
            let header = BatchHeader::validate_from_producer(&batch.bytes).unwrap();
            assert_eq!(header.records_count(), batch.records as i32);
            let room = batch_bytes - batch.bytes.len();
            assert!(room < record_bytes + 12, "{record_bytes} of {batch_bytes}: {room} left");
        }
        let lone = Batch::of(1000, 10, 1).unwrap();
        assert_eq!((lone.records, lone.bytes.len()), (1, 1070));
        assert!(Batch::of(1, 1 << 40, 1).is_err());
    }
}
