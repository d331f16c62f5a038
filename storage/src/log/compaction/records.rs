//! Opening a batch, in turns with other tasks: each step takes a fraction of a millisecond, however
//! long its records and keys are.

use std::io;

use super::error::CompactionError;
use super::offset_map::{KeyHash, OffsetMap};
use super::pace::Pace;
use super::retain::{Rules, Tally};
use super::source::SourceBatch;
use crate::batch::{Compression, RawRecord, RawRecords, RawStep, RecordsError, Rewrite};
use crate::log::CHECKED_BYTES_MAX;
use crate::log::scan::Chain;
use crate::runtime::Runtime;

/// Bytes of a key that are hashed at once.
const HASHED_BYTES: usize = 32 << 10;

/// Bytes of a record that are copied at once.
const COPIED_BYTES: usize = 32 << 10;

/// Records are compressed once they are so many bytes.
const COMPRESSED_BYTES_MIN: usize = 8 << 10;

/// What a pause of [`RawRecords`] counts for: up to 64 KiB were decompressed.
const PAUSE_BYTES: usize = 64 << 10;

/// Compressing takes so many times as long as decompressing, or copying.
const COMPRESSION_WEIGHT: usize = 4;

/// Looking at a record costs little more where it is long.
const LOOK_WEIGHT: usize = 4;

fn open(batch: &SourceBatch) -> Result<RawRecords<Chain>, CompactionError> {
    let limit_bytes = CHECKED_BYTES_MAX.max(batch.records_bytes() as u64);
    RawRecords::new(&batch.header, batch.records(), limit_bytes).map_err(unreadable(batch))
}

fn unreadable(batch: &SourceBatch) -> impl Fn(RecordsError) -> CompactionError + use<> {
    let base_offset = batch.header.base_offset();
    move |source| CompactionError::Records { base_offset, source }
}

pub(super) fn cant_rewrite(base_offset: i64) -> impl Fn(io::Error) -> CompactionError {
    move |source| CompactionError::Rewrite { base_offset, source }
}

/// Notes the batch's keys; false if there is no room for all of them. Those that were noted do no
/// harm: their records are there.
pub(super) async fn map_batch<R: Runtime>(
    map: &mut OffsetMap,
    batch: &SourceBatch,
    pace: &mut Pace<R>,
) -> Result<bool, CompactionError> {
    let mut records = open(batch)?;
    loop {
        match records.step().map_err(unreadable(batch))? {
            RawStep::End => return Ok(true),
            RawStep::Paused => pace.worked(PAUSE_BYTES, 0).await?,
            RawStep::Record(record) => {
                if let Some(hash) = key_of(&record, map, pace).await?
                    && !map.put(hash, record.offset)
                {
                    return Ok(false);
                }
                pace.worked(record.bytes.len() / LOOK_WEIGHT, 1).await?;
            }
        }
    }
}

/// Judges the batch's records.
pub(super) async fn tally<R: Runtime>(
    rules: &Rules<'_>,
    batch: &SourceBatch,
    pace: &mut Pace<R>,
) -> Result<Tally, CompactionError> {
    let (mut records, mut tally) = (open(batch)?, Tally::default());
    loop {
        match records.step().map_err(unreadable(batch))? {
            RawStep::End => return Ok(tally),
            RawStep::Paused => pace.worked(PAUSE_BYTES, 0).await?,
            RawStep::Record(record) => {
                let key = key_of(&record, rules.map, pace).await?;
                tally.note(&record, rules.keep(&batch.header, &record, key));
                pace.worked(record.bytes.len() / LOOK_WEIGHT, 1).await?;
            }
        }
    }
}

async fn key_of<R: Runtime>(
    record: &RawRecord<'_>,
    map: &OffsetMap,
    pace: &mut Pace<R>,
) -> Result<Option<KeyHash>, CompactionError> {
    let Some(key) = record.key else { return Ok(None) };
    let mut hasher = map.hasher();
    let mut pieces = key.chunks(HASHED_BYTES);
    if let Some(first) = pieces.next() {
        hasher.write(first);
    }
    for piece in pieces {
        pace.worked(HASHED_BYTES, 0).await?;
        hasher.write(piece);
    }
    Ok(Some(hasher.finish()))
}

/// The batch with the records that `tally` keeps.
pub(super) async fn rewritten<R: Runtime>(
    batch: &SourceBatch,
    tally: &Tally,
    delete_horizon_ms: Option<i64>,
    pace: &mut Pace<R>,
) -> Result<Vec<u8>, CompactionError> {
    let failed = cant_rewrite(batch.header.base_offset());
    let rewrite = Rewrite::new(&batch.header, delete_horizon_ms, tally.kept_bytes());
    let mut rewrite = rewrite.map_err(&failed)?;
    let weight = match batch.header.compression() {
        Some(Compression::None) => 1,
        _ => COMPRESSION_WEIGHT,
    };
    let mut records = open(batch)?;
    loop {
        match records.step().map_err(unreadable(batch))? {
            RawStep::End => break,
            RawStep::Paused => pace.worked(PAUSE_BYTES, 0).await?,
            RawStep::Record(record) if tally.is_kept(record.index) => {
                for piece in rewrite.put(&record).chunks(COPIED_BYTES) {
                    rewrite.extend(piece);
                    compress(&mut rewrite, COMPRESSED_BYTES_MIN, weight, &failed, pace).await?;
                }
            }
            RawStep::Record(_) => pace.worked(0, 1).await?,
        }
    }
    compress(&mut rewrite, 1, weight, &failed, pace).await?;
    let mut sealing = rewrite.finish().map_err(&failed)?;
    while sealing.step() {
        pace.step().await?;
    }
    Ok(sealing.sealed())
}

/// Compresses what was put, if it is `least_bytes`.
async fn compress<R: Runtime>(
    rewrite: &mut Rewrite,
    least_bytes: usize,
    weight: usize,
    failed: impl Fn(io::Error) -> CompactionError,
    pace: &mut Pace<R>,
) -> Result<(), CompactionError> {
    while rewrite.pending_bytes() >= least_bytes {
        let before = rewrite.pending_bytes();
        rewrite.step().map_err(&failed)?;
        let compressed = before - rewrite.pending_bytes();
        pace.worked(compressed * weight, 0).await?;
    }
    Ok(())
}
