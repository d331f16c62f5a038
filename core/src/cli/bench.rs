//! The command line of `corelane bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use corelane_bench::ceiling::CeilingArgs;
use corelane_bench::comparison::ComparisonArgs;
use corelane_bench::journal::JournalArgs;
use corelane_bench::null_broker::NullBrokerArgs;

use super::load::{
    ConsumeOptions, EndToEndOptions, FanOutOptions, MixedOptions, PingPongOptions, ProduceOptions,
};
use super::target::percent;
use super::{block_bytes, bytes};

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Measure what the machine can do: disk, TCP, memcpy and CRC-32C
    ///
    /// The bounds that a broker's figures are to be held against: direct sequential writes and
    /// reads, fdatasync, one TCP connection over the loopback or to another host, one core that
    /// copies and checksums. Writes files without a name, which are gone afterwards.
    Ceiling(CeilingOptions),

    /// Compare two results of --json: better, worse or the same
    ///
    /// A figure has changed if the medians differ beyond the tolerance and the runs of both sides
    /// do not overlap. Exit code 0: nothing is worse; 4: something is; 3: nothing is, but a result is
    /// partial; 1: they can't be compared; 2: the command line is wrong.
    Compare(CompareOptions),

    /// Measure how many small records a second one journal can sync: the bound of strict durability
    ///
    /// So many producers, each of which waits for the fdatasync that covers its record; all that wait
    /// share one. No sockets, no requests. Writes files without a name, 2 GiB, which are gone afterwards.
    Journal(JournalOptions),

    /// Be a broker that does only what physics demands: the limit to hold others against
    ///
    /// Receives, checks CRC-32C, copies once, writes if told to, answers; on one core. Nothing
    /// survives its end, and nothing is read back from the disk.
    NullBroker(NullBrokerOptions),

    /// Produce batches to any Kafka-compatible broker, and measure
    ///
    /// Exit code 0: all was measured; 3: only a part, or requests were refused or not answered;
    /// 1: nothing; 2: the command line is wrong.
    Produce(ProduceOptions),

    /// Consume batches from any Kafka-compatible broker, and measure
    ///
    /// From the beginning of a topic to where it ended when the run began, or what is produced
    /// meanwhile. Checks each batch's CRC-32C. Exit codes as of produce.
    Consume(ConsumeOptions),

    /// Follow records from producers to a reader, and measure how long they take
    ///
    /// On one clock, from the moment when a batch was meant to leave to the moment when the reader
    /// has it. Verifies that every acknowledged batch comes once and in order. Exit codes as of
    /// produce; a batch that is lost, comes twice or out of order makes it 3.
    E2e(EndToEndOptions),

    /// Let many readers read all that is produced, and measure
    ///
    /// Verifies for every reader what e2e verifies; tells how far the slowest was behind at the end.
    FanOut(FanOutOptions),

    /// Mix Produce, Fetch and Metadata requests on the same connections, and measure each kind
    ///
    /// Exit codes as of produce.
    Mixed(MixedOptions),

    /// Send the smallest requests there are to any Kafka-compatible broker, and measure
    ///
    /// Exit codes as of produce.
    PingPong(PingPongOptions),
}

/// Settings of `corelane bench ceiling`.
#[derive(Clone, Debug, Args)]
pub struct CeilingOptions {
    /// Directory on the disk to measure
    #[arg(value_name = "DIR", required_unless_present_any = ["tcp_server", "tcp_client"])]
    pub dir: Option<PathBuf>,

    /// Receive what other hosts send with --tcp-client, until Ctrl-C, and measure nothing
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["dir", "tcp_client", "json"])]
    pub tcp_server: Option<String>,

    /// Measure the network to a host where `bench ceiling --tcp-server` runs, and nothing else
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "dir")]
    pub tcp_client: Option<String>,

    /// Bytes to write, and then to read
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = bytes)]
    pub bytes: u64,

    /// Bytes of one write or read
    #[arg(long, value_name = "BYTES", default_value = "1MiB", value_parser = block_bytes)]
    pub block_bytes: u32,

    /// Writes or reads under way at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    pub depth: u16,

    /// How often to time an fdatasync
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub syncs: u64,

    /// Time to measure the network, memcpy and CRC-32C each
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub duration: Duration,

    /// How often to measure everything; medians are told
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: u32,

    /// More than 10 GB may be written, all repeats together
    #[arg(long)]
    pub yes: bool,

    /// The core that sends and computes, and the one that receives [default: any]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub core: Vec<usize>,

    /// Write the result to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl From<&CeilingOptions> for CeilingArgs {
    fn from(options: &CeilingOptions) -> CeilingArgs {
        let dir = options.dir.clone().unwrap_or_default();
        CeilingArgs {
            bytes: options.bytes,
            block_bytes: options.block_bytes as usize,
            depth: usize::from(options.depth),
            sync_samples: options.syncs,
            duration: options.duration,
            repeats: options.repeats,
            is_confirmed: options.yes,
            cores: options.core.clone(),
            ..CeilingArgs::new(&dir)
        }
    }
}

/// Settings of `corelane bench journal`.
#[derive(Clone, Debug, Args)]
pub struct JournalOptions {
    /// Directory on the disk to measure
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Producers, each with one record under way
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub producers: u16,

    /// Bytes of a record
    #[arg(long, value_name = "BYTES", default_value = "1KiB", value_parser = bytes)]
    pub record_bytes: u64,

    /// Partitions that the records are dealt to
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub partitions: u16,

    /// Time to measure
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub duration: Duration,

    /// How often to measure; medians are told
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: u32,

    /// Core to run on [default: any]
    #[arg(long, value_name = "N")]
    pub core: Option<usize>,

    /// Write the result to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl From<&JournalOptions> for JournalArgs {
    fn from(options: &JournalOptions) -> JournalArgs {
        JournalArgs {
            producers: usize::from(options.producers),
            record_bytes: usize::try_from(options.record_bytes).unwrap_or(usize::MAX),
            partitions: usize::from(options.partitions),
            duration: options.duration,
            repeats: options.repeats,
            core: options.core,
            ..JournalArgs::new(&options.dir)
        }
    }
}

/// Settings of `corelane bench compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareOptions {
    /// The result to compare with
    #[arg(value_name = "A.json")]
    pub before: PathBuf,

    /// The result that may be better or worse
    #[arg(value_name = "B.json")]
    pub after: PathBuf,

    /// Medians that differ by no more than this are the same
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    pub tolerance: f64,

    /// Figures that count, by their names in JSON [default: all]
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    pub figure: Vec<String>,

    /// Compare what was not measured in the same way all the same
    #[arg(long)]
    pub force: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl From<&CompareOptions> for ComparisonArgs {
    fn from(options: &CompareOptions) -> ComparisonArgs {
        ComparisonArgs {
            tolerance: options.tolerance,
            is_forced: options.force,
            figures: options.figure.clone(),
        }
    }
}

/// Settings of `corelane bench null-broker`.
#[derive(Clone, Debug, Args)]
pub struct NullBrokerOptions {
    /// Address and port to accept clients on; port 0 lets the system choose
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub listen: String,

    /// Write what is produced to a file below this directory, past the page cache, and answer then
    ///
    /// The file takes 1 GiB, is written again from its start when it is full, has no name, and is
    /// gone at the end. Nothing is kept for fetches then.
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,

    /// Bytes of the last batches that fetches find
    #[arg(long, value_name = "BYTES", default_value = "64MiB", value_parser = bytes)]
    pub keep_bytes: u64,

    /// End after this long, as 90s or 5m [default: at SIGINT or SIGTERM]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,

    /// Core to run on [default: any]
    #[arg(long, value_name = "N")]
    pub core: Option<usize>,
}

impl From<NullBrokerOptions> for NullBrokerArgs {
    fn from(options: NullBrokerOptions) -> NullBrokerArgs {
        NullBrokerArgs {
            listen: options.listen,
            write_dir: options.write,
            kept_bytes: options.keep_bytes,
            duration: options.duration,
            core: options.core,
        }
    }
}

/// A time: digits, and ms, s, m or h.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let parsed = units.iter().find_map(|(unit, unit_ms)| {
        let count = text.strip_suffix(unit)?.trim().parse::<u64>().ok()?;
        count.checked_mul(*unit_ms).map(Duration::from_millis)
    });
    // A week: what is meant to last longer is meant to be a broker.
    parsed
        .filter(|duration| *duration <= Duration::from_secs(7 * 86_400))
        .ok_or_else(|| "expected a time of at most a week, such as 500ms, 10s or 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2 m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "10", "s", "-1s", "1.5s", "9999h", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
