//! Files read with ordinary blocking calls, and never written: a [`Runtime`] for looking at a data
//! directory without a broker. Every future is ready when it is first polled.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::buffer::{AlignedBuf, AlignedSlice};
use crate::runtime::{DirEntry, DiskError, File, OpenMode, Runtime};

/// The file systems of this machine, read-only.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlainDisk;

/// Runs what only reads from a [`PlainDisk`] to its end.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a plain disk never waits"),
    }
}

/// An open file.
#[derive(Clone, Debug)]
pub(crate) struct PlainFile {
    file: Arc<fs::File>,
    path: Arc<PathBuf>,
}

fn refused(operation: &'static str, path: &Path) -> DiskError {
    let cause = io::Error::new(io::ErrorKind::PermissionDenied, "opened for looking only");
    DiskError::new(operation, path, 0, cause)
}

impl File for PlainFile {
    async fn write_at(&self, _: u64, _: AlignedSlice) -> Result<(), DiskError> {
        Err(refused("write", &self.path))
    }

    async fn read_at(&self, position: u64, len_bytes: usize) -> Result<AlignedBuf, DiskError> {
        let failed = |at, cause| DiskError::new("read", &self.path, position + at as u64, cause);
        let mut buf = AlignedBuf::with_capacity(len_bytes);
        let Some(memory) = buf.unshared_mut() else { return Err(refused("read", &self.path)) };
        let mut filled = 0;
        while filled < len_bytes {
            match self.file.read_at(&mut memory[filled..len_bytes], position + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(failed(filled, cause)),
            }
        }
        buf.set_filled(filled);
        Ok(buf)
    }

    async fn sync_data(&self) -> Result<(), DiskError> {
        Err(refused("sync", &self.path))
    }

    async fn allocate(&self, _: u64, _: u64) -> Result<(), DiskError> {
        Err(refused("allocate", &self.path))
    }

    async fn truncate(&self, _: u64) -> Result<(), DiskError> {
        Err(refused("truncate", &self.path))
    }

    async fn len(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata();
        Ok(metadata.map_err(|cause| DiskError::new("stat", &self.path, 0, cause))?.len())
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Runtime for PlainDisk {
    type File = PlainFile;

    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + 'static {
        std::future::ready(())
    }

    fn yield_now(&self) -> impl Future<Output = ()> + 'static {
        std::future::ready(())
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        now(task);
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> Result<PlainFile, DiskError> {
        if mode != OpenMode::Read {
            return Err(refused("open", path));
        }
        let failed = |cause| DiskError::new("open", path, 0, cause);
        // Opening a pipe would block, and a directory is an error at the first read only.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
        }
        let file = fs::File::open(path).map_err(failed)?;
        Ok(PlainFile { file: Arc::new(file), path: Arc::new(path.to_owned()) })
    }

    async fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
        let failed = |cause| DiskError::new("list", path, 0, cause);
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(failed(cause)),
        };
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            listed.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir: metadata.is_dir(),
                len_bytes: if metadata.is_dir() { 0 } else { metadata.len() },
                modified_ms: metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000,
            });
        }
        listed.sort();
        Ok(listed)
    }

    async fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        Err(refused("create", path))
    }

    async fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        Err(refused("remove", path))
    }

    async fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        Err(refused("remove", path))
    }

    async fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        Err(refused("sync", path))
    }
}
