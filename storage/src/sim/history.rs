//! What the clients of a simulated broker were promised, and whether it was kept.
//!
//! Per partition, the history holds every batch that was appended, byte by byte, in offset order,
//! and how much of it was acknowledged and flushed. After a crash the log must be a prefix of it
//! that is long enough: after a kill everything that was acknowledged or read, after a power loss
//! everything that was flushed, and in a strict partition everything that was acknowledged. What
//! was cut must never come back: the history forgets it, so a later appearance is a mismatch.
//!
//! What was deleted must never come back either, and nothing may be missing that neither a deletion
//! nor retention had to take.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::compacted::{Keyed, Look, Survivors};
use super::crash::Crash;
use crate::batch::BatchHeader;
use crate::log::{Durability, LogConfig};

/// One batch as the log must hold it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub base_offset: i64,
    pub last_offset: i64,
    pub bytes: Vec<u8>,
    /// Producer id and first sequence.
    pub producer: (i64, i32),
    /// Of its records.
    pub timestamps: Vec<i64>,
    /// Of its records, in a compacted partition.
    pub keys: Vec<Keyed>,
    /// When the log took it.
    pub appended_ms: i64,
}

/// One partition's story.
#[derive(Debug)]
pub(crate) struct PartitionHistory {
    pub durability: Durability,
    batches: Vec<Written>,
    acknowledged: i64,
    flushed: i64,
    /// A sync has failed: what was not flushed by then may be lost by a later power loss, whatever
    /// the disk says of later syncs.
    sync_failed: bool,
    /// Acknowledged batches were lost to a power loss, as a default topic may.
    pub lost_acknowledged: bool,
    /// The highest log start seen: it is durable before it can be.
    log_start: i64,
    /// The highest offset below which somebody has asked to delete.
    deletion_asked: i64,
    /// Where the log goes on that was lost up to its log start.
    restarted_at: i64,
    /// Batches below it were deleted, and may have been lost besides: with their producers' state.
    doubtful_below: i64,
    /// Log starts seen that nobody has asked for.
    pub expirations: u64,
    /// What compaction may have taken; `None`: nothing.
    survivors: Option<Survivors>,
}

impl PartitionHistory {
    pub(crate) fn new(config: &LogConfig) -> Self {
        PartitionHistory {
            durability: config.durability,
            batches: Vec::new(),
            acknowledged: 0,
            flushed: 0,
            sync_failed: false,
            lost_acknowledged: false,
            log_start: 0,
            deletion_asked: 0,
            restarted_at: 0,
            doubtful_below: 0,
            expirations: 0,
            survivors: config.compact_policy.then(Survivors::default),
        }
    }

    pub(crate) fn end(&self) -> i64 {
        self.batches.last().map_or(0, |b| b.last_offset + 1).max(self.restarted_at)
    }

    /// Somebody is about to delete below `before`.
    pub(crate) fn deletion_asked(&mut self, before: i64) {
        self.deletion_asked = self.deletion_asked.max(before);
    }

    /// The log has shown this log start.
    ///
    /// # Errors
    /// If it has gone back, or has taken what it should have kept.
    pub(crate) fn log_start_seen(
        &mut self,
        log_start: i64,
        now_ms: i64,
        config: &LogConfig,
    ) -> Result<(), String> {
        let before = self.log_start;
        if log_start < before {
            return Err(format!("the log start has gone back from {before} to {log_start}"));
        }
        if log_start > before && log_start > self.deletion_asked {
            self.expirations += 1;
            if !self.had_to_expire(log_start, now_ms, config) {
                return Err(format!("{before}..{log_start} are gone: {now_ms} ms, {config:?}"));
            }
        }
        self.log_start = log_start;
        Ok(())
    }

    /// Retention lets everything go below `log_start`.
    fn had_to_expire(&self, log_start: i64, now_ms: i64, config: &LogConfig) -> bool {
        let from = self.log_start.max(self.deletion_asked);
        let gone =
            self.batches.iter().filter(|b| from <= b.base_offset && b.last_offset < log_start);
        let is_old = |b: &Written| {
            if let Some(survivors) = &self.survivors {
                return survivors.lasting(b).all(|t| now_ms - t > config.retention_ms);
            }
            let header = BatchHeader::read(&b.bytes).expect("made by the builder");
            now_ms - header.max_timestamp() > config.retention_ms
        };
        let by_time = config.retention_ms >= 0 && gone.clone().all(is_old);
        let kept = self.batches.iter().filter(|b| b.base_offset >= log_start);
        let kept_bytes: usize = kept.map(|b| b.bytes.len()).sum();
        let by_size = config.retention_bytes >= 0 && kept_bytes as i64 >= config.retention_bytes;
        by_time || by_size
    }

    pub(crate) fn appended(&mut self, batch: Written) {
        assert_eq!(batch.base_offset, self.end(), "offsets are dense");
        if let Some(survivors) = &mut self.survivors {
            survivors.appended(&batch);
        }
        self.batches.push(batch);
    }

    /// A client was told, or saw, that everything before `offset` is there.
    pub(crate) fn acknowledged(&mut self, offset: i64) {
        assert!(offset <= self.end(), "acknowledged {offset} of {}", self.end());
        self.acknowledged = self.acknowledged.max(offset);
        if self.durability == Durability::Flushed && !self.sync_failed {
            self.flushed = self.flushed.max(offset);
        }
    }

    /// The log says that an fdatasync covers everything before `offset`.
    pub(crate) fn flushed(&mut self, offset: i64) {
        if !self.sync_failed {
            self.flushed = self.flushed.max(offset);
        }
    }

    pub(crate) fn sync_failed(&mut self) {
        self.sync_failed = true;
    }

    /// The batch that holds `offset`, and those behind it.
    pub(crate) fn from(&self, offset: i64) -> &[Written] {
        let first = self.batches.partition_point(|b| b.last_offset < offset);
        &self.batches[first..]
    }

    /// Whether the producer's batch is in the history, and where; with `surely`, only if no
    /// recovery can have lost it.
    pub(crate) fn find(&self, producer: (i64, i32), surely: bool) -> Option<&Written> {
        let found = self.batches.iter().rev().find(|b| b.producer == producer);
        found.filter(|b| !surely || b.base_offset >= self.doubtful_below)
    }

    /// Holds the recovered log, which ends at `end`, against the promises; then goes on from there.
    ///
    /// # Errors
    /// The broken promise.
    pub(crate) fn recovered(&mut self, end: i64, after: Option<Crash>) -> Result<(), String> {
        let required = match after {
            None => self.end(),
            Some(Crash::Kill) => self.acknowledged,
            Some(Crash::PowerLoss) => self.flushed,
        };
        if end < required {
            return Err(format!("{after:?}: the log ends at {end}, promised were {required}"));
        }
        if end > self.end() {
            return Err(format!("the log ends at {end}, only {} were appended", self.end()));
        }
        self.batches.retain(|b| b.last_offset < end);
        if let Some(survivors) = &mut self.survivors {
            survivors.truncated(&self.batches, end);
        }
        let is_empty = end == self.log_start;
        if self.end() != end && !is_empty {
            return Err(format!("the log ends at {end}, inside a batch"));
        }
        self.lost_acknowledged |= end < self.acknowledged;
        if is_empty && after == Some(Crash::PowerLoss) {
            self.lost_acknowledged = true;
            self.doubtful_below = end;
        }
        self.restarted_at = self.restarted_at.max(end);
        self.acknowledged = end;
        if !self.sync_failed {
            self.flushed = end;
        }
        self.flushed = self.flushed.min(end);
        Ok(())
    }

    /// Holds what the log has found for the first record of `range` at or after `timestamp_ms`
    /// against what was appended.
    ///
    /// # Errors
    /// If it is another one.
    pub(crate) fn compare_time(
        &self,
        range: Range<i64>,
        timestamp_ms: i64,
        found: Option<(i64, i64)>,
        look: Look,
    ) -> Result<(), String> {
        if let Some(survivors) = &self.survivors {
            let batches = self.from(range.start);
            return survivors.compare_time(batches, range, timestamp_ms, found, look);
        }
        let records = self.from(range.start).iter().flat_map(|batch| {
            let offsets = batch.base_offset..=batch.last_offset;
            offsets.zip(batch.timestamps.iter().copied())
        });
        let mut in_range = records.filter(|(offset, _)| range.contains(offset));
        let expected = in_range.find(|&(_, timestamp)| timestamp >= timestamp_ms);
        if expected == found {
            return Ok(());
        }
        Err(format!("{timestamp_ms} ms of {range:?}: found {found:?}, appended {expected:?}"))
    }

    /// Compares batches read back, from `offset` on, with what was appended.
    ///
    /// # Errors
    /// The first difference.
    pub(crate) fn compare(
        &mut self,
        offset: i64,
        read: &[u8],
        look: Look,
    ) -> Result<(i64, Vec<i64>), String> {
        let first = self.batches.partition_point(|b| b.last_offset < offset);
        match &mut self.survivors {
            Some(survivors) => survivors.compare(&self.batches[first..], offset, read, look),
            None => Ok((self.compare_all(offset, read)?, Vec::new())),
        }
    }

    /// Records that compaction has taken.
    pub(crate) fn records_gone(&self) -> u64 {
        self.survivors.as_ref().map_or(0, Survivors::gone)
    }

    /// Holds the base offsets of all batches `seen` from `start` on against the producers.
    ///
    /// # Errors
    /// If a producer's last batch is gone.
    pub(crate) fn compare_producers(&self, start: i64, seen: &HashSet<i64>) -> Result<(), String> {
        let survivors = self.survivors.as_ref();
        survivors.map_or(Ok(()), |s| s.compare_producers(&self.batches, start, seen))
    }

    fn compare_all(&self, offset: i64, read: &[u8]) -> Result<i64, String> {
        let (mut at, mut next) = (0, offset);
        for batch in self.from(offset) {
            if at == read.len() {
                break;
            }
            let length = batch.bytes.len();
            match read.get(at..at + length) {
                Some(bytes) if bytes == batch.bytes => {}
                Some(_) => return Err(format!("the batch at {} differs", batch.base_offset)),
                None => return Err(format!("the batch at {} is cut short", batch.base_offset)),
            }
            at += length;
            next = batch.last_offset + 1;
        }
        if at < read.len() {
            return Err(format!("{} bytes were read that nobody appended", read.len() - at));
        }
        Ok(next)
    }
}

/// Producer ids given out: each once in all lives.
#[derive(Debug, Default)]
pub(crate) struct ProducerIdsSeen(HashMap<i64, usize>);

impl ProducerIdsSeen {
    /// # Errors
    /// If the id was given out before.
    pub(crate) fn given(&mut self, id: i64, life: usize) -> Result<(), String> {
        match self.0.insert(id, life) {
            None => Ok(()),
            Some(before) => Err(format!("producer id {id} given out in life {before} and {life}")),
        }
    }
}
