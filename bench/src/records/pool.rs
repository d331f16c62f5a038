//! Batches that are built once, before the clock starts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelane_net::client::partition_of_key;
use corelane_storage::batch::{BatchBuilder, HEADER_BYTES, Record};
use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use super::keys::key;
use super::payload::Payload;
use super::settings::RecordSettings;
use crate::error::BenchError;
use crate::load::Work;
use crate::stop::Stop;

/// How long building may take: a slow codec gets a smaller pool, not a late start.
const BUILD_MAX: Duration = Duration::from_secs(10);

/// A batch that waits to be sent.
#[derive(Clone, Debug)]
pub(crate) struct PooledBatch {
    pub(crate) bytes: Bytes,
    /// Records, and the bytes of their values.
    pub(crate) work: Work,
    /// The partition that its keys belong to; without keys, any.
    pub(crate) partition: Option<usize>,
}

/// All batches, in the order in which a producer would have filled them.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) batches: Vec<PooledBatch>,
    pub(crate) report: PoolReport,
}

/// What a pool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolReport {
    /// Different batches; after them the first is sent again.
    pub batches: usize,
    /// Records in them.
    pub records: u64,
    /// Bytes of them, as they are sent.
    pub bytes: u64,
    /// Bytes of them before compression.
    pub raw_bytes: u64,
}

impl PoolReport {
    /// Compressed to raw bytes: 1 is no gain.
    pub fn compression_ratio(&self) -> f64 {
        if self.raw_bytes > 0 { self.bytes as f64 / self.raw_bytes as f64 } else { 1.0 }
    }
}

impl Pool {
    /// Builds batches for a topic of so many partitions; all records are of `timestamp_ms`. There
    /// is at least one batch, of at least one record, however small the sizes.
    ///
    /// # Errors
    /// Settings that can't be, a payload that can't be read, [`BenchError::Interrupted`].
    pub(crate) fn build(
        settings: &RecordSettings,
        partitions: usize,
        timestamp_ms: i64,
        stop: &Stop,
    ) -> Result<Pool, BenchError> {
        settings.check()?;
        let mut pool = Pool { batches: Vec::new(), report: PoolReport::default() };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(settings.seed);
        let mut payload = Payload::new(settings)?;
        let keys = settings.keys.source()?;
        let key_bytes = settings.keys.key_bytes();
        let mut open: BTreeMap<Option<usize>, OpenBatch> = BTreeMap::new();
        // Bytes in batches that are not full yet count as well.
        let mut raw_bytes = 0;
        let end = Instant::now() + BUILD_MAX;
        while !pool.is_large_enough(raw_bytes, settings, end) {
            if stop.is_set() {
                return Err(BenchError::Interrupted);
            }
            let key = keys.as_ref().map(|keys| key(keys.draw(&mut rng)));
            let partition = key.as_ref().map(|key| partition_of_key(key, partitions.max(1)));
            let batch = open.entry(partition).or_default();
            if !batch.has_room(key_bytes, settings) {
                pool.close(std::mem::take(batch), partition, settings)?;
            }
            let value = payload.value(settings.record_bytes, &mut rng);
            let record = Record { key, value: Some(value), timestamp_ms, ..Record::default() };
            raw_bytes += batch.push(record, key_bytes, settings);
        }
        // Of many partitions, many have less than a batch: they are sent as they are.
        let is_first = pool.batches.is_empty();
        for (partition, batch) in open {
            if partition.is_some() || is_first {
                pool.close(batch, partition, settings)?;
            }
        }
        Ok(pool)
    }

    fn is_large_enough(&self, raw_bytes: usize, settings: &RecordSettings, end: Instant) -> bool {
        if raw_bytes == 0 {
            return false;
        }
        // Without keys, the batch that is being filled belongs to no pool until it is full.
        let is_full_batch = settings.keys.key_bytes().is_some() || !self.batches.is_empty();
        let is_full = raw_bytes >= settings.pool_bytes;
        let is_late = self.report.records.is_multiple_of(64) && Instant::now() >= end;
        (is_full || is_late) && (is_full_batch || raw_bytes >= settings.batch_bytes)
    }

    fn close(
        &mut self,
        batch: OpenBatch,
        partition: Option<usize>,
        settings: &RecordSettings,
    ) -> Result<(), BenchError> {
        let records = batch.records.len() as u64;
        let builder = batch.records.into_iter().fold(BatchBuilder::new(), BatchBuilder::record);
        let bytes = Bytes::from(builder.compression(settings.compression).build());
        let work = Work { records, bytes: records * settings.record_bytes as u64 };
        self.report.batches += 1;
        self.report.records += records;
        self.report.bytes += bytes.len() as u64;
        self.report.raw_bytes += (HEADER_BYTES + batch.records_bytes) as u64;
        self.batches.push(PooledBatch { bytes, work, partition });
        Ok(())
    }
}

/// A batch that is being filled.
#[derive(Default)]
struct OpenBatch {
    records: Vec<Record>,
    /// What they take, encoded.
    records_bytes: usize,
}

impl OpenBatch {
    /// True if one more record fits; the first always does.
    fn has_room(&self, key_bytes: Option<usize>, settings: &RecordSettings) -> bool {
        let next = encoded_bytes(self.records.len(), key_bytes, settings.record_bytes);
        let used_bytes = HEADER_BYTES + self.records_bytes;
        self.records.is_empty() || used_bytes + next <= settings.batch_bytes
    }

    /// Returns the bytes that it takes.
    fn push(&mut self, record: Record, key_bytes: Option<usize>, of: &RecordSettings) -> usize {
        let bytes = encoded_bytes(self.records.len(), key_bytes, of.record_bytes);
        self.records.push(record);
        self.records_bytes += bytes;
        bytes
    }
}

/// A record without headers, all of them of one time: its length, attributes, timestamp delta,
/// offset delta, key and value with their lengths, number of headers.
fn encoded_bytes(offset_delta: usize, key_bytes: Option<usize>, value_bytes: usize) -> usize {
    let key = key_bytes.map_or(1, |key_bytes| varint_bytes(key_bytes) + key_bytes);
    let value = varint_bytes(value_bytes) + value_bytes;
    let rest = 1 + 1 + varint_bytes(offset_delta) + key + value + 1;
    varint_bytes(rest) + rest
}

/// Bytes of a number that is not negative, zigzag.
fn varint_bytes(number: usize) -> usize {
    let bits = usize::BITS - (number << 1).leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

#[cfg(test)]
mod tests;
