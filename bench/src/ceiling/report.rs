//! What the machine can do, for people and as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CeilingArgs, DiskCeiling, MemoryCeiling, NetworkCeiling};
use crate::disk::Disk;
use crate::environment::Environment;
use crate::load_report::SCHEMA_VERSION;
use crate::spread::Spread;
use crate::yardstick::Yardstick;

/// A distribution of latencies, microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// How many were measured.
    pub samples: u64,
    /// Half were faster.
    pub p50_us: f64,
    /// 99 of 100 were faster.
    pub p99_us: f64,
    /// The slowest.
    pub max_us: f64,
}

/// The machine's ceiling: of each figure the median and the ends of all repeats. What was not measured
/// is null.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct CeilingReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `ceiling`.
    pub kind: String,
    /// False if repeats are missing.
    pub complete: bool,
    /// Where it was measured.
    pub environment: Environment,
    /// The directory whose disk was measured.
    pub dir: String,
    /// The disk.
    pub disk: Option<Disk>,
    /// False if the filesystem refuses O_DIRECT: then the page cache was measured as well.
    pub is_direct: bool,
    /// Size of one write or read, bytes.
    pub block_bytes: u64,
    /// How many of them were under way at once.
    pub depth: usize,
    /// The cores that were chosen: one that sends and computes, one that receives.
    pub cores: Vec<usize>,
    /// Sequential writes into preallocated space.
    pub disk_write_gb_per_s: Option<Spread>,
    /// Sequential reads of the same.
    pub disk_read_gb_per_s: Option<Spread>,
    /// fdatasync after each write of one 4 KiB block: the median.
    pub sync_p50_us: Option<Spread>,
    /// The same: 99 of 100 are faster.
    pub sync_p99_us: Option<Spread>,
    /// The same: the slowest.
    pub sync_max_us: Option<Spread>,
    /// The `host:port` that was sent to; null for the loopback.
    pub network_to: Option<String>,
    /// One TCP connection, one way.
    pub network_gb_per_s: Option<Spread>,
    /// Copied from memory to memory by one core.
    pub memcpy_gb_per_s: Option<Spread>,
    /// CRC-32C of memory by one core.
    pub crc32c_gb_per_s: Option<Spread>,
    /// What the figures are the medians of.
    #[serde(skip)]
    rounds: Vec<(DiskCeiling, NetworkCeiling, MemoryCeiling)>,
}

impl CeilingReport {
    pub(super) fn new(args: &CeilingArgs) -> CeilingReport {
        CeilingReport {
            schema_version: SCHEMA_VERSION,
            kind: "ceiling".to_owned(),
            complete: false,
            environment: Environment::here(),
            dir: args.dir.display().to_string(),
            disk: Disk::under(&args.dir),
            is_direct: true,
            block_bytes: args.block_bytes as u64,
            depth: args.depth,
            cores: args.cores.clone(),
            disk_write_gb_per_s: None,
            disk_read_gb_per_s: None,
            sync_p50_us: None,
            sync_p99_us: None,
            sync_max_us: None,
            network_to: None,
            network_gb_per_s: None,
            memcpy_gb_per_s: None,
            crc32c_gb_per_s: None,
            rounds: Vec::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        disk: DiskCeiling,
        network: NetworkCeiling,
        memory: MemoryCeiling,
    ) {
        self.rounds.push((disk, network, memory));
    }

    pub(super) fn finished(mut self, args: &CeilingArgs, is_interrupted: bool) -> CeilingReport {
        self.complete = !is_interrupted && self.rounds.len() == args.repeats.max(1) as usize;
        self.is_direct = self.rounds.iter().all(|(disk, ..)| disk.is_direct);
        let rounds = &self.rounds;
        let disk =
            |of: fn(&DiskCeiling) -> f64| Spread::of(rounds.iter().map(|round| of(&round.0)));
        let memory =
            |of: fn(&MemoryCeiling) -> f64| Spread::of(rounds.iter().map(|round| of(&round.2)));
        self.disk_write_gb_per_s = disk(|disk| disk.write_gb_per_s);
        self.disk_read_gb_per_s = disk(|disk| disk.read_gb_per_s);
        self.sync_p50_us = disk(|disk| disk.sync.p50_us);
        self.sync_p99_us = disk(|disk| disk.sync.p99_us);
        self.sync_max_us = disk(|disk| disk.sync.max_us);
        self.network_gb_per_s = Spread::of(rounds.iter().map(|round| round.1.gb_per_s));
        self.memcpy_gb_per_s = memory(|memory| memory.memcpy_gb_per_s);
        self.crc32c_gb_per_s = memory(|memory| memory.crc32c_gb_per_s);
        self
    }

    /// The single measurements.
    #[cfg(test)]
    pub(super) fn rounds(&self) -> &[(DiskCeiling, NetworkCeiling, MemoryCeiling)] {
        &self.rounds
    }

    /// What brokers are held against: the medians.
    pub fn yardstick(&self) -> Yardstick {
        let median = |spread: Option<Spread>| {
            spread.map(|spread| spread.median).filter(|median| *median > 0.0)
        };
        Yardstick {
            network_gb_per_s: median(self.network_gb_per_s),
            disk_write_gb_per_s: median(self.disk_write_gb_per_s),
            disk_read_gb_per_s: median(self.disk_read_gb_per_s),
            memcpy_gb_per_s: median(self.memcpy_gb_per_s),
        }
    }
}

impl fmt::Display for CeilingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.is_direct { "direct" } else { "through the page cache" };
        let (kib, depth) = (self.block_bytes >> 10, self.depth);
        match &self.network_to {
            Some(address) => write!(f, "to {address}   median (min .. max)")?,
            None => {
                write!(f, "{}   ({path}, {kib} KiB blocks, {depth} at once", self.dir)?;
                if let Some(disk) = &self.disk {
                    write!(f, "; {} on {}", disk.filesystem, disk.device)?;
                }
                write!(f, ")   median (min .. max)")?;
            }
        }
        if !self.complete {
            write!(f, "\n  PARTIAL: interrupted")?;
        }
        for (name, unit, spread) in [
            ("disk write", "GB/s", self.disk_write_gb_per_s),
            ("disk read", "GB/s", self.disk_read_gb_per_s),
            ("fdatasync p50", "us", self.sync_p50_us),
            ("fdatasync p99", "us", self.sync_p99_us),
            ("fdatasync max", "us", self.sync_max_us),
            ("TCP, one way", "GB/s", self.network_gb_per_s),
            ("memcpy", "GB/s", self.memcpy_gb_per_s),
            ("CRC-32C", "GB/s", self.crc32c_gb_per_s),
        ] {
            let Some(Spread { min, median, max, .. }) = spread else { continue };
            let digits = if unit == "us" { 0 } else { 3 };
            write!(
                f,
                "\n  {name:<14} {median:>9.digits$} {unit:<4} ({min:.digits$} .. {max:.digits$})"
            )?;
        }
        Ok(())
    }
}
