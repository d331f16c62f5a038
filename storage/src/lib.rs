//! Corelane's log: bytes to and from disks. Knows nothing of sockets or of Kafka requests.
//!
//! ```text
//! runtime.rs      what storage needs from the world: files, clocks, tasks (a trait)
//! buffer/         block-aligned memory, shared while it is being filled, used again and again
//! ids.rs          topic and partition ids
//! batch.rs        Kafka's record batch: its header, read in place, and a walk over its records
//! producers.rs    idempotent producers of one partition: pure state
//! index.rs        sparse offset and time index of one segment: pure state
//! log/            one partition: append, write, publish, read, find, delete, compact, seal, checkpoint
//! journal/        the shard's journal: format, writer, scan
//! recovery/       from a crash back to a log
//! store/          one shard: pump, flusher, upkeep, and the process-wide start
//! inspect/        looking into a data directory without serving it
//! manifest.rs     identity of the data directory and its few durable numbers
//! command_log.rs  a small durable list of commands (the catalog's)
//! meters.rs       what a shard's storage has done, for who watches it
//! notify.rs       waking tasks, here and on other shards
//! mutants.rs      named faults that the tests switch on
//! fuzzing.rs      what a fuzzer calls; only there for one, and for tests
//! sim/            the simulated world of the tests
//! ```

pub mod batch;
pub mod buffer;
pub mod command_log;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod ids;
pub mod index;
pub mod inspect;
mod journal;
pub mod log;
pub mod manifest;
pub mod meters;
mod mutants;
pub mod notify;
pub mod producers;
mod recovery;
pub mod runtime;
#[cfg(test)]
mod sim;
pub mod store;
mod turn;

pub use journal::scan::ScanError;
pub use recovery::RecoveryReport;
