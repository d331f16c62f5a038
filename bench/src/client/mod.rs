//! What a run asks the broker before and after it: one request at a time.
//!
//! - [`control`]: a connection that asks and waits
//! - [`topic`]: the topic that is written to, and the promise to delete no other

mod control;
mod topic;

pub(crate) use control::{CLIENT_ID, Control, connect};
pub(crate) use topic::{Partition, Topic};
