//! The command line of `corelane cluster`.

use clap::{Args, Subcommand};

use super::client::ClientOptions;

/// What to do with a cluster.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show brokers, controller, and how partitions are
    ///
    /// Under-replicated partitions lack a replica that is in sync; offline ones have no leader and
    /// can be neither written nor read.
    #[command(after_long_help = "Examples:
  corelane cluster info
  corelane cluster info --apis
  corelane cluster info --json | jq .partitions.offline

Exit codes: 0 shown; 1 not; 2 the command line is wrong.")]
    Info(InfoOptions),
}

/// Options of `corelane cluster info`.
#[derive(Clone, Debug, Args)]
pub struct InfoOptions {
    /// Show also which APIs, in which versions, the broker offers that was asked
    #[arg(long)]
    pub apis: bool,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}
