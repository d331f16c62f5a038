//! `bench produce`: batches of equal records to all partitions of a topic.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, PartitionProduceData, ProduceRequest, Request, Response, TopicProduceData,
};
use serde::Serialize;

use crate::batch::Batch;
use crate::client::{Control, Topic, shares};
use crate::environment::Environment;
use crate::error::BenchError;
use crate::load::{Frame, Judged, LoadArgs, Pace, Work, Workload, drive};
use crate::load_report::LoadReport;
use crate::plan::{Plan, Target};
use crate::stop::Stop;

/// What may be written without being asked twice, bytes.
pub const FREE_BYTES: u64 = 10_000_000_000;

/// Largest answer to a Produce request of one partition.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Milliseconds that the broker may take to acknowledge.
const TIMEOUT_MS: i32 = 30_000;

/// What to produce, and how.
#[derive(Clone, Debug)]
pub struct ProduceArgs {
    /// When requests leave.
    pub pace: ProducePace,
    /// Sizes and numbers.
    pub settings: ProduceSettings,
    /// More than [`FREE_BYTES`] may be written.
    pub is_confirmed: bool,
    /// Times, cores, and what to watch; its limit of bytes is made stricter unless confirmed.
    pub load: LoadArgs,
}

/// When requests leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProducePace {
    /// So many requests under way on each connection.
    InFlight(usize),
    /// So many records a second, in whole batches.
    RecordsPerSecond(f64),
}

/// Sizes and numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProduceSettings {
    /// The topic, which must exist; none: one of the run's own, deleted afterwards.
    pub topic: Option<String>,
    /// Partitions of a topic of the run's own.
    pub partitions: u32,
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// Bytes of a batch at most.
    pub batch_bytes: usize,
    /// Connections; each serves its own share of the partitions.
    pub connections: usize,
    /// 0: not acknowledged; 1: by the leader; -1: by all replicas in sync.
    pub acks: i16,
    /// Requests under way on each connection, in a closed loop.
    pub in_flight: Option<usize>,
    /// Records per second, in an open loop.
    pub records_per_s: Option<f64>,
}

impl Plan for ProduceArgs {
    fn workload(&self) -> &'static str {
        "produce"
    }

    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
        run(self, target, stop)
    }

    fn at_rate(&self, per_s: f64) -> Option<Box<dyn Plan>> {
        let mut plan = self.clone();
        plan.pace = ProducePace::RecordsPerSecond(per_s);
        (plan.settings.in_flight, plan.settings.records_per_s) = (None, Some(per_s));
        Some(Box::new(plan))
    }
}

/// A topic of its own is deleted again however it ends; another never.
fn run(args: &ProduceArgs, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
    let environment = Environment::here();
    let settings = &args.settings;
    let batch = Batch::of(settings.record_bytes, settings.batch_bytes, now_ms())?;
    let pace = match args.pace {
        ProducePace::InFlight(depth) => Pace::InFlight(depth),
        ProducePace::RecordsPerSecond(rate) => Pace::RequestsPerSecond(rate / batch.records as f64),
    };
    check(args, pace, batch.bytes.len())?;
    let mut control = Control::connect(&target.bootstrap)?;
    let version = control.version(Api::Produce)?;
    let topic = match &settings.topic {
        Some(name) => Topic::find(&mut control, name)?,
        None => Topic::create(&mut control, settings.partitions, stop)?,
    };
    let lanes = lanes(&topic, &batch, settings, version);
    let driven = lanes.and_then(|lanes| {
        let mut load = args.load.clone();
        if !args.is_confirmed {
            load.bytes_max = load.bytes_max.min(FREE_BYTES);
        }
        drive(lanes, pace, &load, target.broker_pid, ANSWER_BYTES_MAX, stop)
    });
    // The broker may have closed an idle connection, or may be another process by now.
    let deleted = topic
        .delete_if_own(&mut control)
        .or_else(|_| topic.delete_if_own(&mut Control::connect(&target.bootstrap)?));
    let mut report = LoadReport::new(args.workload(), settings, environment, pace, &driven?)?;
    report.left_behind = deleted.err().map(|error| format!("{}: {error}", topic.name));
    Ok(report)
}

fn check(args: &ProduceArgs, pace: Pace, batch_bytes: usize) -> Result<(), BenchError> {
    let wrong = |text: String| Err(BenchError::Argument(text));
    if args.settings.connections == 0 {
        return wrong("no connection is no load".to_owned());
    }
    if !matches!(args.settings.acks, -1..=1) {
        return wrong(format!("acks {} is none of -1, 0 and 1", args.settings.acks));
    }
    if let (Pace::RequestsPerSecond(rate), false) = (pace, args.is_confirmed) {
        let seconds = (args.load.warmup + args.load.duration).as_secs_f64();
        let bytes = rate * batch_bytes as f64 * seconds;
        if bytes > FREE_BYTES as f64 {
            return wrong(format!("this would write {:.1} GB; --yes allows it", bytes / 1e9));
        }
    }
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

/// Connections, each with the address of a leader and a share of its partitions.
fn lanes(
    topic: &Topic,
    batch: &Batch,
    settings: &ProduceSettings,
    version: i16,
) -> Result<Vec<(String, ProduceLane)>, BenchError> {
    let mut lanes = Vec::new();
    for (leader, partitions) in shares(&topic.partitions, settings.connections)? {
        let frames = partitions.iter().map(|index| frame(topic, *index, batch, settings, version));
        let frames = frames.collect::<Result<_, _>>()?;
        let is_answered = settings.acks != 0;
        lanes.push((leader, ProduceLane { frames, next: 0, version, is_answered }));
    }
    Ok(lanes)
}

fn frame(
    topic: &Topic,
    index: i32,
    batch: &Batch,
    settings: &ProduceSettings,
    version: i16,
) -> Result<Frame, BenchError> {
    let data = PartitionProduceData { index, records: Some(batch.bytes.clone()) };
    let request = Request::from(ProduceRequest {
        acks: settings.acks,
        timeout_ms: TIMEOUT_MS,
        topic_data: vec![TopicProduceData {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_data: vec![data].into(),
        }]
        .into(),
        ..Default::default()
    });
    let bytes = (batch.records * settings.record_bytes) as u64;
    Ok(Frame::new(&request, version, Work { records: batch.records as u64, bytes })?)
}

/// One connection's batches: to its partitions in turn.
struct ProduceLane {
    frames: Vec<Frame>,
    next: usize,
    version: i16,
    is_answered: bool,
}

impl Workload for ProduceLane {
    fn next(&mut self) -> &Frame {
        let frame = &self.frames[self.next];
        self.next = (self.next + 1) % self.frames.len();
        frame
    }

    fn judge(&mut self, answer: &Bytes) -> Result<Judged, BenchError> {
        let api = Api::Produce;
        let decoded = Response::decode(api, self.version, answer)
            .map_err(|source| BenchError::Decode { api, source })?;
        let (_, Response::Produce(response)) = decoded else {
            return Err(BenchError::Unsupported(api));
        };
        let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        let mut codes = partitions.map(|partition| partition.error_code);
        let done = match codes.next() {
            // All frames of a lane carry the same.
            Some(ErrorCode::None) => Ok(self.frames[0].work()),
            Some(code) => Err(code),
            None => Err(ErrorCode::UnknownServerError),
        };
        Ok(Judged { done, throttle_ms: response.throttle_time_ms })
    }

    fn is_answered(&self) -> bool {
        self.is_answered
    }
}
