//! `corelane log`: a data directory, looked at without a broker.
//!
//! - `dump.rs`: what is in it
//! - `verify.rs`: what is wrong with it
//! - `lines.rs`: everything dumped, as lines for people or as JSON
//! - `escape.rs`: keys and values as printable text
//! - `topics.rs`: what the catalog says

mod dump;
mod escape;
mod lines;
mod topics;
mod verify;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use corelane_storage::inspect::InspectError;
use corelane_storage::runtime::DiskError;

use crate::cli::LogCommand;
use crate::cli::log::DirOptions;
use crate::runtime::data_dir_lock::{LockError, SharedLock};

/// Why a directory was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no data directory, or one of another format.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// A broker has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A broker has it.
    #[error(
        "{} is in use by process {pid}: stop that broker first, or look at what it is writing with \
         --live",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The broker.
        pid: u32,
    },
    /// The disk refuses.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No such topic.
    #[error("no topic \"{0}\" is in this data directory (see `corelane log dump DIR --catalog`)")]
    NoTopic(String),
    /// Standard output refuses.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Looks, prints, and says how it went.
///
/// # Errors
/// Every [`Error`].
pub fn run(command: LogCommand) -> Result<ExitCode, Error> {
    match command {
        LogCommand::Dump(options) => {
            let _lock = lock(&options.dir)?;
            dump::run(&options)
        }
        LogCommand::Verify(options) => {
            let _lock = lock(&options.dir)?;
            verify::run(&options)
        }
    }
}

/// Keeps brokers away meanwhile. Without a lock file there has never been one.
fn lock(options: &DirOptions) -> Result<Option<SharedLock>, Error> {
    if options.live {
        return Ok(None);
    }
    match SharedLock::acquire(&options.dir) {
        Err(LockError::InUse { dir, pid }) => Err(Error::InUse { dir, pid }),
        other => Ok(other?),
    }
}
