//! `corelane bench consume`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use corelane_bench::consume::{Beginning, ConsumeArgs, ConsumeSettings, Source};

use super::super::bytes;
use super::{FetchOptions, LoadOptions, RecordOptions};

/// Settings of `corelane bench consume`.
#[derive(Clone, Debug, Args)]
pub struct ConsumeOptions {
    /// What all loads have in common.
    #[command(flatten)]
    pub load: LoadOptions,

    /// Topic to consume; it must exist
    #[arg(long, value_name = "NAME", required_unless_present = "prepare")]
    #[arg(conflicts_with_all = ["prepare", "partitions", "RecordOptions"])]
    pub topic: Option<String>,

    /// Make a topic, fill it with so many bytes, and consume them; the topic is deleted afterwards
    ///
    /// What was just written is mostly still in some memory. To read it from the disk, produce to a
    /// topic of yours, restart the broker, empty the page cache
    /// (sync; echo 3 > /proc/sys/vm/drop_caches), and consume with --topic.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub prepare: Option<u64>,

    /// Partitions of the topic that is filled
    #[arg(long, value_name = "N", default_value_t = 1)]
    // An option that is required and excluded at once is not missed.
    #[arg(conflicts_with = "topic")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub partitions: u32,

    /// What the topic is filled with.
    #[command(flatten)]
    pub records: RecordOptions,

    /// More than 10 GB may be written to the topic that is filled
    #[arg(long)]
    pub yes: bool,

    /// Where to begin
    #[arg(long, value_enum, default_value_t = Start::Earliest, conflicts_with = "prepare")]
    pub from: Start,

    /// Begin so many records before the end of each partition, and read to where that is when the run begins
    ///
    /// As a reader that lags: with what a second brings, times the seconds.
    #[arg(long, value_name = "RECORDS", conflicts_with_all = ["from", "prepare"])]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub behind: Option<u64>,

    /// Readers, each of which reads everything over --connections of its own
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub readers: u32,

    /// How to fetch.
    #[command(flatten)]
    pub fetch: FetchOptions,
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
        let from = match (options.behind, options.from) {
            (Some(records), _) => Beginning::Behind(records),
            (None, Start::Earliest) => Beginning::Earliest,
            (None, Start::Latest) => Beginning::Latest,
        };
        if from != Beginning::Latest {
            load.warmup = Duration::ZERO;
        }
        let source = match options.prepare {
            Some(prepare_bytes) => Source::Prepared {
                prepare_bytes,
                partitions: options.partitions,
                records: options.records.to_settings(),
            },
            None => Source::Topic { topic: options.topic.clone().unwrap_or_default() },
        };
        ConsumeArgs {
            settings: ConsumeSettings {
                source,
                from,
                connections: options.load.connections as usize,
                readers: options.readers as usize,
                fetch: options.fetch.to_settings(),
            },
            is_confirmed: options.yes,
            load,
        }
    }
}
