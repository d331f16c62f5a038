//! The figures that runs are compared by.

use crate::foreign::ClientLatency;
use crate::load_report::{LoadResult, Quantiles};

/// One figure of a run.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name, as in JSON; the unit is in it.
    pub name: &'static str,
    /// True if more is better.
    pub is_more_better: bool,
    of: fn(&LoadResult) -> Option<f64>,
}

impl Figure {
    /// Its value; none if the run has not measured it, or measured nothing.
    pub fn of(&self, result: &LoadResult) -> Option<f64> {
        (self.of)(result).filter(|value| value.is_finite() && *value > 0.0)
    }
}

/// What was measured here; where a client of others did it, what that tells.
fn quantile(
    result: &LoadResult,
    of: fn(&Quantiles) -> f64,
    told: fn(&ClientLatency) -> Option<f64>,
) -> Option<f64> {
    match (&result.latency, &result.client_latency) {
        (Some(times), _) => Some(of(times)),
        (None, by_client) => by_client.as_ref().and_then(told),
    }
}

const fn more(name: &'static str, of: fn(&LoadResult) -> Option<f64>) -> Figure {
    Figure { name, is_more_better: true, of }
}

const fn less(name: &'static str, of: fn(&LoadResult) -> Option<f64>) -> Figure {
    Figure { name, is_more_better: false, of }
}

/// All of them, in the order in which they are told.
pub const FIGURES: &[Figure] = &[
    more("mb_per_s", |result| Some(result.mb_per_s)),
    more("records_per_s", |result| Some(result.records_per_s)),
    more("requests_per_s", |result| Some(result.requests_per_s)),
    less("latency_p50_us", |result| quantile(result, |times| times.p50_us, |told| told.p50_us)),
    less("latency_p99_us", |result| quantile(result, |times| times.p99_us, |told| told.p99_us)),
    less("latency_p99_9_us", |result| {
        quantile(result, |times| times.p99_9_us, |told| told.p99_9_us)
    }),
    less("broker_cpu_s_per_gb", |result| result.broker_cpu_s_per_gb),
    less("broker_cpu_s_per_million_requests", |result| result.broker_cpu_s_per_million_requests),
    less("machine_cpu_s_per_gb", |result| result.machine_cpu_s_per_gb),
    less("broker_resident_bytes_max", |result| {
        result.usage.broker.as_ref().map(|broker| broker.resident_bytes_max as f64)
    }),
];

/// The figure that says how much was done: bytes where there are any, requests otherwise.
pub fn throughput(result: &LoadResult) -> f64 {
    if result.bytes > 0 { result.mb_per_s } else { result.requests_per_s }
}
