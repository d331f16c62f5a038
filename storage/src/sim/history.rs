//! What the clients of a simulated broker were promised, and whether it was kept.
//!
//! Per partition, the history holds every batch that was appended, byte by byte, in offset order,
//! and how much of it was acknowledged and flushed. After a crash the log must be a prefix of it
//! that is long enough: after a kill everything that was acknowledged or read, after a power loss
//! everything that was flushed, and in a strict partition everything that was acknowledged. What
//! was cut must never come back: the history forgets it, so a later appearance is a mismatch.

use std::collections::HashMap;

use super::crash::Crash;
use crate::log::Durability;

/// One batch as the log must hold it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub base_offset: i64,
    pub last_offset: i64,
    pub bytes: Vec<u8>,
    /// Producer id and first sequence.
    pub producer: (i64, i32),
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
}

impl PartitionHistory {
    pub(crate) fn new(durability: Durability) -> Self {
        PartitionHistory {
            durability,
            batches: Vec::new(),
            acknowledged: 0,
            flushed: 0,
            sync_failed: false,
            lost_acknowledged: false,
        }
    }

    pub(crate) fn end(&self) -> i64 {
        self.batches.last().map_or(0, |b| b.last_offset + 1)
    }

    pub(crate) fn appended(&mut self, batch: Written) {
        assert_eq!(batch.base_offset, self.end(), "offsets are dense");
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

    /// Whether the producer's batch is in the history, and where.
    pub(crate) fn find(&self, producer: (i64, i32)) -> Option<&Written> {
        self.batches.iter().rev().find(|b| b.producer == producer)
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
        self.lost_acknowledged |= end < self.acknowledged;
        self.batches.retain(|b| b.last_offset < end);
        if self.end() != end {
            return Err(format!("the log ends at {end}, inside a batch"));
        }
        self.acknowledged = end;
        if !self.sync_failed {
            self.flushed = end;
        }
        self.flushed = self.flushed.min(end);
        Ok(())
    }

    /// Compares batches read back, from `offset` on, with what was appended.
    ///
    /// # Errors
    /// The first difference.
    pub(crate) fn compare(&self, offset: i64, read: &[u8]) -> Result<i64, String> {
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
