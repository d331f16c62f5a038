//! Options of `corelane log`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::bytes;

/// What to do with a data directory.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print what is in a data directory: topics, segments, checkpoints, journals, records
    ///
    /// Without an option that picks something: an overview. Exit code 1 if the directory can't be
    /// read, else 0; what is wrong with it is what `corelane log verify` is for.
    Dump(DumpOptions),

    /// Check everything in a data directory: checksums, offsets, indexes, checkpoints, journals
    ///
    /// Says for each finding what it means: "damage" is data that was written and is not there any
    /// more; "mends" is what a crash leaves and the next start puts right; "note" is nothing that a
    /// broker cares for. Exit code 0 without damage, 1 with damage or if the directory can't be read.
    Verify(VerifyOptions),
}

/// Options of both.
#[derive(Debug, Args)]
pub struct DirOptions {
    /// The data directory, as of `corelane serve --data-dir`
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Look even while a broker runs on it: what is being written then looks torn
    #[arg(long)]
    pub live: bool,

    /// Print JSON instead, one object a line
    #[arg(long)]
    pub json: bool,
}

/// Options of `corelane log verify`.
#[derive(Debug, Args)]
pub struct VerifyOptions {
    /// The directory, and how to look at it.
    #[command(flatten)]
    pub dir: DirOptions,
}

/// Options of `corelane log dump`.
#[derive(Debug, Args)]
pub struct DumpOptions {
    /// The directory, and how to look at it.
    #[command(flatten)]
    pub dir: DirOptions,

    /// Only this topic, by name or by id
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,

    /// Only this partition, of each topic
    #[arg(long, value_name = "N")]
    pub partition: Option<u32>,

    /// The manifest
    #[arg(long, help_heading = "What to print")]
    pub manifest: bool,

    /// The catalog: topics and their configs, brokers' configs
    #[arg(long, help_heading = "What to print")]
    pub catalog: bool,

    /// Each segment: size, batches, records, offsets, timestamps
    #[arg(long, help_heading = "What to print")]
    pub segments: bool,

    /// Each entry of each segment's index
    #[arg(long, help_heading = "What to print")]
    pub indexes: bool,

    /// Both checkpoint slots of each partition, with leader epochs and idempotent producers
    #[arg(long, help_heading = "What to print")]
    pub checkpoints: bool,

    /// Each entry of the journals that counts; none does after a clean stop
    #[arg(long, help_heading = "What to print")]
    pub journals: bool,

    /// The header of each batch
    #[arg(long, help_heading = "What to print")]
    pub batches: bool,

    /// The header of each batch, and each record
    #[arg(long, help_heading = "What to print")]
    pub records: bool,

    /// Batches from the one that holds this offset on
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub from_offset: i64,

    /// Bytes to print of each key, value and header, as 256 or 1MiB
    #[arg(long, value_name = "BYTES", default_value = "256", value_parser = value_bytes)]
    pub value_bytes: usize,
}

/// At most what may be held in memory for each field of a record.
fn value_bytes(text: &str) -> Result<usize, String> {
    const LIMIT_BYTES: u64 = 1 << 30;
    let bytes = bytes(text)?;
    match usize::try_from(bytes) {
        Ok(bytes) if bytes as u64 <= LIMIT_BYTES => Ok(bytes),
        _ => Err("expected at most 1GiB".to_owned()),
    }
}
