//! One connection that produces.

use bytes::Bytes;
use corelane_net::codec::Encoder;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{Api, Response};

use super::requests::{Deal, Share};
use crate::client::Topic;
use crate::error::BenchError;
use crate::load::{Answer, Frame, Judged, Put, Recorder, Turn, Work, Workload};

/// Largest answer to a Produce request, of very many partitions.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One connection's requests, again and again.
pub(super) struct ProduceLane {
    frames: Vec<Frame>,
    next: usize,
    version: i16,
    is_answered: bool,
}

impl ProduceLane {
    /// The `nth` connection's; none if there is nothing for it to send.
    pub(super) fn new(
        deal: &Deal<'_>,
        nth: usize,
        share: &Share,
        topic: &Topic,
        acks: i16,
        version: i16,
    ) -> Result<Option<ProduceLane>, BenchError> {
        let mut frames = Vec::new();
        for carried in deal.requests(nth, &share.partitions) {
            let (request, work) = deal.encode(topic, &carried, acks)?;
            frames.push(Frame::new(&request, version, work)?);
        }
        let is_answered = acks != 0;
        let lane = ProduceLane { frames, next: 0, version, is_answered };
        Ok((!lane.frames.is_empty()).then_some(lane))
    }

    /// Different requests.
    pub(super) fn requests(&self) -> usize {
        self.frames.len()
    }

    /// Records in them.
    pub(super) fn records(&self) -> u64 {
        self.frames.iter().map(|frame| frame.work().records).sum()
    }
}

impl Workload for ProduceLane {
    fn put(&mut self, turn: Turn, out: &mut Encoder) -> Result<Put, BenchError> {
        let frame = &self.frames[self.next];
        self.next = (self.next + 1) % self.frames.len();
        Ok(frame.put(turn, out))
    }

    fn judge(&mut self, answer: Answer<'_>, _: &mut Recorder) -> Result<Judged, BenchError> {
        judge(answer.frame, self.version, answer.work)
    }

    fn is_answered(&self) -> bool {
        self.is_answered
    }
}

/// Reads an answer to Produce: all of `work` is done, or the first partition's refusal is told.
pub(crate) fn judge(frame: &Bytes, version: i16, work: Work) -> Result<Judged, BenchError> {
    judge_and_place(frame, version, work).map(|(judged, _)| judged)
}

/// The same, and where the first batch was put: partition and offset.
pub(crate) fn judge_and_place(
    frame: &Bytes,
    version: i16,
    work: Work,
) -> Result<(Judged, Option<(i32, i64)>), BenchError> {
    let api = Api::Produce;
    let decoded = Response::decode(api, version, frame)
        .map_err(|source| BenchError::Decode { api, source })?;
    let (_, Response::Produce(response)) = decoded else {
        return Err(BenchError::Unsupported(api));
    };
    let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let first = partitions.clone().next();
    let refused = partitions.find(|partition| !partition.error_code.is_none());
    let done = match (first, refused) {
        (None, _) => Err(ErrorCode::UnknownServerError),
        (_, Some(refused)) => Err(refused.error_code),
        (Some(_), None) => Ok(work),
    };
    let place = first.filter(|first| first.error_code.is_none() && first.base_offset >= 0);
    let place = place.map(|first| (first.index, first.base_offset));
    Ok((Judged::new(done, response.throttle_time_ms), place))
}
