//! What a load came to, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use corelane_net::error_code::ErrorCode;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::broker_facts::BrokerFacts;
use crate::delivery::Delivery;
use crate::environment::Environment;
use crate::error::BenchError;
use crate::foreign::ClientLatency;
use crate::load::{Ended, LoadOutcome, Pace, Part};
use crate::records::PoolReport;
use crate::usage::Usage;
use crate::yardstick::OfCeiling;

/// Version of the JSON form. It changes when a name changes its meaning or goes; names may come.
pub const SCHEMA_VERSION: u32 = 1;

/// A thread that ran, or waited to, for more than this had no time left to be punctual.
const BUSY_SHARE: f64 = 0.95;

/// A thread that others kept from its core for this share of the time was slowed by them.
const WAITED_SHARE: f64 = 0.1;

/// A schedule that was later than this share of the latency has shaped it, microseconds aside.
const LATE_SHARE: f64 = 0.1;

/// A broker that answered less than this share of what was asked for did not keep up.
const KEEPS_UP: f64 = 0.95;

/// No lateness below this matters, microseconds.
const LATE_US: f64 = 100.0;

/// One run.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct LoadReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `run`.
    #[serde(default = "LoadReport::kind")]
    pub kind: String,
    /// What was done: `produce`, `ping-pong` and so on.
    pub workload: String,
    /// False if the run ended before its time: then the figures are of a part of it.
    pub complete: bool,
    /// Why it ended before its time.
    pub ended_by: Option<String>,
    /// A topic that the run has made and could not delete, and why.
    pub left_behind: Option<String>,
    /// What was asked for.
    pub settings: serde_json::Value,
    /// Where it was measured.
    pub environment: Environment,
    /// What was measured: the broker's own words.
    #[serde(default)]
    pub broker: Option<BrokerFacts>,
    /// How far it is from what the machine can do, where that was measured.
    #[serde(default)]
    pub of_ceiling: Option<OfCeiling>,
    /// What was measured.
    pub result: LoadResult,
}

/// The figures of a run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct LoadResult {
    /// Time that counted, seconds.
    pub seconds: f64,
    /// Requests answered within it; with acks=0, sent.
    pub requests: u64,
    /// The same per second.
    pub requests_per_s: f64,
    /// Records in them.
    pub records: u64,
    /// The same per second.
    pub records_per_s: f64,
    /// Bytes of the records' values; of whole batches where they are consumed.
    pub bytes: u64,
    /// 10^6 of them per second.
    pub mb_per_s: f64,
    /// Requests without an answer, 5 s after the end or when the run was ended.
    pub unanswered: u64,
    /// Refused requests by error; they count nowhere else.
    pub refusals: BTreeMap<String, u64>,
    /// Answers that told the client to hold back, which it did not.
    pub throttled: u64,
    /// The longest time that one of them told, milliseconds.
    pub throttle_ms_max: u64,
    /// From the intended time of a request to its answer. Where none came, its age at the end.
    pub latency: Option<Quantiles>,
    /// From the sending, or the answer before if that came later: what a client says that waits for
    /// each answer before it sends again.
    pub naive_latency: Option<Quantiles>,
    /// What a client of others says of its latencies.
    #[serde(default)]
    pub client_latency: Option<ClientLatency>,
    /// How late requests were noticed by the generator itself (open loop).
    pub schedule_lateness: Option<Quantiles>,
    /// The busiest thread's share of its core.
    pub generator_busy_share: f64,
    /// The largest share of the time that a thread was ready to run and others had its core.
    #[serde(default)]
    pub generator_waited_share: f64,
    /// Quantiles of the latency that the generator's own lateness has shaped, as `p99.9`.
    #[serde(default)]
    pub generator_shaped: Vec<String>,
    /// True if the generator, not the broker, was the limit: the figures are of the generator.
    pub generator_was_bottleneck: bool,
    /// Requests per second that were asked for (open loop).
    pub requests_per_s_asked: Option<f64>,
    /// True if the broker did not keep up with the rate that was asked for, and the generator would
    /// have.
    #[serde(default)]
    pub broker_was_bottleneck: bool,
    /// The batches that were sent again and again.
    pub pool: Option<PoolReport>,
    /// The kinds of requests that are told of apart.
    #[serde(default)]
    pub parts: BTreeMap<String, PartResult>,
    /// What became of every batch on its way from producer to reader.
    pub delivery: Option<Delivery>,
    /// CPU, memory and disk meanwhile.
    pub usage: Usage,
    /// CPU seconds of the broker's processes per 10^9 bytes.
    pub broker_cpu_s_per_gb: Option<f64>,
    /// CPU seconds of the broker's processes per 10^6 requests.
    pub broker_cpu_s_per_million_requests: Option<f64>,
    /// CPU seconds of the machine less this program per 10^9 bytes.
    pub machine_cpu_s_per_gb: Option<f64>,
}

/// The figures of one kind of request.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct PartResult {
    /// Requests answered.
    pub requests: u64,
    /// The same per second.
    pub requests_per_s: f64,
    /// Records in them.
    pub records: u64,
    /// Bytes of the records' values; of whole batches where they are consumed.
    pub bytes: u64,
    /// 10^6 of them per second.
    pub mb_per_s: f64,
    /// From the intended time of a request to its answer.
    pub latency: Option<Quantiles>,
}

/// A distribution of times, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Quantiles {
    pub samples: u64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p99_9_us: f64,
    pub p99_99_us: f64,
    pub max_us: f64,
}

impl Quantiles {
    /// Of nanoseconds; none of none.
    pub(crate) fn of(nanos: &Histogram<u64>) -> Option<Quantiles> {
        let at = |quantile| nanos.value_at_quantile(quantile) as f64 / 1000.0;
        (!nanos.is_empty()).then(|| Quantiles {
            samples: nanos.len(),
            mean_us: nanos.mean() / 1000.0,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            p99_99_us: at(0.9999),
            max_us: nanos.max() as f64 / 1000.0,
        })
    }
}

impl Quantiles {
    /// Those that are printed, with their names, microseconds.
    fn printed(&self) -> [(&'static str, f64); 6] {
        [
            ("p50", self.p50_us),
            ("p90", self.p90_us),
            ("p99", self.p99_us),
            ("p99.9", self.p99_9_us),
            ("p99.99", self.p99_99_us),
            ("max", self.max_us),
        ]
    }
}

impl LoadReport {
    /// # Errors
    /// [`BenchError::Json`] if the settings have no JSON form.
    pub(crate) fn new(
        workload: &str,
        settings: &impl Serialize,
        environment: Environment,
        pace: Pace,
        outcome: &LoadOutcome,
    ) -> Result<LoadReport, BenchError> {
        Ok(LoadReport {
            schema_version: SCHEMA_VERSION,
            kind: "run".to_owned(),
            workload: workload.to_owned(),
            complete: matches!(outcome.ended, Ended::Complete),
            ended_by: match &outcome.ended {
                Ended::Complete => None,
                Ended::Interrupted => Some("interrupted".to_owned()),
                Ended::ByteLimit => {
                    Some("it has written as much as it may; --yes allows more".to_owned())
                }
                Ended::Refused => Some("the broker refused too many requests".to_owned()),
                Ended::Failed(error) => Some(error.to_string()),
            },
            left_behind: None,
            settings: serde_json::to_value(settings)?,
            environment,
            broker: None,
            of_ceiling: None,
            result: LoadResult::new(pace, outcome),
        })
    }

    fn kind() -> String {
        "run".to_owned()
    }

    /// True if all that was asked for was measured, faultlessly, and nothing is left behind.
    pub fn is_whole(&self) -> bool {
        self.complete && self.left_behind.is_none() && !self.result.has_failures()
    }
}

impl LoadResult {
    fn new(pace: Pace, outcome: &LoadOutcome) -> LoadResult {
        let (recorder, seconds) = (&outcome.recorder, outcome.seconds);
        let per_s = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
        let latency = Quantiles::of(&recorder.latency);
        let schedule_lateness = match pace {
            Pace::RequestsPerSecond(_) => Quantiles::of(&recorder.lateness),
            Pace::InFlight(_) => None,
        };
        let bytes = recorder.work.bytes;
        let requests_per_s_asked = match pace {
            Pace::RequestsPerSecond(rate) => Some(rate),
            Pace::InFlight(_) => None,
        };
        let generator_shaped = shaped(latency, schedule_lateness);
        let generator_was_bottleneck = was_bottleneck(&generator_shaped, pace, outcome);
        let requests_per_s = per_s(recorder.requests as f64);
        let is_behind = requests_per_s_asked.is_some_and(|rate| requests_per_s < KEEPS_UP * rate);
        let per =
            |cpu_s: f64, count: u64, unit: f64| (count > 0).then(|| cpu_s / (count as f64 / unit));
        let broker_cpu_s = outcome.usage.broker.as_ref().map(|broker| broker.cpu_s);
        LoadResult {
            seconds,
            requests: recorder.requests,
            requests_per_s,
            records: recorder.work.records,
            records_per_s: per_s(recorder.work.records as f64),
            bytes,
            mb_per_s: per_s(bytes as f64) / 1e6,
            unanswered: recorder.unanswered,
            refusals: (recorder.refusals.iter())
                .map(|(code, count)| (ErrorCode::from_number(*code).to_string(), *count))
                .collect(),
            throttled: recorder.throttled,
            throttle_ms_max: recorder.throttle_ms_max,
            latency,
            naive_latency: Quantiles::of(&recorder.naive),
            client_latency: None,
            schedule_lateness,
            generator_busy_share: outcome.busiest_thread,
            generator_waited_share: outcome.longest_wait,
            generator_shaped: generator_shaped.into_iter().map(str::to_owned).collect(),
            generator_was_bottleneck,
            requests_per_s_asked,
            broker_was_bottleneck: is_behind && !generator_was_bottleneck && seconds > 0.0,
            pool: None,
            parts: (recorder.parts.iter())
                .map(|(name, part)| ((*name).to_owned(), PartResult::new(part, seconds)))
                .collect(),
            delivery: None,
            broker_cpu_s_per_gb: broker_cpu_s.and_then(|cpu_s| per(cpu_s, bytes, 1e9)),
            broker_cpu_s_per_million_requests: broker_cpu_s
                .and_then(|cpu_s| per(cpu_s, recorder.requests, 1e6)),
            machine_cpu_s_per_gb: per(outcome.usage.machine_minus_client_cpu_s(), bytes, 1e9),
            usage: outcome.usage.clone(),
        }
    }

    /// Clients of others tell records, and nothing of their requests and threads.
    fn client_threads_are_known(&self) -> bool {
        self.requests > 0 || self.records == 0
    }

    /// True if requests were refused, or answers, records or their times are missing.
    pub fn has_failures(&self) -> bool {
        let is_delivered = self.delivery.as_ref().is_none_or(Delivery::is_faultless);
        let is_timed = self.delivery.as_ref().is_none_or(|delivery| delivery.untimed == 0);
        self.unanswered > 0 || !self.refusals.is_empty() || !is_delivered || !is_timed
    }
}

impl PartResult {
    fn new(part: &Part, seconds: f64) -> PartResult {
        let per_s = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        PartResult {
            requests: part.requests,
            requests_per_s: per_s(part.requests),
            records: part.work.records,
            bytes: part.work.bytes,
            mb_per_s: per_s(part.work.bytes) / 1e6,
            latency: Quantiles::of(&part.latency),
        }
    }
}

/// The quantiles that a lateness of the generator has shaped.
fn shaped(latency: Option<Quantiles>, lateness: Option<Quantiles>) -> Vec<&'static str> {
    let (Some(latency), Some(lateness)) = (latency, lateness) else { return Vec::new() };
    let pairs = latency.printed().into_iter().zip(lateness.printed());
    let is_late =
        |whole_us: f64, late_us: f64| late_us > LATE_US && late_us > LATE_SHARE * whole_us;
    pairs
        .filter(|((_, whole), (_, late))| is_late(*whole, *late))
        .map(|((name, _), _)| name)
        .collect()
}

/// Beyond the 99th, one wake-up that comes late is enough: these are named, no more. A closed loop
/// has no schedule to be late for; there, waiting for a core is what slows it.
fn was_bottleneck(shaped: &[&str], pace: Pace, outcome: &LoadOutcome) -> bool {
    let was_late = shaped.iter().any(|name| ["p50", "p90", "p99"].contains(name));
    let has_waited = matches!(pace, Pace::InFlight(_)) && outcome.longest_wait >= WAITED_SHARE;
    // One that was told to be busy is not for that a bottleneck.
    let was_busy = !outcome.spin && outcome.most_wanted >= BUSY_SHARE;
    was_late || has_waited || was_busy
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoadReport { workload, result, ended_by, left_behind, .. } = self;
        writeln!(f, "{workload}, {:.2} s", result.seconds)?;
        if let Some(reason) = ended_by {
            writeln!(f, "  PARTIAL: ended early: {reason}")?;
        }
        if let Some(topic) = left_behind {
            writeln!(f, "  LEFT BEHIND: {topic}")?;
        }
        write!(f, "{result}")?;
        match self.of_ceiling.and_then(|of_ceiling| of_ceiling.line()) {
            Some(line) => write!(f, "\n  ceiling    {line}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LoadResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.client_threads_are_known() {
            writeln!(f, "  requests   {:>12}   {:>12.0} /s", self.requests, self.requests_per_s)?;
        }
        if self.records > 0 {
            writeln!(f, "  records    {:>12}   {:>12.0} /s", self.records, self.records_per_s)?;
            let mb = self.bytes as f64 / 1e6;
            writeln!(f, "  bytes      {mb:>9.0} MB   {:>12.1} MB/s", self.mb_per_s)?;
        }
        for (error, count) in &self.refusals {
            writeln!(f, "  REFUSED    {count:>12}   {error}")?;
        }
        if self.unanswered > 0 {
            writeln!(f, "  UNANSWERED {:>12}", self.unanswered)?;
        }
        if self.throttled > 0 {
            let (count, most) = (self.throttled, self.throttle_ms_max);
            writeln!(f, "  throttled  {count:>12}   up to {most} ms")?;
        }
        if let Some(delivery) = &self.delivery {
            write!(f, "{delivery}")?;
        }
        if let Some(told) = &self.client_latency {
            writeln!(f, "{told}")?;
        }
        self.latencies(f)?;
        self.costs(f)
    }
}

impl LoadResult {
    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.latency.is_some() {
            writeln!(
                f,
                "  us           {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
                "p50", "p90", "p99", "p99.9", "p99.99", "max"
            )?;
        }
        let whole = [
            ("latency", self.latency),
            ("naive", self.naive_latency),
            ("lateness", self.schedule_lateness),
        ];
        let parts = self.parts.iter().map(|(name, part)| (name.as_str(), part.latency));
        for (name, times) in whole.into_iter().chain(parts) {
            let Some(times) = times else { continue };
            writeln!(
                f,
                "  {name:<12} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>10.1}",
                times.p50_us,
                times.p90_us,
                times.p99_us,
                times.p99_9_us,
                times.p99_99_us,
                times.max_us
            )?;
        }
        Ok(())
    }

    fn costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(broker) = &self.usage.broker {
            let (cpu_s, mib) = (broker.cpu_s, broker.resident_bytes_max >> 20);
            write!(f, "  broker     {cpu_s:.2} CPU s")?;
            if let Some(per_gb) = self.broker_cpu_s_per_gb {
                write!(f, " ({per_gb:.3} per GB)")?;
            }
            if let Some(per_million) = self.broker_cpu_s_per_million_requests {
                write!(f, " ({per_million:.2} per million requests)")?;
            }
            let disk_mb = broker.disk_write_bytes as f64 / 1e6;
            let switches = broker.context_switches;
            writeln!(
                f,
                ", {mib} MiB resident at most, {switches} switches, {disk_mb:.0} MB written"
            )?;
        }
        write!(
            f,
            "  machine    {:.2} CPU s without the client",
            self.usage.machine_minus_client_cpu_s()
        )?;
        if let Some(per_gb) = self.machine_cpu_s_per_gb {
            write!(f, " ({per_gb:.3} per GB)")?;
        }
        let kernel_s = self.usage.kernel_threads_cpu_s;
        write!(f, ", {kernel_s:.2} of it in kernel threads")?;
        if self.client_threads_are_known() {
            let busy = self.generator_busy_share * 100.0;
            write!(f, "\n  generator  {busy:.0} % of a core in its busiest thread")?;
            if self.generator_waited_share >= 0.01 {
                let waited = self.generator_waited_share * 100.0;
                write!(f, ", kept from it by others for {waited:.0} % of the time")?;
            }
        } else {
            let cpu_s = self.usage.client_cpu_s;
            write!(f, "\n  client     {cpu_s:.2} CPU s, its start included")?;
        }
        if let Some(pool) = &self.pool {
            let (count, mib) = (pool.batches, pool.raw_bytes as f64 / f64::from(1 << 20));
            write!(f, "\n  batches    {count} different ones of {mib:.1} MiB")?;
            if pool.bytes != pool.raw_bytes {
                write!(f, ", compressed to {:.3} of it", pool.compression_ratio())?;
            }
        }
        if !self.generator_shaped.is_empty() && !self.generator_was_bottleneck {
            let names = self.generator_shaped.join(", ");
            write!(f, "\n  the generator was late itself: {names} are not the broker's alone")?;
        }
        if self.broker_was_bottleneck {
            let (done, asked) = (self.requests_per_s, self.requests_per_s_asked.unwrap_or(0.0));
            write!(f, "\n  THE BROKER DID NOT KEEP UP: {done:.0} of {asked:.0} requests a second")?;
        }
        if self.generator_was_bottleneck {
            write!(
                f,
                "\n  THE GENERATOR WAS THE BOTTLENECK: the figures are of it, not of the broker"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Quantiles, shaped, was_bottleneck};
    use crate::load::{Ended, LoadOutcome, Pace, Recorder, Window};
    use crate::usage::Usage;

    fn all(us: f64) -> Option<Quantiles> {
        Some(Quantiles {
            samples: 1,
            mean_us: us,
            p50_us: us,
            p90_us: us,
            p99_us: us,
            p99_9_us: us,
            p99_99_us: us,
            max_us: us,
        })
    }

    #[test]
    fn every_quantile_that_the_generator_has_shaped_is_named() {
        assert!(shaped(all(10_000.0), all(500.0)).is_empty());
        assert_eq!(shaped(all(1_000.0), all(500.0)).len(), 6);
        assert!(shaped(all(90.0), all(80.0)).is_empty());
        assert!(shaped(None, None).is_empty() && shaped(all(1.0), None).is_empty());
        let late = all(50.0).map(|times| Quantiles { p99_9_us: 900.0, max_us: 2_000.0, ..times });
        assert_eq!(shaped(all(1_000.0), late), ["p99.9", "max"]);
    }

    #[test]
    fn a_late_busy_or_starved_generator_is_the_bottleneck() {
        let recorder = Recorder::new(Window { start_ns: 0, end_ns: 1 });
        let is = |shaped: &[&str], pace, longest_wait, most_wanted, spin| {
            let outcome = LoadOutcome {
                recorder: recorder.clone(),
                ended: Ended::Complete,
                ended_ns: 1,
                seconds: 1.0,
                busiest_thread: 0.5,
                longest_wait,
                most_wanted,
                sent_bytes: 0,
                spin,
                usage: Usage::default(),
            };
            was_bottleneck(shaped, pace, &outcome)
        };
        let (closed, open) = (Pace::InFlight(1), Pace::RequestsPerSecond(1.0));
        assert!(!is(&["p99.9", "max"], open, 0.0, 0.5, false));
        assert!(is(&["p90"], open, 0.0, 0.5, false));
        assert!(is(&[], closed, 0.0, 0.96, false) && !is(&[], open, 0.0, 0.96, true));
        // Kept from its core by others: what it did not send meanwhile has no latency.
        assert!(is(&[], closed, 0.3, 0.6, false) && !is(&[], closed, 0.05, 0.6, false));
        assert!(!is(&[], open, 0.3, 0.6, false), "its lateness tells");
    }
}
