//! Bytes to and from sockets. This crate knows nothing of brokers: it hands typed requests to a
//! service it is given, and sends what the service answers.
//!
//! The way of a request, file by file:
//!
//! - [`stream`]: what is needed from the world, a socket and a clock
//! - [`extent`]: bytes of an answer that the stream sends from where they lie
//! - [`frame`]: length-prefixed frames out of a byte stream, each paid for from the [`budget`]
//! - [`messages`]: every API's schema, declared once, and the table of APIs and versions
//! - [`codec`]: the protocol's primitives, the declaring macro, and both directions of it
//! - [`group_records`]: what Kafka keeps of consumer groups in a topic of its own
//! - [`service`]: what the broker implements: requests in, answers out, later and in order
//! - [`connection`]: one connection's life: read, decode, begin, answer in order, limits
//! - [`limits`]: what one connection may take
//!
//! And the other side:
//!
//! - [`client`]: asking any Kafka-compatible broker, blocking
//!
//! What both sides use:
//!
//! - [`error_code`]: Kafka's error codes
//! - `fuzzing.rs`: what a fuzzer calls; only there for one, and for tests
//!
//! Nothing here panics, or allocates what it was told to, on any input.

pub mod budget;
pub mod client;
pub mod codec;
pub mod connection;
pub mod error_code;
pub mod extent;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod group_records;
pub mod limits;
pub mod messages;
pub mod service;
pub mod stream;
