//! The command line of `corelane produce`.

use std::time::Duration;

use clap::Args;
use corelane_storage::batch::Compressor;

use super::bench::duration;
use super::bytes;
use super::client::{ClientOptions, pair};
use super::escapes::unescape;

/// Options of `corelane produce`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:
  echo hello | corelane produce greetings
  corelane produce orders --key-separator : < orders.txt
  corelane produce images --whole --header type=png < picture.png
  find . -print0 | corelane produce paths --delimiter '\\0' --compression zstd
  corelane produce accounts --key-separator = --null-marker NULL   # 'id=NULL' deletes a key

Exit codes: 0 all was acknowledged; 1 nothing was; 2 the command line is wrong; 3 a part was, and
stderr says how much; 130 interrupted: what was read until then was sent, and stderr says how much.")]
pub struct ProduceOptions {
    /// The topic; it must exist
    pub topic: String,

    /// All of standard input is one record, line feeds included
    #[arg(long, conflicts_with_all = ["delimiter", "key_separator", "null_marker", "rate"])]
    pub whole: bool,

    /// What ends a record; may be several characters, and \n, \r, \t, \0, \\, \xNN
    ///
    /// The last record may go without.
    #[arg(long, value_name = "TEXT", default_value = "\\n", value_parser = delimiter)]
    pub delimiter: Delimiter,

    /// What stands between key and value [default: records have no key]
    ///
    /// The first of them counts. Escapes as of --delimiter. Records with the same key go to the same
    /// partition, the one that Kafka's own producers choose (murmur2).
    #[arg(long, short, value_name = "TEXT", value_parser = delimiter)]
    pub key_separator: Option<Delimiter>,

    /// A key or value that is this text becomes null; '' for empty ones
    ///
    /// In a compacted topic, a null value deletes its key.
    #[arg(long, value_name = "TEXT")]
    pub null_marker: Option<String>,

    /// A header of every record; may be given several times
    #[arg(long, short = 'H', value_name = "NAME=VALUE", value_parser = pair)]
    pub header: Vec<(String, String)>,

    /// Partition of every record [default: by key; without key, one batch here, the next there]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,

    /// How batches are compressed: none, gzip, snappy, lz4 or zstd; with a level as zstd:9 or gzip:1
    #[arg(long, short = 'z', value_name = "CODEC[:LEVEL]", default_value = "none")]
    pub compression: Compressor,

    /// Who must have a record before it counts: all (in-sync replicas), 1 (the leader), 0 (nobody)
    ///
    /// With all, records are neither lost nor repeated by attempts that failed, and keep their order
    /// (an idempotent producer). With 1 an attempt that failed half-way may repeat some; with 0
    /// nothing is known.
    #[arg(long, value_name = "ACKS", default_value = "all", value_parser = super::load::acks)]
    #[arg(allow_hyphen_values = true)]
    pub acks: i16,

    /// Records a second, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,

    /// Bytes of records, before compression, at which a batch is sent
    #[arg(long, value_name = "BYTES", default_value = "256KiB", value_parser = batch_bytes)]
    pub batch_bytes: usize,

    /// How long a batch may wait for more records
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = linger)]
    pub linger: Duration,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// Bytes between records, or between key and value; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiter(pub Vec<u8>);

fn delimiter(text: &str) -> Result<Delimiter, String> {
    match unescape(text)? {
        bytes if bytes.is_empty() => Err("expected at least one character".to_owned()),
        bytes => Ok(Delimiter(bytes)),
    }
}

fn batch_bytes(text: &str) -> Result<usize, String> {
    let range = 1 << 10..=64 << 20;
    let bytes = usize::try_from(bytes(text)?).ok().filter(|bytes| range.contains(bytes));
    bytes.ok_or_else(|| "expected 1KiB to 64MiB".to_owned())
}

fn linger(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|linger| match linger <= Duration::from_secs(60) {
        true => Ok(linger),
        false => Err("expected at most 60s".to_owned()),
    })
}
