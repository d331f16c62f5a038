//! `corelane group`: one file for each thing to do.
//!
//! - `ask.rs`: which groups there are, and what their coordinators say of them
//! - `consumer.rs`: groups of the consumer protocol (KIP-848)
//! - `committed.rs`: offsets that groups have committed
//! - `bounds.rs`: where logs begin and end

mod ask;
mod bounds;
mod committed;
mod consumer;
mod delete;
mod delete_offsets;
mod describe;
mod list;
mod reset;
mod show;

use std::process::ExitCode;

use corelane_net::codec::Str;

use super::Error;
use crate::cli::GroupCommand;

/// A topic and one of its partitions.
type Partition = (Str, i32);

/// Does it.
///
/// # Errors
/// Every [`Error`].
pub fn run(command: GroupCommand) -> Result<ExitCode, Error> {
    match command {
        GroupCommand::List(options) => list::run(&options),
        GroupCommand::Describe(options) => describe::run(&options),
        GroupCommand::Delete(options) => delete::run(&options),
        GroupCommand::ResetOffsets(options) => reset::run(&options),
        GroupCommand::DeleteOffsets(options) => delete_offsets::run(&options),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The outcome of several things, some of which have failed for these reasons.
fn finish(failures: &[String], is_partial: bool, done: String) -> Result<(), Error> {
    let several = || Error::Several(failures.join("\ncorelane: "));
    match failures {
        [] => Ok(()),
        _ if is_partial => Err(Error::Partial { source: Box::new(several()), done }),
        _ => Err(several()),
    }
}

/// A number of things, as people say it.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
