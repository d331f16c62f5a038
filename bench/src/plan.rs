//! A workload with all its settings, to be run against one broker after another.

use crate::error::BenchError;
use crate::load_report::LoadReport;
use crate::stop::Stop;

/// Where a workload is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host:port` of a broker, or several with commas between.
    pub bootstrap: String,
    /// The broker's process, to watch what it uses, with its children.
    pub broker_pid: Option<u32>,
}

/// What can be run as often as wanted, against any broker, always the same.
pub trait Plan {
    /// Its name on the command line: `produce`, `ping-pong` and so on.
    fn workload(&self) -> &'static str;

    /// Runs it once. Topics of its own are gone afterwards, however it ends.
    ///
    /// # Errors
    /// Whatever keeps it from beginning. What happens later ends the run, and is in the report.
    fn run(&self, target: &Target, stop: &Stop) -> Result<LoadReport, BenchError>;

    /// The same in an open loop, at so many records (or requests, where there are no records) a
    /// second; none if this workload has no rate.
    fn at_rate(&self, _per_s: f64) -> Option<Box<dyn Plan>> {
        None
    }
}
