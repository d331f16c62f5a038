//! Finding offsets by time (ListOffsets): segments by their highest timestamp, batches by the index
//! and their headers, records by walking the one batch that has it.

use crate::batch::{BatchHeader, RecordTime};
use crate::log::scan::ReadBatch;
use crate::log::state::LogState;
use crate::log::{Log, ReadError};
use crate::runtime::Runtime;

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The leader epoch in which it was appended.
    pub leader_epoch: i32,
}

/// A part of the log, within one segment, in which to look.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Offset of a batch at which to begin.
    from: i64,
    /// First offset behind it.
    until: i64,
    /// Its highest timestamp, or more.
    max_timestamp: i64,
}

/// What is known of a segment.
enum Look {
    /// Its highest timestamp has to be looked up.
    Unknown(i64),
    Part(Part),
}

/// Whether what batches' headers say of their timestamps is taken for true: a producer may write
/// what it likes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Headers {
    Believed,
    Doubted,
}

impl<R: Runtime> Log<R> {
    /// The first record below the high watermark with timestamp `timestamp_ms` or later.
    ///
    /// # Errors
    /// Every [`ReadError`] but `OutOfRange`.
    pub async fn offset_for_timestamp(
        &self,
        timestamp_ms: i64,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let mut from = self.offsets().log_start;
        loop {
            let next = self.with_state(|state| next_part(state, from, timestamp_ms))?;
            match next {
                None => return Ok(None),
                Some(Look::Unknown(segment_base)) => self.learn_max_timestamp(segment_base).await?,
                Some(Look::Part(part)) => {
                    let found = self.first_in(part, from, timestamp_ms).await?;
                    if found.is_some() {
                        return Ok(found);
                    }
                    from = part.until;
                }
            }
        }
    }

    /// The first of the records below the high watermark with the highest timestamp (KIP-734).
    /// `None` if none has a timestamp.
    ///
    /// # Errors
    /// Every [`ReadError`] but `OutOfRange`.
    pub async fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        let log_start = self.offsets().log_start;
        let mut best: Option<TimestampOffset> = None;
        for part in self.parts_by_time().await? {
            let beats =
                |b: TimestampOffset| (b.timestamp_ms, part.from) > (part.max_timestamp, b.offset);
            if part.max_timestamp < 0 || best.is_some_and(beats) {
                continue;
            }
            let mut found = self.first_in(part, log_start, part.max_timestamp).await?;
            // The log start lies behind that record, or the bound was too high, or a header lies.
            for believing in [Headers::Believed, Headers::Doubted] {
                if found.is_none() {
                    let max = self.exact_max_in(part, log_start, believing).await?;
                    found = self.first_in(part, log_start, max.max(0)).await?;
                }
            }
            best = better(best, found);
        }
        Ok(best)
    }

    /// The first record of `part`, and not below `least_offset`, with timestamp `timestamp_ms` or
    /// later.
    async fn first_in(
        &self,
        part: Part,
        least_offset: i64,
        timestamp_ms: i64,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let mut from = self.skip_by_index(part, timestamp_ms).await?.max(least_offset);
        let is_late = |header: &BatchHeader| header.max_timestamp() >= timestamp_ms;
        while let Some(batch) = self.find_batch(from, part.until, is_late).await? {
            let header = batch.header;
            let wanted =
                |r: &RecordTime| r.offset >= least_offset && r.timestamp_ms >= timestamp_ms;
            if let Some(record) = self.find_record(batch, wanted).await? {
                return Ok(Some(TimestampOffset {
                    offset: record.offset,
                    timestamp_ms: record.timestamp_ms,
                    leader_epoch: header.leader_epoch(),
                }));
            }
            from = header.last_offset().saturating_add(1);
        }
        Ok(None)
    }

    /// From where to look in `part` for `timestamp_ms` or later.
    async fn skip_by_index(&self, part: Part, timestamp_ms: i64) -> Result<i64, ReadError> {
        let segment_base = self.with_state(|state| {
            let index = state.segment_index_of(part.from)?;
            Some(state.segments[index].base_offset)
        });
        // Deleted by now: reading says so.
        let Some(segment_base) = segment_base else { return Ok(part.from) };
        self.load_index(segment_base).await?;
        Ok(self.with_state(|state| {
            let index = state.segment(segment_base).and_then(|s| s.index.as_ref());
            let found = index.and_then(|index| index.first_at_or_after_timestamp(timestamp_ms));
            found.map_or(part.from, |position| position.offset.max(part.from))
        }))
    }

    async fn find_record(
        &self,
        batch: ReadBatch,
        wanted: impl Fn(&RecordTime) -> bool,
    ) -> Result<Option<RecordTime>, ReadError> {
        let mut found = None;
        let visit = |record: RecordTime| {
            found = wanted(&record).then_some(record);
            found.is_some()
        };
        self.visit_records(batch, visit).await?;
        Ok(found)
    }

    /// All parts of the log, those with the highest timestamps first.
    async fn parts_by_time(&self) -> Result<Vec<Part>, ReadError> {
        let mut parts: Vec<Part> = Vec::new();
        loop {
            let from = parts.last().map_or(self.offsets().log_start, |p| p.until);
            match self.with_state(|state| next_part(state, from, i64::MIN))? {
                None => break,
                Some(Look::Unknown(segment_base)) => self.learn_max_timestamp(segment_base).await?,
                Some(Look::Part(part)) => parts.push(part),
            }
        }
        if let Some(last) = parts.last_mut() {
            last.max_timestamp = self.max_below_high_watermark(*last).await?;
        }
        parts.sort_by_key(|p| (std::cmp::Reverse(p.max_timestamp), p.from));
        Ok(parts)
    }

    /// The highest timestamp of the part that ends at the high watermark: that of its segment may
    /// be of a record behind it.
    async fn max_below_high_watermark(&self, part: Part) -> Result<i64, ReadError> {
        let indexed = self.with_state(|state| {
            let position = state.high_watermark.position;
            let segment = state.segment(state.high_watermark.segment_base)?;
            let is_in_part = part.until == state.high_watermark.offset
                && part.from >= segment.base_offset
                && position < segment.end;
            is_in_part.then_some(())?;
            Some(segment.index.as_ref()?.max_timestamp_before(position))
        });
        let Some((indexed, before)) = indexed else { return Ok(part.max_timestamp) };
        let behind = Part { from: indexed.offset, ..part };
        let max = self.exact_max_in(behind, indexed.offset, Headers::Believed).await?;
        Ok(before.max(max))
    }

    /// The highest timestamp of the records of `part` that are not below `least_offset`.
    async fn exact_max_in(
        &self,
        part: Part,
        least_offset: i64,
        headers: Headers,
    ) -> Result<i64, ReadError> {
        let (mut max, mut offset) = (i64::MIN, part.from.max(least_offset));
        while offset < part.until {
            let before = offset;
            for batch in self.batches_at(offset).await? {
                let header = batch.header;
                if header.base_offset() >= part.until {
                    return Ok(max);
                }
                offset = header.last_offset().saturating_add(1);
                if header.base_offset() >= least_offset && headers == Headers::Believed {
                    max = max.max(header.max_timestamp());
                    continue;
                }
                let visit = |record: RecordTime| {
                    if record.offset >= least_offset {
                        max = max.max(record.timestamp_ms);
                    }
                    false
                };
                self.visit_records(batch, visit).await?;
            }
            if offset == before {
                break;
            }
        }
        Ok(max)
    }
}

/// The first part of the log that ends behind `from` and may hold `timestamp_ms` or later.
fn next_part<F>(
    state: &LogState<F>,
    from: i64,
    timestamp_ms: i64,
) -> Result<Option<Look>, ReadError> {
    if let Some(reason) = &state.offline {
        return Err(ReadError::Offline(reason.clone()));
    }
    let high_watermark = state.high_watermark.offset;
    let from = from.max(state.log_start);
    let first = state.segment_index_of(from).unwrap_or(0);
    for (i, segment) in state.segments.iter().enumerate().skip(first) {
        let next_base = state.segments.get(i + 1).map_or(state.log_end, |next| next.base_offset);
        let until = next_base.min(high_watermark);
        if until <= from {
            continue;
        }
        let Some(max_timestamp) = segment.max_timestamp else {
            return Ok(Some(Look::Unknown(segment.base_offset)));
        };
        if max_timestamp >= timestamp_ms {
            let from = from.max(segment.base_offset);
            return Ok(Some(Look::Part(Part { from, until, max_timestamp })));
        }
    }
    Ok(None)
}

/// The one with the higher timestamp; of two alike, the first.
fn better(a: Option<TimestampOffset>, b: Option<TimestampOffset>) -> Option<TimestampOffset> {
    [a, b].into_iter().flatten().max_by_key(|t| (t.timestamp_ms, std::cmp::Reverse(t.offset)))
}
