//! A connection that reads what the producers send, and watches that it gets everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use corelane_net::codec::Encoder;

use super::ledger::Ledger;
use super::order::{Arrival, Order};
use super::report::Delivery;
use super::stamp::number;
use crate::consume::Fetcher;
use crate::error::BenchError;
use crate::load::{Answer, Judged, Put, Recorder, Turn};

/// Reads its share of the partitions for one reader.
pub(super) struct Reader {
    /// Which one it is.
    pub(super) reader: usize,
    fetcher: Fetcher,
    ledger: Arc<Ledger>,
    /// When the run began, which its batches carry, milliseconds since 1970.
    run_ms: i64,
    seen: Seen,
}

/// What has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    orders: BTreeMap<i32, Order>,
    delivered: u64,
    foreign: u64,
    /// Meant to leave within the window, and come after it.
    late: u64,
    /// Bytes of batches that came within the window.
    pub(super) bytes: u64,
}

impl Reader {
    pub(super) fn new(
        reader: usize,
        fetcher: Fetcher,
        ledger: &Arc<Ledger>,
        run_ms: i64,
    ) -> Reader {
        let orders = fetcher.partitions().map(|index| (index, Order::default())).collect();
        let seen = Seen { orders, ..Seen::default() };
        Reader { reader, fetcher, ledger: ledger.clone(), run_ms, seen }
    }

    pub(super) fn put(&mut self, turn: Turn, out: &mut Encoder) -> Result<Put, BenchError> {
        // What is asked for is not written: it counts towards no limit.
        Ok(Put { bytes: 0, ..self.fetcher.put(turn, out)? })
    }

    pub(super) fn judge(
        &mut self,
        answer: Answer<'_>,
        recorder: &mut Recorder,
    ) -> Result<Judged, BenchError> {
        let Reader { fetcher, ledger, seen, run_ms, .. } = self;
        let (window, now_ns) = (recorder.window(), answer.now_ns);
        let judged = fetcher.judge(answer.frame, |index, header| {
            let number = number(header, *run_ms).filter(|number| ledger.knows(index, *number));
            let (Some(number), Some(order)) = (number, seen.orders.get_mut(&index)) else {
                seen.foreign += 1;
                return;
            };
            if order.take(number) == Arrival::Again {
                return;
            }
            seen.delivered += 1;
            if let Some(asked) = ledger.arrived(index, number) {
                recorder.delivered(asked, now_ns);
                let was_due = (window.start_ns..window.end_ns).contains(&asked.intended_ns);
                seen.late += u64::from(was_due && now_ns >= window.end_ns);
            }
        })?;
        if let Ok(work) = judged.done {
            recorder.read(now_ns, work);
            if (window.start_ns..window.end_ns).contains(&now_ns) {
                seen.bytes += work.bytes;
            }
        }
        Ok(judged)
    }

    /// True if something was sent that it has not got, and may still get.
    pub(super) fn is_awaited(&self) -> bool {
        let mut orders = self.seen.orders.iter();
        orders.any(|(index, order)| self.ledger.is_pending(*index, order.next()))
    }

    /// Adds what it has seen to the report of all readers; returns the bytes.
    pub(super) fn report(&self, into: &mut Delivery) -> Seen {
        let seen = &self.seen;
        into.delivered += seen.delivered;
        into.foreign += seen.foreign;
        let mut undelivered = 0;
        for (index, order) in &seen.orders {
            let missing = self.ledger.missing(*index, order);
            into.lost += missing.overtaken;
            undelivered += missing.last;
            into.duplicated += order.duplicated;
            into.reordered += order.reordered;
        }
        into.undelivered += undelivered;
        Seen { late: seen.late + undelivered, ..seen.clone() }
    }
}

impl Seen {
    /// Batches that were behind when the time was over.
    pub(super) fn lag(&self) -> u64 {
        self.late
    }
}
