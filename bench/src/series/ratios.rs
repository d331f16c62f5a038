//! Neighbouring runs, divided.

use serde::{Deserialize, Serialize};

use super::report::Run;
use crate::figures::{FIGURES, throughput};
use crate::spread::Spread;

/// The first contender's figures divided by another's, each pair of neighbours for itself.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Ratios {
    /// Index of the contender that is divided by.
    pub against: usize,
    /// One for each figure that both have measured.
    pub figures: Vec<FigureRatio>,
}

/// One figure's ratios.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct FigureRatio {
    /// The figure's name.
    pub figure: String,
    /// True if a ratio above 1 is good for the first contender.
    pub is_more_better: bool,
    /// The pairs' ratios.
    pub ratio: Spread,
}

/// The first contender's runs divided by the runs of each other one in the same round. Only whole
/// runs count.
pub fn ratios(runs: &[Run], contenders: usize) -> Vec<Ratios> {
    (1..contenders)
        .map(|against| {
            let figures = FIGURES.iter().filter_map(|figure| {
                let pairs = pairs(runs, 0, against);
                let ratio = Spread::of(pairs.filter_map(|(ours, theirs)| {
                    Some(figure.of(&ours.report.result)? / figure.of(&theirs.report.result)?)
                }))?;
                let (figure, is_more_better) = (figure.name.to_owned(), figure.is_more_better);
                Some(FigureRatio { figure, is_more_better, ratio })
            });
            Ratios { against, figures: figures.collect() }
        })
        .collect()
}

/// Each run's throughput as a share of the null broker's of the same round, percent.
pub(super) fn percent_of_null(runs: &mut [Run], null: usize) {
    let nulls: Vec<(u32, f64)> = runs
        .iter()
        .filter(|run| run.contender == null && run.report.is_whole())
        .map(|run| (run.round, throughput(&run.report.result)))
        .collect();
    for run in runs.iter_mut().filter(|run| run.contender != null) {
        let of_round = nulls.iter().find(|(round, of_null)| *round == run.round && *of_null > 0.0);
        run.percent_of_null =
            of_round.map(|(_, of_null)| throughput(&run.report.result) / of_null * 100.0);
    }
}

fn pairs(runs: &[Run], ours: usize, theirs: usize) -> impl Iterator<Item = (&Run, &Run)> {
    let whole = |contender| {
        runs.iter().filter(move |run| run.contender == contender && run.report.is_whole())
    };
    whole(ours).filter_map(move |run| {
        whole(theirs).find(|other| other.round == run.round).map(|other| (run, other))
    })
}
