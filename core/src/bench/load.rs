//! Loads: one run, several, a sweep.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use corelane_bench::ceiling::{self, CeilingArgs, CeilingReport};
use corelane_bench::load_report::SCHEMA_VERSION;
use corelane_bench::plan::Plan;
use corelane_bench::series::{self, SeriesArgs, SeriesReport};
use corelane_bench::sweep::{self, Point, SweepArgs};
use corelane_bench::{Stop, Yardstick};

use super::result_file::ResultFile;
use super::{Error, finish, print, tell};
use crate::cli::target::TargetOptions;

/// Runs a plan as often, and against whom, the options say.
pub(super) fn run(options: &TargetOptions, plan: &dyn Plan) -> Result<ExitCode, Error> {
    let file = options.json.as_deref().map(ResultFile::open).transpose()?;
    let stop = Stop::on_signals()?;
    let mut args = options.to_series();
    args.ceiling = yardstick(options, &stop)?;
    if let Some(sweep) = options.to_sweep() {
        return run_sweep(plan, &args, &sweep, &stop, file);
    }
    let is_single = args.repeats == 1 && args.contenders.len() == 1;
    if !is_single {
        tell(SeriesReport::heading());
    }
    // Long series are watched as they grow; the whole of it comes at the end.
    let names = SeriesReport::entrants(&args.contenders);
    let told = |run: &series::Run| {
        if !is_single {
            tell(SeriesReport::line(run, &names));
        }
    };
    match series::run(plan, &args, &stop, told)?.into_single() {
        Ok(report) => finish(&report, report.is_whole(), file),
        Err(series) => finish(&*series, series.complete, file),
    }
}

fn run_sweep(
    plan: &dyn Plan,
    args: &SeriesArgs,
    sweep: &SweepArgs,
    stop: &Stop,
    file: Option<ResultFile>,
) -> Result<ExitCode, Error> {
    tell(Point::heading());
    let report = sweep::run(plan, args, sweep, stop, |point| tell(point))?;
    finish(&report, report.complete, file)
}

fn yardstick(options: &TargetOptions, stop: &Stop) -> Result<Option<Yardstick>, Error> {
    if let Some(path) = &options.ceiling {
        return read_ceiling(path).map(Some);
    }
    let Some(dir) = &options.with_ceiling else { return Ok(None) };
    let report = ceiling::run(&CeilingArgs::new(dir), stop)?;
    print(&report);
    Ok(Some(report.yardstick()))
}

fn read_ceiling(path: &Path) -> Result<Yardstick, Error> {
    let failed = |reason: String| Error::Ceiling { path: path.to_owned(), reason };
    let text = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    if value["kind"] != "ceiling" {
        return Err(failed("it is no result of `corelane bench ceiling --json`".to_owned()));
    }
    if value["schema_version"] != SCHEMA_VERSION {
        let found = &value["schema_version"];
        return Err(failed(format!(
            "schema version {found}, this program reads {SCHEMA_VERSION}: measure it again"
        )));
    }
    let report: CeilingReport =
        serde_json::from_value(value).map_err(|error| failed(error.to_string()))?;
    Ok(report.yardstick())
}
