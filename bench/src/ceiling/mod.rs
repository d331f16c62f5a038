//! What the machine can do, without a broker: the bounds that a broker's figures are held against.
//! Plain threads and system calls, so that they owe nothing to the broker that they judge.
//!
//! - [`disk`]: direct sequential writes and reads, fdatasync
//! - [`network`]: one TCP connection, over the loopback or to another host
//! - [`memory`]: memcpy and CRC-32C on one core
//! - [`report`]: all of it, for people and as JSON

mod disk;
mod memory;
mod network;
mod report;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::BenchError;
use crate::spread::Spread;
use crate::stop::Stop;

pub use disk::DiskCeiling;
pub use memory::MemoryCeiling;
pub use network::{NetworkCeiling, tcp_client, tcp_server};
pub use report::{CeilingReport, Latency};

/// What to measure.
#[derive(Clone, Debug)]
pub struct CeilingArgs {
    /// The directory whose disk is measured; it must exist.
    pub dir: PathBuf,
    /// Bytes to write and read; rounded down to whole blocks, at least one.
    pub bytes: u64,
    /// Bytes of one write or read, a multiple of 4096.
    pub block_bytes: usize,
    /// Writes or reads under way at once.
    pub depth: usize,
    /// How often to time an fdatasync.
    pub sync_samples: u64,
    /// Each phase of the disk ends after this, whatever it has done by then.
    pub duration_max: Duration,
    /// How long the network, memcpy and CRC-32C are measured each.
    pub duration: Duration,
    /// How often everything is measured.
    pub repeats: u32,
    /// More than [`FREE_BYTES`](crate::load::FREE_BYTES) may be written, all repeats together.
    pub is_confirmed: bool,
    /// The core that sends and computes, and the one that receives; the others as they come.
    pub cores: Vec<usize>,
}

impl CeilingArgs {
    /// The shape that a broker's segments have: 1 GiB, 1 MiB blocks, 4 at once.
    pub fn new(dir: &Path) -> Self {
        CeilingArgs {
            dir: dir.to_owned(),
            bytes: 1 << 30,
            block_bytes: 1 << 20,
            depth: 4,
            sync_samples: 1000,
            duration_max: Duration::from_secs(10),
            duration: Duration::from_secs(2),
            repeats: 3,
            is_confirmed: false,
            cores: Vec::new(),
        }
    }
}

/// Measures everything, `repeats` times. Needs `bytes` of free space for the while; its files have
/// no names, so nothing is left behind however this ends. Reports progress on stderr if that is a
/// terminal.
///
/// # Errors
/// [`BenchError::Argument`] for what makes no sense, others if the system refuses. Ctrl-C is no error:
/// the report has what was measured until then, and says so.
pub fn run(args: &CeilingArgs, stop: &Stop) -> Result<CeilingReport, BenchError> {
    disk::check(args)?;
    let mut report = CeilingReport::new(args);
    for round in 1..=args.repeats.max(1) {
        let progress = |phase: &str| progress(&format!("{phase}, {round} of {}", args.repeats));
        progress("disk");
        let disk = disk::measure(args, stop).map_err(|error| with_advice(error, args))?;
        if stop.is_set() {
            break;
        }
        progress("network");
        let network = network::loopback(args.duration, &args.cores, stop)?;
        if stop.is_set() {
            break;
        }
        progress("memory");
        let memory = memory::measure(args.duration, args.cores.first().copied(), stop)?;
        if stop.is_set() {
            break;
        }
        report.add(disk, network, memory);
    }
    progress("");
    Ok(report.finished(args, stop.is_set()))
}

/// Measures the network to a [`tcp_server`] at `host:port`, and nothing else.
///
/// # Errors
/// As [`tcp_client`].
pub fn to_host(
    address: &str,
    args: &CeilingArgs,
    stop: &Stop,
) -> Result<CeilingReport, BenchError> {
    let mut report = CeilingReport::new(args);
    report.network_to = Some(address.to_owned());
    let mut rounds = Vec::new();
    for _ in 0..args.repeats.max(1) {
        let sent = network::pinned_client(address, args, stop)?;
        if stop.is_set() {
            break;
        }
        rounds.push(sent.gb_per_s);
    }
    report.complete = !stop.is_set();
    report.network_gb_per_s = Spread::of(rounds);
    Ok(report)
}

fn with_advice(error: BenchError, args: &CeilingArgs) -> BenchError {
    match &error {
        BenchError::File { source, .. } if source.kind() == ErrorKind::StorageFull => {
            let mib = args.bytes.div_ceil(1 << 20);
            BenchError::Argument(format!("{error}; {mib} MiB are needed, --bytes takes less"))
        }
        _ => error,
    }
}

fn progress(phase: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // A line that can't be drawn is no reason to stop.
        let _ = write!(stderr, "\r\x1b[K{phase}{}", if phase.is_empty() { "" } else { " ..." });
    }
}

/// Bytes in a time, 10^9 a second; 0 if nothing was timed.
fn gb_per_s(bytes: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { bytes as f64 / seconds / 1e9 } else { 0.0 }
}
