//! Fetching from one broker, and reading what comes.

use bytes::Bytes;
use corelane_net::codec::{Encoder, Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, EARLIEST_TIMESTAMP, FetchPartition, FetchRequest, FetchTopic, LATEST_TIMESTAMP,
    PartitionData, Request, Response,
};
use corelane_storage::batch::BatchHeader;

use super::position::Position;
use super::{Beginning, FetchSettings};
use crate::client::{CLIENT_ID, Control, Topic, offsets};
use crate::error::BenchError;
use crate::load::{Judged, Put, Turn, Work};

/// Some partitions of one leader, and how far each has been read.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    topic: Str,
    topic_id: Uuid,
    positions: Vec<Position>,
    fetch_bytes: i32,
    max_wait_ms: i32,
    version: i16,
}

impl Fetcher {
    /// At the beginning or the end of these partitions.
    pub(crate) fn at(
        leader: &mut Control,
        topic: &Topic,
        indexes: &[i32],
        from: Beginning,
        settings: &FetchSettings,
    ) -> Result<Fetcher, BenchError> {
        let clamp = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        Ok(Fetcher {
            topic: topic.name.clone(),
            topic_id: topic.id,
            positions: positions(leader, &topic.name, indexes, from)?,
            fetch_bytes: clamp(settings.fetch_bytes),
            max_wait_ms: clamp(settings.max_wait_ms),
            version: leader.version(Api::Fetch)?,
        })
    }

    /// Its partitions.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.positions.iter().map(|position| position.index)
    }

    /// False if every partition is read to its end.
    pub(crate) fn has_more(&self) -> bool {
        self.positions.iter().any(Position::has_more)
    }

    /// Writes the next request.
    pub(crate) fn put(&mut self, turn: Turn, out: &mut Encoder) -> Result<Put, BenchError> {
        let partition = |position: &Position| FetchPartition {
            partition: position.index,
            fetch_offset: position.next,
            partition_max_bytes: self.fetch_bytes,
            ..Default::default()
        };
        let left = self.positions.iter().filter(|position| position.has_more());
        let request = Request::from(FetchRequest {
            max_wait_ms: self.max_wait_ms,
            min_bytes: 1,
            max_bytes: self.fetch_bytes,
            topics: vec![FetchTopic {
                topic: self.topic.clone(),
                topic_id: self.topic_id,
                partitions: left.map(partition).collect(),
            }],
            ..Default::default()
        });
        let before = out.len();
        request.encode(self.version, turn.correlation_id, Some(CLIENT_ID), out)?;
        // Whoever was served goes to the back: a first partition with much data starves no other.
        self.positions.rotate_left(1);
        Ok(Put { bytes: (out.len() - before) as u64, work: Work::default() })
    }

    /// Reads an answer; `each` is told of every batch that had not been read before, and of its
    /// partition.
    pub(crate) fn judge(
        &mut self,
        answer: &Bytes,
        mut each: impl FnMut(i32, &BatchHeader),
    ) -> Result<Judged, BenchError> {
        let api = Api::Fetch;
        let decoded = Response::decode(api, self.version, answer)
            .map_err(|source| BenchError::Decode { api, source })?;
        let (_, Response::Fetch(response)) = decoded else {
            return Err(BenchError::Unsupported(api));
        };
        let mut done = match response.error_code {
            ErrorCode::None => Ok(Work::default()),
            code => Err(code),
        };
        for data in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            let taken = self.take(data, &mut each);
            done = done.and_then(|mut sum: Work| {
                sum.add(taken?);
                Ok(sum)
            });
        }
        Ok(Judged::new(done, response.throttle_time_ms))
    }

    fn take(
        &mut self,
        data: PartitionData,
        each: &mut impl FnMut(i32, &BatchHeader),
    ) -> Result<Work, ErrorCode> {
        if !data.error_code.is_none() {
            return Err(data.error_code);
        }
        let index = data.partition_index;
        let position = self.positions.iter_mut().find(|position| position.index == index);
        let position = position.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let mut work = Work::default();
        // What was decoded has one slice at most.
        for part in data.records.iter().flat_map(|records| records.parts()) {
            let taken = position.take(part, |header| each(index, header));
            work.add(taken.map_err(|_| ErrorCode::CorruptMessage)?);
        }
        Ok(work)
    }
}

fn positions(
    leader: &mut Control,
    topic: &Str,
    indexes: &[i32],
    from: Beginning,
) -> Result<Vec<Position>, BenchError> {
    let latest = offsets(leader, topic, indexes, LATEST_TIMESTAMP)?;
    let starts = match from {
        Beginning::Earliest => offsets(leader, topic, indexes, EARLIEST_TIMESTAMP)?,
        Beginning::Behind(records) => {
            let earliest = offsets(leader, topic, indexes, EARLIEST_TIMESTAMP)?;
            let pairs = latest.iter().zip(earliest);
            pairs.map(|(end, first)| end.saturating_sub_unsigned(records).max(first)).collect()
        }
        Beginning::Latest => latest.clone(),
    };
    let ends = latest.into_iter().map(|end| (from != Beginning::Latest).then_some(end));
    let starts = indexes.iter().zip(starts);
    Ok(starts.zip(ends).map(|((index, next), end)| Position { index: *index, next, end }).collect())
}
