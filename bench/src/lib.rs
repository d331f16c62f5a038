//! Measuring: what a machine can do, and how much of it a broker makes use of.
//!
//! What a machine can do:
//! - [`ceiling`]: the disk under a data directory: direct writes, direct reads, fdatasync; plain
//!   threads and system calls, so that it owes nothing to the broker that it judges
//! - [`null_broker`]: a broker that does only what physics demands: the limit of one core
//! - [`report`]: the ceiling, for people and as JSON
//!
//! How much of it a broker makes use of:
//! - [`produce`], [`consume`], [`delivery`], [`mixed`], [`ping_pong`]: workloads: what is asked, and
//!   what an answer must say
//! - [`plan`]: a workload with its settings, as often and against whom it is wanted
//! - [`load`]: requests on a schedule or a fixed number under way, over plain threads and
//!   non-blocking sockets; latencies from the intended time, and the naive ones beside them
//! - [`records`]: what records are like; batches, built once and sent again and again
//! - [`usage`]: what client, broker and machine spent meanwhile
//! - [`load_report`], [`environment`]: the outcome, for people and as JSON
//!
//! What all of it uses:
//! - [`wire`], `poller`: frames to and from non-blocking sockets, without the broker's runtime
//! - `client`: topics made and deleted, one request at a time
//! - [`stop`], [`error`]: how a run ends early, and why
//! - `cores`, `direct_file`: pinning, and files past the page cache

pub mod ceiling;
mod client;
pub mod consume;
mod cores;
pub mod delivery;
mod direct_file;
pub mod environment;
pub mod error;
pub mod load;
pub mod load_report;
pub mod mixed;
pub mod null_broker;
pub mod ping_pong;
pub mod plan;
mod poller;
pub mod produce;
pub mod records;
pub mod report;
pub mod stop;
pub mod usage;
pub mod wire;

#[cfg(test)]
mod tests;

pub use ceiling::{CeilingArgs, CeilingError, run};
pub use error::BenchError;
pub use report::{CeilingReport, Latency, Throughput};
pub use stop::Stop;
