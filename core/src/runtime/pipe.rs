//! Pipes through which file pages go to sockets, a bounded number of them a shard.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;

use glommio::sync::{Semaphore, StaticPermit};

/// Pipes of one shard in use at once. Who waits for room in a socket keeps one for a moment only.
const PIPES_MAX: usize = 32;

/// Bytes that a pipe should hold: what the kernel allows everybody (`fs.pipe-max-size`).
pub(super) const PIPE_BYTES: usize = 1 << 20;

/// An empty pipe, or one that its user has filled.
struct Pipe {
    read: OwnedFd,
    write: Arc<OwnedFd>,
}

/// The pipes of one shard.
pub(super) struct PipePool {
    permits: Rc<Semaphore>,
    free: RefCell<Vec<Pipe>>,
}

/// A pipe in use. It is closed when dropped, with whatever is in it.
pub(super) struct PooledPipe {
    pool: Rc<PipePool>,
    pipe: Pipe,
    _permit: StaticPermit,
}

impl PipePool {
    pub(super) fn new() -> Rc<PipePool> {
        let permits = Rc::new(Semaphore::new(PIPES_MAX as u64));
        Rc::new(PipePool { permits, free: RefCell::default() })
    }

    /// An empty pipe; waits, in turn, while all are in use.
    pub(super) async fn take(self: &Rc<Self>) -> io::Result<PooledPipe> {
        let permit = self.permits.acquire_static_permit(1).await.map_err(io::Error::from)?;
        let free = self.free.borrow_mut().pop();
        let pipe = free.map_or_else(Pipe::open, Ok)?;
        Ok(PooledPipe { pool: Rc::clone(self), pipe, _permit: permit })
    }
}

impl PooledPipe {
    /// Its reading end.
    pub(super) fn read_fd(&self) -> RawFd {
        self.pipe.read.as_raw_fd()
    }

    /// Its writing end.
    pub(super) fn write_end(&self) -> &Arc<OwnedFd> {
        &self.pipe.write
    }

    /// For others to use. It must be empty, and nothing on its way into it.
    pub(super) fn give_back(self) {
        let PooledPipe { pool, pipe, _permit } = self;
        pool.free.borrow_mut().push(pipe);
    }
}

impl Pipe {
    fn open() -> io::Result<Pipe> {
        let mut ends = [-1; 2];
        // SAFETY: the kernel writes two descriptors into `ends`.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both are open, and nobody else has them.
        let [read, write] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        // Who has many pipes already (`fs.pipe-user-pages-soft`) is refused, and goes on with
        // smaller ones.
        // SAFETY: the descriptor is open; the call touches no memory.
        unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES as libc::c_int) };
        Ok(Pipe { read, write: Arc::new(write) })
    }
}
