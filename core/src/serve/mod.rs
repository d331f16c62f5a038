//! `corelane serve`: from settings to a running broker, and to its clean end.
//!
//! - `allocator.rs`: large memory that is free goes back to the kernel
//! - `check.rs`: whether a start would succeed
//! - `host.rs`: what the machine gives this process
//! - `launch.rs`: all shards from nothing to serving, led by shard 0
//! - `accept.rs`: sockets, from the listener to the shard that serves them
//! - `ports.rs`: ports of listeners, and of their shards
//! - `lost_catalog.rs`: topics without a catalog are not swept away
//! - `refusals.rs`: when to say that connections are refused
//! - `stop.rs`: from serving to a directory that needs no recovery
//!
//! The way up: limits of the machine, the directory's lock, the manifest and the journals, every
//! shard's partitions, the listener, one line on stdout.

mod accept;
mod allocator;
mod check;
mod host;
mod launch;
mod lost_catalog;
mod ports;
mod refusals;
mod stop;

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use corelane_storage::command_log::CommandLogError;
use corelane_storage::manifest::{self, ManifestError};
use corelane_storage::store::StoreError;
use corelane_tuning::{Plan, Severity};
use tracing_subscriber::EnvFilter;

use crate::catalog::command::DecodeError;
use crate::cli::ServeOptions;
use crate::http::{self, HttpPort, ListenError};
use crate::metrics::scrape::{Question, Scraper, questions};
use crate::metrics::status::Status;
use crate::runtime::{DataDirLock, LockError, ShardError, Shards, ShardsConfig, Signals};
use crate::settings::{Configuration, Gathered, Problems};
use crate::shard::mailbox::CallError;
use launch::{Launch, Watching};
use ports::PortsError;

/// Why the broker did not start, or did not end well. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What the broker was told is wrong.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// Something else has the port, or the address is not this machine's.
    #[error("can't listen on {address}: {source}{}", listen_advice(source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Listeners and shards have ports that do not go together.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// The HTTP port can't be had.
    #[error(transparent)]
    Http(#[from] ListenError),
    /// The machine does not allow what a broker needs.
    #[error("this machine is not ready for a broker:\n{0}")]
    Host(String),
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
    /// The cache's memory is not to be had at the start.
    #[error(
        "a shard's {bytes} bytes of cache can't be taken at the start: {source}; lower \
         corelane.cache.bytes, or leave corelane.cache.preallocate off"
    )]
    CacheMemory {
        /// How much one shard was to take.
        bytes: u64,
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
    /// The catalog is gone, and what it named is not: a start would sweep it away.
    #[error(
        "{} holds topics, but its catalog (catalog.*.log) is missing: a start without it would \
         remove their data. Nothing was removed. Restore the catalog from a backup; to give the \
         data up, move `topics` and `journal` away",
        .0.display()
    )]
    CatalogLost(std::path::PathBuf),
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
    /// A shard did not begin to accept.
    #[error("shard {shard} does not accept connections: {source}")]
    Accept {
        /// Which.
        shard: usize,
        /// Why.
        source: CallError,
    },
    /// A shard did not do what the stop asked of it.
    #[error("stopping shard {shard}: {source}")]
    Stop {
        /// Which.
        shard: usize,
        /// Why.
        source: CallError,
    },
    /// More than one thing is wrong.
    #[error("{} things are wrong:{}", .0.len(), listed(.0))]
    Several(Vec<ServeError>),
    /// Not everything is at rest: the next start recovers.
    #[error("the stop was not clean: {0}. Nothing acknowledged is lost; the next start recovers")]
    NotClean(String),
}

impl ServeError {
    /// All of `errors`, of which there is at least one.
    fn several(mut errors: Vec<ServeError>) -> ServeError {
        match errors.pop() {
            Some(only) if errors.is_empty() => only,
            last => ServeError::Several(errors.into_iter().chain(last).collect()),
        }
    }
}

fn listed(errors: &[ServeError]) -> String {
    errors.iter().map(|error| format!("\n- {error}")).collect()
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

/// How long a killed predecessor's port may stay taken,
const KILLED_PORT_WAIT: Duration = Duration::from_millis(800);
/// and that of one which has ended by itself.
const ENDED_PORT_WAIT: Duration = Duration::from_millis(250);
const PORT_RETRY_INTERVAL: Duration = Duration::from_millis(5);

fn system(what: &'static str) -> impl Fn(io::Error) -> ServeError {
    move |source| ServeError::System { what, source }
}

/// Runs the broker until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`]: it did not start, or what it left needs recovery.
pub fn run(options: ServeOptions) -> Result<(), ServeError> {
    if options.check {
        log_to_stderr();
        return check::check(options.settings);
    }
    let began = Instant::now();
    allocator::give_large_memory_back();
    let signals = Signals::install().map_err(system("signals"))?;
    log_to_stderr();
    let gathered = options.settings.gather();
    warn_of(&gathered);
    let configuration = Configuration::new(&gathered)?;
    let shards = shards(&configuration)?;
    ports::check(&configuration, shards)?;
    preflight(&configuration, shards, true)?;
    let lock = DataDirLock::acquire(&configuration.data_dir)?;
    check_free(&configuration, shards, port_wait(&configuration)?)?;
    let (ask, questions) = questions(shards);
    let status = Arc::new(Status::new(shards, began));
    let bound = configuration.http_listen.as_ref().map(http::bind).transpose()?;
    let watching = Watching { status: status.clone(), questions, url: OnceLock::new() };
    let spin = configuration.spin;
    let launch = Launch::new(configuration, shards, began, signals, watching);
    // Open from here to the end: who asks is told that it recovers, serves, or stops.
    let _http = bound.map(|bound| open_http(bound, &launch, ask)).transpose()?;
    let config = ShardsConfig { shards, spin, lock: Some(Arc::new(lock)) };
    let running = Shards::start(&config, move |runtime| launch::shard(runtime, launch.clone()))?;
    let ends: Vec<Result<(), ServeError>> =
        running.join().into_iter().map(|end| end.map_err(ServeError::from)?).collect();
    // Shard 0 leads: what it says is the cause of what the others say.
    ends.into_iter().collect()
}

fn warn_of(gathered: &Gathered) {
    for warning in &gathered.warnings {
        tracing::warn!("{warning}");
    }
}

fn open_http(
    bound: http::Bound,
    launch: &Launch,
    ask: Vec<flume::Sender<Question>>,
) -> Result<HttpPort, ServeError> {
    let scraper = Scraper::new(launch.sources(ask));
    let port = HttpPort::start(bound.listener, launch.watching().status.clone(), scraper)
        .map_err(system("the HTTP port"))?;
    if let Some(taken) = bound.instead_of {
        tracing::warn!(
            url = port.url(),
            "{taken} is taken: metrics and health are at another port; --http-listen chooses one"
        );
    }
    // Nobody else sets it.
    let _ = launch.watching().url.set(port.url());
    Ok(port)
}

fn shards(configuration: &Configuration) -> Result<usize, ServeError> {
    let cores = crate::runtime::usable_cores().map_err(system("usable cores"))?;
    Ok(configuration.shards.map_or(cores.len(), usize::from))
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("CORELANE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        // What can't be logged is lost: to say so on the same stderr would be a panic.
        .log_internal_errors(false)
        .with_writer(io::stderr);
    // Fails only if there is one already, as in tests.
    let _ = subscriber.try_init();
}

/// How long a predecessor on the same directory, which is locked, may still hold a port: none where
/// there was no predecessor.
fn port_wait(configuration: &Configuration) -> Result<Duration, ServeError> {
    Ok(match manifest::look(&configuration.data_dir)? {
        None => Duration::ZERO,
        Some(fields) if fields.stopped_cleanly => ENDED_PORT_WAIT,
        Some(_) => KILLED_PORT_WAIT,
    })
}

/// Fails early if a port is taken; it is bound for good when there is something to serve.
///
/// A broker that was killed may hold its port for a moment longer: the kernel tears its rings down
/// behind its end. So a taken port is asked again, for at most `wait`.
fn check_free(
    configuration: &Configuration,
    shards: usize,
    wait: Duration,
) -> Result<(), ServeError> {
    let deadline = Instant::now() + wait;
    let addresses = configuration.listeners.iter().flat_map(|listener| &listener.addresses);
    let chosen = addresses.filter(|address| address.port() != 0);
    let per_listener = ports::per_listener(configuration, shards);
    for address in chosen.flat_map(|first| ports::of_shards(*first, per_listener)) {
        loop {
            match crate::runtime::bind(address) {
                Ok(_) => break,
                Err(source) => {
                    let in_use = source.kind() == io::ErrorKind::AddrInUse;
                    if !in_use || Instant::now() >= deadline {
                        return Err(ServeError::Listen { address, source });
                    }
                    std::thread::sleep(PORT_RETRY_INTERVAL);
                }
            }
        }
    }
    Ok(())
}

/// Raises the limits that may be raised; says what is wrong with the machine, and what to do.
/// Ports are not looked at here: [`check_free`] does, and waits for those of a killed broker.
fn preflight(
    configuration: &Configuration,
    shards: usize,
    make_data_dir: bool,
) -> Result<(), ServeError> {
    let findings = corelane_tuning::preflight(&Plan {
        data_dir: configuration.data_dir.clone(),
        make_data_dir,
        shards,
        ports: Vec::new(),
        cache_bytes: configuration.cache_bytes,
    });
    let of = |severity| findings.iter().filter(move |found| found.severity == severity);
    let slow: Vec<&str> = of(Severity::Slows).map(|found| found.what.as_str()).collect();
    if !slow.is_empty() {
        let slow = slow.join("; ");
        tracing::warn!("not as fast or safe as it could be: {slow} (see `corelane tune check`)");
    }
    let fatal: Vec<_> = of(Severity::PreventsStart).collect();
    if fatal.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = fatal.iter().map(|found| format!("- {found}")).collect();
    Err(ServeError::Host(lines.join("\n")))
}
