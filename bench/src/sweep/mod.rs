//! A sweep: the same load at one rate after another, up to the knee.
//!
//! - [`search`]: which rate is next: pure logic
//! - [`report`]: the curve and the knee

mod report;
mod search;

use crate::error::BenchError;
use crate::load_report::LoadReport;
use crate::plan::Plan;
use crate::series::{SeriesArgs, measure, scratch, start};
use crate::stop::Stop;

pub use report::{Point, SweepReport};
pub use search::{Knee, SearchArgs, Verdict, search};

/// A run that sends less than this share of what it is asked for does not hold its rate.
const SENT_SHARE_MIN: f64 = 0.95;

/// What to search for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SweepArgs {
    /// 99 of 100 requests must be answered within this, microseconds.
    pub p99_max_us: f64,
    /// Where, and how finely.
    pub search: SearchArgs,
}

/// Searches the knee of the first contender, which is started once. `told` hears of every point.
///
/// # Errors
/// [`BenchError::Argument`] if the workload has no rate; whatever keeps the first run from beginning.
/// Later, the sweep ends and is marked.
pub fn run(
    plan: &dyn Plan,
    series: &SeriesArgs,
    args: &SweepArgs,
    stop: &Stop,
    mut told: impl FnMut(&Point),
) -> Result<SweepReport, BenchError> {
    let [contender] = &series.contenders[..] else {
        return Err(BenchError::Argument("a sweep is of one broker at a time".to_owned()));
    };
    let scratch = scratch(series)?;
    let mut serving = start(contender, &series.spawn, scratch.as_ref(), 0, stop)?;
    let mut points: Vec<Point> = Vec::new();
    let found = search(&args.search, |rate| {
        if stop.is_set() {
            return Ok(Verdict::Over);
        }
        let plan = plan.at_rate(rate).ok_or_else(|| {
            BenchError::Argument(format!("{} has no rate to sweep", plan.workload()))
        })?;
        let report = measure(&*plan, &mut serving, series.ceiling.as_ref(), stop)?;
        let point = Point::new(rate, args.p99_max_us, report);
        told(&point);
        let verdict = match (point.report.complete, point.holds) {
            (false, _) => Verdict::Over,
            (true, true) => Verdict::Holds,
            (true, false) => Verdict::Fails,
        };
        points.push(point);
        Ok(verdict)
    });
    let (knee, ended_by) = match found {
        Ok(knee) => (knee, stop.is_set().then(|| "interrupted".to_owned())),
        Err(error) if points.is_empty() => return Err(error),
        Err(error) => (Knee::Unfinished(None), Some(error.to_string())),
    };
    let name = contender.to_string();
    Ok(SweepReport::new(plan.workload(), name, args.p99_max_us, knee, ended_by, points))
}

/// True if the rate was held, and 99 of 100 answers came in time.
fn holds(rate: f64, p99_max_us: f64, report: &LoadReport) -> bool {
    let result = &report.result;
    let done = if result.records > 0 { result.records_per_s } else { result.requests_per_s };
    let in_time = result.latency.is_some_and(|times| times.p99_us <= p99_max_us);
    in_time && done >= SENT_SHARE_MIN * rate && !result.has_failures()
}
