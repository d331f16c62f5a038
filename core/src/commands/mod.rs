//! Commands that neither serve nor measure.
//!
//! They ask a broker, any Kafka-compatible one, over its public protocol:
//! - `topic/`: create, list, describe, alter, delete
//! - `produce/`: standard input into a topic
//! - [`consume`]: a topic to standard output
//! - `group/`: list, describe, reset and delete consumer groups
//! - `cluster.rs`: brokers and how partitions are
//! - `session.rs`: from options to a cluster, and what is known of a topic
//! - `confirm.rs`: a question before what can't be undone
//! - `print.rs`: tables for people, lines and JSON for scripts
//! - `error.rs`: failures and their exit codes
//!
//! Or they need none:
//! - [`tune`]: `corelane tune`, the machine under a broker
//! - [`log`]: `corelane log`, a data directory without a broker
//! - `output.rs`: printing for people and for pipes
//! - `completions.rs`: for shells

// `eprintln!` panics if nobody reads: `tell` does not.
#![deny(clippy::print_stderr)]

pub mod cluster;
pub mod completions;
mod confirm;
pub mod consume;
mod error;
pub mod group;
pub mod log;
mod output;
mod print;
pub mod produce;
mod session;
pub mod topic;
pub mod tune;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use corelane_net::client::retry::is_retriable as retriable;
pub use error::Error;

/// Some of several things were done, or a part of one.
pub const PARTIAL: u8 = 3;

/// Ended by Ctrl-C: 128 and the signal's number, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// Turns an outcome into an exit code; an error is told on stderr. A reader of the output that has
/// gone has seen what it wanted.
pub fn finish(outcome: Result<ExitCode, Error>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(error) if error.is_gone_reader() => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("corelane: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// A line for people, on stderr. Nobody may be there to read it: that is no reason to end otherwise.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A flag that the first Ctrl-C or SIGTERM sets; the second ends the process at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Error> {
    let stop: Arc<AtomicBool> = Arc::default();
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // Handlers run in the order of their registration: the first signal finds it unset.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .map_err(Error::Signals)?;
    }
    Ok(stop)
}
