//! Options of `corelane tune`.

use clap::{Args, Subcommand};

use super::SettingOptions;

/// What to do with this machine.
#[derive(Debug, Subcommand)]
pub enum TuneCommand {
    /// Say what prevents a broker's start here, what slows it, and how to mend it
    ///
    /// Changes nothing, but for a small file that is made for a moment in the data directory (or in
    /// the nearest directory above it that exists). Exit code 1 if something prevents a start, else 0.
    Check(CheckOptions),
}

/// Options of `corelane tune check`.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// What the broker is going to be told, as for `serve`: its directory, listeners, shards and cache count.
    #[command(flatten)]
    pub settings: SettingOptions,

    /// Print one JSON object instead
    #[arg(long)]
    pub json: bool,
}
