//! `bench e2e` and `bench fan-out`: producers and readers on one clock. Each batch is followed from
//! the moment when it was meant to leave to the moment when its reader has it, and nothing may be
//! lost, come twice or out of order.
//!
//! - [`stamp`]: the number that each batch carries, and its checksum
//! - [`frame`]: requests whose batches are stamped as they leave
//! - [`ledger`]: what was sent, for those who read it
//! - [`order`]: whether one reader gets everything once and in order
//! - [`producer`], [`reader`]: the two kinds of connections
//! - [`report`]: what became of every batch

mod frame;
mod ledger;
mod order;
mod producer;
mod reader;
mod report;
mod stamp;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use corelane_net::codec::Encoder;
use corelane_net::messages::Api;
use serde::Serialize;

use crate::client::{Control, Topic, shares, with_topic};
use crate::consume::{self, Beginning, FetchSettings, Fetcher};
use crate::environment::Environment;
use crate::error::BenchError;
use crate::load::{
    Answer, Ended, Judged, LoadArgs, LoadOutcome, Pace, Put, Recorder, Role, Turn, Workload, drive,
};
use crate::load_report::LoadReport;
use crate::plan::{Plan, Target};
use crate::produce::{Deal, ProducePace, ProduceSettings, Share, now_ms};
use crate::records::{Pool, PoolReport};
use crate::stop::Stop;
use ledger::Ledger;
use producer::Producer;
use reader::Reader;
pub use report::Delivery;

/// What the report calls the producers' side.
const ACKNOWLEDGED: &str = "acknowledged";

/// Most readers.
const READERS_MAX: usize = 1 << 16;

/// What to send and to read.
#[derive(Clone, Debug)]
pub struct DeliveryArgs {
    /// Its name on the command line.
    pub kind: DeliveryKind,
    /// When Produce requests leave.
    pub pace: ProducePace,
    /// Sizes and numbers.
    pub settings: DeliverySettings,
    /// More than [`FREE_BYTES`](crate::load::FREE_BYTES) may be written.
    pub is_confirmed: bool,
    /// Times, cores, and what to watch.
    pub load: LoadArgs,
}

/// Two names for the same thing, asked for different reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// One reader: how long a record takes.
    EndToEnd,
    /// Many readers: how much can be read.
    FanOut,
}

/// Sizes and numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliverySettings {
    /// What is produced, and how. Each partition has one connection that writes to it.
    #[serde(flatten)]
    pub produce: ProduceSettings,
    /// Readers, each of which reads everything over connections of its own, one to each leader.
    pub readers: usize,
    /// How they fetch.
    #[serde(flatten)]
    pub fetch: FetchSettings,
}

impl Plan for DeliveryArgs {
    fn workload(&self) -> &'static str {
        match self.kind {
            DeliveryKind::EndToEnd => "e2e",
            DeliveryKind::FanOut => "fan-out",
        }
    }

    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
        let environment = Environment::here();
        let produce = &self.settings.produce;
        produce.check()?;
        if !(1..=READERS_MAX).contains(&self.settings.readers) {
            let text = format!("{} readers: expected 1 to {READERS_MAX}", self.settings.readers);
            return Err(BenchError::Argument(text));
        }
        let bytes_per_s = match (self.pace, produce.records.bytes_of_record()) {
            (ProducePace::RecordsPerSecond(rate), Some(bytes)) => Some(rate * bytes as f64),
            _ => None,
        };
        self.load.check_volume(bytes_per_s, self.is_confirmed)?;
        let name = produce.topic.as_deref();
        let used = with_topic(target, name, produce.partitions, stop, |topic, control| {
            let version = control.version(Api::Produce)?;
            deliver(self, topic, version, target, stop)
        })?;
        let Delivered { outcome, pace, pool, delivery } = used.value;
        let settings = &self.settings;
        let mut report = LoadReport::new(self.workload(), settings, environment, pace, &outcome)?;
        report.left_behind = used.left_behind;
        report.result.pool = Some(pool);
        report.result.delivery = Some(delivery);
        Ok(report)
    }

    fn at_rate(&self, per_s: f64) -> Option<Box<dyn Plan>> {
        let mut plan = self.clone();
        plan.pace = ProducePace::RecordsPerSecond(per_s);
        let produce = &mut plan.settings.produce;
        (produce.in_flight, produce.records_per_s) = (None, Some(per_s));
        Some(Box::new(plan))
    }
}

struct Delivered {
    outcome: LoadOutcome,
    pace: Pace,
    pool: PoolReport,
    delivery: Delivery,
}

fn deliver(
    args: &DeliveryArgs,
    topic: &Topic,
    version: i16,
    target: &Target,
    stop: &Stop,
) -> Result<Delivered, BenchError> {
    let DeliverySettings { produce, readers, fetch } = &args.settings;
    if produce.connections > topic.partitions.len() {
        return Err(BenchError::Argument(format!(
            "{} connections produce to {} partitions: each needs one of its own, or their order \
             could not be verified",
            produce.connections,
            topic.partitions.len()
        )));
    }
    let run_ms = now_ms();
    let pool = Pool::build(&produce.records, topic.partitions.len(), run_ms, stop)?;
    let indexes = topic.partitions.iter().map(|partition| partition.index as usize + 1);
    let ledger = Arc::new(Ledger::new(indexes.max().unwrap_or(0), *readers as u32));
    let mut lanes = Vec::new();
    // They must know where the topic ends before anything is sent.
    for (leader, fetcher) in fetchers(topic, fetch)? {
        for reader in 0..*readers {
            let reader = Reader::new(reader, fetcher.clone(), &ledger, run_ms);
            lanes.push((leader.clone(), Side::Reader(Box::new(reader))));
        }
    }
    let shares = Share::deal(topic, produce.connections, true, true)?;
    let per_request = produce.partitions_per_request;
    let deal = Deal { pool: &pool, per_request, connections: shares.len() };
    let (mut requests, mut records) = (0, 0);
    for (nth, share) in shares.into_iter().enumerate() {
        let how = (version, produce.acks);
        let producer = Producer::new(&deal, nth, &share, topic, &ledger, how)?;
        let Some(producer) = producer else { continue };
        let (its_requests, its_records) = producer.requests_and_records();
        requests += its_requests;
        records += its_records;
        lanes.push((share.leader, Side::Producer(producer)));
    }
    let pace = args.pace.of_requests(records as f64 / requests.max(1) as f64);
    let load = args.load.limited(args.is_confirmed);
    let pid = target.broker_pid;
    let (mut outcome, sides) = drive(lanes, pace, &load, pid, consume::ANSWER_BYTES_MAX, stop)?;
    load.allowance.spend(outcome.sent_bytes);
    let delivery = settle(&mut outcome, &sides, &ledger, *readers);
    Ok(Delivered { outcome, pace, pool: pool.report, delivery })
}

/// One for each leader, at the end of its partitions.
fn fetchers(topic: &Topic, fetch: &FetchSettings) -> Result<Vec<(String, Fetcher)>, BenchError> {
    let leaders: BTreeSet<_> = topic.partitions.iter().map(|partition| &partition.leader).collect();
    let mut fetchers = Vec::with_capacity(leaders.len());
    for (leader, indexes) in shares(&topic.partitions, leaders.len())? {
        let mut control = Control::connect(&leader)?;
        let fetcher = Fetcher::at(&mut control, topic, &indexes, Beginning::Latest, fetch)?;
        fetchers.push((leader, fetcher));
    }
    Ok(fetchers)
}

/// Adds up what has come of it.
fn settle(outcome: &mut LoadOutcome, sides: &[Side], ledger: &Ledger, readers: usize) -> Delivery {
    let totals = ledger.totals();
    let mut delivery = Delivery {
        readers,
        sent: totals.sent,
        acknowledged: totals.acknowledged,
        refused: totals.refused,
        untimed: totals.untimed,
        ..Delivery::default()
    };
    // Bytes and lag of each reader, all of its connections together.
    let mut by_reader: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for side in sides {
        let Side::Reader(reader) = side else { continue };
        let seen = reader.report(&mut delivery);
        let of_reader = by_reader.entry(reader.reader).or_default();
        of_reader.0 += seen.bytes;
        of_reader.1 += seen.lag();
    }
    let mb_per_s = |bytes: Option<u64>| match bytes {
        Some(bytes) if outcome.seconds > 0.0 => bytes as f64 / 1e6 / outcome.seconds,
        _ => 0.0,
    };
    let bytes = || by_reader.values().map(|(bytes, _)| *bytes);
    delivery.slowest_reader_mb_per_s = mb_per_s(bytes().min());
    delivery.fastest_reader_mb_per_s = mb_per_s(bytes().max());
    delivery.lag_batches_max = by_reader.values().map(|(_, lag)| *lag).max().unwrap_or(0);
    if matches!(outcome.ended, Ended::Complete) {
        for asked in ledger.undelivered() {
            outcome.recorder.never_delivered(asked, outcome.ended_ns);
        }
    }
    // The rate that was asked for is that of the producers.
    let produced = outcome.recorder.parts.get(ACKNOWLEDGED);
    outcome.recorder.requests = produced.map_or(0, |part| part.requests);
    delivery
}

/// A connection of either kind.
enum Side {
    Producer(Producer),
    Reader(Box<Reader>),
}

impl Workload for Side {
    fn put(&mut self, turn: Turn, out: &mut Encoder) -> Result<Put, BenchError> {
        match self {
            Side::Producer(producer) => Ok(producer.put(turn, out)),
            Side::Reader(reader) => reader.put(turn, out),
        }
    }

    fn judge(&mut self, answer: Answer<'_>, recorder: &mut Recorder) -> Result<Judged, BenchError> {
        match self {
            Side::Producer(producer) => producer.judge(answer),
            Side::Reader(reader) => reader.judge(answer, recorder),
        }
    }

    fn role(&self) -> Role {
        match self {
            Side::Producer(_) => Role::Aside(ACKNOWLEDGED),
            Side::Reader(_) => Role::Reader,
        }
    }

    fn is_awaited(&self) -> bool {
        match self {
            Side::Producer(_) => false,
            Side::Reader(reader) => reader.is_awaited(),
        }
    }

    fn is_answered(&self) -> bool {
        match self {
            Side::Producer(producer) => producer.is_answered,
            Side::Reader(_) => true,
        }
    }
}
