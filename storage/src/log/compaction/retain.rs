//! Which records and batches stay: pure. The rules are Kafka's (`Cleaner.checkBatchRetention`,
//! `Cleaner.shouldRetainRecord`, `MemoryRecords.filterTo`).

use super::offset_map::{KeyHash, OffsetMap};
use crate::batch::{BatchHeader, RawRecord};
use crate::mutants::{Mutant, active};

/// What decides about batches below `until`: those behind were not mapped, and stay as they are.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    pub map: &'a OffsetMap,
    /// The pass ends here, at the end of a batch.
    pub until: i64,
    pub now_ms: i64,
    pub delete_retention_ms: i64,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays, byte for byte.
    Stays,
    /// It is written again with the records that stay; its tombstones get a horizon if there is one.
    Rewritten { delete_horizon_ms: Option<i64> },
    /// It stays without records, because somebody counts on it.
    Emptied,
    /// It goes.
    Dropped,
}

/// The records of a batch, as far as they were looked at.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kept: Vec<u64>,
    records: usize,
    kept_count: usize,
    /// Bytes of the records that stay.
    kept_bytes: u64,
    has_tombstone: bool,
}

impl Tally {
    /// Takes in the batch's next record.
    pub(super) fn note(&mut self, record: &RawRecord<'_>, is_kept: bool) {
        if self.records.is_multiple_of(64) {
            self.kept.push(0);
        }
        if is_kept {
            self.kept[self.records / 64] |= 1 << (self.records % 64);
            self.kept_count += 1;
            self.kept_bytes += record.bytes.len() as u64;
            self.has_tombstone |= !record.has_value;
        }
        self.records += 1;
    }

    /// Bytes of the records that stay, before compression.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    /// Whether the record with this place in the batch stays.
    pub(super) fn is_kept(&self, index: i32) -> bool {
        let index = index as usize;
        self.kept.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }
}

impl Rules<'_> {
    /// True if the batch is not looked into: it was not mapped, or is the broker's own.
    pub(super) fn pass_over(&self, header: &BatchHeader) -> bool {
        header.base_offset() >= self.until || header.is_control()
    }

    /// Whether a record stays: the last of its key, and, if it has no value, not yet to be forgotten.
    /// `key` is `None` if it has none.
    pub(super) fn keep(
        &self,
        header: &BatchHeader,
        record: &RawRecord<'_>,
        key: Option<KeyHash>,
    ) -> bool {
        let Some(key) = key else { return false };
        let keeps_older = active(Mutant::CompactKeepsOlder);
        let is_last = self.map.get(key).is_none_or(|last| {
            if keeps_older { record.offset <= last } else { record.offset >= last }
        });
        let forgets_early = active(Mutant::DropTombstonesEarly);
        let is_forgotten = header.delete_horizon_ms().is_some_and(|at| at <= self.now_ms);
        is_last && (record.has_value || !(is_forgotten || forgets_early))
    }

    /// What becomes of a batch whose records are all in `tally`.
    pub(super) fn fate(
        &self,
        header: &BatchHeader,
        tally: &Tally,
        is_last_of_producer: bool,
    ) -> Fate {
        let is_last_of_producer = is_last_of_producer && !active(Mutant::DropProducersLastBatch);
        // A reader that has come to its end must find something to go on from.
        let ends_pass = header.last_offset().saturating_add(1) == self.until;
        if tally.kept_count == 0 {
            return match (is_last_of_producer || ends_pass, header.records_count()) {
                (false, _) => Fate::Dropped,
                (true, 0) => Fate::Stays,
                (true, _) => Fate::Emptied,
            };
        }
        let is_new_horizon = tally.has_tombstone && header.delete_horizon_ms().is_none();
        let horizon_ms = self.now_ms.saturating_add(self.delete_retention_ms);
        let delete_horizon_ms = is_new_horizon.then_some(horizon_ms);
        if tally.kept_count == tally.records && !is_new_horizon {
            Fate::Stays
        } else {
            Fate::Rewritten { delete_horizon_ms }
        }
    }
}
