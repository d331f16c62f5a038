//! The figures that runs are compared by.

use crate::foreign::ClientLatency;
use crate::load_report::{LoadResult, Quantiles};

/// One figure of a run.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name, as in JSON; the unit is in it.
    pub name: &'static str,
    /// What people call it, with the unit of [`Figure::text`].
    pub label: &'static str,
    /// True if more is better.
    pub is_more_better: bool,
    of: fn(&LoadResult) -> Option<f64>,
}

impl Figure {
    /// Its value; none if the run has not measured it, or measured nothing.
    pub fn of(&self, result: &LoadResult) -> Option<f64> {
        (self.of)(result).filter(|value| value.is_finite() && *value > 0.0)
    }

    /// A value of it, in the label's unit, with as many digits as mean something.
    pub fn text(&self, value: f64) -> String {
        let value = if self.label.ends_with("MiB") { value / f64::from(1 << 20) } else { value };
        let digits = match value.abs() {
            0.0..10.0 => 3,
            10.0..100.0 => 2,
            100.0..1000.0 => 1,
            _ => 0,
        };
        grouped(&format!("{value:.digits$}"))
    }
}

/// A comma between thousands.
fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let (sign, whole) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut text = sign.to_owned();
    for (nth, digit) in whole.chars().enumerate() {
        if nth > 0 && (whole.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
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

const fn more(
    name: &'static str,
    label: &'static str,
    of: fn(&LoadResult) -> Option<f64>,
) -> Figure {
    Figure { name, label, is_more_better: true, of }
}

const fn less(
    name: &'static str,
    label: &'static str,
    of: fn(&LoadResult) -> Option<f64>,
) -> Figure {
    Figure { name, label, is_more_better: false, of }
}

/// All of them, in the order in which they are told.
pub const FIGURES: &[Figure] = &[
    more("mb_per_s", "MB/s", |result| Some(result.mb_per_s)),
    more("records_per_s", "records/s", |result| Some(result.records_per_s)),
    more("requests_per_s", "requests/s", |result| Some(result.requests_per_s)),
    less("latency_p50_us", "latency p50, us", |result| {
        quantile(result, |times| times.p50_us, |told| told.p50_us)
    }),
    less("latency_p99_us", "latency p99, us", |result| {
        quantile(result, |times| times.p99_us, |told| told.p99_us)
    }),
    less("latency_p99_9_us", "latency p99.9, us", |result| {
        quantile(result, |times| times.p99_9_us, |told| told.p99_9_us)
    }),
    less("broker_cpu_s_per_gb", "broker CPU, s/GB", |result| result.broker_cpu_s_per_gb),
    less("broker_cpu_s_per_million_requests", "broker CPU, s/million requests", |result| {
        result.broker_cpu_s_per_million_requests
    }),
    less("machine_cpu_s_per_gb", "machine CPU, s/GB", |result| result.machine_cpu_s_per_gb),
    less("broker_resident_bytes_max", "broker memory at most, MiB", |result| {
        result.usage.broker.as_ref().map(|broker| broker.resident_bytes_max as f64)
    }),
];

/// The figure that says how much was done: bytes where there are any, requests otherwise.
pub fn throughput(result: &LoadResult) -> f64 {
    if result.bytes > 0 { result.mb_per_s } else { result.requests_per_s }
}

#[cfg(test)]
mod tests {
    use super::FIGURES;

    #[test]
    fn figures_are_told_with_the_digits_that_mean_something() {
        let text = |name: &str, value: f64| {
            FIGURES.iter().find(|figure| figure.name == name).unwrap().text(value)
        };
        assert_eq!(text("records_per_s", 2_025_677.5), "2,025,678");
        assert_eq!(text("mb_per_s", 202.567), "202.6");
        assert_eq!(text("latency_p50_us", 1234.5), "1,234");
        assert_eq!(text("latency_p99_us", 12.345), "12.35");
        assert_eq!(text("broker_cpu_s_per_gb", 0.41234), "0.412");
        assert_eq!(text("broker_resident_bytes_max", 1536.0 * 1048576.0), "1,536");
        assert_eq!(text("requests_per_s", 999.96), "1,000.0");
    }
}
