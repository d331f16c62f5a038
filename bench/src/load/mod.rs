//! Load on a broker, and what comes of it.
//!
//! Every thread drives its own connections (lanes) and records for itself; nothing is shared until
//! the end. Requests are encoded once and written from where they lie.
//!
//! - [`schedule`]: when requests are meant to leave (open loop): pure arithmetic
//! - [`frame`]: a request encoded once; only its correlation id is stamped
//! - [`lane`]: one connection: due, on its way, answered; answers come in the requests' order
//! - [`worker`]: one thread: lanes, pacing, the end and the wait for the last answers
//! - [`recorder`]: latencies and counts, honest and naive
//! - [`cpu`]: what a thread has had of its core, and what it had to wait for
//! - [`connections`]: descriptors enough, and no storm of new connections
//! - [`volume`]: how much may be written without being asked twice
//! - [`drive`]: threads, cores, the broker's resources meanwhile; from arguments to an outcome
//!
//! **Open loop**: a request's latency counts from the moment when it was meant to leave, so that a
//! stall counts for every request that it has held up, whoever held it up. **Closed loop**: a fixed
//! number under way on each connection; what a stall keeps from being sent is not seen.

mod connections;
mod cpu;
mod drive;
mod frame;
mod lane;
mod recorder;
mod schedule;
#[cfg(test)]
mod tests;
mod volume;
mod worker;

pub(crate) use drive::{Ended, LoadOutcome, drive};
pub use drive::{LoadArgs, Pace};
pub(crate) use frame::Frame;
pub(crate) use lane::{Answer, Judged, Put, Role, Turn, Workload};
pub use recorder::{Asked, Part, Recorder, Window, Work};
pub use volume::{Allowance, FREE_BYTES};
