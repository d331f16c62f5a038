//! All runs of a series, and what they came to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SeriesArgs;
use super::ratios::{FigureRatio, Ratios, percent_of_null, ratios};
use crate::environment::Environment;
use crate::figures::{FIGURES, throughput};
use crate::load_report::{LoadReport, SCHEMA_VERSION};
use crate::spawn::Contender;
use crate::spread::Spread;

/// Runs of one plan, in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SeriesReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `series`.
    pub kind: String,
    /// What was done.
    pub workload: String,
    /// False if runs are missing, or are not whole.
    pub complete: bool,
    /// Why runs are missing.
    pub ended_by: Option<String>,
    /// What was asked for, of every run the same.
    pub settings: serde_json::Value,
    /// Where it was measured.
    pub environment: Environment,
    /// Runs of each contender that were asked for.
    pub repeats: u32,
    /// Who was measured; the first is the one that the others are compared with.
    pub contenders: Vec<Entrant>,
    /// The runs.
    pub runs: Vec<Run>,
    /// The first contender divided by each other one.
    pub ratios: Vec<Ratios>,
}

/// One of those that were measured.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Entrant {
    /// As on the command line: `corelane`, `null`, an address, a command.
    pub name: String,
    /// True if it was started for each run, on an empty directory.
    pub is_started: bool,
    /// True for the null brokers.
    pub is_null: bool,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Run {
    /// Index of the contender.
    pub contender: usize,
    /// From 1; runs of the same round are neighbours.
    pub round: u32,
    /// Its throughput by that of the null broker in the same round, percent.
    pub percent_of_null: Option<f64>,
    /// The run by itself.
    pub report: LoadReport,
}

impl SeriesReport {
    pub(super) fn new(workload: &str, args: &SeriesArgs) -> SeriesReport {
        SeriesReport {
            schema_version: SCHEMA_VERSION,
            kind: "series".to_owned(),
            workload: workload.to_owned(),
            complete: false,
            ended_by: None,
            settings: serde_json::Value::Null,
            environment: Environment::here(),
            repeats: args.repeats,
            contenders: SeriesReport::entrants(&args.contenders),
            runs: Vec::new(),
            ratios: Vec::new(),
        }
    }

    /// How they are told.
    pub fn entrants(contenders: &[Contender]) -> Vec<Entrant> {
        let entrant = |contender: &Contender| Entrant {
            name: contender.to_string(),
            is_started: contender.is_started(),
            is_null: matches!(contender, Contender::Null { .. }),
        };
        contenders.iter().map(entrant).collect()
    }

    pub(super) fn ended(mut self, reason: String) -> SeriesReport {
        self.ended_by = Some(reason);
        self.finished()
    }

    pub(super) fn finished(mut self) -> SeriesReport {
        if let Some(null) = self.contenders.iter().position(|entrant| entrant.is_null) {
            percent_of_null(&mut self.runs, null);
        }
        self.ratios = ratios(&self.runs, self.contenders.len());
        self.settings =
            self.runs.first().map_or(serde_json::Value::Null, |run| run.report.settings.clone());
        self.complete =
            self.ended_by.is_none() && self.runs.iter().all(|run| run.report.is_whole());
        self
    }

    /// The one run's report, if there was to be one only.
    ///
    /// # Errors
    /// The series itself, if it has more.
    pub fn into_single(mut self) -> Result<LoadReport, Box<SeriesReport>> {
        let is_single = self.repeats == 1 && self.contenders.len() == 1 && self.runs.len() == 1;
        if is_single { Ok(self.runs.remove(0).report) } else { Err(Box::new(self)) }
    }

    /// One line on a run: who, how much, how fast, at what cost.
    pub fn line(run: &Run, names: &[Entrant]) -> String {
        let result = &run.report.result;
        let name = names.get(run.contender).map_or("?", |entrant| &entrant.name);
        let us = |quantile: fn(&crate::load_report::Quantiles) -> f64| {
            result
                .latency
                .as_ref()
                .map_or("-".to_owned(), |times| format!("{:.0}", quantile(times)))
        };
        let number =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let unit = if result.bytes > 0 { "MB/s" } else { "req/s" };
        let mut line = format!(
            "{:<24} {:>3} {:>11.1} {unit:<5} {:>9} {:>9} {:>9} {:>9} {:>9}",
            shortened(name),
            run.round,
            throughput(result),
            us(|times| times.p50_us),
            us(|times| times.p99_us),
            us(|times| times.p99_9_us),
            number(result.broker_cpu_s_per_gb.or(result.broker_cpu_s_per_million_requests)),
            number(result.machine_cpu_s_per_gb),
        );
        if let Some(percent) = run.percent_of_null {
            line.push_str(&format!(" {percent:>6.1} % of null"));
        }
        if !run.report.is_whole() {
            let reason = run.report.ended_by.as_deref().unwrap_or("refused or unanswered requests");
            line.push_str(&format!("  PARTIAL: {reason}"));
        } else if result.generator_was_bottleneck {
            line.push_str("  generator-bound");
        }
        line
    }

    /// What the columns of [`SeriesReport::line`] are.
    pub fn heading() -> String {
        format!(
            "{:<24} {:>3} {:>17} {:>9} {:>9} {:>9} {:>9} {:>9}\n{:<24} {:>3} {:>17} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "",
            "",
            "",
            "p50",
            "p99",
            "p99.9",
            "broker",
            "machine",
            "broker",
            "run",
            "throughput",
            "us",
            "us",
            "us",
            "CPU s/GB*",
            "CPU s/GB"
        )
    }
}

/// The end of a long name says more than its beginning.
fn shortened(name: &str) -> String {
    const CHARS: usize = 24;
    let chars = name.chars().count();
    if chars <= CHARS {
        return name.to_owned();
    }
    let kept: String = name.chars().skip(chars - (CHARS - 2)).collect();
    format!("..{kept}")
}

impl fmt::Display for SeriesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} runs", self.workload, self.runs.len())?;
        if let Some(reason) = &self.ended_by {
            writeln!(f, "  PARTIAL: ended early: {reason}")?;
        }
        writeln!(f, "{}", SeriesReport::heading())?;
        for run in &self.runs {
            writeln!(f, "{}", SeriesReport::line(run, &self.contenders))?;
        }
        write!(f, "* of ping-pong: per million requests")?;
        self.medians(f)?;
        self.divided(f)
    }
}

impl SeriesReport {
    /// One contender's own spread says how far from each other equal things are.
    fn medians(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entrant) in self.contenders.iter().enumerate() {
            let results = || {
                let whole = self.runs.iter().filter(|run| run.report.is_whole());
                whole.filter(|run| run.contender == index).map(|run| &run.report.result)
            };
            if results().count() < 2 {
                continue;
            }
            write!(
                f,
                "\n\n{}, {} whole runs: median (min .. max)",
                entrant.name,
                results().count()
            )?;
            for figure in FIGURES {
                if let Some(spread) = Spread::of(results().filter_map(|result| figure.of(result))) {
                    let Spread { min, median, max, .. } = spread;
                    let [min, median, max] = [min, median, max].map(|value| figure.text(value));
                    write!(f, "\n  {:<30} {median:>14} ({min} .. {max})", figure.label)?;
                }
            }
        }
        Ok(())
    }

    fn divided(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |index: usize| self.contenders.get(index).map_or("?", |entrant| &entrant.name);
        for ratios in &self.ratios {
            let (ours, theirs) = (name(0), name(ratios.against));
            write!(f, "\n\n{ours} / {theirs}, per pair of neighbours: median (min .. max)")?;
            if ratios.figures.is_empty() {
                write!(f, "\n  no pair of whole runs")?;
            }
            for FigureRatio { figure, is_more_better, ratio } in &ratios.figures {
                let Spread { min, median, max, .. } = ratio;
                let wish = if *is_more_better { "more is better" } else { "less is better" };
                let known = FIGURES.iter().find(|known| known.name == figure);
                let label = known.map_or(figure.as_str(), |known| known.label);
                write!(f, "\n  {label:<30} {median:>8.3} ({min:.3} .. {max:.3})   {wish}")?;
            }
        }
        Ok(())
    }
}
