//! Consumer groups: who reads which partitions, and how far.
//!
//! A group belongs to one partition of the topic `__consumer_offsets`, by the hash of its id, and is
//! coordinated on the shard that owns that partition. Its state is that partition's log, in Kafka's
//! own format: what is acknowledged is in the log, and what is in the log is there after a restart.
//!
//! Pure, a request and the time in, answers and records out:
//!
//! - `coordinator/`: the groups and offsets of one partition
//! - `classic/`: one group of the classic protocol
//! - `consumer/`: one group of the consumer protocol
//! - `offsets.rs`: how far groups have read
//! - `rules.rs`: Kafka's configs for groups, and limits of memory
//! - `topics.rs`: what coordinators know of topics
//! - `turn.rs`: what one step of a coordinator is given, and what it wants done
//! - `batch.rs`: records of groups as record batches, and back
//! - `placement.rs`: which partition a group belongs to
//! - `mutants.rs`: named faults that the tests switch on
//!
//! On the shard:
//!
//! - `host/`: coordinators where they live: loaded, given the time, their writes made durable
//! - `ask.rs`: from the shard of a connection to the coordinator, and back

pub mod ask;
mod batch;
pub mod classic;
pub mod consumer;
pub mod coordinator;
pub mod host;
mod mutants;
pub mod offsets;
pub mod placement;
pub mod rules;
pub mod topics;
pub mod turn;

pub use host::{Groups, Standing};
