//! `bench produce`: batches to all partitions of a topic.
//!
//! - [`requests`]: which batches of the pool go where
//! - [`lane`]: one connection that sends them

mod lane;
mod requests;

use std::time::{SystemTime, UNIX_EPOCH};

use corelane_net::messages::Api;
use serde::Serialize;

use crate::client::{Topic, with_topic};
use crate::environment::Environment;
use crate::error::BenchError;
use crate::load::{LoadArgs, LoadOutcome, Pace, drive};
use crate::load_report::LoadReport;
use crate::plan::{Plan, Target};
use crate::records::{Keys, Pool, PoolReport, RecordSettings};
use crate::stop::Stop;
use lane::ProduceLane;
pub(crate) use lane::{ANSWER_BYTES_MAX, judge, judge_and_place};
pub(crate) use requests::{Deal, Share};

/// What to produce, and how.
#[derive(Clone, Debug)]
pub struct ProduceArgs {
    /// When requests leave.
    pub pace: ProducePace,
    /// Sizes and numbers.
    pub settings: ProduceSettings,
    /// More than [`FREE_BYTES`](crate::load::FREE_BYTES) may be written.
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

impl ProducePace {
    /// The pace of requests that carry so many records each.
    pub(crate) fn of_requests(self, records_per_request: f64) -> Pace {
        match self {
            ProducePace::InFlight(depth) => Pace::InFlight(depth),
            ProducePace::RecordsPerSecond(rate) => {
                Pace::RequestsPerSecond(rate / records_per_request)
            }
        }
    }
}

/// Sizes and numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProduceSettings {
    /// The topic, which must exist; none: one of the run's own, deleted afterwards.
    pub topic: Option<String>,
    /// Partitions of a topic of the run's own.
    pub partitions: u32,
    /// What records and batches are like.
    #[serde(flatten)]
    pub records: RecordSettings,
    /// Partitions of a request at most, with a batch for each.
    pub partitions_per_request: usize,
    /// Connections. Without keys each serves its own share of the partitions.
    pub connections: usize,
    /// 0: not acknowledged; 1: by the leader; -1: by all replicas in sync.
    pub acks: i16,
    /// Requests under way on each connection, in a closed loop.
    pub in_flight: Option<usize>,
    /// Records per second, in an open loop.
    pub records_per_s: Option<f64>,
}

impl ProduceSettings {
    /// # Errors
    /// [`BenchError::Argument`] for numbers that can't be.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let wrong = |text: String| Err(BenchError::Argument(text));
        if self.connections == 0 {
            return wrong("no connection is no load".to_owned());
        }
        if self.partitions_per_request == 0 {
            return wrong("a request without partitions is no load".to_owned());
        }
        if !matches!(self.acks, -1..=1) {
            return wrong(format!("acks {} is none of -1, 0 and 1", self.acks));
        }
        self.records.check()
    }
}

impl Plan for ProduceArgs {
    fn workload(&self) -> &'static str {
        "produce"
    }

    /// A topic of its own is deleted again however it ends; another never.
    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
        let environment = Environment::here();
        let settings = &self.settings;
        settings.check()?;
        self.load.check_volume(self.bytes_per_s(), self.is_confirmed)?;
        let name = settings.topic.as_deref();
        let used = with_topic(target, name, settings.partitions, stop, |topic, control| {
            let version = control.version(Api::Produce)?;
            produce(self, topic, version, target, stop)
        })?;
        let (outcome, pace, pool) = used.value;
        let mut report = LoadReport::new(self.workload(), settings, environment, pace, &outcome)?;
        report.left_behind = used.left_behind;
        report.result.pool = Some(pool);
        Ok(report)
    }

    fn at_rate(&self, per_s: f64) -> Option<Box<dyn Plan>> {
        let mut plan = self.clone();
        plan.pace = ProducePace::RecordsPerSecond(per_s);
        (plan.settings.in_flight, plan.settings.records_per_s) = (None, Some(per_s));
        Some(Box::new(plan))
    }
}

impl ProduceArgs {
    fn bytes_per_s(&self) -> Option<f64> {
        match self.pace {
            ProducePace::InFlight(_) => None,
            ProducePace::RecordsPerSecond(rate) => {
                Some(rate * self.settings.records.bytes_of_record()? as f64)
            }
        }
    }
}

/// Loads a topic.
pub(crate) fn produce(
    args: &ProduceArgs,
    topic: &Topic,
    version: i16,
    target: &Target,
    stop: &Stop,
) -> Result<(LoadOutcome, Pace, PoolReport), BenchError> {
    let settings = &args.settings;
    let pool = Pool::build(&settings.records, topic.partitions.len(), now_ms(), stop)?;
    let is_keyed = settings.records.keys != Keys::None;
    let shares = Share::deal(topic, settings.connections, is_keyed, false)?;
    let deal = Deal {
        pool: &pool,
        per_request: settings.partitions_per_request,
        connections: shares.len(),
    };
    let (mut lanes, mut requests, mut records) = (Vec::new(), 0, 0);
    for (nth, share) in shares.into_iter().enumerate() {
        let lane = ProduceLane::new(&deal, nth, &share, topic, settings.acks, version)?;
        // None of the keys may belong to a partition of this leader.
        let Some(lane) = lane else { continue };
        requests += lane.requests();
        records += lane.records();
        lanes.push((share.leader, lane));
    }
    let pace = args.pace.of_requests(records as f64 / requests.max(1) as f64);
    let load = args.load.limited(args.is_confirmed);
    let (outcome, _) = drive(lanes, pace, &load, target.broker_pid, ANSWER_BYTES_MAX, stop)?;
    load.allowance.spend(outcome.sent_bytes);
    Ok((outcome, pace, pool.report))
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}
