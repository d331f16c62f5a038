//! `corelane bench ping-pong`.

use clap::{Args, ValueEnum};
use corelane_bench::ping_pong::{PingApi, PingPongArgs, PingPongSettings};

use super::write::acks;
use super::{LoadOptions, RequestPace};

/// Settings of `corelane bench ping-pong`.
#[derive(Clone, Debug, Args)]
pub struct PingPongOptions {
    /// What all loads have in common.
    #[command(flatten)]
    pub load: LoadOptions,

    /// What is asked
    #[arg(long, value_enum, default_value_t = Asked::ApiVersions)]
    pub api: Asked,

    /// Who must have what is produced: -1 (or all), or 1
    #[arg(long, value_name = "ACKS", default_value = "-1", value_parser = acks)]
    #[arg(allow_hyphen_values = true)]
    pub acks: i16,

    /// When requests leave.
    #[command(flatten)]
    pub pace: RequestPace,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Asked {
    /// No partition and no disk sees it
    ApiVersions,
    /// The brokers, and no topic
    Metadata,
    /// One record of one byte, to a topic of the run's own
    Produce,
}

impl From<&PingPongOptions> for PingPongArgs {
    fn from(options: &PingPongOptions) -> PingPongArgs {
        PingPongArgs {
            pace: options.pace.pace(),
            settings: PingPongSettings {
                api: match options.api {
                    Asked::ApiVersions => PingApi::ApiVersions,
                    Asked::Metadata => PingApi::Metadata,
                    Asked::Produce => PingApi::Produce,
                },
                connections: options.load.connections as usize,
                acks: options.acks,
                in_flight: options.pace.in_flight(),
                requests_per_s: options.pace.rate,
            },
            load: options.load.to_args(),
        }
    }
}
