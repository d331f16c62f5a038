//! What storage needs from the world: files, clocks and tasks.
//!
//! The broker implements it once over io_uring; the tests implement it over a simulated disk and
//! clock that tear, lose and refuse writes from one seed. Nothing else in this crate does I/O.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::buffer::{AlignedBuf, AlignedSlice};

/// Positions, lengths and memory of direct I/O are multiples of this. Every on-disk structure is
/// laid out in blocks of this size, whatever the device's own (smaller) logical block.
pub const BLOCK_BYTES: usize = 4096;

/// `pos` rounded down to a block boundary.
pub const fn block_floor(pos: u64) -> u64 {
    pos & !(BLOCK_BYTES as u64 - 1)
}

/// `pos` rounded up to a block boundary.
pub const fn block_ceil(pos: u64) -> u64 {
    block_floor(pos + BLOCK_BYTES as u64 - 1)
}

/// A failed disk operation: what was tried, where, and the system's reason.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {path} at byte {position}: {source}")]
pub struct DiskError {
    /// The operation, as a verb: "write", "read", "sync", "open" ...
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// Byte position in the file; 0 where it has no meaning.
    pub position: u64,
    /// The cause, with its errno.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// Names the operation that failed with `source`.
    pub fn new(operation: &'static str, path: &Path, position: u64, source: io::Error) -> Self {
        DiskError { operation, path: path.to_owned(), position, source }
    }

    /// True if the disk (or the quota) is full: worth trying again once space is freed.
    pub fn is_no_space(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// True if the process or the system has no file descriptor left.
    pub fn is_out_of_descriptors(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
    }

    /// True if the file or directory does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Existing file, reads only.
    Read,
    /// Existing file, reads and writes.
    ReadWrite,
    /// Reads and writes; created empty where missing. The directory entry is durable only after
    /// [`Runtime::sync_dir`] on the parent.
    Create,
}

/// An open file for direct I/O. Clones share the descriptor, which closes with the last of them.
/// `Send`, so that a lease may cross to the shard that owns the connection and be read there.
///
/// A future that is dropped does not cancel its operation: buffers live until the disk is done.
#[allow(clippy::len_without_is_empty, reason = "a file's length costs a system call")]
pub trait File: Clone + Send + Sync + fmt::Debug + 'static {
    /// Writes all of `data` (block-aligned position and length) or fails. Completion means that a
    /// kill of this process can't lose it; a power loss can, until [`File::sync_data`].
    fn write_at(
        &self,
        position: u64,
        data: AlignedSlice,
    ) -> impl Future<Output = Result<(), DiskError>>;

    /// Reads `len_bytes` (block-aligned, as `position`); shorter only at the end of the file.
    fn read_at(
        &self,
        position: u64,
        len_bytes: usize,
    ) -> impl Future<Output = Result<AlignedBuf, DiskError>>;

    /// fdatasync: everything whose write completed before this call survives a power loss.
    fn sync_data(&self) -> impl Future<Output = Result<(), DiskError>>;

    /// Reserves blocks for `[position, position + len_bytes)`, extending the size; new bytes read as zeros.
    fn allocate(
        &self,
        position: u64,
        len_bytes: u64,
    ) -> impl Future<Output = Result<(), DiskError>>;

    /// Cuts (or extends with zeros) to exactly `len_bytes`.
    fn truncate(&self, len_bytes: u64) -> impl Future<Output = Result<(), DiskError>>;

    /// Size in bytes.
    fn len(&self) -> impl Future<Output = Result<u64, DiskError>>;

    /// Where it was opened.
    fn path(&self) -> &Path;
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// File name, without its directory.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
    /// Size in bytes; 0 for a directory.
    pub len_bytes: u64,
    /// Wall clock of its last change, milliseconds since 1970.
    pub modified_ms: i64,
}

/// Files, clocks and tasks of one shard. Clones are handles to the same shard.
pub trait Runtime: Clone + 'static {
    /// Its files.
    type File: File;

    /// Wall clock, milliseconds since 1970; may jump.
    fn now_ms(&self) -> i64;

    /// Monotonic time since an arbitrary start.
    fn monotonic(&self) -> Duration;

    /// Resolves after `duration`.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static;

    /// Ends a turn of long work, of some 100 us: others of this shard run first, those of them who work long
    /// in their order.
    fn yield_now(&self) -> impl Future<Output = ()> + 'static;

    /// Runs `task` on this shard until it ends; never before this call returns.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);

    /// Opens a file for direct I/O.
    fn open(
        &self,
        path: &Path,
        mode: OpenMode,
    ) -> impl Future<Output = Result<Self::File, DiskError>>;

    /// Names in `path`, sorted; empty if the directory does not exist.
    fn list(&self, path: &Path) -> impl Future<Output = Result<Vec<DirEntry>, DiskError>>;

    /// Creates `path` and its parents and makes their entries durable.
    fn create_dir_all(&self, path: &Path) -> impl Future<Output = Result<(), DiskError>>;

    /// Removes a file; a missing one is no error.
    fn remove_file(&self, path: &Path) -> impl Future<Output = Result<(), DiskError>>;

    /// Removes a directory and all in it; a missing one is no error.
    fn remove_dir_all(&self, path: &Path) -> impl Future<Output = Result<(), DiskError>>;

    /// Makes the entries of directory `path` (created, removed) durable.
    fn sync_dir(&self, path: &Path) -> impl Future<Output = Result<(), DiskError>>;
}
