//! How far a broker is from what the machine can do.

use serde::{Deserialize, Serialize};

use crate::load_report::LoadReport;

/// What the machine can do; what was not measured is none. 10^9 bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Yardstick {
    /// One TCP connection over the loopback.
    pub network_gb_per_s: Option<f64>,
    /// Sequential direct writes.
    pub disk_write_gb_per_s: Option<f64>,
    /// Sequential direct reads.
    pub disk_read_gb_per_s: Option<f64>,
    /// One core that copies.
    pub memcpy_gb_per_s: Option<f64>,
}

/// A run by the machine's ceiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct OfCeiling {
    /// Payload bytes per second by those of one TCP connection, percent.
    pub network_percent: Option<f64>,
    /// Bytes that the broker's processes wrote to disks by those of sequential writes, percent.
    pub disk_write_percent: Option<f64>,
    /// Bytes that they read from disks by those of sequential reads, percent.
    pub disk_read_percent: Option<f64>,
    /// The broker's CPU time per payload byte by that of copying the byte once: so many copies would
    /// have cost the same.
    pub cpu_copies: Option<f64>,
}

/// Adds to the report how far it is from the ceiling.
pub(crate) fn annotate(report: &mut LoadReport, yardstick: Option<&Yardstick>) {
    report.of_ceiling = yardstick.map(|yardstick| of_ceiling(report, yardstick));
}

fn of_ceiling(report: &LoadReport, yardstick: &Yardstick) -> OfCeiling {
    let result = &report.result;
    let percent = |gb: f64, limit: Option<f64>| {
        let share = gb / result.seconds / limit?;
        share.is_finite().then_some(share * 100.0)
    };
    let broker = result.usage.broker.as_ref();
    let payload = (result.bytes > 0).then_some(result.bytes as f64 / 1e9);
    let disk = |of: fn(&crate::usage::BrokerUsage) -> u64| {
        broker.map(of).filter(|bytes| *bytes > 0).map(|bytes| bytes as f64 / 1e9)
    };
    OfCeiling {
        network_percent: payload.and_then(|gb| percent(gb, yardstick.network_gb_per_s)),
        disk_write_percent: disk(|broker| broker.disk_write_bytes)
            .and_then(|gb| percent(gb, yardstick.disk_write_gb_per_s)),
        disk_read_percent: disk(|broker| broker.disk_read_bytes)
            .and_then(|gb| percent(gb, yardstick.disk_read_gb_per_s)),
        cpu_copies: result
            .broker_cpu_s_per_gb
            .and_then(|cpu_s_per_gb| Some(cpu_s_per_gb * yardstick.memcpy_gb_per_s?)),
    }
}

impl OfCeiling {
    /// One line for people; none if nothing is known.
    pub fn line(&self) -> Option<String> {
        let parts = [
            (self.network_percent, "% of the network"),
            (self.disk_write_percent, "% of the disk writing"),
            (self.disk_read_percent, "% of the disk reading"),
            (self.cpu_copies, "copies' worth of CPU"),
        ];
        let told: Vec<String> = parts
            .iter()
            .filter_map(|(value, name)| value.map(|value| format!("{value:.1} {name}")))
            .collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}
