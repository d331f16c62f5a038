//! The command line of `corelane bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use corelane_bench::CeilingArgs;
use corelane_bench::null_broker::NullBrokerArgs;

use super::load::{
    ConsumeOptions, EndToEndOptions, FanOutOptions, MixedOptions, PingPongOptions, ProduceOptions,
};
use super::{block_bytes, bytes};

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Measure the disk under a directory as a broker uses it: direct writes, reads, fdatasync
    ///
    /// The bounds that a broker's throughput and its strict acknowledgements are to be held
    /// against. Writes one file without a name, which is gone afterwards.
    Ceiling(CeilingOptions),

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
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

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
}

impl From<CeilingOptions> for CeilingArgs {
    fn from(options: CeilingOptions) -> CeilingArgs {
        CeilingArgs {
            bytes: options.bytes,
            block_bytes: options.block_bytes as usize,
            depth: usize::from(options.depth),
            ..CeilingArgs::new(&options.dir)
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
