//! Which records of transactions a reader of committed data passes over (KIP-98).

use std::collections::BTreeSet;

use corelane_net::messages::AbortedTransaction;
use corelane_storage::batch::BatchHeader;

/// Aborted transactions of one answer for one partition.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// Those that begin later, the earliest last.
    to_come: Vec<(i64, i64)>,
    /// Producers whose transactions, as far as they are here, were aborted.
    producers: BTreeSet<i64>,
}

impl Aborted {
    pub(super) fn new(transactions: Option<Vec<AbortedTransaction>>) -> Aborted {
        let transactions = transactions.unwrap_or_default();
        let mut to_come: Vec<(i64, i64)> =
            transactions.iter().map(|t| (t.first_offset, t.producer_id)).collect();
        to_come.sort_unstable_by(|a, b| b.cmp(a));
        Aborted { to_come, producers: BTreeSet::new() }
    }

    /// True if the records of this batch, the next one in the order of offsets, do not count.
    /// `is_abort` tells whether it is the marker that ends an aborted transaction.
    pub(super) fn covers(&mut self, header: &BatchHeader, is_abort: bool) -> bool {
        while let Some((first_offset, producer)) = self.to_come.last().copied() {
            if first_offset > header.last_offset() {
                break;
            }
            self.producers.insert(producer);
            self.to_come.pop();
        }
        if header.is_control() {
            if is_abort {
                self.producers.remove(&header.producer_id());
            }
            return true;
        }
        header.is_transactional() && self.producers.contains(&header.producer_id())
    }
}
