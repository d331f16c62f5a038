//! What clients of others print, read.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::load_report::LoadResult;
use crate::usage::Usage;

/// Latencies as a client of others tells them, from its own sending on; microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ClientLatency {
    pub mean_us: Option<f64>,
    pub p50_us: Option<f64>,
    pub p95_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p99_9_us: Option<f64>,
    pub max_us: Option<f64>,
}

impl fmt::Display for ClientLatency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  us         as the client tells them:")?;
        for (name, value) in [
            ("mean", self.mean_us),
            ("p50", self.p50_us),
            ("p95", self.p95_us),
            ("p99", self.p99_us),
            ("p99.9", self.p99_9_us),
            ("max", self.max_us),
        ] {
            if let Some(value) = value {
                write!(f, " {name} {value:.0}")?;
            }
        }
        Ok(())
    }
}

/// The sum of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) records: u64,
    pub(super) records_per_s: f64,
    pub(super) latency: Option<ClientLatency>,
}

impl Told {
    /// The last line of `ProducerPerformance` that has percentiles: `50000 records sent, 25000.0
    /// records/sec (2.38 MB/sec), 3.51 ms avg latency, 180.00 ms max latency, 2 ms 50th, 4 ms 95th,
    /// 20 ms 99th, 30 ms 99.9th.`
    pub(super) fn by_java(output: &str) -> Option<Told> {
        let line = output.lines().rev().find(|line| line.contains("99.9th"))?;
        let part = |unit: &str| {
            let part = line.split(',').find(|part| part.contains(unit))?;
            part.split_whitespace().next()?.parse::<f64>().ok()
        };
        let us = |unit: &str| part(unit).map(|ms| ms * 1000.0);
        Some(Told {
            records: part("records sent")? as u64,
            records_per_s: part("records/sec")?,
            latency: Some(ClientLatency {
                mean_us: us("avg latency"),
                p50_us: us("ms 50th"),
                p95_us: us("ms 95th"),
                p99_us: us("ms 99th"),
                p99_9_us: us("99.9th"),
                max_us: us("max latency"),
            }),
        })
    }

    /// The last line of `rdkafka_performance`: `% 100000 messages produced (10000000 bytes), 100000
    /// delivered (offset 0, 0 failed) in 1234ms: 81037 msgs/s and 8.10 MB/s, ...`
    pub(super) fn by_rdkafka(output: &str) -> Option<Told> {
        let line = output.lines().rev().find(|line| line.contains("messages produced"))?;
        let before = |mark: &str| {
            let (text, _) = line.split_once(mark)?;
            text.split_whitespace().next_back()?.parse::<f64>().ok()
        };
        let records = before(" delivered")?;
        let (_, rest) = line.split_once(" in ")?;
        let ms: f64 = rest.split_once("ms:")?.0.trim().parse().ok()?;
        let records_per_s = if ms > 0.0 { records / ms * 1e3 } else { before(" msgs/s")? };
        Some(Told { records: records as u64, records_per_s, latency: None })
    }

    /// As our own generator would have told it.
    pub(super) fn result(&self, bytes_each: u64, usage: Usage) -> LoadResult {
        let bytes = self.records.saturating_mul(bytes_each);
        let seconds = self.records as f64 / self.records_per_s;
        let seconds = if seconds.is_finite() { seconds } else { 0.0 };
        let per_gb = |cpu_s: f64| (bytes > 0).then(|| cpu_s / (bytes as f64 / 1e9));
        LoadResult {
            seconds,
            records: self.records,
            records_per_s: self.records_per_s,
            bytes,
            mb_per_s: self.records_per_s * bytes_each as f64 / 1e6,
            client_latency: self.latency,
            broker_cpu_s_per_gb: usage.broker.as_ref().and_then(|broker| per_gb(broker.cpu_s)),
            machine_cpu_s_per_gb: per_gb(usage.machine_minus_client_cpu_s()),
            usage,
            ..LoadResult::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientLatency, Told};
    use crate::usage::Usage;

    #[test]
    fn kafkas_tool_is_read() {
        let output = "1 records sent, 0.2 records/sec (0.00 MB/sec), 1.0 ms avg latency, 1.0 ms max latency.\n\
            50000 records sent, 25000.5 records/sec (2.38 MB/sec), 3.51 ms avg latency, 180.00 ms max \
            latency, 2 ms 50th, 4 ms 95th, 20 ms 99th, 30 ms 99.9th.\n";
        let told = Told::by_java(output).unwrap();
        let latency = ClientLatency {
            mean_us: Some(3510.0),
            p50_us: Some(2000.0),
            p95_us: Some(4000.0),
            p99_us: Some(20_000.0),
            p99_9_us: Some(30_000.0),
            max_us: Some(180_000.0),
        };
        let expected = Told { records: 50_000, records_per_s: 25_000.5, latency: Some(latency) };
        assert_eq!(told, expected);
        for wrong in ["", "99.9th", "x records sent, y records/sec, 99.9th", "no such topic"] {
            assert_eq!(Told::by_java(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn librdkafkas_tool_is_read() {
        let output = "% Sending messages of size 100 bytes\n\
            % 500 messages produced (50000 bytes), 400 delivered (offset 0, 0 failed) in 1000ms: \
            400 msgs/s and 0.04 MB/s, 0 produce failures, 100 in queue, no compression\n\
            % 1000 messages produced (100000 bytes), 1000 delivered (offset 0, 0 failed) in 2000ms: \
            500 msgs/s and 0.05 MB/s, 0 produce failures, 0 in queue, no compression\n";
        let told = Told::by_rdkafka(output).unwrap();
        assert_eq!(told, Told { records: 1000, records_per_s: 500.0, latency: None });
        let result = told.result(100, Usage::default());
        assert_eq!((result.bytes, result.seconds, result.mb_per_s), (100_000, 2.0, 0.05));
        for wrong in ["", "% 5 messages produced", "messages produced delivered in ms:"] {
            assert_eq!(Told::by_rdkafka(wrong), None, "{wrong}");
        }
        // Nothing was sent: no division by nothing.
        let nothing = Told { records: 0, records_per_s: 0.0, latency: None };
        assert_eq!(nothing.result(100, Usage::default()).seconds, 0.0);
    }
}
