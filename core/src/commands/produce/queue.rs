//! One partition's batches, from the first record to the acknowledgement: pure state.
//!
//! Batches go out in order, several at once. If an attempt fails, nothing more is sent until the
//! answers to all that is under way are in; then everything not acknowledged goes out again, in
//! order. With a producer id the broker drops what it has already (KIP-98), so nothing is lost,
//! repeated or reordered.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use corelane_storage::batch::{BatchBuilder, Compressor, Record};

/// A record and its number in the input, from 1.
#[derive(Clone, Debug)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) record: Record,
}

/// Records that travel together.
#[derive(Debug)]
pub(super) struct Batch {
    /// Never used again in this queue.
    pub(super) id: u64,
    pub(super) records: Vec<Numbered>,
    /// Bytes of the records before compression, at most.
    pub(super) raw_bytes: usize,
    /// Since when it waits for its acknowledgement.
    pub(super) since: Instant,
    sequence: i32,
    encoded: Option<Bytes>,
}

/// How batches are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Making {
    pub(super) compressor: Compressor,
    /// Id and epoch of an idempotent producer.
    pub(super) producer: Option<(i64, i16)>,
}

/// One partition's batches.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Records that wait for more, and since when.
    open: Vec<Numbered>,
    open_bytes: usize,
    open_since: Option<Instant>,
    /// The oldest first.
    closed: VecDeque<Batch>,
    closed_bytes: usize,
    /// Of `closed`, from the front: those that were sent.
    sent: usize,
    /// Answers to come.
    in_flight: usize,
    /// An attempt failed.
    has_failed: bool,
    next_id: u64,
    next_sequence: i32,
}

impl Queue {
    /// Adds a record; true if the open batch has `batch_bytes` then.
    pub(super) fn push(&mut self, numbered: Numbered, batch_bytes: usize, now: Instant) -> bool {
        let bytes = numbered.record.bytes_max();
        if !self.open.is_empty() && self.open_bytes + bytes > batch_bytes {
            self.close(now);
        }
        self.open_bytes += bytes;
        self.open.push(numbered);
        self.open_since.get_or_insert(now);
        self.open_bytes >= batch_bytes
    }

    /// Since when the open batch waits for more records, if there is one.
    pub(super) fn open_since(&self) -> Option<Instant> {
        self.open_since
    }

    /// Ends the open batch.
    pub(super) fn close(&mut self, now: Instant) {
        if self.open.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.open);
        let sequence = self.next_sequence;
        self.next_sequence = after(sequence, records.len());
        let raw_bytes = std::mem::take(&mut self.open_bytes);
        self.open_since = None;
        self.closed_bytes += raw_bytes;
        let id = self.take_id();
        self.closed.push_back(Batch {
            id,
            records,
            raw_bytes,
            since: now,
            sequence,
            encoded: None,
        });
    }

    /// True if nothing waits and nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.closed.is_empty()
    }

    /// The oldest batch that is not acknowledged.
    pub(super) fn oldest(&self) -> Option<&Batch> {
        self.closed.front()
    }

    /// True if there is something that may be sent now.
    pub(super) fn is_ready(&self) -> bool {
        !self.has_failed && self.sent < self.closed.len()
    }

    /// Bytes of the next batch to send, before compression.
    pub(super) fn next_bytes(&self) -> usize {
        self.closed.get(self.sent).map_or(0, |batch| batch.raw_bytes)
    }

    /// Bytes of all records, before compression.
    pub(super) fn bytes(&self) -> usize {
        self.open_bytes + self.closed_bytes
    }

    /// The next batch to send, which counts as sent from now on: its id and bytes.
    pub(super) fn send(&mut self, making: Making) -> Option<(u64, Bytes)> {
        if !self.is_ready() {
            return None;
        }
        let batch = &mut self.closed[self.sent];
        self.sent += 1;
        self.in_flight += 1;
        let bytes =
            batch.encoded.get_or_insert_with(|| encode(&batch.records, batch.sequence, making));
        Some((batch.id, bytes.clone()))
    }

    /// A batch was acknowledged; it leaves the queue.
    pub(super) fn acknowledge(&mut self, id: u64) -> Option<Batch> {
        let at = self.closed.iter().position(|batch| batch.id == id);
        let batch = at.and_then(|at| self.closed.remove(at));
        self.sent -= usize::from(batch.is_some());
        self.closed_bytes -= batch.as_ref().map_or(0, |batch| batch.raw_bytes);
        self.answered();
        batch
    }

    /// An attempt failed, or its answer is lost.
    pub(super) fn fail(&mut self, id: u64) {
        self.has_failed |= self.closed.iter().any(|batch| batch.id == id);
        self.answered();
    }

    /// True if a failure of this batch may be due to that of one before it.
    pub(super) fn is_behind_a_failure(&self, id: u64) -> bool {
        self.has_failed || self.closed.front().is_some_and(|front| front.id != id)
    }

    /// A sent batch of this id.
    pub(super) fn batch(&self, id: u64) -> Option<&Batch> {
        self.closed.iter().find(|batch| batch.id == id)
    }

    /// A batch was refused for its size: two halves take its place. False if it is one record.
    pub(super) fn split(&mut self, id: u64) -> bool {
        let Some(at) = self.closed.iter().position(|batch| batch.id == id) else { return false };
        if self.closed[at].records.len() < 2 {
            return false;
        }
        let new_id = self.take_id();
        let first = &mut self.closed[at];
        let records = first.records.split_off(first.records.len() / 2);
        let bytes = |records: &[Numbered]| -> usize {
            records.iter().map(|numbered| numbered.record.bytes_max()).sum()
        };
        first.encoded = None;
        first.raw_bytes = bytes(&first.records);
        let second = Batch {
            id: new_id,
            raw_bytes: bytes(&records),
            since: first.since,
            sequence: after(first.sequence, first.records.len()),
            encoded: None,
            records,
        };
        self.closed.insert(at + 1, second);
        self.fail(id);
        true
    }

    fn answered(&mut self) {
        self.in_flight -= 1;
        if self.in_flight == 0 && self.has_failed {
            self.has_failed = false;
            self.sent = 0;
        }
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// Sequences go from `i32::MAX` to 0.
fn after(sequence: i32, records: usize) -> i32 {
    sequence.wrapping_add(records as i32) & i32::MAX
}

fn encode(records: &[Numbered], sequence: i32, making: Making) -> Bytes {
    let mut builder = BatchBuilder::new().compression(making.compressor);
    if let Some((id, epoch)) = making.producer {
        builder = builder.producer(id, epoch, sequence);
    }
    records.iter().fold(builder, |b, numbered| b.record(numbered.record.clone())).build().into()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use corelane_storage::batch::{BatchHeader, Compressor, Record};

    use super::{Making, Numbered, Queue};

    const MAKING: Making = Making { compressor: Compressor::NONE, producer: Some((7, 0)) };

    fn numbered(number: u64) -> Numbered {
        let value = Some(number.to_string().into_bytes());
        Numbered { number, record: Record { value, ..Record::default() } }
    }

    /// A queue of batches of two records.
    fn queue(batches: u64) -> Queue {
        let mut queue = Queue::default();
        for batch in 0..batches {
            queue.push(numbered(2 * batch + 1), 1000, Instant::now());
            queue.push(numbered(2 * batch + 2), 1000, Instant::now());
            queue.close(Instant::now());
        }
        queue
    }

    /// Sends a batch: its id, first sequence and number of records.
    fn send(queue: &mut Queue) -> Option<(u64, i32, i32)> {
        let (id, bytes) = queue.send(MAKING)?;
        let header = BatchHeader::validate_from_producer(&bytes).unwrap();
        Some((id, header.base_sequence(), header.records_count()))
    }

    #[test]
    fn batches_are_closed_when_full() {
        let mut queue = Queue::default();
        let bytes = numbered(1).record.bytes_max();
        assert!(!queue.push(numbered(1), 2 * bytes, Instant::now()));
        assert!(queue.push(numbered(2), 2 * bytes, Instant::now()));
        assert!(!queue.is_ready() && !queue.is_empty());
        queue.push(numbered(3), 2 * bytes, Instant::now());
        assert_eq!(send(&mut queue), Some((1, 0, 2)));
        assert_eq!(send(&mut queue), None);
        assert!(queue.open_since().is_some());
        queue.close(Instant::now());
        assert_eq!(send(&mut queue), Some((2, 2, 1)));
    }

    #[test]
    fn after_a_failure_all_goes_out_again_once_all_answers_are_in() {
        let mut queue = queue(4);
        let ids: Vec<u64> = (0..3).map(|_| send(&mut queue).unwrap().0).collect();
        assert_eq!(queue.acknowledge(ids[0]).unwrap().records[1].number, 2);
        queue.fail(ids[1]);
        assert!(queue.is_behind_a_failure(ids[2]));
        assert_eq!(send(&mut queue), None, "not before the last answer");
        queue.fail(ids[2]);
        let again: Vec<_> = std::iter::from_fn(|| send(&mut queue)).collect();
        assert_eq!(again.iter().map(|sent| sent.1).collect::<Vec<_>>(), [2, 4, 6]);
        for sent in again {
            queue.acknowledge(sent.0).unwrap();
        }
        assert!(queue.is_empty());
    }

    #[test]
    fn what_was_stored_behind_a_failure_stays_acknowledged() {
        let mut queue = queue(2);
        let ids: Vec<u64> = (0..2).map(|_| send(&mut queue).unwrap().0).collect();
        queue.fail(ids[0]);
        assert!(queue.acknowledge(ids[1]).is_some());
        assert_eq!(send(&mut queue), Some((ids[0], 0, 2)));
        assert_eq!(send(&mut queue), None);
        assert!(!queue.is_behind_a_failure(ids[0]));
    }

    #[test]
    fn a_batch_too_large_is_halved_and_keeps_its_sequences() {
        let mut queue = queue(2);
        let ids: Vec<u64> = (0..2).map(|_| send(&mut queue).unwrap().0).collect();
        assert!(queue.split(ids[0]));
        queue.fail(ids[1]);
        let sent: Vec<_> = std::iter::from_fn(|| send(&mut queue)).collect();
        let sequences: Vec<_> =
            sent.iter().map(|(_, sequence, count)| (*sequence, *count)).collect();
        assert_eq!(sequences, [(0, 1), (1, 1), (2, 2)]);
        assert!(!queue.split(sent[0].0), "one record has no halves");
    }

    #[test]
    fn sequences_wrap() {
        let mut queue = Queue { next_sequence: i32::MAX, ..queue(0) };
        for number in 1..=2 {
            queue.push(numbered(number), 1000, Instant::now());
        }
        queue.close(Instant::now());
        assert_eq!(send(&mut queue), Some((1, i32::MAX, 2)));
        assert_eq!(queue.next_sequence, 1);
    }
}
