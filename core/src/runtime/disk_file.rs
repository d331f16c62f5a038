//! Files over the ring of whichever shard calls.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use corelane_storage::buffer::{AlignedBuf, AlignedSlice};
use corelane_storage::runtime::{BLOCK_BYTES, DiskError, File};

use super::operation::Work;
use super::send_file::{self, SendableFile};
use super::shard_runtime::ShardRuntime;

/// An open file. Clones share the descriptor, which closes with the last of them and of the
/// operations under way. May be used on any shard; elsewhere its operations fail.
#[derive(Clone)]
pub struct DiskFile {
    fd: Arc<OwnedFd>,
    /// Opened when it is first sent.
    sendable: Arc<OnceLock<SendableFile>>,
    path: Arc<PathBuf>,
}

impl DiskFile {
    pub(super) fn new(fd: OwnedFd, path: &Path) -> Self {
        let path = Arc::new(path.to_owned());
        DiskFile { fd: Arc::new(fd), sendable: Arc::default(), path }
    }

    /// The same file, to be sent as it is. Its name must not have passed to another.
    ///
    /// Only for files that nothing is written to any more: pages that are cached while a direct
    /// write is on its way hold that write up.
    ///
    /// # Errors
    /// [`DiskError`], also for want of a descriptor.
    pub async fn sendable(&self) -> Result<SendableFile, DiskError> {
        if let Some(file) = self.sendable.get() {
            return Ok(file.clone());
        }
        let failed = |cause| DiskError::new("open", &self.path, 0, cause);
        let shard = ShardRuntime::current().map_err(failed)?;
        let path = Arc::clone(&self.path);
        let opened = shard.blocking().run(move || send_file::open(&path)).await.map_err(failed)?;
        Ok(self.sendable.get_or_init(|| opened).clone())
    }

    async fn run(
        &self,
        operation: &'static str,
        position: u64,
        work: Work,
    ) -> Result<Work, DiskError> {
        let failed = |cause| DiskError::new(operation, &self.path, position, cause);
        let shard = ShardRuntime::current().map_err(failed)?;
        let answer = shard.ring().begin(work, Arc::clone(&self.fd)).map_err(failed)?;
        let (work, result) = answer.await;
        let reached = position + work.done_bytes() as u64;
        result.map_err(|cause| DiskError::new(operation, &self.path, reached, cause))?;
        Ok(work)
    }

    fn check_aligned(
        &self,
        operation: &'static str,
        position: u64,
        numbers: &[usize],
    ) -> Result<(), DiskError> {
        let aligned = |number: &usize| number.is_multiple_of(BLOCK_BYTES);
        let fits = i64::try_from(position).is_ok();
        if fits && position.is_multiple_of(BLOCK_BYTES as u64) && numbers.iter().all(aligned) {
            return Ok(());
        }
        let cause = io::Error::new(
            io::ErrorKind::InvalidInput,
            "position, length and memory must be multiples of the block size",
        );
        Err(DiskError::new(operation, &self.path, position, cause))
    }
}

impl File for DiskFile {
    async fn write_at(&self, position: u64, data: AlignedSlice) -> Result<(), DiskError> {
        self.check_aligned("write", position, &[data.len(), data.as_ptr() as usize])?;
        if data.is_empty() {
            return Ok(());
        }
        self.run("write", position, Work::Write { data, position, done: 0 }).await?;
        Ok(())
    }

    async fn read_at(&self, position: u64, len_bytes: usize) -> Result<AlignedBuf, DiskError> {
        self.check_aligned("read", position, &[len_bytes])?;
        let buf = AlignedBuf::with_capacity(len_bytes);
        if len_bytes == 0 {
            return Ok(buf);
        }
        let work = Work::Read { buf, position, len: len_bytes, done: 0, reached: 0 };
        match self.run("read", position, work).await? {
            Work::Read { buf, .. } => Ok(buf),
            _ => unreachable!("an answer carries the work that was asked"),
        }
    }

    async fn sync_data(&self) -> Result<(), DiskError> {
        self.run("sync", 0, Work::SyncData).await?;
        Ok(())
    }

    async fn allocate(&self, position: u64, len_bytes: u64) -> Result<(), DiskError> {
        if len_bytes == 0 {
            return Ok(());
        }
        self.run("allocate", position, Work::Allocate { position, len: len_bytes }).await?;
        Ok(())
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), DiskError> {
        let failed = |cause| DiskError::new("truncate", &self.path, len_bytes, cause);
        let shard = ShardRuntime::current().map_err(failed)?;
        if shard.ring().has_truncate() {
            self.run("truncate", len_bytes, Work::Truncate { len: len_bytes }).await?;
            return Ok(());
        }
        let fd = Arc::clone(&self.fd);
        shard.blocking().run(move || truncate(&fd, len_bytes)).await.map_err(failed)
    }

    async fn len(&self) -> Result<u64, DiskError> {
        size(&self.fd).map_err(|cause| DiskError::new("stat", &self.path, 0, cause))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for DiskFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskFile({}, fd {})", self.path.display(), self.fd.as_raw_fd())
    }
}

fn truncate(fd: &OwnedFd, len_bytes: u64) -> io::Result<()> {
    std::fs::File::from(fd.try_clone()?).set_len(len_bytes)
}

/// fstat of an open file: no I/O, so it need not leave the shard.
fn size(fd: &OwnedFd) -> io::Result<u64> {
    // SAFETY: `stat` is plain data, for which zeros are valid; the kernel fills it.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and `stat` outlives the call.
    if unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(stat.st_size as u64)
}
