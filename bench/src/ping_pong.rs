//! `bench ping-pong`: the smallest requests there are (ApiVersions, version 0), which no partition
//! and no disk sees: what a round trip costs by itself.

use bytes::Bytes;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{ApiVersionsRequest, Request};
use serde::Serialize;

use crate::client::Control;
use crate::environment::Environment;
use crate::error::BenchError;
use crate::load::{Frame, Judged, LoadArgs, Pace, Work, Workload, drive};
use crate::load_report::LoadReport;
use crate::plan::{Plan, Target};
use crate::stop::Stop;
use crate::wire::FrameError;

/// The version that every broker answers.
const VERSION: i16 = 0;

/// Largest answer; an API takes six bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;

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

/// Numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PingPongSettings {
    /// Connections.
    pub connections: usize,
    /// Requests under way on each connection, in a closed loop.
    pub in_flight: Option<usize>,
    /// Requests per second of all connections together, in an open loop.
    pub requests_per_s: Option<f64>,
}

impl Plan for PingPongArgs {
    fn workload(&self) -> &'static str {
        "ping-pong"
    }

    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
        run(self, target, stop)
    }

    fn at_rate(&self, per_s: f64) -> Option<Box<dyn Plan>> {
        let mut plan = self.clone();
        plan.pace = Pace::RequestsPerSecond(per_s);
        (plan.settings.in_flight, plan.settings.requests_per_s) = (None, Some(per_s));
        Some(Box::new(plan))
    }
}

/// All connections go to the first broker that accepts.
fn run(args: &PingPongArgs, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
    let environment = Environment::here();
    if args.settings.connections == 0 {
        return Err(BenchError::Argument("no connection is no load".to_owned()));
    }
    let address = Control::connect(&target.bootstrap)?.address().to_owned();
    let request = Request::from(ApiVersionsRequest::default());
    let frame = Frame::new(&request, VERSION, Work::default())?;
    let lane =
        || (address.clone(), PingPongLane { frame: frame.clone(), address: address.clone() });
    let lanes = (0..args.settings.connections).map(|_| lane()).collect();
    let outcome = drive(lanes, args.pace, &args.load, target.broker_pid, ANSWER_BYTES_MAX, stop)?;
    LoadReport::new(args.workload(), &args.settings, environment, args.pace, &outcome)
}

struct PingPongLane {
    frame: Frame,
    address: String,
}

impl Workload for PingPongLane {
    fn next(&mut self) -> &Frame {
        &self.frame
    }

    /// The error is all that is read: decoding a list of APIs would measure the decoder.
    fn judge(&mut self, answer: &Bytes) -> Result<Judged, BenchError> {
        let [_, _, _, _, high, low, ..] = answer[..] else {
            let source = FrameError::Short { length: answer.len() };
            return Err(BenchError::Frame { address: self.address.clone(), source });
        };
        let done = match ErrorCode::from_number(i16::from_be_bytes([high, low])) {
            ErrorCode::None => Ok(self.frame.work()),
            code => Err(code),
        };
        Ok(Judged { done, throttle_ms: 0 })
    }
}
