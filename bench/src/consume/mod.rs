//! `bench consume`: batches from all partitions of a topic: what lies there (a backlog), or what
//! comes (the tail).
//!
//! - [`fetcher`]: requests and answers of one connection
//! - [`position`]: how far a partition has been read

mod fetcher;
mod position;

use std::time::Duration;

use corelane_net::codec::Encoder;
use corelane_net::messages::Api;
use serde::Serialize;

use crate::client::{Control, Topic, shares, with_topic};
use crate::environment::Environment;
use crate::error::BenchError;
use crate::load::{
    Answer, Ended, Judged, LoadArgs, LoadOutcome, Pace, Put, Recorder, Turn, Workload, drive,
};
use crate::load_report::LoadReport;
use crate::plan::{Plan, Target};
use crate::produce::{self, ProduceArgs, ProducePace, ProduceSettings};
use crate::records::{PoolReport, RecordSettings};
use crate::stop::Stop;
pub(crate) use fetcher::Fetcher;

/// Beyond what is asked for: a first batch may be larger (KIP-74).
pub(crate) const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The next request depends on the answer before.
const PACE: Pace = Pace::InFlight(1);

/// Requests under way while a topic is filled.
const FILL_DEPTH: usize = 5;

/// No filling takes longer: a week.
const FILL_MAX: Duration = Duration::from_secs(7 * 86_400);

/// What to consume, and how.
#[derive(Clone, Debug)]
pub struct ConsumeArgs {
    /// Where to begin, sizes and numbers.
    pub settings: ConsumeSettings,
    /// More than [`FREE_BYTES`](crate::load::FREE_BYTES) may be written to a topic of the run's own.
    pub is_confirmed: bool,
    /// Times, cores, and what to watch.
    pub load: LoadArgs,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Beginning {
    /// At the first offset; ends where the log ended when the run began.
    Earliest,
    /// So many records before the end of each partition, or at its first if it has fewer; ends where
    /// the log ended when the run began.
    Behind(u64),
    /// At the end; what is produced meanwhile is consumed.
    Latest,
}

/// Sizes and numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConsumeSettings {
    /// What is consumed.
    #[serde(flatten)]
    pub source: Source,
    /// Where to begin.
    pub from: Beginning,
    /// Connections of each reader; each consumes its own share of the partitions.
    pub connections: usize,
    /// Readers, each of which reads everything over connections of its own.
    pub readers: usize,
    /// How each of them fetches.
    #[serde(flatten)]
    pub fetch: FetchSettings,
}

/// How to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FetchSettings {
    /// Bytes of a fetch at most, and of each partition in it.
    pub fetch_bytes: u32,
    /// Milliseconds that a fetch may wait for a first byte.
    pub max_wait_ms: u32,
}

/// What is consumed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Source {
    /// A topic, which must exist.
    Topic {
        /// Its name.
        topic: String,
    },
    /// One of the run's own, which is filled first and deleted afterwards.
    Prepared {
        /// Bytes to fill it with, as they are sent.
        prepare_bytes: u64,
        /// Its partitions.
        partitions: u32,
        /// What its records are like.
        #[serde(flatten)]
        records: RecordSettings,
    },
}

impl Plan for ConsumeArgs {
    fn workload(&self) -> &'static str {
        "consume"
    }

    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
        let environment = Environment::here();
        let (name, partitions) = match &self.settings.source {
            Source::Topic { topic } => (Some(topic.as_str()), 1),
            Source::Prepared { prepare_bytes, partitions, records } => {
                records.check()?;
                self.load.check_bytes(*prepare_bytes, self.is_confirmed)?;
                (None, *partitions)
            }
        };
        let used = with_topic(target, name, partitions, stop, |topic, control| {
            let version = control.version(Api::Produce)?;
            let pool = self.fill(topic, version, target, stop)?;
            Ok((consume(self, topic, target, stop)?, pool))
        })?;
        let (outcome, pool) = used.value;
        let settings = &self.settings;
        let mut report = LoadReport::new(self.workload(), settings, environment, PACE, &outcome)?;
        report.left_behind = used.left_behind;
        report.result.pool = pool;
        Ok(report)
    }
}

impl ConsumeArgs {
    /// Fills a topic of the run's own.
    fn fill(
        &self,
        topic: &Topic,
        version: i16,
        target: &Target,
        stop: &Stop,
    ) -> Result<Option<PoolReport>, BenchError> {
        let Source::Prepared { prepare_bytes, partitions, records } = &self.settings.source else {
            return Ok(None);
        };
        let load = LoadArgs {
            duration: FILL_MAX,
            warmup: Duration::ZERO,
            bytes_max: *prepare_bytes,
            spin: false,
            ..self.load.clone()
        };
        let filling = ProduceArgs {
            pace: ProducePace::InFlight(FILL_DEPTH),
            settings: ProduceSettings {
                topic: None,
                partitions: *partitions,
                records: records.clone(),
                partitions_per_request: 1,
                connections: self.settings.connections,
                acks: -1,
                in_flight: Some(FILL_DEPTH),
                records_per_s: None,
            },
            is_confirmed: true,
            load,
        };
        let (outcome, _, pool) = produce::produce(&filling, topic, version, target, stop)?;
        match outcome.ended {
            Ended::ByteLimit => Ok(Some(pool)),
            Ended::Failed(error) => Err(error),
            Ended::Refused => Err(BenchError::refused_often(&outcome.recorder, "filling a topic")),
            Ended::Complete | Ended::Interrupted => Err(BenchError::Interrupted),
        }
    }
}

fn consume(
    args: &ConsumeArgs,
    topic: &Topic,
    target: &Target,
    stop: &Stop,
) -> Result<LoadOutcome, BenchError> {
    let settings = &args.settings;
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
        let fetcher = Fetcher::at(&mut control, topic, &indexes, settings.from, &settings.fetch)?;
        for _ in 0..settings.readers.max(1) {
            lanes.push((leader.clone(), ConsumeLane(fetcher.clone())));
        }
    }
    let pid = target.broker_pid;
    Ok(drive(lanes, PACE, &args.load, pid, ANSWER_BYTES_MAX, stop)?.0)
}

/// One connection's partitions.
struct ConsumeLane(Fetcher);

impl Workload for ConsumeLane {
    fn put(&mut self, turn: Turn, out: &mut Encoder) -> Result<Put, BenchError> {
        self.0.put(turn, out)
    }

    fn judge(&mut self, answer: Answer<'_>, _: &mut Recorder) -> Result<Judged, BenchError> {
        self.0.judge(answer.frame, |_, _| {})
    }

    fn has_more(&self) -> bool {
        self.0.has_more()
    }
}
