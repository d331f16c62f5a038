//! `corelane bench e2e` and `corelane bench fan-out`.

use clap::Args;
use corelane_bench::delivery::{DeliveryArgs, DeliveryKind, DeliverySettings};

use super::write::record_pace;
use super::{FetchOptions, LoadOptions, WriteOptions};

/// Settings of `corelane bench e2e`.
#[derive(Clone, Debug, Args)]
pub struct EndToEndOptions {
    /// What all loads have in common.
    #[command(flatten)]
    pub load: LoadOptions,

    /// What is produced.
    #[command(flatten)]
    pub write: WriteOptions,

    /// Open loop: records a second of all connections together, sent whatever the answers do
    #[arg(long, value_name = "RECORDS", default_value_t = 100_000.0)]
    pub rate: f64,

    /// Closed loop instead: Produce requests under way on each connection
    #[arg(long, value_name = "N", conflicts_with = "rate")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub in_flight: Option<u32>,

    /// How the reader fetches.
    #[command(flatten)]
    pub fetch: FetchOptions,
}

/// Settings of `corelane bench fan-out`.
#[derive(Clone, Debug, Args)]
pub struct FanOutOptions {
    /// Producers and pace.
    #[command(flatten)]
    pub common: EndToEndOptions,

    /// Readers, each of which reads everything over connections of its own
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub readers: u32,
}

impl From<&EndToEndOptions> for DeliveryArgs {
    fn from(options: &EndToEndOptions) -> DeliveryArgs {
        to_args(options, DeliveryKind::EndToEnd, 1)
    }
}

impl From<&FanOutOptions> for DeliveryArgs {
    fn from(options: &FanOutOptions) -> DeliveryArgs {
        to_args(&options.common, DeliveryKind::FanOut, options.readers as usize)
    }
}

fn to_args(options: &EndToEndOptions, kind: DeliveryKind, readers: usize) -> DeliveryArgs {
    let rate = options.in_flight.is_none().then_some(options.rate);
    let (pace, in_flight) = record_pace(rate, options.in_flight.unwrap_or(1));
    DeliveryArgs {
        kind,
        pace,
        settings: DeliverySettings {
            produce: options.write.to_settings(options.load.connections, in_flight, rate),
            readers,
            fetch: options.fetch.to_settings(),
        },
        is_confirmed: options.write.yes,
        load: options.load.to_args(),
    }
}
