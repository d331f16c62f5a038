//! The one binary: `corelane serve | bench | ...`.

use std::process::ExitCode;

use corelane::cli::{BenchCommand, Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::read().command {
        Command::Serve(options) => corelane::serve::run(options).map_err(|error| error.to_string()),
        Command::Bench(BenchCommand::Ceiling(options)) => corelane_bench::run(&options.into())
            .map(|report| println!("{report}"))
            .map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corelane: {error}");
            ExitCode::FAILURE
        }
    }
}
