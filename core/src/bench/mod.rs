//! `corelane bench`: from options to a printed report and an exit code.
//!
//! - `load.rs`: loads: one run, several, a sweep
//! - `result_file.rs`: the file of `--json`

mod load;
mod result_file;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use corelane_bench::comparison::{self, ComparisonError, Document, DocumentError};
use corelane_bench::consume::ConsumeArgs;
use corelane_bench::delivery::DeliveryArgs;
use corelane_bench::mixed::MixedArgs;
use corelane_bench::ping_pong::PingPongArgs;
use corelane_bench::{BenchError, Stop, ceiling, journal, null_broker};
use result_file::ResultFile;

use crate::cli::BenchCommand;
use crate::cli::bench::{CeilingOptions, CompareOptions};

/// The exit code of figures that are not of a whole, faultless run.
pub const PARTIAL: u8 = 3;

/// The exit code of a comparison that has found a regression.
pub const WORSE: u8 = 4;

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was measured.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// A file is no result.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Two results are no comparison.
    #[error(transparent)]
    Comparison(#[from] ComparisonError),
    /// The report has no JSON form.
    #[error("the result as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The report was not written.
    #[error("writing {}: {source}", path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What a run is to be held against.
    #[error("the ceiling in {}: {reason}", path.display())]
    Ceiling {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// What the process ends with: 2 for a command line that can't be, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Bench(BenchError::Argument(_)) => 2,
            _ => 1,
        }
    }
}

/// Measures, prints, and says how it went.
///
/// # Errors
/// Whatever kept it from measuring, or from keeping what was measured.
pub fn run(command: BenchCommand) -> Result<ExitCode, Error> {
    match command {
        BenchCommand::Ceiling(options) => measure_ceiling(&options),
        BenchCommand::Compare(options) => compare(&options),
        BenchCommand::Journal(options) => {
            let stop = Stop::on_signals()?;
            let file = options.json.as_deref().map(ResultFile::open).transpose()?;
            let report = journal::run(&(&options).into(), &stop)?;
            finish(&report, report.complete, file)
        }
        BenchCommand::NullBroker(options) => {
            let ready = |address| print(format_args!("null broker serves on {address}"));
            print(null_broker::run(&options.into(), &Stop::on_signals()?, ready)?);
            Ok(ExitCode::SUCCESS)
        }
        BenchCommand::Produce(options) => load::run(&options.load.target, &*options.to_plan()),
        BenchCommand::Consume(options) => {
            load::run(&options.load.target, &ConsumeArgs::from(&options))
        }
        BenchCommand::E2e(options) => {
            load::run(&options.load.target, &DeliveryArgs::from(&options))
        }
        BenchCommand::FanOut(options) => {
            load::run(&options.common.load.target, &DeliveryArgs::from(&options))
        }
        BenchCommand::Mixed(options) => load::run(&options.load.target, &MixedArgs::from(&options)),
        BenchCommand::PingPong(options) => {
            load::run(&options.load.target, &PingPongArgs::from(&options))
        }
    }
}

fn measure_ceiling(options: &CeilingOptions) -> Result<ExitCode, Error> {
    let stop = Stop::on_signals()?;
    if let Some(listen) = &options.tcp_server {
        let ready = |address| print(format_args!("receives on {address}"));
        ceiling::tcp_server(listen, options.core.first().copied(), &stop, ready)?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = options.json.as_deref().map(ResultFile::open).transpose()?;
    if let Some(address) = &options.tcp_client {
        let report = ceiling::to_host(address, &options.into(), &stop)?;
        return finish(&report, report.complete, file);
    }
    let report = ceiling::run(&options.into(), &stop)?;
    finish(&report, report.complete, file)
}

fn compare(options: &CompareOptions) -> Result<ExitCode, Error> {
    let (before, after) = (Document::read(&options.before)?, Document::read(&options.after)?);
    let report = comparison::compare(&before, &after, &options.into())?;
    let is_worse = report.has_regression();
    let is_partial = report.is_partial || report.lacks_figures();
    if options.json {
        print(serde_json::to_string_pretty(&report)?);
    } else {
        print(report);
    }
    Ok(match (is_worse, is_partial) {
        (true, _) => ExitCode::from(WORSE),
        (false, true) => ExitCode::from(PARTIAL),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Keeps, prints, and says whether it is whole.
fn finish<R: std::fmt::Display + serde::Serialize>(
    report: &R,
    is_whole: bool,
    file: Option<ResultFile>,
) -> Result<ExitCode, Error> {
    // The file first: whatever becomes of the terminal, it is kept. Printed even if it is not.
    let kept = file.map_or(Ok(()), |file| file.write(report));
    print(report);
    kept?;
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

/// A reader that has gone is no reason to lose what was measured.
fn print(text: impl std::fmt::Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Progress: nobody needs to see it.
fn tell(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
