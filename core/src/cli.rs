//! The command line.

use clap::{Args, Parser, Subcommand};

pub use bench::BenchCommand;
pub use config::ConfigCommand;
pub use settings::SettingOptions;

pub use crate::settings::bytes;

pub mod bench;
pub mod config;
pub mod load;
pub mod settings;

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

    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),

    /// Measure what this machine can do, and how much of it a broker makes use of
    #[command(subcommand)]
    Bench(BenchCommand),
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
