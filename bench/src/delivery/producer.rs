//! A connection whose batches are followed to their readers.

use std::collections::VecDeque;
use std::sync::Arc;

use corelane_net::codec::Encoder;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{Api, Response};

use super::frame::StampedFrame;
use super::ledger::Ledger;
use crate::client::Topic;
use crate::error::BenchError;
use crate::load::{Answer, Judged, Put, Turn};
use crate::produce::{Deal, Share};

/// Sends, and tells the ledger.
pub(super) struct Producer {
    frames: Vec<StampedFrame>,
    next: usize,
    /// Requests without an answer, the first one first.
    waiting: VecDeque<usize>,
    ledger: Arc<Ledger>,
    version: i16,
    pub(super) is_answered: bool,
}

impl Producer {
    /// The `nth` connection's; none if there is nothing for it to send.
    pub(super) fn new(
        deal: &Deal<'_>,
        nth: usize,
        share: &Share,
        topic: &Topic,
        ledger: &Arc<Ledger>,
        (version, acks): (i16, i16),
    ) -> Result<Option<Producer>, BenchError> {
        let mut frames = Vec::new();
        for carried in deal.requests(nth, &share.partitions) {
            let (request, work) = deal.encode(topic, &carried, acks)?;
            let batch = |(index, place): &(i32, usize)| (*index, &deal.pool.batches[*place].bytes);
            let batches: Vec<_> = carried.iter().map(batch).collect();
            frames.push(StampedFrame::new(&request, version, &batches, work)?);
        }
        let producer = Producer {
            frames,
            next: 0,
            waiting: VecDeque::new(),
            ledger: ledger.clone(),
            version,
            is_answered: acks != 0,
        };
        Ok((!producer.frames.is_empty()).then_some(producer))
    }

    /// Different requests, and the records in them.
    pub(super) fn requests_and_records(&self) -> (usize, u64) {
        (self.frames.len(), self.frames.iter().map(|frame| frame.work().records).sum())
    }

    pub(super) fn put(&mut self, turn: Turn, out: &mut Encoder) -> Put {
        let (frame, is_answered) = (&self.frames[self.next], self.is_answered);
        if is_answered {
            self.waiting.push_back(self.next);
        }
        self.next = (self.next + 1) % self.frames.len();
        frame.put(turn, |index| self.ledger.sent(index, turn.asked, is_answered), out)
    }

    /// Reads an answer; a partition without one is refused.
    pub(super) fn judge(&mut self, answer: Answer<'_>) -> Result<Judged, BenchError> {
        let api = Api::Produce;
        let decoded = Response::decode(api, self.version, answer.frame)
            .map_err(|source| BenchError::Decode { api, source })?;
        let (_, Response::Produce(response)) = decoded else {
            return Err(BenchError::Unsupported(api));
        };
        let Some(frame) = self.waiting.pop_front() else {
            return Err(BenchError::Unsupported(api));
        };
        let answers = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        let mut done = Ok(answer.work);
        for index in &self.frames[frame].partitions {
            let told = answers.clone().find(|told| told.index == *index);
            let code = told.map_or(ErrorCode::UnknownServerError, |told| told.error_code);
            self.ledger.answered(*index, !code.is_none());
            if !code.is_none() {
                done = done.and(Err(code));
            }
        }
        Ok(Judged::new(done, response.throttle_time_ms))
    }
}
