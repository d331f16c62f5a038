//! The curve and the knee.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::holds;
use super::search::Knee;
use crate::environment::Environment;
use crate::load_report::{LoadReport, SCHEMA_VERSION};

/// All points of a sweep, and where its knee is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SweepReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `sweep`.
    pub kind: String,
    /// What was done.
    pub workload: String,
    /// To whom, as on the command line.
    pub contender: String,
    /// False if the search was ended before the knee was found.
    pub complete: bool,
    /// Why it was ended.
    pub ended_by: Option<String>,
    /// Where it was measured.
    pub environment: Environment,
    /// The bound: 99 of 100 requests are to be answered within this.
    pub p99_max_us: f64,
    /// The highest rate at which that held, confirmed by repeats, per second: records where there
    /// are any, else requests.
    pub knee_per_s: Option<f64>,
    /// True if it held at the highest rate that was to be tried: the knee is there or above.
    pub is_at_least: bool,
    /// True if what failed above the knee failed for the generator's sake: then the broker's knee
    /// may be higher.
    pub generator_was_bottleneck: bool,
    /// The points, in the order in which they were measured.
    pub points: Vec<Point>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Point {
    /// The rate that was asked for, per second.
    pub rate_per_s: f64,
    /// True if it was held and the bound was kept.
    pub holds: bool,
    /// The run.
    pub report: LoadReport,
}

impl Point {
    pub(super) fn new(rate_per_s: f64, p99_max_us: f64, report: LoadReport) -> Point {
        Point { rate_per_s, holds: holds(rate_per_s, p99_max_us, &report), report }
    }

    /// What the columns of a point are.
    pub fn heading() -> String {
        format!(
            "{:>14} {:>14} {:>11} {:>11} {:>11} {:>9}",
            "asked /s", "done /s", "p50 us", "p99 us", "p99.9 us", "busy %"
        )
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = &self.report.result;
        let done = if result.records > 0 { result.records_per_s } else { result.requests_per_s };
        write!(f, "{:>14.0} {done:>14.0}", self.rate_per_s)?;
        match &result.latency {
            Some(times) => {
                write!(
                    f,
                    " {:>11.1} {:>11.1} {:>11.1}",
                    times.p50_us, times.p99_us, times.p99_9_us
                )?;
            }
            None => write!(f, " {:>11} {:>11} {:>11}", "-", "-", "-")?,
        }
        write!(f, " {:>9.0}", result.generator_busy_share * 100.0)?;
        let verdict = match (self.report.complete, self.holds, result.generator_was_bottleneck) {
            (false, ..) => "PARTIAL",
            (true, true, _) => "holds",
            (true, false, true) => "fails: the generator was the bottleneck",
            (true, false, false) => "fails",
        };
        write!(f, "  {verdict}")
    }
}

impl SweepReport {
    pub(super) fn new(
        workload: &str,
        contender: String,
        p99_max_us: f64,
        knee: Knee,
        ended_by: Option<String>,
        points: Vec<Point>,
    ) -> SweepReport {
        let knee_per_s = match knee {
            Knee::At(rate) | Knee::Above(rate) | Knee::Unfinished(Some(rate)) => Some(rate),
            Knee::Below(_) | Knee::Unfinished(None) => None,
        };
        let is_unfinished = matches!(knee, Knee::Unfinished(_));
        let lowest_failed = points
            .iter()
            .filter(|point| !point.holds && Some(point.rate_per_s) > knee_per_s)
            .min_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s));
        SweepReport {
            schema_version: SCHEMA_VERSION,
            kind: "sweep".to_owned(),
            workload: workload.to_owned(),
            contender,
            complete: !is_unfinished,
            ended_by: ended_by.or_else(|| {
                let of_run = points.last().and_then(|point| point.report.ended_by.clone());
                is_unfinished.then(|| of_run.unwrap_or_else(|| "the answers contradict".to_owned()))
            }),
            environment: Environment::here(),
            p99_max_us,
            knee_per_s,
            is_at_least: matches!(knee, Knee::Above(_)),
            generator_was_bottleneck: lowest_failed
                .is_some_and(|point| point.report.result.generator_was_bottleneck),
            points,
        }
    }
}

impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SweepReport { workload, contender, p99_max_us, .. } = self;
        writeln!(f, "{workload}, {contender}: p99 within {p99_max_us:.0} us")?;
        if let Some(reason) = &self.ended_by {
            writeln!(f, "  PARTIAL: ended early: {reason}")?;
        }
        writeln!(f, "{}", Point::heading())?;
        let mut sorted: Vec<&Point> = self.points.iter().collect();
        sorted.sort_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s));
        for point in sorted {
            writeln!(f, "{point}")?;
        }
        match (self.knee_per_s, self.is_at_least) {
            (Some(rate), false) => write!(f, "knee: {rate:.0} /s")?,
            (Some(rate), true) => {
                write!(f, "knee: at {rate:.0} /s or above; --rate-max allows more")?
            }
            (None, _) => write!(f, "knee: none; the bound holds at no rate that was tried")?,
        }
        if self.generator_was_bottleneck {
            write!(
                f,
                "\nTHE GENERATOR WAS THE BOTTLENECK above it: the broker's knee may be higher"
            )?;
        }
        Ok(())
    }
}
