//! What was sent to each partition, for those who read it. Producers and readers run on threads of
//! their own, and meet here once a batch.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::order::{Missing, Order};
use super::stamp::NUMBERS_END;
use crate::load::Asked;

/// Batches of all partitions whose times are remembered until all readers have them. Those of
/// batches beyond it are forgotten, the oldest first: they are verified, but have no latency, and
/// the run says so, for they are the slowest.
const ENTRIES_MAX: usize = 4 << 20;

/// Remembered of each partition all the same.
const ENTRIES_OF_PARTITION: usize = 1024;

/// Every batch of a run, by partition and number.
#[derive(Debug)]
pub(super) struct Ledger {
    partitions: Vec<Mutex<Log>>,
    readers: u32,
    entries_max: usize,
}

/// One partition's batches, in the order in which they were sent; answers come in the same order,
/// for one connection sends them all.
#[derive(Debug, Default)]
struct Log {
    sent: u64,
    answered: u64,
    refused: BTreeSet<u64>,
    entries: VecDeque<Entry>,
    /// Deliveries whose times were forgotten before they came.
    untimed: u64,
}

#[derive(Debug)]
struct Entry {
    asked: Asked,
    /// Readers that do not have it.
    left: u32,
}

impl Log {
    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let first = self.sent - self.entries.len() as u64;
        self.entries.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    fn forget_delivered(&mut self, entries_max: usize) {
        while self.entries.front().is_some_and(|entry| entry.left == 0)
            || self.entries.len() > entries_max
        {
            let forgotten = self.entries.pop_front();
            self.untimed += forgotten.map_or(0, |entry| u64::from(entry.left));
        }
    }
}

impl Ledger {
    /// For partitions 0 to `partitions - 1`, each read by so many.
    pub(super) fn new(partitions: usize, readers: u32) -> Ledger {
        let entries_max = (ENTRIES_MAX / partitions.max(1)).max(ENTRIES_OF_PARTITION);
        let partitions = (0..partitions).map(|_| Mutex::default()).collect();
        Ledger { partitions, readers, entries_max }
    }

    fn log(&self, partition: i32) -> MutexGuard<'_, Log> {
        // Nothing is half done where a panic could come from.
        self.partitions[partition as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch is being sent: its number.
    pub(super) fn sent(&self, partition: i32, asked: Asked, is_answered: bool) -> u64 {
        let mut log = self.log(partition);
        let number = log.sent % NUMBERS_END;
        log.sent += 1;
        if !is_answered {
            log.answered = log.sent;
        }
        log.entries.push_back(Entry { asked, left: self.readers });
        log.forget_delivered(self.entries_max);
        number
    }

    /// The broker's answer to the first batch that has none.
    pub(super) fn answered(&self, partition: i32, is_refused: bool) {
        let mut log = self.log(partition);
        let number = log.answered;
        log.answered += 1;
        if is_refused {
            log.refused.insert(number);
            if let Some(entry) = log.entry(number) {
                entry.left = 0;
            }
        }
    }

    /// True if a batch of this number was sent.
    pub(super) fn knows(&self, partition: i32, number: u64) -> bool {
        number < self.log(partition).sent
    }

    /// A batch has come to one more reader: when it was meant to leave, and when it did, if that is
    /// still known.
    pub(super) fn arrived(&self, partition: i32, number: u64) -> Option<Asked> {
        let mut log = self.log(partition);
        let entry = log.entry(number)?;
        entry.left = entry.left.saturating_sub(1);
        let asked = entry.asked;
        log.forget_delivered(self.entries_max);
        Some(asked)
    }

    /// True if a reader that has got to `next` may expect more.
    pub(super) fn is_pending(&self, partition: i32, next: u64) -> bool {
        let log = self.log(partition);
        (next..log.sent).any(|number| !log.refused.contains(&number))
    }

    /// What a reader has missed of what the broker has acknowledged.
    pub(super) fn missing(&self, partition: i32, order: &Order) -> Missing {
        let log = self.log(partition);
        order.missing(log.answered, |number| !log.refused.contains(&number))
    }

    /// Batches sent, acknowledged and refused.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for partition in 0..self.partitions.len() {
            let log = self.log(partition as i32);
            let refused = log.refused.len() as u64;
            totals.sent += log.sent;
            totals.acknowledged += log.answered - refused;
            totals.refused += refused;
            totals.untimed += log.untimed;
        }
        totals
    }

    /// The times of all that some reader does not have, as often as one lacks it.
    pub(super) fn undelivered(&self) -> Vec<Asked> {
        let mut undelivered = Vec::new();
        for partition in 0..self.partitions.len() {
            for entry in &self.log(partition as i32).entries {
                undelivered.extend((0..entry.left).map(|_| entry.asked));
            }
        }
        undelivered
    }
}

/// Batches of all partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
    /// Deliveries whose times were forgotten before they came.
    pub(super) untimed: u64,
}

#[cfg(test)]
mod tests {
    use super::super::order::{Missing, Order};
    use super::{ENTRIES_OF_PARTITION, Ledger, Totals};
    use crate::load::Asked;

    fn asked(intended_ns: u64) -> Asked {
        Asked { intended_ns, sent_ns: intended_ns + 1 }
    }

    #[test]
    fn times_are_kept_until_all_readers_have_the_batch() {
        let ledger = Ledger::new(2, 2);
        for n in 0..3 {
            assert_eq!(ledger.sent(1, asked(10 * n), true), n);
        }
        assert!(ledger.knows(1, 2) && !ledger.knows(1, 3) && !ledger.knows(0, 0));
        assert_eq!(ledger.arrived(1, 1), Some(asked(10)));
        assert_eq!(ledger.arrived(1, 0), Some(asked(0)));
        assert_eq!(ledger.arrived(1, 0), Some(asked(0)));
        assert_eq!(ledger.arrived(1, 0), None);
        assert_eq!(ledger.undelivered(), [asked(10), asked(20), asked(20)]);
        assert!(ledger.is_pending(1, 2) && !ledger.is_pending(1, 3) && !ledger.is_pending(0, 0));
    }

    #[test]
    fn only_what_was_acknowledged_is_missed() {
        let ledger = Ledger::new(1, 1);
        (0..5).for_each(|n| {
            ledger.sent(0, asked(n), true);
        });
        // The second is refused, the last never answered.
        for is_refused in [false, true, false, false] {
            ledger.answered(0, is_refused);
        }
        let mut order = Order::default();
        order.take(0);
        order.take(3);
        assert_eq!(ledger.missing(0, &order), Missing { overtaken: 1, last: 0 });
        assert_eq!(ledger.totals(), Totals { sent: 5, acknowledged: 3, refused: 1, untimed: 0 });
        let unanswered = Ledger::new(1, 1);
        unanswered.sent(0, asked(0), false);
        assert_eq!(unanswered.missing(0, &Order::default()), Missing { overtaken: 0, last: 1 });
    }

    #[test]
    fn what_nobody_reads_takes_bounded_memory() {
        let ledger = Ledger::new(1 << 20, 1);
        for n in 0..10_000 {
            ledger.sent(7, asked(n), true);
        }
        assert_eq!(ledger.undelivered().len(), ENTRIES_OF_PARTITION);
        assert_eq!(ledger.totals().untimed, 10_000 - ENTRIES_OF_PARTITION as u64);
        assert_eq!((ledger.arrived(7, 0), ledger.arrived(7, 9_999)), (None, Some(asked(9_999))));
    }
}
