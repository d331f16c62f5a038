//! The one binary: `corelane serve | bench | ...`.

use std::process::ExitCode;

use corelane::cli::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::read().command {
        Command::Serve(options) => corelane::serve::run(options)
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| error.to_string()),
        Command::Config(command) => {
            corelane::settings::print(command).map_err(|error| error.to_string())
        }
        Command::Bench(command) => corelane::bench::run(command).map_err(|error| error.to_string()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("corelane: {error}");
        ExitCode::FAILURE
    })
}
