//! One plan, several times, against one broker or against several in turn: A B A B. Machines change
//! their speed by the minute; neighbours in time see the same machine.
//!
//! - [`report`]: all runs and what they came to; [`ratios`]: neighbours divided: pure arithmetic

mod ratios;
mod report;
#[cfg(test)]
mod tests;

use crate::broker_facts::BrokerFacts;
use crate::error::BenchError;
use crate::load_report::LoadReport;
use crate::plan::{Plan, Target};
use crate::spawn::{Contender, Scratch, Serving, SpawnArgs, broker_pid};
use crate::stop::Stop;
use crate::yardstick::{Yardstick, annotate};

pub use ratios::{FigureRatio, Ratios, ratios};
pub use report::{Entrant, Run, SeriesReport};

/// Why a series has ended that the user ended.
const INTERRUPTED: &str = "interrupted";

/// Who is measured, and how often.
#[derive(Clone, Debug)]
pub struct SeriesArgs {
    /// Who: the first is the one that the others are compared with.
    pub contenders: Vec<Contender>,
    /// Runs of each.
    pub repeats: u32,
    /// How brokers are started.
    pub spawn: SpawnArgs,
    /// What the machine can do, if that is known.
    pub ceiling: Option<Yardstick>,
}

/// Runs it. `told` hears of every run as it ends.
///
/// # Errors
/// Whatever keeps the very first run from beginning; later, the series ends and is marked.
pub fn run(
    plan: &dyn Plan,
    args: &SeriesArgs,
    stop: &Stop,
    mut told: impl FnMut(&Run),
) -> Result<SeriesReport, BenchError> {
    let scratch = scratch(args)?;
    let mut series = SeriesReport::new(plan.workload(), args);
    for round in 1..=args.repeats.max(1) {
        for index in 0..args.contenders.len() {
            let number = series.runs.len();
            let report = match one(plan, args, index, scratch.as_ref(), number, stop) {
                Ok(report) => report,
                Err(error) if number == 0 => return Err(error),
                Err(_) if stop.is_set() => return Ok(series.ended(INTERRUPTED.to_owned())),
                Err(error) => return Ok(series.ended(error.to_string())),
            };
            let run = Run { contender: index, round, percent_of_null: None, report };
            told(&run);
            series.runs.push(run);
            if stop.is_set() {
                let is_last = series.runs.len() == args.contenders.len() * args.repeats as usize;
                let is_whole = is_last && series.runs.iter().all(|run| run.report.complete);
                return Ok(if is_whole {
                    series.finished()
                } else {
                    series.ended(INTERRUPTED.to_owned())
                });
            }
        }
    }
    Ok(series.finished())
}

/// A directory for the brokers that are started; none if none are.
///
/// # Errors
/// As [`Scratch::create`].
pub fn scratch(args: &SeriesArgs) -> Result<Option<Scratch>, BenchError> {
    let is_needed = args.contenders.iter().any(Contender::is_started);
    is_needed.then(|| Scratch::create(&args.spawn.dir)).transpose()
}

fn one(
    plan: &dyn Plan,
    args: &SeriesArgs,
    index: usize,
    scratch: Option<&Scratch>,
    number: usize,
    stop: &Stop,
) -> Result<LoadReport, BenchError> {
    let mut serving = start(&args.contenders[index], &args.spawn, scratch, number, stop)?;
    measure(plan, &mut serving, args.ceiling.as_ref(), stop)
}

/// Makes a contender serve; its process is looked for where it is not known.
///
/// # Errors
/// As [`Contender::start`].
pub fn start(
    contender: &Contender,
    spawn: &SpawnArgs,
    scratch: Option<&Scratch>,
    number: usize,
    stop: &Stop,
) -> Result<Serving, BenchError> {
    let mut serving = match (contender, scratch) {
        (Contender::Running(target), _) => Serving::running(target.clone()),
        (started, Some(scratch)) => started.start(spawn, scratch, number, stop)?,
        (started, None) => {
            return Err(BenchError::Argument(format!(
                "there is no directory to start {started} in"
            )));
        }
    };
    let Target { bootstrap, broker_pid: pid } = &mut serving.target;
    *pid = pid.or_else(|| broker_pid(bootstrap));
    Ok(serving)
}

/// One run against what serves, with all that can be said of its broker.
///
/// # Errors
/// As [`Plan::run`].
pub fn measure(
    plan: &dyn Plan,
    serving: &mut Serving,
    ceiling: Option<&Yardstick>,
    stop: &Stop,
) -> Result<LoadReport, BenchError> {
    let facts = BrokerFacts::ask(serving, stop);
    let mut report = plan.run(&serving.target, stop).map_err(|error| match serving.obituary() {
        Some(obituary) => BenchError::Died { error: Box::new(error), obituary },
        None => error,
    })?;
    if let (Some(reason), Some(obituary)) = (&mut report.ended_by, serving.obituary()) {
        *reason = format!("{reason}; {obituary}");
    }
    // A topic that went with its broker's directory is not left behind.
    if serving.data_dir().is_some() && serving.obituary().is_some() {
        report.left_behind = None;
    }
    report.broker = facts;
    annotate(&mut report, ceiling);
    Ok(report)
}
