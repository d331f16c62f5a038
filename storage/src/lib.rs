//! Corelane's log: bytes to and from disks. Knows nothing of sockets or of Kafka requests.

pub mod batch;
pub mod buffer;
pub mod journal;
pub mod notify;
pub mod ids;
pub mod index;
pub mod manifest;
mod mutants;
pub mod producers;
pub mod runtime;
mod turn;
