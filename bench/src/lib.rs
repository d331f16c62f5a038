//! Measuring: what a machine can do, and (later) how much of it a broker makes use of.
//!
//! - [`ceiling`]: the disk under a data directory: direct writes, direct reads, fdatasync; plain
//!   threads and system calls, so that it owes nothing to the broker that it judges
//! - [`report`]: what was measured, for people and as JSON

pub mod ceiling;
pub mod report;

#[cfg(test)]
mod tests;

pub use ceiling::{CeilingArgs, CeilingError, run};
pub use report::{CeilingReport, Latency, Throughput};
