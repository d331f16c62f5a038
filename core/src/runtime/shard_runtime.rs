//! The handle to one shard.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use corelane_storage::runtime::{DirEntry, DiskError, OpenMode, Runtime};

use super::blocking::BlockingPool;
use super::directory;
use super::disk_file::DiskFile;
use super::pipe::PipePool;
use super::reactor::Reactor;
use super::ring::Ring;
pub use super::ring::RingCounters;
use super::task::ShardTask;
use super::wakes::Wakes;

thread_local! {
    static CURRENT: RefCell<Option<ShardRuntime>> = const { RefCell::new(None) };
}

struct Shard {
    index: usize,
    shards: usize,
    started: Instant,
    reactor: Rc<Reactor>,
    pipes: Rc<PipePool>,
    blocking: BlockingPool,
}

/// One shard's executor, ring and clock. Clones are handles to the same shard and stay on
/// its thread.
#[derive(Clone)]
pub struct ShardRuntime {
    shard: Rc<Shard>,
}

impl ShardRuntime {
    /// Sets up what a shard has beside its executor, on the executor's thread.
    pub(super) fn start(
        index: usize,
        shards: usize,
        started: Instant,
        spin: Duration,
        blocking: BlockingPool,
        locks: &[RawFd],
    ) -> io::Result<Self> {
        let wakes = Wakes::start()?;
        let reactor = Reactor::start(Ring::start(locks)?, wakes, spin)?;
        queue(Rc::clone(&reactor).run())?;
        let runtime = ShardRuntime {
            shard: Rc::new(Shard {
                index,
                shards,
                started,
                reactor,
                pipes: PipePool::new(),
                blocking,
            }),
        };
        CURRENT.set(Some(runtime.clone()));
        Ok(runtime)
    }

    /// The shard whose thread this is.
    ///
    /// # Errors
    /// On a thread that is no shard.
    pub fn current() -> io::Result<Self> {
        CURRENT
            .with_borrow(Clone::clone)
            .ok_or_else(|| io::Error::other("not on the thread of a shard"))
    }

    /// Number of this shard, from 0.
    pub fn index(&self) -> usize {
        self.shard.index
    }

    /// How many shards were started.
    pub fn shards(&self) -> usize {
        self.shard.shards
    }

    /// What the ring has done so far.
    pub fn ring_counters(&self) -> RingCounters {
        self.shard.reactor.ring.counters()
    }

    /// Time in which this shard was not asleep.
    pub fn busy(&self) -> Duration {
        self.shard.reactor.busy()
    }

    /// As [`Runtime::sleep`], to a point of monotonic time: without a look at the clock.
    pub fn sleep_until(&self, deadline: Duration) -> impl Future<Output = ()> + 'static {
        self.shard.reactor.timers.sleep_until(self.shard.started, deadline)
    }

    /// Runs `work`, which may block, on a thread of its own kind; a panic in it is an error.
    pub async fn blocking_io<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.shard.blocking.run(work).await
    }

    pub(super) fn ring(&self) -> &Rc<Ring> {
        &self.shard.reactor.ring
    }

    pub(super) fn pipes(&self) -> &Rc<PipePool> {
        &self.shard.pipes
    }

    /// `future` as a task of this shard: woken from anywhere, its panic an error.
    pub(super) fn task<F: Future>(&self, future: F) -> ShardTask<F> {
        ShardTask::new(future, Rc::clone(&self.shard.reactor.wakes))
    }

    pub(super) fn blocking(&self) -> &BlockingPool {
        &self.shard.blocking
    }

    /// Has the executor come to an end: no task is polled any more.
    pub(super) fn end(&self) {
        self.shard.reactor.wakes.end();
    }

    /// Ends the ring, after the executor; see [`Ring::close`].
    pub(super) fn close_current() {
        if let Some(runtime) = CURRENT.take() {
            runtime.shard.reactor.ring.close();
            Wakes::leave();
        }
    }

    async fn on_path<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: &Path,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DiskError> {
        let owned = path.to_owned();
        let result = self.shard.blocking.run(move || work(&owned)).await;
        result.map_err(|cause| DiskError::new(operation, path, 0, cause))
    }
}

impl Runtime for ShardRuntime {
    type File = DiskFile;

    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.shard.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        self.shard.reactor.timers.sleep(duration)
    }

    fn yield_now(&self) -> impl Future<Output = ()> + 'static {
        self.shard.reactor.long_work.next_turn()
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let task = self.task(task);
        let caught = async move {
            if let Err(panic) = task.await {
                tracing::error!(panic, "a task has panicked; the shard goes on");
            }
        };
        self.shard.reactor.wakes.spawned();
        if let Err(error) = queue(caught) {
            tracing::error!(%error, "a task was not started");
        }
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> Result<DiskFile, DiskError> {
        let fd: OwnedFd =
            self.on_path("open", path, move |path| directory::open(path, mode)).await?;
        Ok(DiskFile::new(fd, path))
    }

    async fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.on_path("list", path, directory::list).await
    }

    async fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.on_path("create directory", path, directory::create_dir_all).await
    }

    async fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.on_path("remove", path, directory::remove_file).await
    }

    async fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.on_path("remove directory", path, directory::remove_dir_all).await
    }

    async fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.on_path("sync directory", path, directory::sync_dir).await
    }
}

/// Puts a task into the executor's queue. `spawn_local` would run it at once, inside the caller and
/// its borrows.
fn queue(task: impl Future<Output = ()> + 'static) -> io::Result<()> {
    let queue = glommio::TaskQueueHandle::default();
    glommio::spawn_local_into(task, queue).map_err(io::Error::from)?.detach();
    Ok(())
}
