//! What is produced: topic, records, acknowledgement, pace.

use std::path::PathBuf;

use clap::Args;
use corelane_bench::produce::{ProducePace, ProduceSettings};
use corelane_bench::records::{Keys, RecordSettings};
use corelane_storage::batch::Compressor;

use super::super::bytes;

const RECORDS: &str = "Records";

/// What records are like.
#[derive(Clone, Debug, Args)]
pub struct RecordOptions {
    /// Bytes of a record's value
    #[arg(long, value_name = "BYTES", default_value = "100", value_parser = bytes)]
    #[arg(help_heading = RECORDS)]
    pub record_bytes: u64,

    /// Bytes of a batch at most, before compression
    #[arg(long, value_name = "BYTES", default_value = "64KiB", value_parser = bytes)]
    #[arg(help_heading = RECORDS)]
    pub batch_bytes: u64,

    /// Keys: none, uniform:N (N different ones) or zipf:N[:S] (the kth as frequent as 1/k^S)
    ///
    /// Keyed records go to the partitions that Kafka's producers choose (murmur2), and every
    /// connection has all of them, so that hot keys make hot partitions. With several brokers each
    /// broker gets the same rate all the same.
    #[arg(long, value_name = "KEYS", default_value = "none")]
    #[arg(help_heading = RECORDS)]
    pub keys: Keys,

    /// Codec of the batches: none, gzip, snappy, lz4 or zstd, with a level as zstd:9
    #[arg(long, value_name = "CODEC", default_value = "none")]
    #[arg(help_heading = RECORDS)]
    pub compression: Compressor,

    /// Values from this file, cut every --record-bytes, from its start again at its end
    #[arg(long, value_name = "FILE", conflicts_with = "compressibility")]
    #[arg(help_heading = RECORDS)]
    pub payload_file: Option<PathBuf>,

    /// Share of the values' bytes that compress to nearly nothing, 0 to 1; the others are random
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    #[arg(help_heading = RECORDS)]
    pub compressibility: f64,

    /// Different batches built before the clock starts, in bytes before compression; then the first
    /// is sent again
    ///
    /// Building ends after 10 s in any case; the report says how many there were.
    #[arg(long, value_name = "BYTES", default_value = "64MiB", value_parser = bytes)]
    #[arg(help_heading = RECORDS)]
    pub pool_bytes: u64,

    /// What keys and values are drawn from: the same seed gives the same batches
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(help_heading = RECORDS)]
    pub seed: u64,
}

impl RecordOptions {
    pub(super) fn to_settings(&self) -> RecordSettings {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        RecordSettings {
            record_bytes: size(self.record_bytes),
            batch_bytes: size(self.batch_bytes),
            keys: self.keys,
            compression: self.compression,
            payload_file: self.payload_file.clone(),
            compressibility: self.compressibility,
            pool_bytes: size(self.pool_bytes),
            seed: self.seed,
        }
    }
}

/// What is produced, and who must have it.
#[derive(Clone, Debug, Args)]
pub struct WriteOptions {
    /// Topic to write to, which must exist [default: one of the run's own, deleted afterwards]
    #[arg(long, value_name = "NAME", conflicts_with = "partitions")]
    pub topic: Option<String>,

    /// Partitions of the run's own topic
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub partitions: u32,

    /// Partitions of a request, with one batch for each
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub partitions_per_request: u32,

    /// What records are like.
    #[command(flatten)]
    pub records: RecordOptions,

    /// Who must have a batch: -1 (or all), 1, or 0 for nobody
    #[arg(long, value_name = "ACKS", default_value = "-1", value_parser = acks)]
    #[arg(allow_hyphen_values = true)]
    pub acks: i16,

    /// More than 10 GB may be written
    #[arg(long)]
    pub yes: bool,
}

impl WriteOptions {
    pub(super) fn to_settings(
        &self,
        connections: u32,
        in_flight: Option<usize>,
        records_per_s: Option<f64>,
    ) -> ProduceSettings {
        ProduceSettings {
            topic: self.topic.clone(),
            partitions: self.partitions,
            records: self.records.to_settings(),
            partitions_per_request: self.partitions_per_request as usize,
            connections: connections as usize,
            acks: self.acks,
            in_flight,
            records_per_s,
        }
    }
}

/// An open loop at this rate of records, or else a closed one.
pub(super) fn record_pace(rate: Option<f64>, in_flight: u32) -> (ProducePace, Option<usize>) {
    match rate {
        Some(rate) => (ProducePace::RecordsPerSecond(rate), None),
        None => (ProducePace::InFlight(in_flight as usize), Some(in_flight as usize)),
    }
}

pub(in crate::cli) fn acks(text: &str) -> Result<i16, String> {
    match text {
        "all" | "-1" => Ok(-1),
        "1" => Ok(1),
        "0" => Ok(0),
        _ => Err("expected -1, all, 1 or 0".to_owned()),
    }
}
