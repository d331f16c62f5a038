//! `corelane topic`: one file for each thing to do.

mod alter;
mod create;
mod delete;
mod describe;
mod list;

use std::process::ExitCode;

use super::Error;
use crate::cli::TopicCommand;

/// Does it.
///
/// # Errors
/// Every [`Error`].
pub fn run(command: TopicCommand) -> Result<ExitCode, Error> {
    match command {
        TopicCommand::Create(options) => create::run(&options),
        TopicCommand::List(options) => list::run(&options),
        TopicCommand::Describe(options) => describe::run(&options),
        TopicCommand::Alter(options) => alter::run(&options),
        TopicCommand::Delete(options) => delete::run(&options),
    }?;
    Ok(ExitCode::SUCCESS)
}
