//! The host under a broker: what it must allow, what makes it fast, and how to mend it.
//!
//! - [`facts`]: what is read from the machine: limits, io_uring, the data directory, disks, cores
//! - [`findings`]: the judgement on those facts, pure functions
//! - [`limits`]: resource limits of this process, and raising them
//! - [`root`]: where /proc and /sys are
//! - [`space()`]: how much room a file system has
//! - [`preflight()`]: all of it, as `serve` and `tune check` ask

pub mod facts;
pub mod findings;
pub mod limits;
pub mod root;
mod space;

#[cfg(test)]
mod tests;

pub use facts::{Facts, Plan, PortFacts};
pub use findings::{Finding, Severity, judge};
pub use root::Root;
pub use space::{Space, space};

/// What this machine means for a broker that does what `plan` says: one finding per check, gravest
/// first.
///
/// Raises the soft limits of open files and locked memory to the hard ones.
pub fn preflight(plan: &Plan) -> Vec<Finding> {
    limits::raise_soft(limits::Limit::OpenFiles);
    limits::raise_soft(limits::Limit::LockedMemory);
    judge(&facts::gather(&Root::of_machine(), plan))
}
