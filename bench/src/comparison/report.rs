//! What has changed.

use std::fmt;

use serde::Serialize;

use crate::figures::FIGURES;
use crate::spread::Spread;

/// Two results, figure by figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonReport {
    /// Medians that differ by no more than this share are the same.
    pub tolerance: f64,
    /// True if one of the results is not of whole runs only.
    pub is_partial: bool,
    /// What a reader must know before he believes it.
    pub notes: Vec<String>,
    /// The figures that both have, and those that are missing.
    pub changes: Vec<Change>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Whose.
    pub contender: String,
    /// Its name.
    pub figure: String,
    /// The first result's runs; none if they have not measured it.
    pub before: Option<Spread>,
    /// The second result's.
    pub after: Option<Spread>,
    /// The second median by the first.
    pub ratio: Option<f64>,
    /// What that means.
    pub verdict: Verdict,
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Beyond the tolerance, and beyond the noise.
    Better,
    /// The same in the other direction: a regression.
    Worse,
    /// Within the tolerance.
    Same,
    /// Beyond the tolerance, but runs of both sides overlap: more repeats would tell.
    Noise,
    /// One side has not measured it.
    Missing,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
            Verdict::Same => "the same",
            Verdict::Noise => "the same (within the runs' noise)",
            Verdict::Missing => "MISSING",
        })
    }
}

impl ComparisonReport {
    /// True if a figure has become worse.
    pub fn has_regression(&self) -> bool {
        self.changes.iter().any(|change| change.verdict == Verdict::Worse)
    }

    /// True if a figure that counts was not measured.
    pub fn lacks_figures(&self) -> bool {
        self.changes.iter().any(|change| change.verdict == Verdict::Missing)
    }
}

impl fmt::Display for ComparisonReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        let mut of = "";
        for change in &self.changes {
            let Change { contender, figure, before, after, ratio, verdict } = change;
            if of != contender {
                let runs = |spread: &Option<Spread>| spread.map_or(0, |spread| spread.count);
                writeln!(f, "{contender}: medians of {} and {} runs", runs(before), runs(after))?;
                of = contender;
            }
            let known = FIGURES.iter().find(|known| known.name == figure);
            let label = known.map_or(figure.as_str(), |known| known.label);
            let text = |spread: &Option<Spread>| match (spread, known) {
                (Some(spread), Some(known)) => known.text(spread.median),
                _ => "-".to_owned(),
            };
            let percent =
                ratio.map_or("-".to_owned(), |ratio| format!("{:+.1} %", (ratio - 1.0) * 100.0));
            let (before, after) = (text(before), text(after));
            writeln!(f, "  {label:<30} {before:>14} -> {after:>14}  {percent:>10}  {verdict}")?;
        }
        let count = |wanted| self.changes.iter().filter(|change| change.verdict == wanted).count();
        let (better, worse) = (count(Verdict::Better), count(Verdict::Worse));
        let missing = count(Verdict::Missing);
        let same = self.changes.len() - better - worse - missing;
        let percent = self.tolerance * 100.0;
        write!(f, "{worse} worse, {better} better, {same} the same")?;
        if missing > 0 {
            write!(f, ", {missing} MISSING")?;
        }
        write!(f, " (tolerance {percent:.1} %)")
    }
}
