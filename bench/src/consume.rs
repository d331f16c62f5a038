//! `bench consume`: batches from all partitions of a topic: what lies there (a backlog), or what
//! comes (the tail).

use bytes::Bytes;
use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, EARLIEST_TIMESTAMP, FetchPartition, FetchRequest, FetchTopic, LATEST_TIMESTAMP,
    PartitionData, Request, Response,
};
use corelane_storage::batch::{BatchError, BatchHeader};
use serde::Serialize;

use crate::client::{Control, Topic, offsets, shares};
use crate::environment::Environment;
use crate::error::BenchError;
use crate::load::{Frame, Judged, LoadArgs, Pace, Work, Workload, drive};
use crate::load_report::LoadReport;
use crate::plan::{Plan, Target};
use crate::stop::Stop;

/// Beyond what is asked for: a first batch may be larger (KIP-74).
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The next request depends on the answer before.
const PACE: Pace = Pace::InFlight(1);

/// What to consume, and how.
#[derive(Clone, Debug)]
pub struct ConsumeArgs {
    /// Where to begin, sizes and numbers.
    pub settings: ConsumeSettings,
    /// Times, cores, and what to watch.
    pub load: LoadArgs,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Beginning {
    /// At the first offset; ends where the log ended when the run began.
    Earliest,
    /// At the end; what is produced meanwhile is consumed.
    Latest,
}

/// Sizes and numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConsumeSettings {
    /// The topic, which must exist.
    pub topic: String,
    /// Where to begin.
    pub from: Beginning,
    /// Connections; each consumes its own share of the partitions.
    pub connections: usize,
    /// Bytes of a fetch at most, and of each partition in it.
    pub fetch_bytes: u32,
    /// Milliseconds that a fetch may wait for a first byte.
    pub max_wait_ms: u32,
}

impl Plan for ConsumeArgs {
    fn workload(&self) -> &'static str {
        "consume"
    }

    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
        run(self, target, stop)
    }
}

fn run(args: &ConsumeArgs, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
    let environment = Environment::here();
    let settings = &args.settings;
    let mut control = Control::connect(&target.bootstrap)?;
    let topic = Topic::find(&mut control, &settings.topic)?;
    if settings.connections > topic.partitions.len() {
        return Err(BenchError::Argument(format!(
            "{} connections share {} partitions: each needs one of its own",
            settings.connections,
            topic.partitions.len()
        )));
    }
    let mut lanes = Vec::new();
    for (leader, indexes) in shares(&topic.partitions, settings.connections)? {
        let mut control = Control::connect(&leader)?;
        let positions = positions(&mut control, &topic.name, &indexes, settings.from)?;
        let version = control.version(Api::Fetch)?;
        lanes.push((leader, ConsumeLane::new(&topic, positions, settings, version)?));
    }
    let outcome = drive(lanes, PACE, &args.load, target.broker_pid, ANSWER_BYTES_MAX, stop)?;
    LoadReport::new(args.workload(), settings, environment, PACE, &outcome)
}

/// How far a partition has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    index: i32,
    next: i64,
    /// Where to stop; none: never.
    end: Option<i64>,
}

impl Position {
    fn has_more(&self) -> bool {
        self.end.is_none_or(|end| self.next < end)
    }

    /// Takes the whole batches at the front of `records`: checks them, moves behind them, and
    /// counts what had not been read before.
    fn take(&mut self, records: &[u8]) -> Result<Work, BatchError> {
        let mut work = Work::default();
        let mut rest = records;
        while let Ok(header) = BatchHeader::read(rest)
            && let Some(batch) = rest.get(..header.total_bytes())
        {
            header.verify_crc(batch)?;
            let before = self.next.max(header.base_offset());
            let end = header.last_offset() + 1;
            // Compaction leaves gaps; a batch that is read from its midst was counted before.
            let fresh = (end - before).clamp(0, i64::from(header.records_count().max(0)));
            work.records += fresh as u64;
            work.bytes += batch.len() as u64;
            self.next = self.next.max(end);
            rest = &rest[batch.len()..];
        }
        Ok(work)
    }
}

fn positions(
    control: &mut Control,
    topic: &Str,
    indexes: &[i32],
    from: Beginning,
) -> Result<Vec<Position>, BenchError> {
    let latest = offsets(control, topic, indexes, LATEST_TIMESTAMP)?;
    let earliest = match from {
        Beginning::Earliest => offsets(control, topic, indexes, EARLIEST_TIMESTAMP)?,
        Beginning::Latest => latest.clone(),
    };
    let ends = latest.into_iter().map(|end| (from == Beginning::Earliest).then_some(end));
    let starts = indexes.iter().zip(earliest);
    Ok(starts.zip(ends).map(|((index, next), end)| Position { index: *index, next, end }).collect())
}

/// One connection's partitions.
struct ConsumeLane {
    topic: Str,
    topic_id: Uuid,
    positions: Vec<Position>,
    fetch_bytes: i32,
    max_wait_ms: i32,
    version: i16,
    frame: Frame,
}

impl ConsumeLane {
    fn new(
        topic: &Topic,
        positions: Vec<Position>,
        settings: &ConsumeSettings,
        version: i16,
    ) -> Result<ConsumeLane, BenchError> {
        let clamp = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let mut lane = ConsumeLane {
            topic: topic.name.clone(),
            topic_id: topic.id,
            positions,
            fetch_bytes: clamp(settings.fetch_bytes),
            max_wait_ms: clamp(settings.max_wait_ms),
            version,
            frame: Frame::new(&FetchRequest::default().into(), version, Work::default())?,
        };
        lane.ask_on()?;
        Ok(lane)
    }

    /// Encodes the next request.
    fn ask_on(&mut self) -> Result<(), BenchError> {
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
        self.frame = Frame::new(&request, self.version, Work::default())?;
        // Whoever was served goes to the back: a first partition with much data starves no other.
        self.positions.rotate_left(1);
        Ok(())
    }

    fn take(&mut self, data: PartitionData) -> Result<Work, ErrorCode> {
        if !data.error_code.is_none() {
            return Err(data.error_code);
        }
        let index = data.partition_index;
        let position = self.positions.iter_mut().find(|position| position.index == index);
        let position = position.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let mut work = Work::default();
        // What was decoded has one slice at most.
        for part in data.records.iter().flat_map(|records| records.parts()) {
            let taken = position.take(part).map_err(|_| ErrorCode::CorruptMessage)?;
            work.records += taken.records;
            work.bytes += taken.bytes;
        }
        Ok(work)
    }
}

impl Workload for ConsumeLane {
    fn next(&mut self) -> &Frame {
        &self.frame
    }

    fn judge(&mut self, answer: &Bytes) -> Result<Judged, BenchError> {
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
            let taken = self.take(data);
            done = done.and_then(|sum: Work| {
                let taken = taken?;
                Ok(Work { records: sum.records + taken.records, bytes: sum.bytes + taken.bytes })
            });
        }
        self.ask_on()?;
        Ok(Judged { done, throttle_ms: response.throttle_time_ms })
    }

    fn has_more(&self) -> bool {
        self.positions.iter().any(Position::has_more)
    }
}

#[cfg(test)]
mod tests {
    use corelane_storage::batch::BatchBuilder;

    use super::{Position, Work};

    fn batch(base_offset: i64, records: usize) -> Vec<u8> {
        let builder = (0..records).fold(BatchBuilder::new(), |b, _| b.value(1, vec![7; 10]));
        builder.stamped(base_offset, 0).build()
    }

    #[test]
    fn whole_batches_are_taken_and_counted_once() {
        let mut position = Position { index: 0, next: 12, end: Some(25) };
        let (first, second, third) = (batch(10, 5), batch(15, 5), batch(20, 5));
        let cut = &third[..third.len() - 1];
        let records = [&first[..], &second, cut].concat();
        let work = position.take(&records).unwrap();
        let bytes = (first.len() + second.len()) as u64;
        assert_eq!((work, position.next), (Work { records: 8, bytes }, 20));
        assert!(position.has_more());
        assert_eq!(position.take(&third).unwrap().records, 5);
        assert!(!position.has_more());
        assert_eq!(position.take(&first).unwrap().records, 0);
        assert_eq!(position.next, 25);
    }

    #[test]
    fn a_batch_that_changed_on_its_way_is_noticed() {
        let mut wrong = batch(0, 3);
        *wrong.last_mut().unwrap() ^= 1;
        let mut position = Position { index: 0, next: 0, end: None };
        assert!(position.take(&wrong).is_err());
        assert_eq!((position.next, position.has_more()), (0, true));
        assert_eq!(position.take(b"short").unwrap(), Work::default());
    }
}
