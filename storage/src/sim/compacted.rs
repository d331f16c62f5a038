//! What compaction may take of a partition's history, and what it may not.
//!
//! Of each key the last record must be there, and everything that is there must be as it was
//! appended, in its order and at its offset. A record may be missing if a later one of its key is in
//! the history, or if it is a tombstone that has had its time. One that was missing once must never
//! be seen again.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::history::Written;
use crate::batch::{BatchHeader, HEADER_BYTES, RawRecords, RawStep};

/// Key and kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keyed {
    pub key: u64,
    pub is_tombstone: bool,
}

/// Who looks, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub now_ms: i64,
    pub delete_retention_ms: i64,
    /// Nobody else reads meanwhile, so that what is missing is gone from now on.
    pub is_alone: bool,
}

/// The compacted side of a partition's history.
#[derive(Debug, Default)]
pub(crate) struct Survivors {
    /// The last offset of each key.
    latest: HashMap<u64, i64>,
    /// Offsets that somebody has missed.
    gone: HashSet<i64>,
}

/// A record as it can be compared.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    offset: i64,
    timestamp_ms: i64,
    /// Offset, key, value and headers.
    bytes: Vec<u8>,
}

impl Survivors {
    pub(crate) fn appended(&mut self, batch: &Written) {
        for (keyed, offset) in batch.keys.iter().zip(batch.base_offset..) {
            self.latest.insert(keyed.key, offset);
        }
    }

    /// Forgets what a crash took from `end` on.
    pub(crate) fn truncated(&mut self, batches: &[Written], end: i64) {
        self.latest.clear();
        batches.iter().for_each(|batch| self.appended(batch));
        self.gone.retain(|&offset| offset < end);
    }

    /// Records that were missing.
    pub(crate) fn gone(&self) -> u64 {
        self.gone.len() as u64
    }

    /// Timestamps of the batch's records that must be there for ever, but for deletion.
    pub(crate) fn lasting<'a>(&'a self, batch: &'a Written) -> impl Iterator<Item = i64> + 'a {
        let records = batch.keys.iter().zip(batch.base_offset..).zip(&batch.timestamps);
        records.filter_map(|((keyed, offset), timestamp_ms)| {
            let lasts = !keyed.is_tombstone && self.latest.get(&keyed.key) == Some(&offset);
            lasts.then_some(*timestamp_ms)
        })
    }

    fn may_be_missing(&self, batch: &Written, offset: i64, look: Look) -> bool {
        let keyed = batch.keys[(offset - batch.base_offset) as usize];
        let is_superseded = self.latest.get(&keyed.key).is_some_and(|&last| last > offset);
        let age_ms = look.now_ms - batch.appended_ms;
        is_superseded || (keyed.is_tombstone && age_ms >= look.delete_retention_ms)
    }

    fn missing(&mut self, batch: &Written, offset: i64, look: Look) -> Result<(), String> {
        if !self.may_be_missing(batch, offset, look) {
            let keyed = batch.keys[(offset - batch.base_offset) as usize];
            let Look { now_ms, delete_retention_ms, .. } = look;
            return Err(format!(
                "{keyed:?} at {offset}, appended at {} ms, is missing at {now_ms} ms, tombstones stay {delete_retention_ms} ms",
                batch.appended_ms
            ));
        }
        if look.is_alone {
            self.gone.insert(offset);
        }
        Ok(())
    }

    /// Compares batches that were read from `offset` on with the history; the next offset, and the
    /// base offsets of the batches that were there.
    ///
    /// # Errors
    /// The first broken promise.
    pub(crate) fn compare(
        &mut self,
        batches: &[Written],
        offset: i64,
        read: &[u8],
        look: Look,
    ) -> Result<(i64, Vec<i64>), String> {
        let (mut rest, mut next, mut expected) = (read, offset, batches.iter());
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let header = *BatchHeader::read(rest).map_err(|e| format!("behind {next}: {e}"))?;
            let bytes = rest.get(..header.total_bytes()).ok_or("a batch is cut short")?;
            rest = &rest[bytes.len()..];
            header.verify_crc(bytes).map_err(|e| format!("{header:?}: {e}"))?;
            let original = loop {
                let batch = expected.next().ok_or(format!("{header:?} was never appended"))?;
                if batch.base_offset == header.base_offset() {
                    break batch;
                }
                for gone in batch.base_offset.max(offset)..=batch.last_offset {
                    self.missing(batch, gone, look)?;
                }
            };
            self.compare_batch(original, bytes, look)?;
            seen.push(header.base_offset());
            next = header.last_offset() + 1;
        }
        Ok((next, seen))
    }

    fn compare_batch(&mut self, original: &Written, read: &[u8], look: Look) -> Result<(), String> {
        if original.bytes == read {
            for offset in original.base_offset..=original.last_offset {
                self.see(offset, look)?;
            }
            return Ok(());
        }
        let (before, after) = (header(&original.bytes), header(read));
        let of = |h: &BatchHeader| {
            let producer = (h.producer_id(), h.producer_epoch(), h.base_sequence());
            (h.last_offset(), h.leader_epoch(), producer, h.timestamp_type())
        };
        let codec = |h: &BatchHeader| (h.records_count() > 0).then(|| h.compression());
        if of(&before) != of(&after) || codec(&after).is_some_and(|c| c != before.compression()) {
            return Err(format!("{before:?} has become {after:?}"));
        }
        let (originals, mut kept) = (plain(&original.bytes)?, plain(read)?.into_iter().peekable());
        for record in originals {
            match kept.next_if(|k| k.offset == record.offset) {
                None => self.missing(original, record.offset, look)?,
                Some(kept) if kept == record => self.see(record.offset, look)?,
                Some(kept) => return Err(format!("{record:?} has become {kept:?}")),
            }
        }
        match kept.next() {
            None => Ok(()),
            Some(stray) => Err(format!("nobody appended {stray:?}")),
        }
    }

    fn see(&self, offset: i64, look: Look) -> Result<(), String> {
        match look.is_alone && self.gone.contains(&offset) {
            true => Err(format!("the record at {offset} was gone, and is back")),
            false => Ok(()),
        }
    }

    /// Holds the first record found in `range` at or after `timestamp_ms` against the history:
    /// whatever should have been found before must have been allowed to go.
    ///
    /// # Errors
    /// If it should have been another one.
    pub(crate) fn compare_time(
        &self,
        batches: &[Written],
        range: Range<i64>,
        timestamp_ms: i64,
        found: Option<(i64, i64)>,
        look: Look,
    ) -> Result<(), String> {
        for batch in batches {
            for (offset, &timestamp) in (batch.base_offset..).zip(&batch.timestamps) {
                if !range.contains(&offset) || timestamp < timestamp_ms {
                    continue;
                }
                if found == Some((offset, timestamp)) {
                    return Ok(());
                }
                if !self.may_be_missing(batch, offset, look) {
                    return Err(format!(
                        "{timestamp_ms} ms of {range:?}: found {found:?}, not {offset} of {timestamp} ms"
                    ));
                }
            }
        }
        match found {
            None => Ok(()),
            Some(found) => {
                Err(format!("{timestamp_ms} ms of {range:?}: nobody appended {found:?}"))
            }
        }
    }

    /// Every producer's last batch must be among those `seen` from `start` on: a log that is read
    /// back must say which sequence each has come to.
    ///
    /// # Errors
    /// The producer whose batch is gone.
    pub(crate) fn compare_producers(
        &self,
        batches: &[Written],
        start: i64,
        seen: &HashSet<i64>,
    ) -> Result<(), String> {
        let mut last = HashMap::new();
        for batch in batches {
            last.insert(batch.producer.0, batch.base_offset);
        }
        match last.into_iter().find(|(_, base)| *base >= start && !seen.contains(base)) {
            None => Ok(()),
            Some((id, base)) => Err(format!("the last batch of producer {id}, at {base}, is gone")),
        }
    }
}

fn header(batch: &[u8]) -> BatchHeader {
    *BatchHeader::read(batch).expect("read before")
}

fn plain(batch: &[u8]) -> Result<Vec<Plain>, String> {
    let header = header(batch);
    let records = RawRecords::new(&header, &batch[HEADER_BYTES..], u64::MAX);
    let mut records = records.map_err(|e| e.to_string())?;
    let mut found = Vec::new();
    loop {
        match records.step().map_err(|e| format!("{header:?}: {e}"))? {
            RawStep::Paused => {}
            RawStep::End => return Ok(found),
            RawStep::Record(record) => found.push(Plain {
                offset: record.offset,
                timestamp_ms: record.timestamp_ms,
                bytes: record.behind_timestamp.to_vec(),
            }),
        }
    }
}
