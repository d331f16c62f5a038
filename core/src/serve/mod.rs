//! `corelane serve`: from settings to a running broker, and to its clean end.
//!
//! - `address.rs`: where to listen, and what clients are told
//! - `host.rs`: what the machine gives this process
//! - `launch.rs`: all shards from nothing to serving, led by shard 0
//! - `accept.rs`: sockets, from the listener to the shard that serves them
//! - `stop.rs`: from serving to a directory that needs no recovery
//!
//! The way up: limits of the machine, the directory's lock, the manifest and the journals, every
//! shard's partitions, the listener, one line on stdout.

mod accept;
mod address;
mod host;
mod launch;
mod stop;

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use corelane_storage::command_log::CommandLogError;
use corelane_storage::manifest::ManifestError;
use corelane_storage::store::StoreError;
use tracing_subscriber::EnvFilter;

use crate::catalog::command::DecodeError;
use crate::cli::ServeOptions;
use crate::runtime::{DataDirLock, LockError, ShardError, Shards, ShardsConfig, Signals};
use crate::shard::mailbox::CallError;
use address::AddressError;
use launch::Launch;

/// Why the broker did not start, or did not end well. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// `--listen` or `--advertise` can't be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Something else has the port, or the address is not this machine's.
    #[error("can't listen on {address}: {source}{}", listen_advice(source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The data directory can't be made.
    #[error("data directory {}: {source} (choose another with --data-dir)", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody else has the data directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The executor or its rings.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// Signals, limits, random bytes.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The data directory can't be served.
    #[error("shard {shard}: {source}")]
    Store {
        /// Which shard found out.
        shard: usize,
        /// Why.
        source: StoreError,
    },
    /// The manifest can't be changed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The catalog can't be read.
    #[error(transparent)]
    CommandLog(#[from] CommandLogError),
    /// A record of the catalog's log is whole, but not a command.
    #[error("the catalog's log, record {number}: {source}")]
    Command {
        /// Which, from 0.
        number: usize,
        /// Why.
        source: DecodeError,
    },
    /// A shard ended by itself.
    #[error("shard {0} has ended unexpectedly; see the log")]
    ShardEnded(usize),
    /// A shard did not do what the stop asked of it.
    #[error("stopping shard {shard}: {source}")]
    Stop {
        /// Which.
        shard: usize,
        /// Why.
        source: CallError,
    },
    /// Not everything is at rest: the next start recovers.
    #[error("the stop was not clean: {0}. Nothing acknowledged is lost; the next start recovers")]
    NotClean(String),
}

fn listen_advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            " (another process has this port: stop it, or choose another with --listen)"
        }
        io::ErrorKind::AddrNotAvailable => {
            " (no network interface has this address: use one that has, or 0.0.0.0 for all)"
        }
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one with --listen)"
        }
        _ => "",
    }
}

fn system(what: &'static str) -> impl Fn(io::Error) -> ServeError {
    move |source| ServeError::System { what, source }
}

/// Runs the broker until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`]: it did not start, or what it left needs recovery.
pub fn run(options: ServeOptions) -> Result<(), ServeError> {
    let began = Instant::now();
    let signals = Signals::install().map_err(system("signals"))?;
    log_to_stderr();
    let addresses = address::resolve(&options.listen)?;
    // The real port is known only when it is bound; whatever else is wrong shows now.
    address::advertised(&options.listen, options.advertise.as_deref(), 9092)?;
    check_free(&addresses)?;
    let open_files_max = host::raise_open_files().map_err(system("the limit of open files"))?;
    tracing::debug!(open_files_max);
    let lock = lock(&options.data_dir)?;
    let cores = crate::runtime::usable_cores().map_err(system("usable cores"))?;
    let shards = options.shards.map_or(cores.len(), usize::from);
    let launch = Launch::new(options, addresses, shards, began, signals);
    let config = ShardsConfig { shards, lock: Some(Arc::new(lock)) };
    let running = Shards::start(&config, move |runtime| launch::shard(runtime, launch.clone()))?;
    let ends: Vec<Result<(), ServeError>> =
        running.join().into_iter().map(|end| end.map_err(ServeError::from)?).collect();
    // Shard 0 leads: what it says is the cause of what the others say.
    ends.into_iter().collect()
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("CORELANE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // Fails only if there is one already, as in tests.
    let _ = subscriber.try_init();
}

/// Fails early if a port is taken; it is bound for good when there is something to serve.
fn check_free(addresses: &[SocketAddr]) -> Result<(), ServeError> {
    for address in addresses.iter().filter(|address| address.port() != 0) {
        crate::runtime::bind(*address)
            .map_err(|source| ServeError::Listen { address: *address, source })?;
    }
    Ok(())
}

fn lock(data_dir: &std::path::Path) -> Result<DataDirLock, ServeError> {
    std::fs::create_dir_all(data_dir)
        .map_err(|source| ServeError::DataDir { path: data_dir.to_owned(), source })?;
    Ok(DataDirLock::acquire(data_dir)?)
}
