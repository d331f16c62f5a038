//! What the broker is told at its start: keys, where their values come from, and what they mean.
//!
//! Flags go before the environment, the environment before the file, the file before defaults. Every
//! value that is wrong is told, each with its place, not only the first.
//!
//! - `table.rs`: the one table of keys
//! - `kind.rs`: what a key's value may be, and its one form
//! - `units.rs`: numbers of bytes and spans of time, with their units
//! - `lookup.rs`: from a name to its key, or to why there is none
//! - `kafka_keys.rs`: keys of Kafka that this broker has no part for
//! - `source.rs`: where a value comes from
//! - `file.rs`: the TOML file
//! - `environment.rs`: environment variables
//! - `gather.rs`: all sources in order, checked
//! - `problem.rs`: what is wrong, all of it
//! - `listener.rs`: listeners, and what is advertised for each
//! - `connection_limits.rs`: how many may connect
//! - `host_port.rs`: a host and a port
//! - `configuration.rs`: typed, as the broker reads it
//! - `print.rs`: every key with its value and source, for people and programs

mod configuration;
mod connection_limits;
mod environment;
mod file;
mod gather;
mod host_port;
mod kafka_keys;
mod kind;
mod listener;
mod lookup;
mod print;
mod problem;
mod source;
mod table;
mod units;

#[cfg(test)]
mod tests;

pub use configuration::{Configuration, HttpListen, NODE_ID};
pub use connection_limits::ConnectionLimits;
pub use environment::Environment;
pub use gather::{Gathered, Setting, gather};
pub use host_port::{HostPort, own_name};
pub use listener::{Advertise, Listener};
pub use print::print;
pub use problem::{Problem, Problems};
pub use source::{Given, Source};
pub use table::{Key, keys};
pub use units::bytes;
