//! N executor threads, pinned, started together or not at all.

use std::future::Future;
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use glommio::LocalExecutorBuilder;

use super::blocking::BlockingPool;
use super::data_dir_lock::DataDirLock;
use super::shard_runtime::ShardRuntime;
use super::task::panic_message;

/// Threads for blocking metadata operations, shared by all shards.
const BLOCKING_THREADS: usize = 4;

/// Registered memory of the executor's own files, which are not used: its minimum.
const EXECUTOR_IO_BYTES: usize = 64 << 10;

/// Entries of each of the executor's rings, which stay empty.
const EXECUTOR_RING_ENTRIES: usize = 16;

/// Never: the executor may sleep on runnable tasks if its timer ends at the wrong moment, and what it is
/// for, that sockets and timers have their turn, is the [`super::reactor`]'s.
const PREEMPT_INTERVAL: Duration = Duration::from_secs(365 * 86_400);

/// Why shards did not start, or how one ended.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// A thread, an executor or a ring could not be set up.
    #[error("shard {shard} does not start: {source}")]
    Start {
        /// Number of the shard.
        shard: usize,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The shard's main future panicked, or the executor itself.
    #[error("shard {shard} panicked: {message}")]
    Panicked {
        /// Number of the shard.
        shard: usize,
        /// What the panic said.
        message: String,
    },
}

/// How to start shards.
#[derive(Debug, Clone, Default)]
pub struct ShardsConfig {
    /// How many; may exceed the cores, then none is pinned. 0 counts as 1.
    pub shards: usize,
    /// How long an executor without work looks for some before it sleeps.
    pub spin: Duration,
    /// The data directory's lock, which every shard's disk ring keeps alive until its last write
    /// has ended.
    pub lock: Option<Arc<DataDirLock>>,
}

/// The cores that this process may use (sched_getaffinity(2)), ascending.
pub fn usable_cores() -> io::Result<Vec<usize>> {
    // SAFETY: a `cpu_set_t` is a plain bit set, for which zeros are valid.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most the size that it is told.
    if unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &mut set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let cores = 0..libc::CPU_SETSIZE as usize;
    // SAFETY: every index is below CPU_SETSIZE.
    Ok(cores.filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect())
}

fn pin_to(core: usize) -> io::Result<()> {
    // SAFETY: as in `usable_cores`; `core` came from there, below CPU_SETSIZE.
    let set = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(core, &mut set);
        set
    };
    // SAFETY: the kernel reads the set, whose size it is told.
    if unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The core of each shard: one each while they suffice, none where they do not.
fn placement(shards: usize, cores: &[usize]) -> Vec<Option<usize>> {
    (0..shards).map(|shard| if shards <= cores.len() { Some(cores[shard]) } else { None }).collect()
}

/// Running shards, each of which ends with a `T`.
pub struct Shards<T> {
    threads: Vec<thread::JoinHandle<Result<T, ShardError>>>,
}

impl<T: Send + 'static> Shards<T> {
    /// Starts the shards; `main` is run on each, once all their executors and rings are up. A
    /// shard ends when its `main` does: tasks that it spawned and that still run are then
    /// abandoned, disk operations under way are waited for.
    ///
    /// # Errors
    /// [`ShardError::Start`] of the first shard that failed; then `main` was run on none.
    pub fn start<F, M>(config: &ShardsConfig, main: F) -> Result<Self, ShardError>
    where
        F: Fn(ShardRuntime) -> M + Clone + Send + 'static,
        M: Future<Output = T> + 'static,
    {
        let failed = |source| ShardError::Start { shard: 0, source };
        let shards = config.shards.max(1);
        let cores = placement(shards, &usable_cores().map_err(failed)?);
        let blocking = BlockingPool::start(BLOCKING_THREADS).map_err(failed)?;
        let started = Instant::now();
        let (ready, readiness) = flume::bounded(shards);
        let mut threads = Vec::with_capacity(shards);
        let mut gates = Vec::with_capacity(shards);
        for (shard, core) in cores.into_iter().enumerate() {
            let (gate, opened) = flume::bounded::<()>(1);
            gates.push(gate);
            let (spin, lock) = (config.spin, config.lock.clone());
            let seat = Seat { shard, shards, core, started, spin, lock };
            let (main, blocking, ready) = (main.clone(), blocking.clone(), ready.clone());
            let body = move || seat.run(blocking, ready, opened, main);
            let builder = thread::Builder::new().name(format!("shard-{shard}"));
            threads
                .push(builder.spawn(body).map_err(|source| ShardError::Start { shard, source })?);
        }
        drop(ready);
        let shards = Shards { threads };
        if readiness.iter().take(gates.len()).filter(|ready| *ready).count() < gates.len() {
            drop(gates);
            return Err(shards.first_failure());
        }
        for gate in gates {
            let _ = gate.send(());
        }
        Ok(shards)
    }

    /// Waits until every shard has ended; the results in the order of the shards.
    pub fn join(self) -> Vec<Result<T, ShardError>> {
        let joined = self.threads.into_iter().enumerate().map(|(shard, thread)| {
            thread.join().unwrap_or_else(|panic| {
                Err(ShardError::Panicked { shard, message: panic_message(&*panic) })
            })
        });
        joined.collect()
    }

    fn first_failure(self) -> ShardError {
        let not_opened = |shard| ShardError::Start {
            shard,
            source: io::Error::other("another shard did not start"),
        };
        let mut failures = self.join().into_iter().filter_map(Result::err);
        let first = failures.find(|failure| !is_bystander(failure));
        first.unwrap_or_else(|| not_opened(0))
    }
}

fn is_bystander(failure: &ShardError) -> bool {
    matches!(failure, ShardError::Start { source, .. }
        if source.kind() == io::ErrorKind::Interrupted)
}

/// What one shard's thread needs to know of itself.
struct Seat {
    shard: usize,
    shards: usize,
    core: Option<usize>,
    started: Instant,
    spin: Duration,
    lock: Option<Arc<DataDirLock>>,
}

impl Seat {
    fn run<T, F, M>(
        self,
        blocking: BlockingPool,
        ready: flume::Sender<bool>,
        opened: flume::Receiver<()>,
        main: F,
    ) -> Result<T, ShardError>
    where
        F: Fn(ShardRuntime) -> M,
        M: Future<Output = T>,
    {
        let shard = self.shard;
        let locks: Vec<RawFd> = self.lock.iter().map(|lock| lock.raw_fd()).collect();
        let body = || {
            if let Some(core) = self.core {
                pin_to(core)?;
            }
            let executor = LocalExecutorBuilder::default()
                .io_memory(EXECUTOR_IO_BYTES)
                .ring_depth(EXECUTOR_RING_ENTRIES)
                .preempt_timer(PREEMPT_INTERVAL)
                .make()
                .map_err(io::Error::from)?;
            let result = executor.run(async {
                let runtime = ShardRuntime::start(
                    shard,
                    self.shards,
                    self.started,
                    self.spin,
                    blocking,
                    &locks,
                )?;
                let _ = ready.send(true);
                drop(ready);
                let shard = runtime.clone();
                let whole = async move {
                    opened.recv_async().await.ok()?;
                    Some(main(runtime).await)
                };
                let ended = shard.task(whole).await;
                shard.end();
                match ended {
                    Ok(Some(value)) => Ok(Ok(value)),
                    Ok(None) => Err(io::Error::from(io::ErrorKind::Interrupted)),
                    Err(message) => Ok(Err(message)),
                }
            });
            ShardRuntime::close_current();
            result
        };
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(message))) => Err(ShardError::Panicked { shard, message }),
            Ok(Err(source)) => Err(ShardError::Start { shard, source }),
            Err(panic) => Err(ShardError::Panicked { shard, message: panic_message(&*panic) }),
        }
    }
}
