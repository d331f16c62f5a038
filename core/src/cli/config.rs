//! `corelane config`.

use clap::{Args, Subcommand};

use super::settings::SettingOptions;

/// What to do with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every key with its value, where it comes from, and what it does
    ///
    /// Takes the flags of `serve`, and reads the same environment and file. What is wrong is told on
    /// stderr.
    ///
    /// Exit codes: 0, 1 if `serve` would refuse these settings, 2 if the command line can't be read.
    Print(PrintOptions),
}

/// Options of `corelane config print`.
#[derive(Clone, Debug, Args)]
pub struct PrintOptions {
    /// What the broker would be told.
    #[command(flatten)]
    pub settings: SettingOptions,

    /// Print a JSON array
    #[arg(long)]
    pub json: bool,

    /// Print only what is not the default
    #[arg(long)]
    pub changed: bool,
}
