//! The one binary: `corelane serve | bench | tune | log | ...`.

#![deny(clippy::print_stderr)]

use std::process::ExitCode;

use corelane::cli::{Cli, Command};
use corelane::commands;

fn main() -> ExitCode {
    let outcome = match Cli::read().command {
        Command::Serve(options) => corelane::serve::run(options)
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| error.to_string()),
        Command::Topic(command) => Ok(commands::finish(commands::topic::run(command))),
        Command::Produce(options) => Ok(commands::finish(commands::produce::run(&options))),
        Command::Consume(options) => Ok(commands::finish(commands::consume::run(&options))),
        Command::Group(command) => Ok(commands::finish(commands::group::run(command))),
        Command::Cluster(command) => Ok(commands::finish(commands::cluster::run(command))),
        Command::Config(command) => {
            corelane::settings::print(command).map_err(|error| error.to_string())
        }
        Command::Bench(command) => {
            let told = |error: corelane::bench::Error| {
                commands::tell(format_args!("corelane: {error}"));
                ExitCode::from(error.exit_code())
            };
            Ok(corelane::bench::run(*command).unwrap_or_else(told))
        }
        Command::Completions(options) => Ok(commands::finish(commands::completions::run(options))),
        Command::Tune(command) => {
            corelane::commands::tune::run(command).map_err(|error| error.to_string())
        }
        Command::Log(command) => {
            corelane::commands::log::run(command).map_err(|error| error.to_string())
        }
    };
    outcome.unwrap_or_else(|error| {
        commands::tell(format_args!("corelane: {error}"));
        ExitCode::FAILURE
    })
}
