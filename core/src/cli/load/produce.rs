//! `corelane bench produce`.

use clap::Args;
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

    /// Open loop: records a second of all connections together, sent whatever the answers do
    #[arg(long, value_name = "RECORDS")]
    pub rate: Option<f64>,
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
