//! `bench compare`: two results of the same workload: better, worse or the same.
//!
//! A figure has changed if the medians of its runs differ by more than the tolerance, and the runs
//! of one side are all better than all of the other: what lies within the noise of the runs
//! themselves is no change. One run a side has no noise to tell; then the tolerance alone decides.
//! A figure that was asked for, or that the first result has, and that is absent is missing: nobody
//! knows whether it has become worse.

mod document;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::figures::{FIGURES, Figure};
use crate::load_report::{LoadReport, LoadResult};
use crate::spread::Spread;

pub use document::{Document, DocumentError};
pub use report::{Change, ComparisonReport, Verdict};

/// How strictly two results are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparisonArgs {
    /// Medians that differ by no more than this share are the same.
    pub tolerance: f64,
    /// Compare what was not measured in the same way all the same.
    pub is_forced: bool,
    /// Names of the figures that count; empty: all.
    pub figures: Vec<String>,
}

/// Why two results are no comparison.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ComparisonError {
    /// They did not measure the same.
    #[error(
        "the results are not of the same load; --force compares them all the same:{}",
        .0.iter().map(|line| format!("\n  {line}")).collect::<String>()
    )]
    Different(Vec<String>),
    /// There is no such figure.
    #[error("there is no figure {0:?}; there are {names}", names = figure_names())]
    NoSuchFigure(String),
    /// One side has nothing that could be compared.
    #[error("{0} has no run of {1}")]
    Nothing(String, String),
}

fn figure_names() -> String {
    FIGURES.iter().map(|figure| figure.name).collect::<Vec<_>>().join(", ")
}

/// Holds the second result against the first.
///
/// # Errors
/// [`ComparisonError`]: they are no comparison.
pub fn compare(
    before: &Document,
    after: &Document,
    args: &ComparisonArgs,
) -> Result<ComparisonReport, ComparisonError> {
    for name in &args.figures {
        if !FIGURES.iter().any(|figure| figure.name == name) {
            return Err(ComparisonError::NoSuchFigure(name.clone()));
        }
    }
    let differences = differences(before, after);
    if !differences.is_empty() && !args.is_forced {
        return Err(ComparisonError::Different(differences));
    }
    let figures: Vec<&Figure> = FIGURES
        .iter()
        .filter(|figure| args.figures.is_empty() || args.figures.iter().any(|n| n == figure.name))
        .collect();
    let mut changes = Vec::new();
    for (ours, theirs) in pairs(before, after)? {
        let (old, new) = (before.results(ours), after.results(theirs));
        let name = &before.contenders[ours];
        changes.extend(figures.iter().filter_map(|figure| change(name, figure, &old, &new, args)));
    }
    Ok(ComparisonReport {
        tolerance: args.tolerance,
        is_partial: !before.is_whole || !after.is_whole,
        notes: notes(before, after, differences),
        changes,
    })
}

/// Contenders of the same name; where each side has one only, those two. Null brokers are measures,
/// not measured.
fn pairs(before: &Document, after: &Document) -> Result<Vec<(usize, usize)>, ComparisonError> {
    if let ([_], [_]) = (&before.contenders[..], &after.contenders[..]) {
        return Ok(vec![(0, 0)]);
    }
    let mut pairs = Vec::new();
    for (index, name) in before.contenders.iter().enumerate() {
        match after.contenders.iter().position(|other| other == name) {
            Some(other) => pairs.push((index, other)),
            None => return Err(ComparisonError::Nothing(after.name.clone(), name.clone())),
        }
    }
    Ok(pairs)
}

fn change(
    contender: &str,
    figure: &Figure,
    old: &[&LoadResult],
    new: &[&LoadResult],
    args: &ComparisonArgs,
) -> Option<Change> {
    let spread =
        |results: &[&LoadResult]| Spread::of(results.iter().filter_map(|result| figure.of(result)));
    let change = |before, after, ratio, verdict| {
        let (contender, figure) = (contender.to_owned(), figure.name.to_owned());
        Some(Change { contender, figure, before, after, ratio, verdict })
    };
    let (before, after) = match (spread(old), spread(new)) {
        (Some(before), Some(after)) => (before, after),
        // What nobody has asked for, and the first result did not have either, is not missed.
        (None, _) if args.figures.is_empty() => return None,
        (before, after) => return change(before, after, None, Verdict::Missing),
    };
    let ratio = after.median / before.median;
    // As a share of the smaller one, so that twice and half are as far from the same.
    let is_beyond = ratio.max(1.0 / ratio) - 1.0 > args.tolerance;
    let (is_above, is_below) = (after.min > before.max, after.max < before.min);
    let verdict = match (is_beyond, is_above, is_below) {
        (false, ..) => Verdict::Same,
        (true, false, false) => Verdict::Noise,
        (true, is_above, _) if is_above == figure.is_more_better => Verdict::Better,
        _ => Verdict::Worse,
    };
    change(Some(before), Some(after), Some(ratio), verdict)
}

/// What makes two results of different loads.
fn differences(before: &Document, after: &Document) -> Vec<String> {
    let mut lines = Vec::new();
    if before.workload != after.workload {
        lines.push(format!("workload: {} and {}", before.workload, after.workload));
    }
    differing("settings", &before.settings, &after.settings, &mut lines);
    lines
}

fn differing(
    path: &str,
    before: &serde_json::Value,
    after: &serde_json::Value,
    lines: &mut Vec<String>,
) {
    match (before.as_object(), after.as_object()) {
        (Some(ours), Some(theirs)) => {
            let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for name in names {
                let of = |object: &serde_json::Map<String, serde_json::Value>| {
                    object.get(name).cloned().unwrap_or_default()
                };
                differing(&format!("{path}.{name}"), &of(ours), &of(theirs), lines);
            }
        }
        _ if before != after => lines.push(format!("{path}: {before} and {after}")),
        _ => {}
    }
}

/// What a reader must know before he believes a comparison.
fn notes(before: &Document, after: &Document, differences: Vec<String>) -> Vec<String> {
    let mut notes: Vec<String> =
        differences.into_iter().map(|line| format!("not the same load: {line}")).collect();
    let (ours, theirs) = (&before.environment, &after.environment);
    for (name, a, b) in [
        ("kernel", &ours.kernel, &theirs.kernel),
        ("processor", &ours.cpu, &theirs.cpu),
        ("governor", &ours.governor, &theirs.governor),
    ] {
        if a != b {
            notes.push(format!("another {name}: {a:?} and {b:?}"));
        }
    }
    if ours.cores != theirs.cores {
        notes.push(format!("another number of cores: {} and {}", ours.cores, theirs.cores));
    }
    for document in [before, after] {
        if !document.is_whole {
            notes.push(format!("{} is PARTIAL", document.name));
        }
        if document.reports.iter().any(|(_, report)| is_generator_bound(report)) {
            let name = &document.name;
            notes.push(format!("{name}: the generator was the bottleneck in some of its runs"));
        }
    }
    notes
}

fn is_generator_bound(report: &LoadReport) -> bool {
    report.result.generator_was_bottleneck
}
