//! Series against brokers that exist only here.

use std::cell::Cell;
use std::time::Duration;

use super::{SeriesArgs, run};
use crate::error::BenchError;
use crate::load::{Allowance, LoadArgs, Pace};
use crate::load_report::LoadReport;
use crate::null_broker::tests::Running;
use crate::ping_pong::{PingApi, PingPongArgs, PingPongSettings};
use crate::plan::{Plan, Target};
use crate::spawn::{Contender, SpawnArgs};
use crate::stop::Stop;

/// A plan whose figures are told to it: those of a real run, but for the speed.
struct Told {
    runs: Cell<usize>,
    requests_per_s: Vec<f64>,
    /// Runs that are not whole.
    partial: Vec<usize>,
}

impl Plan for Told {
    fn workload(&self) -> &'static str {
        "ping-pong"
    }

    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError> {
        let number = self.runs.replace(self.runs.get() + 1);
        let Some(requests_per_s) = self.requests_per_s.get(number) else {
            return Err(BenchError::Closed { address: target.bootstrap.clone() });
        };
        let settings = PingPongSettings {
            api: PingApi::ApiVersions,
            connections: 1,
            acks: -1,
            in_flight: Some(1),
            requests_per_s: None,
        };
        let load = LoadArgs {
            duration: Duration::from_millis(5),
            warmup: Duration::ZERO,
            cores: vec![],
            bytes_max: u64::MAX,
            spin: false,
            allowance: Allowance::default(),
        };
        let plan = PingPongArgs { pace: Pace::InFlight(1), settings, load };
        let mut report = plan.run(target, stop)?;
        report.result.requests_per_s = *requests_per_s;
        report.complete = !self.partial.contains(&number);
        Ok(report)
    }
}

fn told(requests_per_s: &[f64], partial: &[usize]) -> Told {
    let (requests_per_s, partial) = (requests_per_s.to_vec(), partial.to_vec());
    Told { runs: Cell::new(0), requests_per_s, partial }
}

fn args(broker: &Running, repeats: u32) -> SeriesArgs {
    let target = Target { bootstrap: broker.address.to_string(), broker_pid: None };
    SeriesArgs {
        contenders: vec![Contender::Running(target.clone()), Contender::Running(target)],
        repeats,
        spawn: SpawnArgs { dir: ".".into(), cores: vec![], args: vec![] },
        ceiling: None,
    }
}

#[test]
fn neighbours_are_divided() {
    let broker = Running::start(None);
    let plan = told(&[10.0, 100.0, 20.0, 100.0, 40.0, 100.0, 9.0, 1.0], &[7]);
    let mut heard = 0;
    let series = run(&plan, &args(&broker, 4), &Stop::new(), |_| heard += 1).unwrap();
    let order: Vec<_> = series.runs.iter().map(|run| (run.contender, run.round)).collect();
    assert_eq!(order, [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3), (0, 4), (1, 4)]);
    assert_eq!(heard, 8);
    // The last pair is not whole, and counts for nothing.
    let figures = &series.ratios[0].figures;
    let ratio = figures.iter().find(|ratio| ratio.figure == "requests_per_s").unwrap().ratio;
    assert_eq!((ratio.min, ratio.median, ratio.max, ratio.count), (0.1, 0.2, 0.4, 3));
    assert!(!series.complete && series.ended_by.is_none());
    let text = series.to_string();
    assert!(text.contains("0.200 (0.100 .. 0.400)") && text.contains("PARTIAL"), "{text}");
    let json = serde_json::to_value(&series).unwrap();
    assert_eq!(serde_json::from_value::<super::SeriesReport>(json).unwrap(), series);
    broker.end();
}

#[test]
fn a_series_that_ends_early_keeps_its_pairs_and_says_why() {
    let broker = Running::start(None);
    let series = run(&told(&[1.0, 2.0, 3.0], &[]), &args(&broker, 2), &Stop::new(), |_| ());
    let series = series.unwrap();
    assert_eq!((series.runs.len(), series.complete), (3, false));
    assert!(series.ended_by.as_ref().is_some_and(|reason| reason.contains("closed")));
    assert!(!series.ratios[0].figures.is_empty(), "the first pair counts");

    let stop = Stop::new();
    let its_stop = stop.clone();
    let plan = told(&[1.0, 2.0, 3.0, 4.0], &[]);
    let series = run(&plan, &args(&broker, 2), &stop, |_| its_stop.set()).unwrap();
    assert_eq!(series.ended_by.as_deref(), Some("interrupted"));
    assert_eq!(series.runs.len(), 1);

    let nothing = run(&told(&[], &[]), &args(&broker, 2), &Stop::new(), |_| ());
    assert!(matches!(nothing, Err(BenchError::Closed { .. })));
    broker.end();
}
