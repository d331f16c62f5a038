//! `bench mixed`: Produce, Fetch and Metadata requests on the same connections, as many of each as
//! wished; each kind is told of apart.
//!
//! - [`mix`]: which kinds, in which order
//! - [`lane`]: one connection

mod lane;
mod mix;

use corelane_net::messages::Api;
use serde::Serialize;

use crate::client::{Control, Topic, with_topic};
use crate::consume;
use crate::environment::Environment;
use crate::error::BenchError;
use crate::load::{LoadArgs, LoadOutcome, Pace, drive};
use crate::load_report::LoadReport;
use crate::plan::{Plan, Target};
use crate::produce::{Deal, ProduceSettings, Share, now_ms};
use crate::records::{Keys, Pool, PoolReport};
use crate::stop::Stop;
use lane::{MixedLane, Versions};
pub use mix::{Kind, Mix};

/// What to ask, and how often.
#[derive(Clone, Debug)]
pub struct MixedArgs {
    /// When requests leave.
    pub pace: Pace,
    /// Sizes and numbers.
    pub settings: MixedSettings,
    /// More than [`FREE_BYTES`](crate::load::FREE_BYTES) may be written.
    pub is_confirmed: bool,
    /// Times, cores, and what to watch.
    pub load: LoadArgs,
}

/// Sizes and numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MixedSettings {
    /// How many of which kind.
    pub mix: Mix,
    /// What the Produce requests are like; `records_per_s` is none, for the rate is of requests.
    #[serde(flatten)]
    pub produce: ProduceSettings,
    /// Requests of all kinds per second of all connections together, in an open loop.
    pub requests_per_s: Option<f64>,
    /// Bytes of a fetch at most.
    pub fetch_bytes: u32,
}

impl Plan for MixedArgs {
    fn workload(&self) -> &'static str {
        "mixed"
    }

    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
        let environment = Environment::here();
        let produce = &self.settings.produce;
        produce.check()?;
        if produce.acks == 0 {
            let text = "acks 0: a request without an answer can't be told from the others' answers";
            return Err(BenchError::Argument(text.to_owned()));
        }
        self.load.check_volume(self.bytes_per_s(), self.is_confirmed)?;
        let name = produce.topic.as_deref();
        let used = with_topic(target, name, produce.partitions, stop, |topic, control| {
            mixed(self, topic, control, target, stop)
        })?;
        let (outcome, pool) = used.value;
        let settings = &self.settings;
        let mut report =
            LoadReport::new(self.workload(), settings, environment, self.pace, &outcome)?;
        report.left_behind = used.left_behind;
        report.result.pool = Some(pool);
        Ok(report)
    }

    fn at_rate(&self, per_s: f64) -> Option<Box<dyn Plan>> {
        let mut plan = self.clone();
        plan.pace = Pace::RequestsPerSecond(per_s);
        (plan.settings.produce.in_flight, plan.settings.requests_per_s) = (None, Some(per_s));
        Some(Box::new(plan))
    }
}

impl MixedArgs {
    fn bytes_per_s(&self) -> Option<f64> {
        let ProduceSettings { records, partitions_per_request, .. } = &self.settings.produce;
        let request_bytes = records.batch_bytes.max(records.bytes_of_record()?);
        let share = self.settings.mix.share(Kind::Produce) * *partitions_per_request as f64;
        match self.pace {
            Pace::InFlight(_) => None,
            Pace::RequestsPerSecond(rate) => Some(rate * share * request_bytes as f64),
        }
    }
}

fn mixed(
    args: &MixedArgs,
    topic: &Topic,
    control: &Control,
    target: &Target,
    stop: &Stop,
) -> Result<(LoadOutcome, PoolReport), BenchError> {
    let MixedSettings { produce, .. } = &args.settings;
    let pool = Pool::build(&produce.records, topic.partitions.len(), now_ms(), stop)?;
    let versions = Versions {
        produce: control.version(Api::Produce)?,
        fetch: control.version(Api::Fetch)?,
        metadata: control.version(Api::Metadata)?,
    };
    let is_keyed = produce.records.keys != Keys::None;
    let shares = Share::deal(topic, produce.connections, is_keyed, false)?;
    let per_request = produce.partitions_per_request;
    let deal = Deal { pool: &pool, per_request, connections: shares.len() };
    let mut lanes = Vec::new();
    for (nth, share) in shares.into_iter().enumerate() {
        let lane = MixedLane::new(&deal, nth, &share, topic, versions, &args.settings)?;
        let Some(lane) = lane else { continue };
        lanes.push((share.leader, lane));
    }
    let (load, pid) = (args.load.limited(args.is_confirmed), target.broker_pid);
    let (outcome, _) = drive(lanes, args.pace, &load, pid, consume::ANSWER_BYTES_MAX, stop)?;
    load.allowance.spend(outcome.sent_bytes);
    Ok((outcome, pool.report))
}
