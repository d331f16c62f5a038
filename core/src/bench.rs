//! `corelane bench`: from options to a printed report and an exit code.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use corelane_bench::consume::ConsumeArgs;
use corelane_bench::delivery::DeliveryArgs;
use corelane_bench::load_report::LoadReport;
use corelane_bench::mixed::MixedArgs;
use corelane_bench::ping_pong::PingPongArgs;
use corelane_bench::plan::Plan;
use corelane_bench::produce::ProduceArgs;
use corelane_bench::{BenchError, CeilingError, Stop, null_broker};

use crate::cli::BenchCommand;
use crate::cli::target::TargetOptions;

/// The exit code of figures that are not of a whole, faultless run.
pub const PARTIAL: u8 = 3;

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk was not measured.
    #[error(transparent)]
    Ceiling(#[from] CeilingError),
    /// The broker was not measured.
    #[error(transparent)]
    Bench(#[from] BenchError),
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
}

/// Measures, prints, and says how it went.
///
/// # Errors
/// Whatever kept it from measuring, or from keeping what was measured.
pub fn run(command: BenchCommand) -> Result<ExitCode, Error> {
    match command {
        BenchCommand::Ceiling(options) => {
            print(corelane_bench::run(&options.into())?);
            Ok(ExitCode::SUCCESS)
        }
        BenchCommand::NullBroker(options) => {
            let ready = |address| print(format_args!("null broker serves on {address}"));
            print(null_broker::run(&options.into(), &Stop::on_signals()?, ready)?);
            Ok(ExitCode::SUCCESS)
        }
        BenchCommand::Produce(options) => load(&options.load.target, &ProduceArgs::from(&options)),
        BenchCommand::Consume(options) => load(&options.load.target, &ConsumeArgs::from(&options)),
        BenchCommand::E2e(options) => load(&options.load.target, &DeliveryArgs::from(&options)),
        BenchCommand::FanOut(options) => {
            load(&options.common.load.target, &DeliveryArgs::from(&options))
        }
        BenchCommand::Mixed(options) => load(&options.load.target, &MixedArgs::from(&options)),
        BenchCommand::PingPong(options) => {
            load(&options.load.target, &PingPongArgs::from(&options))
        }
    }
}

fn load(options: &TargetOptions, plan: &dyn Plan) -> Result<ExitCode, Error> {
    let report = plan.run(&options.into(), &Stop::on_signals()?)?;
    finish(&report, options.json.as_deref())
}

fn finish(report: &LoadReport, json: Option<&Path>) -> Result<ExitCode, Error> {
    print(report);
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(report)? + "\n";
        fs::write(path, text).map_err(|source| Error::Write { path: path.to_owned(), source })?;
    }
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

/// A reader that has gone is no reason to lose what was measured.
fn print(text: impl std::fmt::Display) {
    let _ = writeln!(io::stdout(), "{text}");
}
