//! The host under a broker: what it must allow, what makes it fast, and how to mend it.
//!
//! - [`facts`]: what is read from the machine: limits, io_uring, the data directory
//! - [`findings`]: the judgement on those facts, a pure function
//! - [`limits`]: resource limits of this process, and raising them
//! - [`space()`]: how much room a file system has
//! - [`preflight()`]: all of it, as `serve` asks before it starts

pub mod facts;
pub mod findings;
pub mod limits;
mod space;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use facts::Facts;
pub use findings::{Finding, Severity, judge};
pub use space::{Space, space};

/// What stands in the way of a broker with `shards` shards and its data in `data_dir`, gravest
/// first; empty if nothing does.
///
/// Raises the soft limits of open files and locked memory to the hard ones, and creates `data_dir`.
pub fn preflight(data_dir: &Path, shards: usize) -> Vec<Finding> {
    limits::raise_soft(limits::Limit::OpenFiles);
    limits::raise_soft(limits::Limit::LockedMemory);
    judge(&facts::gather(data_dir, shards))
}
