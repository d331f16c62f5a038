//! What has changed.

use std::fmt;

use serde::Serialize;

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
    /// The figures that both have.
    pub changes: Vec<Change>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Whose.
    pub contender: String,
    /// Its name.
    pub figure: String,
    /// The first result's runs.
    pub before: Spread,
    /// The second result's.
    pub after: Spread,
    /// The second median by the first.
    pub ratio: f64,
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
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
            Verdict::Same => "the same",
            Verdict::Noise => "the same (within the runs' noise)",
        })
    }
}

impl ComparisonReport {
    /// True if a figure has become worse.
    pub fn has_regression(&self) -> bool {
        self.changes.iter().any(|change| change.verdict == Verdict::Worse)
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
                writeln!(f, "{contender}: medians of {} and {} runs", before.count, after.count)?;
                of = contender;
            }
            writeln!(
                f,
                "  {figure:<34} {:>14.3} -> {:>14.3}  {:>+8.1} %  {verdict}",
                before.median,
                after.median,
                (ratio - 1.0) * 100.0
            )?;
        }
        let count = |wanted| self.changes.iter().filter(|change| change.verdict == wanted).count();
        let (better, worse) = (count(Verdict::Better), count(Verdict::Worse));
        let same = self.changes.len() - better - worse;
        let percent = self.tolerance * 100.0;
        write!(f, "{worse} worse, {better} better, {same} the same (tolerance {percent:.1} %)")
    }
}
