//! One connection that asks for everything.

use std::collections::VecDeque;

use corelane_net::codec::{Encoder, Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, FetchPartition, FetchRequest, FetchTopic, MetadataRequest, MetadataRequestTopic, Request,
    Response,
};
use corelane_storage::batch::BatchHeader;

use super::MixedSettings;
use super::mix::{Kind, Turns};
use crate::client::{CLIENT_ID, Topic};
use crate::error::BenchError;
use crate::load::{Answer, Frame, Judged, Put, Recorder, Turn, Work, Workload};
use crate::ping_pong::judge_metadata;
use crate::produce::{self, Deal, Share};

/// The highest versions that both sides know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions {
    pub(super) produce: i16,
    pub(super) fetch: i16,
    pub(super) metadata: i16,
}

/// One connection's requests.
pub(super) struct MixedLane {
    frames: Vec<Frame>,
    next: usize,
    metadata: Frame,
    turns: Turns,
    /// The kinds of requests without an answer, the first one first.
    waiting: VecDeque<Kind>,
    versions: Versions,
    topic: Str,
    topic_id: Uuid,
    fetch_bytes: i32,
    /// Where the newest batch lies that this connection knows of: partition and offset.
    newest: (i32, i64),
}

impl MixedLane {
    /// The `nth` connection's; none if there is nothing for it to send.
    pub(super) fn new(
        deal: &Deal<'_>,
        nth: usize,
        share: &Share,
        topic: &Topic,
        versions: Versions,
        settings: &MixedSettings,
    ) -> Result<Option<MixedLane>, BenchError> {
        let mut frames = Vec::new();
        for carried in deal.requests(nth, &share.partitions) {
            let (request, work) = deal.encode(topic, &carried, settings.produce.acks)?;
            frames.push(Frame::new(&request, versions.produce, work)?);
        }
        let asked = MetadataRequestTopic { name: Some(topic.name.clone()), ..Default::default() };
        let metadata = Request::from(MetadataRequest {
            topics: Some(vec![asked]),
            allow_auto_topic_creation: false,
            ..Default::default()
        });
        let lane = MixedLane {
            frames,
            next: 0,
            metadata: Frame::new(&metadata, versions.metadata, Work::default())?,
            turns: Turns::new(settings.mix),
            waiting: VecDeque::new(),
            versions,
            topic: topic.name.clone(),
            topic_id: topic.id,
            fetch_bytes: i32::try_from(settings.fetch_bytes).unwrap_or(i32::MAX),
            newest: (share.partitions[0], 0),
        };
        Ok((!lane.frames.is_empty()).then_some(lane))
    }

    /// A fetch that never waits.
    fn put_fetch(&self, turn: Turn, out: &mut Encoder) -> Result<Put, BenchError> {
        let (partition, fetch_offset) = self.newest;
        let request = Request::from(FetchRequest {
            max_bytes: self.fetch_bytes,
            topics: vec![FetchTopic {
                topic: self.topic.clone(),
                topic_id: self.topic_id,
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset,
                    partition_max_bytes: self.fetch_bytes,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        });
        request.encode(self.versions.fetch, turn.correlation_id, Some(CLIENT_ID), out)?;
        // What is asked for is not written: it counts towards no limit.
        Ok(Put { bytes: 0, work: Work::default() })
    }

    fn judge_produce(&mut self, answer: Answer<'_>) -> Result<Judged, BenchError> {
        let (judged, taken) =
            produce::judge_and_place(answer.frame, self.versions.produce, answer.work)?;
        self.newest = taken.unwrap_or(self.newest);
        Ok(judged)
    }

    fn judge_fetch(&self, answer: Answer<'_>) -> Result<Judged, BenchError> {
        let api = Api::Fetch;
        let decoded = Response::decode(api, self.versions.fetch, answer.frame)
            .map_err(|source| BenchError::Decode { api, source })?;
        let (_, Response::Fetch(response)) = decoded else {
            return Err(BenchError::Unsupported(api));
        };
        let mut done = match response.error_code {
            ErrorCode::None => Ok(Work::default()),
            code => Err(code),
        };
        for data in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let mut work = Work::default();
            for part in data.records.iter().flat_map(|records| records.parts()) {
                work.add(whole_batches(part));
            }
            done = done.and_then(|mut sum: Work| match data.error_code {
                ErrorCode::None => {
                    sum.add(work);
                    Ok(sum)
                }
                code => Err(code),
            });
        }
        Ok(Judged::new(done, response.throttle_time_ms))
    }
}

/// What the whole batches at the front of `records` hold.
fn whole_batches(mut records: &[u8]) -> Work {
    let mut work = Work::default();
    while let Ok(header) = BatchHeader::read(records)
        && let Some(rest) = records.get(header.total_bytes()..)
    {
        let count = u64::try_from(header.records_count()).unwrap_or(0);
        work.add(Work { records: count, bytes: header.total_bytes() as u64 });
        records = rest;
    }
    work
}

impl Workload for MixedLane {
    fn put(&mut self, turn: Turn, out: &mut Encoder) -> Result<Put, BenchError> {
        let kind = self.turns.next();
        self.waiting.push_back(kind);
        match kind {
            Kind::Produce => {
                let frame = &self.frames[self.next];
                self.next = (self.next + 1) % self.frames.len();
                Ok(frame.put(turn, out))
            }
            Kind::Fetch => self.put_fetch(turn, out),
            Kind::Metadata => Ok(Put { bytes: 0, ..self.metadata.put(turn, out) }),
        }
    }

    fn judge(&mut self, answer: Answer<'_>, _: &mut Recorder) -> Result<Judged, BenchError> {
        let kind = self.waiting.pop_front().ok_or(BenchError::Unsupported(Api::Produce))?;
        let judged = match kind {
            Kind::Produce => self.judge_produce(answer),
            Kind::Fetch => self.judge_fetch(answer),
            Kind::Metadata => judge_metadata(answer.frame, self.versions.metadata),
        }?;
        Ok(Judged { part: Some(kind.name()), ..judged })
    }
}
