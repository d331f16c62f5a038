//! What the tests with real clients share.
//!
//! - `broker.rs`: a broker process: start, kill -9, SIGTERM, restart on the same directory and port
//! - `options.rs`: its command line
//! - `process.rs`: what the kernel says of it: memory, file descriptors
//! - `http.rs`: its HTTP port, asked over a plain socket
//! - `wire.rs`: a tiny encoder, decoder and connection of the Kafka protocol, independent of the broker's own codec
//! - `typed.rs`: requests and answers of any version, by the broker's own codec
//! - `topics.rs`: requests about topics and their configs
//! - `requests.rs`: the requests that the tests encode by hand, and what they read from the answers
//! - `batch.rs`: record batches of format v2, good and bad ones
//! - `rdkafka_client.rs`: producers, consumers and admin of the `rdkafka` crate
//! - `random.rs`: a seeded generator
//!
//! Two environment variables turn the tests on another broker, so that they can be proven themselves:
//!
//! - `CORELANE_TEST_PROGRAM`: a program that takes the command line of `corelane serve`
//!   (`bench/compare/kafka.sh` starts Apache Kafka that way)
//! - `CORELANE_TEST_BOOTSTRAP`: the `ip:port` of a broker that runs already; tests that must own their process pass over it

// Every test binary compiles the whole harness and uses its own part of it.
#![allow(dead_code, unused_imports, unused_macros)]

pub mod batch;
pub mod broker;
pub mod http;
pub mod options;
pub mod process;
pub mod random;
pub mod rdkafka_client;
pub mod requests;
pub mod topics;
pub mod typed;
pub mod wire;
