//! What a run asks the broker before and after it: one request at a time.
//!
//! - [`control`]: a connection that asks and waits
//! - [`offsets`]: where partitions begin and end
//! - [`shares`]: which connection serves which partitions
//! - [`topic`]: the topic that is written to, and the promise to delete no other
//! - [`with_topic`]: a topic for as long as a run lasts

mod control;
mod offsets;
mod shares;
mod topic;
mod with_topic;

pub(crate) use control::{CLIENT_ID, Control, connect};
pub(crate) use offsets::offsets;
pub(crate) use shares::shares;
pub(crate) use topic::Topic;
pub(crate) use with_topic::with_topic;
