//! A client of any Kafka-compatible broker, for commands and tools: blocking, on one thread.
//!
//! - [`address`]: `host:port`, as people write it and as brokers advertise it
//! - [`connection`]: one connection: requests out, answers in, in order
//! - [`negotiation`]: which versions both sides speak (KIP-35, KIP-511)
//! - [`foreign`]: what answers when it is no broker that was reached
//! - [`cluster`]: the brokers behind a list of addresses: who leads, who controls, and new attempts
//! - [`coordinator`]: questions about groups: who coordinates them, and what it says
//! - [`partitioner`]: which partition a key goes to
//! - [`retry`]: which errors pass, and how long to wait
//! - [`error`]: what went wrong, and what to do about it
//!
//! Answers take memory as their bytes come, up to a limit; every wait ends.

pub mod address;
pub mod cluster;
pub mod connection;
pub mod coordinator;
pub mod error;
pub mod foreign;
pub mod negotiation;
pub mod partitioner;
pub mod retry;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use address::Address;
pub use cluster::{Broker, Cluster};
pub use connection::Connection;
pub use coordinator::Outcomes;
pub use error::ClientError;
pub use partitioner::partition_of_key;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name that the broker's logs and quotas know it by.
    pub client_id: String,
    /// How long connecting may take, of each address.
    pub connect_timeout: Duration,
    /// How long an answer may take, and how long a request may wait for the broker to read on.
    pub answer_timeout: Duration,
    /// Largest answer taken, bytes.
    pub answer_bytes_max: usize,
    /// Set from outside: waits end with [`ClientError::Interrupted`].
    pub stop: Arc<AtomicBool>,
}

impl Settings {
    /// Settings for commands, under this name.
    pub fn new(client_id: &str) -> Settings {
        Settings {
            client_id: client_id.to_owned(),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            answer_bytes_max: 256 << 20,
            stop: Arc::default(),
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
