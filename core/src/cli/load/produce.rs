//! `corelane bench produce`.

use clap::{Args, ValueEnum};
use corelane_bench::foreign::{self, ForeignProduceArgs};
use corelane_bench::plan::Plan;
use corelane_bench::produce::ProduceArgs;

use super::write::record_pace;
use super::{LoadOptions, WriteOptions};

/// Settings of `corelane bench produce`.
#[derive(Clone, Debug, Args)]
pub struct ProduceOptions {
    /// What all loads have in common.
    #[command(flatten)]
    pub load: LoadOptions,

    /// What is produced.
    #[command(flatten)]
    pub write: WriteOptions,

    /// Closed loop: requests under way on each connection
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "rate")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub in_flight: u32,

    /// Whose client sends
    ///
    /// java: Kafka's ProducerPerformance, from the jars in the directory that KAFKA_LIB names.
    /// rdkafka: librdkafka's rdkafka_performance, found on PATH. Both send --client-records records,
    /// one connection each, and ignore --duration and --warmup.
    #[arg(long, value_enum, default_value_t = Client::Corelane)]
    pub client: Client,

    /// Records that clients of others send
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub client_records: u64,

    /// Open loop: records a second of all connections together, sent whatever the answers do
    #[arg(long, value_name = "RECORDS")]
    pub rate: Option<f64>,
}

/// Whose client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Client {
    /// This program's generator
    Corelane,
    /// Apache Kafka's
    Java,
    /// librdkafka
    Rdkafka,
}

impl ProduceOptions {
    /// The load, by whichever client.
    pub fn to_plan(&self) -> Box<dyn Plan> {
        let produce = ProduceArgs::from(self);
        let client = match self.client {
            Client::Corelane => return Box::new(produce),
            Client::Java => foreign::Client::Java,
            Client::Rdkafka => foreign::Client::Rdkafka,
        };
        Box::new(ForeignProduceArgs { client, records: self.client_records, produce })
    }
}

impl From<&ProduceOptions> for ProduceArgs {
    fn from(options: &ProduceOptions) -> ProduceArgs {
        let (pace, in_flight) = record_pace(options.rate, options.in_flight);
        let connections = options.load.connections;
        ProduceArgs {
            pace,
            settings: options.write.to_settings(connections, in_flight, options.rate),
            is_confirmed: options.write.yes,
            load: options.load.to_args(),
        }
    }
}
