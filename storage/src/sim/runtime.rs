//! [`Runtime`] and [`File`] over the simulated world.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::content::Change;
use super::disk::Disk;
use super::executor::{Executor, Sleep};
use super::namespace::{Errno, Inode};
use super::operation::{Operation, Outcome};
use crate::buffer::{AlignedBuf, AlignedSlice};
use crate::runtime::{BLOCK_BYTES, DirEntry, DiskError, File, OpenMode, Runtime};

/// One process in the simulated world; all its shards share it.
#[derive(Clone)]
pub(crate) struct SimRuntime {
    executor: Rc<Executor>,
    disk: Rc<Disk>,
    process: u64,
    world: u64,
}

type World = (Weak<Executor>, Weak<Disk>);

thread_local! {
    /// Worlds of this thread by number, so that a file, which must be `Send`, needs no `Rc`.
    static WORLDS: RefCell<BTreeMap<u64, World>> = RefCell::default();
}

impl SimRuntime {
    pub(super) fn new(executor: Rc<Executor>, disk: Rc<Disk>) -> Self {
        let world = WORLDS.with_borrow_mut(|worlds| {
            worlds.retain(|_, (_, disk)| disk.strong_count() > 0);
            let number = worlds.last_key_value().map_or(0, |(number, _)| number + 1);
            worlds.insert(number, (Rc::downgrade(&executor), Rc::downgrade(&disk)));
            number
        });
        SimRuntime { process: executor.process(), executor, disk, world }
    }

    /// Runs `operation` on `path`.
    async fn run(
        &self,
        verb: &'static str,
        path: &Path,
        operation: Operation,
    ) -> Result<Outcome, DiskError> {
        assert_eq!(self.process, self.executor.process(), "{verb} by a crashed process");
        let result = self.disk.submit(operation).await;
        result.map_err(|errno| error(verb, path, 0, errno))
    }
}

fn error(verb: &'static str, path: &Path, position: u64, errno: Errno) -> DiskError {
    DiskError::new(verb, path, position, io::Error::from_raw_os_error(errno))
}

impl Runtime for SimRuntime {
    type File = SimFile;

    fn now_ms(&self) -> i64 {
        self.executor.wall_ms()
    }

    fn monotonic(&self) -> Duration {
        self.executor.now()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        Sleep::new(self.executor.clone(), duration)
    }

    fn yield_now(&self) -> impl Future<Output = ()> + 'static {
        let mut yielded = false;
        poll_fn(move |cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.executor.spawn(task);
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> Result<SimFile, DiskError> {
        let operation = Operation::Open { path: path.to_owned(), create: mode == OpenMode::Create };
        let Outcome::Opened(inode) = self.run("open", path, operation).await? else {
            unreachable!("an open opens");
        };
        let writable = mode != OpenMode::Read;
        Ok(SimFile { world: self.world, process: self.process, inode, writable, path: path.into() })
    }

    async fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
        let operation = Operation::List { path: path.to_owned() };
        let Outcome::Names(names) = self.run("list", path, operation).await? else {
            unreachable!("a list gives names");
        };
        Ok(names)
    }

    async fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        let operation = Operation::CreateDirAll { path: path.to_owned() };
        self.run("create directory", path, operation).await.map(|_| ())
    }

    async fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        let operation = Operation::RemoveFile { path: path.to_owned() };
        self.run("remove", path, operation).await.map(|_| ())
    }

    async fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        let operation = Operation::RemoveDirAll { path: path.to_owned() };
        self.run("remove directory", path, operation).await.map(|_| ())
    }

    async fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        let operation = Operation::SyncDir { path: path.to_owned(), mark: self.disk.completed() };
        self.run("sync directory", path, operation).await.map(|_| ())
    }
}

/// An open file of the simulated disk.
#[derive(Clone)]
pub(crate) struct SimFile {
    world: u64,
    process: u64,
    inode: Inode,
    writable: bool,
    path: Arc<Path>,
}

impl SimFile {
    fn disk(&self) -> Rc<Disk> {
        let (executor, disk) = WORLDS.with_borrow(|worlds| {
            let (executor, disk) = worlds.get(&self.world).expect("a world of this thread");
            (executor.upgrade(), disk.upgrade())
        });
        let process = executor.expect("the world still stands").process();
        assert_eq!(self.process, process, "{} used by a crashed process", self.path.display());
        disk.expect("the world still stands")
    }

    async fn run(
        &self,
        verb: &'static str,
        position: u64,
        operation: impl FnOnce(&Disk) -> Operation,
    ) -> Result<Outcome, DiskError> {
        let disk = self.disk();
        let result = disk.submit(operation(&disk)).await;
        result.map_err(|errno| error(verb, &self.path, position, errno))
    }

    async fn change(
        &self,
        verb: &'static str,
        position: u64,
        change: Change,
    ) -> Result<(), DiskError> {
        assert!(self.writable, "{verb} {}, opened for reading", self.path.display());
        self.run(verb, position, |_| Operation::Change { inode: self.inode, change }).await?;
        Ok(())
    }

    fn assert_aligned(&self, position: u64, len: usize) {
        let block = BLOCK_BYTES as u64;
        let aligned = position.is_multiple_of(block) && len.is_multiple_of(BLOCK_BYTES);
        assert!(aligned && len > 0, "unaligned: {len} at {position} of {}", self.path.display());
    }
}

impl File for SimFile {
    async fn write_at(&self, position: u64, data: AlignedSlice) -> Result<(), DiskError> {
        self.assert_aligned(position, data.len());
        assert!(data.as_ptr().addr().is_multiple_of(BLOCK_BYTES), "unaligned memory");
        self.change("write", position, Change::Write { position, data, sectors: None }).await
    }

    async fn read_at(&self, position: u64, len_bytes: usize) -> Result<AlignedBuf, DiskError> {
        self.assert_aligned(position, len_bytes);
        let read = |_: &Disk| Operation::Read { inode: self.inode, position, len: len_bytes };
        let Outcome::Bytes(bytes) = self.run("read", position, read).await? else {
            unreachable!("a read gives bytes");
        };
        let mut buffer = AlignedBuf::with_capacity(len_bytes);
        buffer.put(&bytes);
        Ok(buffer)
    }

    async fn sync_data(&self) -> Result<(), DiskError> {
        let sync = |disk: &Disk| Operation::Sync { inode: self.inode, mark: disk.completed() };
        self.run("sync", 0, sync).await.map(|_| ())
    }

    async fn allocate(&self, position: u64, len_bytes: u64) -> Result<(), DiskError> {
        self.change("allocate", position, Change::Extend(position + len_bytes)).await
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), DiskError> {
        self.change("truncate", len_bytes, Change::SetLen(len_bytes)).await
    }

    async fn len(&self) -> Result<u64, DiskError> {
        let len = |_: &Disk| Operation::Len { inode: self.inode };
        let Outcome::Len(len) = self.run("size of", 0, len).await? else {
            unreachable!("a length is a length");
        };
        Ok(len)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimFile({})", self.path.display())
    }
}
