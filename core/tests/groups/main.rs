//! Consumer groups: shared partitions, rebalances, commits, and brokers and members that die in between.
//!
//! - `clients.rs`: through real clients
//! - `chaos.rs`: the same while members and the broker are killed
//! - `consumer.rs`: members of the consumer protocol (KIP-848)
//! - `wire.rs`: over the wire
//! - `many.rs`: very many offsets of one group
//! - `hostile.rs`: clients that mean harm
//! - `load.rs`: measurements
//! - `group.rs`: a group as these tests speak to it over the wire

#[path = "../harness/mod.rs"]
mod harness;

mod chaos;
mod clients;
mod consumer;
mod group;
mod hostile;
mod load;
mod many;
mod wire;

use harness::broker::Broker;
use harness::options::Options;

/// A broker of this test's own, whose groups do not wait long for their first members.
fn start(test: &str) -> Option<Broker> {
    let options = Options { group_delay_ms: Some(300), ..Options::default() };
    (!Broker::must_skip(test)).then(|| Broker::start(options))
}
