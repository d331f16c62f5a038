//! Options of `corelane tune`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::bytes;

/// What to do with this machine.
#[derive(Debug, Subcommand)]
pub enum TuneCommand {
    /// Say what prevents a broker's start here, what slows it, and how to mend it
    ///
    /// Changes nothing, but for a small file that is made for a moment in the data directory (or in
    /// the nearest directory above it that exists). Exit code 1 if something prevents a start, else 0.
    Check(CheckOptions),
}

/// Options of `corelane tune check`. Those of `serve` read the same environment variables.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// Directory in which the broker's data is or will be
    #[arg(long, env = "CORELANE_DATA_DIR", value_name = "DIR", default_value = "./corelane-data")]
    pub data_dir: PathBuf,

    /// Address and port that the broker is to listen on
    #[arg(long, env = "CORELANE_LISTEN", value_name = "HOST:PORT")]
    #[arg(default_value = "127.0.0.1:9092")]
    pub listen: String,

    /// Shards that the broker is to run [default: one per usable core]
    #[arg(long, env = "CORELANE_SHARDS", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub shards: Option<u16>,

    /// Memory that the broker is to hold the newest data in [default: a fifth of RAM]
    #[arg(long, env = "CORELANE_CACHE_BYTES", value_name = "BYTES", value_parser = bytes)]
    pub cache_bytes: Option<u64>,

    /// Print one JSON object instead
    #[arg(long)]
    pub json: bool,
}
