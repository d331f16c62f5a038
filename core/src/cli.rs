//! The command line.

use clap::{Args, Parser, Subcommand};

pub use bench::BenchCommand;
pub use client::ClientOptions;
pub use cluster::ClusterCommand;
pub use completions::CompletionsOptions;
pub use config::ConfigCommand;
pub use consume::ConsumeOptions;
pub use group::GroupCommand;
pub use log::LogCommand;
pub use produce::ProduceOptions;
pub use settings::SettingOptions;
pub use topic::TopicCommand;
pub use tune::TuneCommand;

pub use crate::settings::bytes;

pub mod bench;
pub mod client;
pub mod cluster;
pub mod completions;
pub mod config;
pub mod consume;
pub mod escapes;
pub mod group;
pub mod load;
pub mod log;
pub mod produce;
pub mod settings;
pub mod target;
pub mod topic;
pub mod tune;

/// A message broker for Linux that speaks the Kafka wire protocol.
///
/// One process, one shard per core, its data in one directory. Every Kafka client works with it.
#[derive(Debug, Parser)]
#[command(name = "corelane", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line; ends the process if it is wrong.
    pub fn read() -> Cli {
        Cli::parse()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the broker, until SIGTERM or SIGINT
    ///
    /// Logs go to stderr; CORELANE_LOG sets how much (error, warn, info, debug, or by module, as in
    /// "warn,corelane_storage=debug").
    ///
    /// Flags go before the environment, the environment before the file of --config, the file before
    /// defaults. `corelane config print` shows every key, its value, and where it comes from.
    ///
    /// Exit codes: 0 a clean stop (or --check found nothing), 1 it can't start or has failed, 2 the
    /// command line can't be read.
    Serve(ServeOptions),

    /// Create, list, describe, alter and delete topics of any Kafka-compatible broker
    #[command(subcommand)]
    Topic(TopicCommand),

    /// Send standard input to a topic of any Kafka-compatible broker
    ///
    /// Each line is a record, unless --whole or --delimiter says otherwise. Any amount is sent in a
    /// bounded memory. What came of it is told on stderr at the end.
    Produce(ProduceOptions),

    /// Print the records of a topic of any Kafka-compatible broker
    ///
    /// From the first to the last there is now, and ends; with --follow what is produced from now on,
    /// until interrupted. Records of a partition come in their order, partitions in any.
    Consume(ConsumeOptions),

    /// List, describe, reset and delete consumer groups of any Kafka-compatible broker
    #[command(subcommand)]
    Group(GroupCommand),

    /// Look at a cluster, of any Kafka-compatible brokers
    #[command(subcommand)]
    Cluster(ClusterCommand),

    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),

    /// Measure what this machine can do, and how much of it a broker makes use of
    #[command(subcommand)]
    Bench(Box<BenchCommand>),

    /// Print what a shell needs to complete command lines
    Completions(CompletionsOptions),

    /// Look at this machine as a broker's host
    #[command(subcommand)]
    Tune(TuneCommand),

    /// Look into a data directory that no broker runs on, without changing it
    #[command(subcommand)]
    Log(LogCommand),
}

/// Options of `corelane serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeOptions {
    /// What the broker is told.
    #[command(flatten)]
    pub settings: SettingOptions,

    /// Say whether a start would succeed, and start nothing
    ///
    /// Looks at the configuration, the addresses, the machine and the data directory; changes nothing.
    #[arg(long)]
    pub check: bool,
}

/// A block of direct I/O.
fn block_bytes(text: &str) -> Result<u32, String> {
    u32::try_from(bytes(text)?)
        .ok()
        .filter(|bytes| *bytes > 0 && bytes.is_multiple_of(4096) && *bytes <= 1 << 30)
        .ok_or_else(|| "expected a multiple of 4096, at most 1GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }
}
