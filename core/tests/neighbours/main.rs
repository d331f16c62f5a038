//! What bad company costs: eight connections that produce a little and eight that fetch a little, at a fixed rate,
//! alone and beside somebody who asks too much of the same shard. No tests but measurements, ignored unless asked
//! for: docs/measuring.md says how to run them, against Corelane and against Kafka.
//!
//! - `neighbours.rs`: the sixteen, and what they met with
//! - `stage.rs`: a broker, its neighbours, alone and beside guests in turn
//! - `slow.rs`: guests that hardly read or hardly write
//! - `large.rs`: guests whose requests are large
//! - `wide.rs`: guests that name very many partitions

#[path = "../harness/mod.rs"]
mod harness;

mod large;
mod neighbours;
mod slow;
mod stage;
mod wide;
