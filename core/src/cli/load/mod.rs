//! The command line of what loads a broker: `corelane bench produce | consume | e2e | fan-out | mixed
//! | ping-pong`.
//!
//! - [`write`]: what is produced: topic, records, acknowledgement, pace
//! - [`produce`], [`consume`], [`delivery`], [`mixed`], [`ping_pong`]: one command each

mod consume;
mod delivery;
mod mixed;
mod ping_pong;
mod produce;
mod write;

use std::time::Duration;

use clap::Args;
use corelane_bench::load::{Allowance, LoadArgs, Pace};

pub use consume::{ConsumeOptions, Start};
pub use delivery::{EndToEndOptions, FanOutOptions};
pub use mixed::MixedOptions;
pub use ping_pong::{Asked, PingPongOptions};
pub use produce::ProduceOptions;
pub(super) use write::acks;
pub use write::{RecordOptions, WriteOptions};

use super::bench::duration;
use super::bytes;
use super::target::TargetOptions;

/// What all loads have in common.
#[derive(Clone, Debug, Args)]
pub struct LoadOptions {
    /// Which broker, and where the result goes.
    #[command(flatten)]
    pub target: TargetOptions,

    /// Connections; the first 100 at once, then 2000 a second
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub connections: u32,

    /// Time to measure, as 10s, 500ms or 5m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub duration: Duration,

    /// Time of load before it, which does not count
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub warmup: Duration,

    /// Cores to run on, one thread each [default: one thread, on any]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub core: Vec<usize>,

    /// Open loop: wait for the next request's time awake; takes the whole of each core
    ///
    /// Requests then leave within some microseconds of their time, instead of the 20 to 60 that a
    /// sleeping core needs to wake. Give the generator cores that the broker does not use.
    #[arg(long)]
    pub spin: bool,
}

impl LoadOptions {
    fn to_args(&self) -> LoadArgs {
        LoadArgs {
            duration: self.duration,
            warmup: self.warmup,
            cores: self.core.clone(),
            bytes_max: u64::MAX,
            spin: self.spin,
            allowance: Allowance::default(),
        }
    }
}

/// When requests leave, where they are counted and not their records.
#[derive(Clone, Debug, Args)]
pub struct RequestPace {
    /// Closed loop: requests under way on each connection
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "rate")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub in_flight: u32,

    /// Open loop: requests a second of all connections together, sent whatever the answers do
    #[arg(long, value_name = "REQUESTS")]
    pub rate: Option<f64>,
}

impl RequestPace {
    fn pace(&self) -> Pace {
        match self.rate {
            Some(rate) => Pace::RequestsPerSecond(rate),
            None => Pace::InFlight(self.in_flight as usize),
        }
    }

    fn in_flight(&self) -> Option<usize> {
        self.rate.is_none().then_some(self.in_flight as usize)
    }
}

/// How to fetch.
#[derive(Clone, Debug, Args)]
pub struct FetchOptions {
    /// Bytes of a fetch at most
    #[arg(long, value_name = "BYTES", default_value = "1MiB", value_parser = fetch_bytes)]
    pub fetch_bytes: u32,

    /// Time that a fetch may wait for a first byte
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub max_wait: Duration,
}

impl FetchOptions {
    fn to_settings(&self) -> corelane_bench::consume::FetchSettings {
        corelane_bench::consume::FetchSettings {
            fetch_bytes: self.fetch_bytes,
            max_wait_ms: u32::try_from(self.max_wait.as_millis()).unwrap_or(u32::MAX),
        }
    }
}

/// What a fetch may ask for.
fn fetch_bytes(text: &str) -> Result<u32, String> {
    u32::try_from(bytes(text)?)
        .ok()
        .filter(|bytes| (1..=100 << 20).contains(bytes))
        .ok_or_else(|| "expected 1 to 100MiB".to_owned())
}

#[cfg(test)]
mod tests;
