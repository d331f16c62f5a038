//! Corelane: what runs on each CPU core.
//!
//! - [`cli`]: the command line
//! - [`commands`]: what asks a broker, any Kafka-compatible one: topics, records, the cluster
//! - [`bench`]: measurements, from options to a printed report
//! - [`commands`]: one file per command that neither serves nor measures
//! - [`settings`]: what a broker is told: keys, sources, values
//! - [`serve`]: from settings to a running broker, and its end
//! - [`shard`]: one shard: its partitions, its mailbox, the controller on shard 0
//! - [`api`]: the Kafka APIs, one file each, and the table of what is supported
//! - [`fetch_session`]: what a consumer asks for again and again (KIP-227)
//! - [`partition`]: one partition as its leader sees it
//! - [`group`]: consumer groups and their offsets
//! - [`catalog`]: topics, configs, ids: what the cluster knows
//! - [`metrics`]: what it can be asked about itself: counters, gauges, health
//! - [`http`]: the port where that is asked
//! - `once.rs`: partitions that a request names more than once
//! - `fuzzing.rs`: what a fuzzer calls; only there for one, and for tests
//! - [`runtime`]: executor, ring, sockets, signals: the only code that names glommio and io_uring

pub mod api;
pub mod bench;
pub mod catalog;
pub mod cli;
pub mod commands;
pub mod fetch_session;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod group;
pub mod http;
pub mod metrics;
mod once;
pub mod partition;
pub mod runtime;
pub mod serve;
pub mod settings;
pub mod shard;

#[cfg(test)]
mod seeded;
