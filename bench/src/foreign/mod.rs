//! The same load through clients of others, so that nobody has to trust ours: Kafka's
//! `ProducerPerformance` and librdkafka's `rdkafka_performance`. They count records, not time, and tell
//! what they tell; the process is watched as a whole, its start included.
//!
//! - [`told`]: what they print, read: pure
//! - `process`: a client's process, from its command line to its last word

mod process;
mod told;

use std::ffi::OsString;
use std::time::Instant;

use corelane_storage::batch::Compressor;
use serde::{Deserialize, Serialize};

use crate::client::{Control, Topic, with_topic};
use crate::environment::Environment;
use crate::error::BenchError;
use crate::load_report::{LoadReport, LoadResult, SCHEMA_VERSION};
use crate::plan::{Plan, Target};
use crate::produce::{ProduceArgs, ProducePace};
use crate::records::Keys;
use crate::stop::Stop;
use crate::usage::Observer;
pub use told::ClientLatency;
use told::Told;

/// The environment variable with the directory of Kafka's jars.
const KAFKA_LIB: &str = "KAFKA_LIB";

/// Librdkafka's own program.
const RDKAFKA_PERFORMANCE: &str = "rdkafka_performance";

/// A client of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// Apache Kafka's, with the jars in the directory that `KAFKA_LIB` names.
    Java,
    /// Librdkafka: its `rdkafka_performance`, found on PATH.
    Rdkafka,
}

/// `produce` through such a client.
#[derive(Clone, Debug)]
pub struct ForeignProduceArgs {
    /// Which.
    pub client: Client,
    /// Records to send: these clients count, they look at no clock.
    pub records: u64,
    /// The load, as our own generator would have it. What a client does not know is refused.
    pub produce: ProduceArgs,
}

#[derive(Serialize)]
struct Settings<'a> {
    client: Client,
    client_records: u64,
    #[serde(flatten)]
    produce: &'a crate::produce::ProduceSettings,
}

impl Plan for ForeignProduceArgs {
    fn workload(&self) -> &'static str {
        "produce"
    }

    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
        self.check()?;
        let (environment, settings) = (Environment::here(), &self.produce.settings);
        let name = settings.topic.as_deref();
        let used = with_topic(target, name, settings.partitions, stop, |topic, control| {
            self.drive(topic, control, target, stop)
        })?;
        let (result, ended_by) = used.value;
        let all = Settings { client: self.client, client_records: self.records, produce: settings };
        Ok(LoadReport {
            schema_version: SCHEMA_VERSION,
            kind: "run".to_owned(),
            workload: self.workload().to_owned(),
            complete: ended_by.is_none(),
            ended_by,
            left_behind: used.left_behind,
            settings: serde_json::to_value(all)?,
            environment,
            broker: None,
            of_ceiling: None,
            result,
        })
    }

    fn at_rate(&self, per_s: f64) -> Option<Box<dyn Plan>> {
        let mut plan = self.clone();
        plan.produce.pace = ProducePace::RecordsPerSecond(per_s);
        plan.produce.settings.in_flight = None;
        plan.produce.settings.records_per_s = Some(per_s);
        Some(Box::new(plan))
    }
}

impl ForeignProduceArgs {
    fn check(&self) -> Result<(), BenchError> {
        let settings = &self.produce.settings;
        let refused = [
            (settings.connections != 1, "--connections"),
            (settings.partitions_per_request != 1, "--partitions-per-request"),
            (settings.records.keys != Keys::None, "--keys"),
            (settings.records.compression != Compressor::NONE, "--compression"),
            (settings.records.payload_file.is_some(), "--payload-file"),
        ];
        let bytes = self.records.saturating_mul(settings.records.record_bytes as u64);
        self.produce.load.check_bytes(bytes, self.produce.is_confirmed)?;
        match refused.iter().find(|(is_asked, _)| *is_asked) {
            Some((_, option)) => Err(BenchError::Argument(format!(
                "{option} is not for clients of others: they decide that themselves"
            ))),
            None => {
                // Clients of others do not tell what they have sent: all of it counts.
                self.produce.load.allowance.spend(bytes);
                Ok(())
            }
        }
    }

    fn drive(
        &self,
        topic: &Topic,
        _control: &mut Control,
        target: &Target,
        stop: &Stop,
    ) -> Result<(LoadResult, Option<String>), BenchError> {
        let words = match self.client {
            Client::Java => self.java(topic, target)?,
            Client::Rdkafka => self.rdkafka(topic, target),
        };
        let mut observer = Observer::new(target.broker_pid)?;
        observer.begin();
        let began = Instant::now();
        let ended = process::run(&words, &self.produce.load.cores, stop, || observer.sample())?;
        let seconds = began.elapsed().as_secs_f64();
        observer.end();
        let usage = observer.usage()?;
        let told = match self.client {
            Client::Java => Told::by_java(&ended.output),
            Client::Rdkafka => Told::by_rdkafka(&ended.output),
        };
        let fault = ended.fault(self.client);
        let Some(told) = told else {
            return match fault {
                Some(fault) if !stop.is_set() => Err(BenchError::Foreign(fault)),
                Some(fault) => {
                    Ok((LoadResult { seconds, usage, ..LoadResult::default() }, Some(fault)))
                }
                None => Err(BenchError::Foreign(format!(
                    "its output is not understood; its last words:{}",
                    ended.last_words()
                ))),
            };
        };
        let is_short = told.records < self.records;
        let short = || format!("it has sent {} of {} records", told.records, self.records);
        let fault = fault.or_else(|| is_short.then(short));
        let bytes_each = self.produce.settings.records.record_bytes as u64;
        Ok((told.result(bytes_each, usage), fault))
    }

    fn java(&self, topic: &Topic, target: &Target) -> Result<Vec<OsString>, BenchError> {
        let lib = std::env::var_os(KAFKA_LIB).ok_or_else(|| {
            let text = "set KAFKA_LIB to the directory of Kafka's jars (docs/measuring.md)";
            BenchError::Argument(text.to_owned())
        })?;
        let mut class_path = lib;
        class_path.push("/*");
        let settings = &self.produce.settings;
        let mut words: Vec<OsString> = vec!["java".into(), "-Xms512m".into(), "-Xmx512m".into()];
        words.extend(["-cp".into(), class_path]);
        words.push("org.apache.kafka.tools.ProducerPerformance".into());
        let rate = settings.records_per_s.map_or(-1.0, f64::round);
        for (option, value) in [
            ("--topic", topic.name.to_string()),
            ("--num-records", self.records.to_string()),
            ("--record-size", settings.records.record_bytes.to_string()),
            ("--throughput", rate.to_string()),
        ] {
            words.extend([option.into(), value.into()]);
        }
        words.push("--producer-props".into());
        for (key, value) in [
            ("bootstrap.servers", target.bootstrap.clone()),
            ("acks", settings.acks.to_string()),
            ("batch.size", settings.records.batch_bytes.to_string()),
            ("max.in.flight.requests.per.connection", self.in_flight().to_string()),
            // Idempotence asks for acks=all, and for no more than five requests under way.
            ("enable.idempotence", "false".to_owned()),
        ] {
            words.push(format!("{key}={value}").into());
        }
        Ok(words)
    }

    fn rdkafka(&self, topic: &Topic, target: &Target) -> Vec<OsString> {
        let settings = &self.produce.settings;
        let mut words: Vec<String> = vec![RDKAFKA_PERFORMANCE.to_owned(), "-P".to_owned()];
        for (option, value) in [
            ("-t", topic.name.to_string()),
            ("-b", target.bootstrap.clone()),
            ("-s", settings.records.record_bytes.to_string()),
            ("-c", self.records.to_string()),
            ("-a", settings.acks.to_string()),
            ("-X", format!("batch.size={}", settings.records.batch_bytes)),
            ("-X", "batch.num.messages=1000000".to_owned()),
            ("-X", "queue.buffering.max.messages=1000000".to_owned()),
            ("-X", format!("max.in.flight={}", self.in_flight())),
        ] {
            words.extend([option.to_owned(), value]);
        }
        if let Some(rate) = settings.records_per_s {
            words.extend(["-r".to_owned(), rate.round().to_string()]);
        }
        words.into_iter().map(OsString::from).collect()
    }

    fn in_flight(&self) -> usize {
        self.produce.settings.in_flight.unwrap_or(5)
    }
}
