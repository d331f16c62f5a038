//! `corelane completions`: what a shell needs to complete command lines.

use std::process::ExitCode;

use clap::CommandFactory;

use super::{Error, print};
use crate::cli::{Cli, CompletionsOptions};

/// Prints a shell's completions.
///
/// # Errors
/// [`Error::Output`].
pub fn run(options: CompletionsOptions) -> Result<ExitCode, Error> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "corelane", &mut script);
    print::text(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
