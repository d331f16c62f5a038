//! What one partition remembers of its idempotent producers: pure state, no I/O.
//!
//! The rules are Kafka's (KIP-98; `ProducerAppendInfo` and `ProducerStateEntry`): sequences of a
//! producer id and epoch follow each other without a gap, wrapping from `i32::MAX` to 0; an exact
//! repetition of one of the last five batches is answered with the offsets of the first time;
//! anything else out of order, an older repetition included, is OUT_OF_ORDER_SEQUENCE_NUMBER
//! (Kafka's brokers never answer DUPLICATE_SEQUENCE_NUMBER). Where nothing is known of a producer
//! id, any first sequence is taken, since its state may have expired.
//!
//! One deviation: Kafka lets an id expire by the timestamps its producer chose; here age counts
//! from the broker's clock when the last batch came, so that a producer of old data keeps its state.

use std::collections::HashMap;

use crate::batch::BatchHeader;

mod snapshot;
#[cfg(test)]
mod tests;

#[cfg(any(test, fuzzing))]
pub(crate) use snapshot::fuzz;

pub use snapshot::SnapshotError;

/// Batches of one producer that can be recognised when they come again; what Kafka keeps, and as
/// many as an idempotent producer has in flight.
pub const BATCHES_REMEMBERED: usize = 5;

/// Default of `producer.id.expiration.ms`: a day.
pub const DEFAULT_EXPIRATION_MS: i64 = 86_400_000;

/// Producer ids remembered in one partition; beyond it, those idle longest are forgotten.
pub const PRODUCER_IDS_MAX: usize = 10_000;

/// Why a batch of an idempotent producer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// OUT_OF_ORDER_SEQUENCE_NUMBER (45): a gap, or a batch older than those remembered.
    #[error(
        "out of order: producer {producer_id} epoch {producer_epoch} sent sequence \
         {found_sequence}, expected {expected_sequence}"
    )]
    OutOfOrder {
        /// Who sent it.
        producer_id: i64,
        /// In which epoch.
        producer_epoch: i16,
        /// Its first sequence.
        found_sequence: i32,
        /// The sequence that would have been taken.
        expected_sequence: i32,
    },
    /// INVALID_PRODUCER_EPOCH (47): a newer instance of this producer has written.
    #[error("producer {producer_id} sent epoch {found_epoch}, but is at epoch {current_epoch}")]
    StaleEpoch {
        /// Who sent it.
        producer_id: i64,
        /// The batch's epoch.
        found_epoch: i16,
        /// The highest one seen.
        current_epoch: i16,
    },
}

/// What a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// To be appended, then [`ProducerStates::record`]ed.
    New,
    /// Appended before; not to be appended again.
    Duplicate(RememberedBatch),
}

/// One of a producer's last batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberedBatch {
    /// Sequence of its first record.
    pub first_sequence: i32,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// `max_timestamp` as it was appended: the broker's, where the topic says LogAppendTime.
    pub timestamp_ms: i64,
}

/// What is known of one producer id. Its batches are of its current epoch, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    count: u8,
    batches: [RememberedBatch; BATCHES_REMEMBERED],
    last_seen_ms: i64,
}

impl Producer {
    fn new(epoch: i16) -> Self {
        const NONE: RememberedBatch = RememberedBatch {
            first_sequence: -1,
            last_sequence: -1,
            base_offset: -1,
            last_offset: -1,
            timestamp_ms: -1,
        };
        Producer { epoch, count: 0, batches: [NONE; BATCHES_REMEMBERED], last_seen_ms: 0 }
    }

    fn batches(&self) -> &[RememberedBatch] {
        &self.batches[..usize::from(self.count)]
    }

    fn push(&mut self, batch: RememberedBatch) {
        if usize::from(self.count) == BATCHES_REMEMBERED {
            self.batches.rotate_left(1);
            self.count -= 1;
        }
        self.batches[usize::from(self.count)] = batch;
        self.count += 1;
    }

    /// The sequence that continues this epoch.
    fn next_sequence(&self) -> i32 {
        self.batches().last().map_or(0, |last| last.last_sequence.wrapping_add(1) & i32::MAX)
    }
}

/// The idempotent producers of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerStates {
    producers: HashMap<i64, Producer>,
    ids_max: usize,
}

impl Default for ProducerStates {
    fn default() -> Self {
        ProducerStates::with_limit(PRODUCER_IDS_MAX)
    }
}

impl ProducerStates {
    /// Nothing known, at most `ids_max` (at least 1) producer ids to be remembered.
    pub fn with_limit(ids_max: usize) -> Self {
        ProducerStates { producers: HashMap::new(), ids_max: ids_max.max(1) }
    }

    /// Judges a batch that is about to be appended. Batches without producer id are always new.
    ///
    /// `header` must have passed [`BatchHeader::validate_from_producer`]. An id idle for
    /// `expiration_ms` at `now_ms` counts as unknown.
    ///
    /// # Errors
    /// Every [`SequenceError`].
    pub fn check(
        &self,
        header: &BatchHeader,
        now_ms: i64,
        expiration_ms: i64,
    ) -> Result<Check, SequenceError> {
        if !header.has_producer_id() {
            return Ok(Check::New);
        }
        let Some(known) = self.producers.get(&header.producer_id()) else {
            return Ok(Check::New);
        };
        if is_expired(known, now_ms, expiration_ms) {
            return Ok(Check::New);
        }
        if header.producer_epoch() < known.epoch {
            return Err(SequenceError::StaleEpoch {
                producer_id: header.producer_id(),
                found_epoch: header.producer_epoch(),
                current_epoch: known.epoch,
            });
        }
        let same_epoch = header.producer_epoch() == known.epoch;
        if same_epoch && let Some(batch) = find_duplicate(known, header) {
            return Ok(Check::Duplicate(batch));
        }
        let expected_sequence = if same_epoch { known.next_sequence() } else { 0 };
        if header.base_sequence() != expected_sequence {
            return Err(SequenceError::OutOfOrder {
                producer_id: header.producer_id(),
                producer_epoch: header.producer_epoch(),
                found_sequence: header.base_sequence(),
                expected_sequence,
            });
        }
        Ok(Check::New)
    }

    /// Remembers a batch that is in the log at `base_offset`. No judgement: recovery replays what
    /// the log holds. `now_ms` is when it came; in recovery, the time of the recovery.
    pub fn record(&mut self, header: &BatchHeader, base_offset: i64, now_ms: i64) {
        if !header.has_producer_id() || header.base_sequence() < 0 {
            return;
        }
        let id = header.producer_id();
        if self.producers.len() >= self.ids_max && !self.producers.contains_key(&id) {
            self.forget_idle_longest();
        }
        let epoch = header.producer_epoch();
        let producer = self.producers.entry(id).or_insert_with(|| Producer::new(epoch));
        let continues = producer.epoch == epoch
            && (producer.count == 0 || producer.next_sequence() == header.base_sequence());
        if !continues {
            *producer = Producer::new(epoch);
        }
        producer.last_seen_ms = now_ms;
        producer.push(RememberedBatch {
            first_sequence: header.base_sequence(),
            last_sequence: header.last_sequence(),
            base_offset,
            last_offset: base_offset.saturating_add(i64::from(header.last_offset_delta())),
            timestamp_ms: header.max_timestamp(),
        });
    }

    /// Forgets ids idle for `expiration_ms` at `now_ms`; returns how many. A clock that went back
    /// expires nothing.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let before = self.producers.len();
        self.producers.retain(|_, producer| !is_expired(producer, now_ms, expiration_ms));
        before - self.producers.len()
    }

    /// Forgets every batch at or above `end_offset`, which recovery found not to be in the log,
    /// and the ids of which nothing is left.
    pub fn truncate(&mut self, end_offset: i64) {
        self.producers.retain(|_, producer| {
            let kept = producer.batches().iter().take_while(|b| b.last_offset < end_offset).count();
            producer.count = kept as u8;
            kept > 0
        });
    }

    /// The last offset of each producer id.
    pub(crate) fn last_offsets(&self) -> impl Iterator<Item = i64> + '_ {
        self.producers.values().filter_map(|producer| Some(producer.batches().last()?.last_offset))
    }

    /// Each id that is remembered, lowest first: its epoch, its last batches (oldest first) and when
    /// it was last seen (ms since 1970).
    pub fn remembered(&self) -> Vec<(i64, i16, &[RememberedBatch], i64)> {
        let known = self.producers.iter();
        let mut all: Vec<_> =
            known.map(|(id, p)| (*id, p.epoch, p.batches(), p.last_seen_ms)).collect();
        all.sort_by_key(|(id, ..)| *id);
        all
    }

    /// Number of ids remembered.
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// True if no id is remembered.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Makes room: drops a sixteenth of the ids at once, so that the search for the oldest costs
    /// little per id even when every batch brings a new one.
    fn forget_idle_longest(&mut self) {
        let drop_count = (self.ids_max / 16).max(1).min(self.producers.len());
        let mut by_age: Vec<(i64, i64)> =
            self.producers.iter().map(|(id, producer)| (producer.last_seen_ms, *id)).collect();
        by_age.select_nth_unstable(drop_count - 1);
        for (_, id) in &by_age[..drop_count] {
            self.producers.remove(id);
        }
    }
}

fn is_expired(producer: &Producer, now_ms: i64, expiration_ms: i64) -> bool {
    now_ms.saturating_sub(producer.last_seen_ms) >= expiration_ms
}

fn find_duplicate(producer: &Producer, header: &BatchHeader) -> Option<RememberedBatch> {
    let wanted = (header.base_sequence(), header.last_sequence());
    producer.batches().iter().rev().find(|b| (b.first_sequence, b.last_sequence) == wanted).copied()
}
