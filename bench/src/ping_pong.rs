//! `bench ping-pong`: the smallest requests of an API: what a round trip costs by itself.

use bytes::Bytes;
use corelane_net::codec::Encoder;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{Api, ApiVersionsRequest, MetadataRequest, Request, Response};
use serde::Serialize;

use crate::client::{Control, with_topic};
use crate::environment::Environment;
use crate::error::BenchError;
use crate::load::{
    Answer, Frame, Judged, LoadArgs, LoadOutcome, Pace, Put, Recorder, Turn, Work, Workload, drive,
};
use crate::load_report::LoadReport;
use crate::plan::{Plan, Target};
use crate::produce::{self, Deal, now_ms};
use crate::records::{Pool, RecordSettings};
use crate::stop::Stop;
use crate::wire::FrameError;

/// The version of ApiVersions that every broker answers.
const API_VERSIONS_VERSION: i16 = 0;

/// Largest answer; an API takes six bytes, a broker's name at most some hundred.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What to ask, and how often.
#[derive(Clone, Debug)]
pub struct PingPongArgs {
    /// When requests leave.
    pub pace: Pace,
    /// Numbers.
    pub settings: PingPongSettings,
    /// Times, cores, and what to watch.
    pub load: LoadArgs,
}

/// What is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PingApi {
    /// ApiVersions, version 0: no partition and no disk sees it.
    #[default]
    ApiVersions,
    /// Metadata of no topic: the brokers.
    Metadata,
    /// Produce of one batch of one record of one byte, to a topic of the run's own.
    Produce,
}

/// Numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PingPongSettings {
    /// What is asked.
    pub api: PingApi,
    /// Connections.
    pub connections: usize,
    /// Who must have what is produced, as of `produce`; 0 is not answered, and so no ping-pong.
    pub acks: i16,
    /// Requests under way on each connection, in a closed loop.
    pub in_flight: Option<usize>,
    /// Requests per second of all connections together, in an open loop.
    pub requests_per_s: Option<f64>,
}

impl Plan for PingPongArgs {
    fn workload(&self) -> &'static str {
        "ping-pong"
    }

    /// All connections go to the first broker that accepts.
    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
        let environment = Environment::here();
        if self.settings.connections == 0 {
            return Err(BenchError::Argument("no connection is no load".to_owned()));
        }
        let (outcome, left_behind) = match self.settings.api {
            PingApi::ApiVersions => {
                let address = Control::connect_until(&target.bootstrap, stop)?.address().to_owned();
                let request = Request::from(ApiVersionsRequest::default());
                let frame = Frame::new(&request, API_VERSIONS_VERSION, Work::default())?;
                (self.exchange(frame, API_VERSIONS_VERSION, &address, target, stop)?, None)
            }
            PingApi::Metadata => {
                let control = Control::connect_until(&target.bootstrap, stop)?;
                let version = control.version(Api::Metadata)?;
                let topics = Some(Vec::new());
                let request = Request::from(MetadataRequest { topics, ..Default::default() });
                let frame = Frame::new(&request, version, Work::default())?;
                (self.exchange(frame, version, control.address(), target, stop)?, None)
            }
            PingApi::Produce => {
                let used = with_topic(target, None, 1, stop, |topic, control| {
                    let version = control.version(Api::Produce)?;
                    let tiny = RecordSettings {
                        record_bytes: 1,
                        batch_bytes: 1,
                        pool_bytes: 1,
                        ..Default::default()
                    };
                    let pool = Pool::build(&tiny, 1, now_ms(), stop)?;
                    let deal = Deal { pool: &pool, per_request: 1, connections: 1 };
                    let only = &topic.partitions[0];
                    let carried = vec![(only.index, 0)];
                    let (request, work) = deal.encode(topic, &carried, self.settings.acks)?;
                    let frame = Frame::new(&request, version, work)?;
                    self.exchange(frame, version, &only.leader, target, stop)
                })?;
                (used.value, used.left_behind)
            }
        };
        let settings = &self.settings;
        let mut report =
            LoadReport::new(self.workload(), settings, environment, self.pace, &outcome)?;
        report.left_behind = left_behind;
        Ok(report)
    }

    fn at_rate(&self, per_s: f64) -> Option<Box<dyn Plan>> {
        let mut plan = self.clone();
        plan.pace = Pace::RequestsPerSecond(per_s);
        (plan.settings.in_flight, plan.settings.requests_per_s) = (None, Some(per_s));
        Some(Box::new(plan))
    }
}

impl PingPongArgs {
    /// Sends this frame over all connections.
    fn exchange(
        &self,
        frame: Frame,
        version: i16,
        address: &str,
        target: &Target,
        stop: &Stop,
    ) -> Result<LoadOutcome, BenchError> {
        let (api, address) = (self.settings.api, address.to_owned());
        if !matches!(self.settings.acks, -1 | 1) {
            let text = format!("acks {}: a ping-pong needs an answer", self.settings.acks);
            return Err(BenchError::Argument(text));
        }
        let lane = || PingPongLane { api, version, frame: frame.clone(), address: address.clone() };
        let lanes = (0..self.settings.connections).map(|_| (address.clone(), lane())).collect();
        let pid = target.broker_pid;
        Ok(drive(lanes, self.pace, &self.load, pid, ANSWER_BYTES_MAX, stop)?.0)
    }
}

struct PingPongLane {
    api: PingApi,
    version: i16,
    frame: Frame,
    address: String,
}

impl PingPongLane {
    /// The error is all that is read: decoding a list of APIs would measure the decoder.
    fn judge_versions(&self, answer: &Bytes) -> Result<Judged, BenchError> {
        let [_, _, _, _, high, low, ..] = answer[..] else {
            let source = FrameError::Short { length: answer.len() };
            return Err(BenchError::Frame { address: self.address.clone(), source });
        };
        let done = match ErrorCode::from_number(i16::from_be_bytes([high, low])) {
            ErrorCode::None => Ok(self.frame.work()),
            code => Err(code),
        };
        Ok(Judged::new(done, 0))
    }
}

impl Workload for PingPongLane {
    fn put(&mut self, turn: Turn, out: &mut Encoder) -> Result<Put, BenchError> {
        Ok(self.frame.put(turn, out))
    }

    fn judge(&mut self, answer: Answer<'_>, _: &mut Recorder) -> Result<Judged, BenchError> {
        match self.api {
            PingApi::ApiVersions => self.judge_versions(answer.frame),
            PingApi::Metadata => judge_metadata(answer.frame, self.version),
            PingApi::Produce => produce::judge(answer.frame, self.version, answer.work),
        }
    }
}

/// Reads an answer to Metadata, which carries nothing.
pub(crate) fn judge_metadata(answer: &Bytes, version: i16) -> Result<Judged, BenchError> {
    let api = Api::Metadata;
    let decoded = Response::decode(api, version, answer)
        .map_err(|source| BenchError::Decode { api, source })?;
    let (_, Response::Metadata(response)) = decoded else {
        return Err(BenchError::Unsupported(api));
    };
    let done = match response.error_code {
        ErrorCode::None => Ok(Work::default()),
        code => Err(code),
    };
    Ok(Judged::new(done, response.throttle_time_ms))
}
