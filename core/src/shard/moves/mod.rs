//! Connections that move to the shard that owns most of what they ask for: a request for a partition
//! of another shard costs a hop there and back, and often the waking of two cores.
//!
//! - `affinity.rs`: what one connection asks of each shard, and where it should be: a pure rule
//! - `loads.rs`: how busy the shards are, and which of them take connections
//! - `locality.rs`: one connection, as seen by its shard: what the handler of its requests tells and asks

mod affinity;
mod loads;
mod locality;

#[cfg(test)]
mod tests;

pub use affinity::{Affinity, Wish};
pub use loads::Loads;
pub use locality::{Locality, Travelled};
