//! The command line of what loads a broker: `corelane bench produce | consume | ping-pong`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use corelane_bench::consume::{Beginning, ConsumeArgs, ConsumeSettings};
use corelane_bench::load::{LoadArgs, Pace};
use corelane_bench::ping_pong::{PingPongArgs, PingPongSettings};
use corelane_bench::produce::{ProduceArgs, ProducePace, ProduceSettings};

use super::bench::duration;
use super::bytes;

/// What all loads have in common.
#[derive(Clone, Debug, Args)]
pub struct LoadOptions {
    /// Address and port of a broker, or several with commas between
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub bootstrap: String,

    /// Connections
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

    /// Process of the broker: its CPU time, memory and disk bytes are watched, with its children's
    #[arg(long, value_name = "PID")]
    pub broker_pid: Option<u32>,

    /// Write the result to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl LoadOptions {
    fn to_args(&self) -> LoadArgs {
        LoadArgs {
            duration: self.duration,
            warmup: self.warmup,
            cores: self.core.clone(),
            bytes_max: u64::MAX,
            broker_pid: self.broker_pid,
        }
    }
}

/// Settings of `corelane bench produce`.
#[derive(Clone, Debug, Args)]
pub struct ProduceOptions {
    /// What all loads have in common.
    #[command(flatten)]
    pub load: LoadOptions,

    /// Topic to write to, which must exist [default: one of the run's own, deleted afterwards]
    #[arg(long, value_name = "NAME", conflicts_with = "partitions")]
    pub topic: Option<String>,

    /// Partitions of the run's own topic
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub partitions: u32,

    /// Bytes of a record's value
    #[arg(long, value_name = "BYTES", default_value = "100", value_parser = bytes)]
    pub record_bytes: u64,

    /// Bytes of a batch at most; a request carries one
    #[arg(long, value_name = "BYTES", default_value = "64KiB", value_parser = bytes)]
    pub batch_bytes: u64,

    /// Who must have a batch: -1 (or all), 1, or 0 for nobody
    #[arg(long, value_name = "ACKS", default_value = "-1", value_parser = acks)]
    #[arg(allow_hyphen_values = true)]
    pub acks: i16,

    /// Closed loop: requests under way on each connection
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "rate")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub in_flight: u32,

    /// Open loop: records a second of all connections together, sent whatever the answers do
    #[arg(long, value_name = "RECORDS")]
    pub rate: Option<f64>,

    /// More than 10 GB may be written
    #[arg(long)]
    pub yes: bool,
}

impl From<&ProduceOptions> for ProduceArgs {
    fn from(options: &ProduceOptions) -> ProduceArgs {
        let in_flight = options.in_flight as usize;
        ProduceArgs {
            bootstrap: options.load.bootstrap.clone(),
            pace: match options.rate {
                Some(rate) => ProducePace::RecordsPerSecond(rate),
                None => ProducePace::InFlight(in_flight),
            },
            settings: ProduceSettings {
                topic: options.topic.clone(),
                partitions: options.partitions,
                record_bytes: usize::try_from(options.record_bytes).unwrap_or(usize::MAX),
                batch_bytes: usize::try_from(options.batch_bytes).unwrap_or(usize::MAX),
                connections: options.load.connections as usize,
                acks: options.acks,
                in_flight: options.rate.is_none().then_some(in_flight),
                records_per_s: options.rate,
            },
            is_confirmed: options.yes,
            load: options.load.to_args(),
        }
    }
}

/// Settings of `corelane bench consume`.
#[derive(Clone, Debug, Args)]
pub struct ConsumeOptions {
    /// What all loads have in common.
    #[command(flatten)]
    pub load: LoadOptions,

    /// Topic to consume; it must exist
    #[arg(long, value_name = "NAME")]
    pub topic: String,

    /// Where to begin
    #[arg(long, value_enum, default_value_t = Start::Earliest)]
    pub from: Start,

    /// Bytes of a fetch at most
    #[arg(long, value_name = "BYTES", default_value = "1MiB", value_parser = fetch_bytes)]
    pub fetch_bytes: u32,

    /// Time that a fetch may wait for a first byte
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub max_wait: Duration,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Start {
    /// The backlog, to where it ends when the run begins; there is no warm-up
    Earliest,
    /// The tail: what is produced meanwhile
    Latest,
}

impl From<&ConsumeOptions> for ConsumeArgs {
    fn from(options: &ConsumeOptions) -> ConsumeArgs {
        let mut load = options.load.to_args();
        let from = match options.from {
            Start::Earliest => {
                load.warmup = Duration::ZERO;
                Beginning::Earliest
            }
            Start::Latest => Beginning::Latest,
        };
        ConsumeArgs {
            bootstrap: options.load.bootstrap.clone(),
            settings: ConsumeSettings {
                topic: options.topic.clone(),
                from,
                connections: options.load.connections as usize,
                fetch_bytes: options.fetch_bytes,
                max_wait_ms: u32::try_from(options.max_wait.as_millis()).unwrap_or(u32::MAX),
            },
            load,
        }
    }
}

/// Settings of `corelane bench ping-pong`.
#[derive(Clone, Debug, Args)]
pub struct PingPongOptions {
    /// What all loads have in common.
    #[command(flatten)]
    pub load: LoadOptions,

    /// Closed loop: requests under way on each connection
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "rate")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub in_flight: u32,

    /// Open loop: requests a second of all connections together, sent whatever the answers do
    #[arg(long, value_name = "REQUESTS")]
    pub rate: Option<f64>,
}

impl From<&PingPongOptions> for PingPongArgs {
    fn from(options: &PingPongOptions) -> PingPongArgs {
        let in_flight = options.in_flight as usize;
        PingPongArgs {
            bootstrap: options.load.bootstrap.clone(),
            pace: match options.rate {
                Some(rate) => Pace::RequestsPerSecond(rate),
                None => Pace::InFlight(in_flight),
            },
            settings: PingPongSettings {
                connections: options.load.connections as usize,
                in_flight: options.rate.is_none().then_some(in_flight),
                requests_per_s: options.rate,
            },
            load: options.load.to_args(),
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

pub(super) fn acks(text: &str) -> Result<i16, String> {
    match text {
        "all" | "-1" => Ok(-1),
        "1" => Ok(1),
        "0" => Ok(0),
        _ => Err("expected -1, all, 1 or 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use corelane_bench::produce::{ProduceArgs, ProducePace};

    use crate::cli::{BenchCommand, Cli, Command};

    fn parse(line: &str) -> Result<BenchCommand, clap::Error> {
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Bench(command) => Ok(command),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_load_is_read() {
        let line = "corelane bench produce --acks -1 --rate 1e6 --core 0,2 --batch-bytes 16KiB \
                    --connections 8 --duration 500ms";
        let Ok(BenchCommand::Produce(options)) = parse(line) else { panic!("{line}") };
        let args = ProduceArgs::from(&options);
        assert_eq!(args.pace, ProducePace::RecordsPerSecond(1e6));
        assert_eq!((args.settings.in_flight, args.settings.batch_bytes), (None, 16 << 10));
        assert_eq!((args.load.cores, args.settings.connections), (vec![0, 2], 8));
        for wrong in [
            "produce --rate 5 --in-flight 3",
            "produce --topic t --partitions 3",
            "produce --acks 2",
            "produce --in-flight 0",
            "ping-pong --connections 0",
            "ping-pong --duration 1y",
        ] {
            assert!(parse(&format!("corelane bench {wrong}")).is_err(), "{wrong}");
        }
    }
}
