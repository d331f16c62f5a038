//! A range of a file to a socket, page by page and without a copy: file -> pipe -> socket.
//!
//! The first leg may wait for the disk and goes through the ring, whose workers do that. The
//! second never waits: where the socket has no room, its readiness is awaited. So a shard is never
//! held up, and a slow reader costs no worker; nor, for longer than [`STALL_MAX`], a pipe.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use corelane_storage::runtime::Runtime;
use futures_util::future::{Either, select};

use super::operation::Work;
use super::pipe::{PIPE_BYTES, PooledPipe};
use super::ring::writable;
use super::shard_runtime::ShardRuntime;
use super::stream::TcpStream;

/// How long a filled pipe waits for room in its socket. Then it is closed, and what was in it comes from
/// the page cache once more.
pub(super) const STALL_MAX: Duration = Duration::from_millis(100);

/// A file as it is sent: read through the page cache. Clones share the descriptor.
#[derive(Clone, Debug)]
pub struct SendableFile(pub(super) Arc<OwnedFd>);

/// A pipe with the next bytes of a file.
pub(super) struct Filled {
    pipe: PooledPipe,
    /// Where in the file they are.
    position: u64,
    len_bytes: usize,
}

impl TcpStream {
    /// Sends at least one byte of `len_bytes` of `file` from `position` on, and returns how many; what is
    /// left is the caller's to send again, next. `more`: something follows behind all of them.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before; the socket's and the file's own.
    pub async fn send_file(
        &self,
        file: &SendableFile,
        position: u64,
        len_bytes: usize,
        more: bool,
    ) -> io::Result<usize> {
        let shard = ShardRuntime::current()?;
        loop {
            let filled = self.filled().take().filter(|filled| filled.position == position);
            let mut filled = match filled {
                Some(filled) => filled,
                None => fill(&shard, file, position, len_bytes).await?,
            };
            match filled.drain(self, more || filled.len_bytes < len_bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => {
                    self.keep(filled);
                    return Ok(sent);
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => self.keep(filled),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_for_room(&shard, filled).await?;
                }
                Err(cause) => return Err(cause),
            }
        }
    }

    fn keep(&self, filled: Filled) {
        match filled.len_bytes {
            0 => filled.pipe.give_back(),
            _ => *self.filled() = Some(filled),
        }
    }

    async fn wait_for_room(&self, shard: &ShardRuntime, filled: Filled) -> io::Result<()> {
        let room = pin!(writable(shard.ring(), self.descriptor()));
        match select(room, pin!(shard.sleep(STALL_MAX))).await {
            Either::Left((waited, _)) => {
                waited?;
                self.keep(filled);
                Ok(())
            }
            Either::Right(((), room)) => {
                drop(filled);
                room.await
            }
        }
    }
}

/// The first leg. Whatever happens meanwhile, the operation keeps both ends that it uses.
async fn fill(
    shard: &ShardRuntime,
    file: &SendableFile,
    position: u64,
    len_bytes: usize,
) -> io::Result<Filled> {
    let pipe = shard.pipes().take().await?;
    let into = Arc::clone(pipe.write_end());
    let work = Work::Splice { into, position, len: len_bytes.min(PIPE_BYTES), moved: 0 };
    let (work, result) = shard.ring().begin(work, Arc::clone(&file.0))?.await;
    result?;
    match work.done_bytes() {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is too short")),
        len_bytes => Ok(Filled { pipe, position, len_bytes }),
    }
}

impl Filled {
    /// The second leg: as much as the socket takes now.
    fn drain(&mut self, stream: &TcpStream, more: bool) -> io::Result<usize> {
        let mut flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
        if more {
            flags |= libc::SPLICE_F_MORE;
        }
        let (from, to) = (self.pipe.read_fd(), stream.as_fd().as_raw_fd());
        let no_offset = std::ptr::null_mut();
        // SAFETY: both descriptors are open for the call, which touches no memory of ours. The
        // socket is in non-blocking mode, and so is this call.
        let sent = unsafe { libc::splice(from, no_offset, to, no_offset, self.len_bytes, flags) };
        let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        self.position += sent as u64;
        self.len_bytes -= sent;
        Ok(sent)
    }
}

/// What a socket's sender keeps between two calls.
pub(super) type Kept = RefCell<Option<Filled>>;

/// Opens `path` for being sent; blocks.
pub(super) fn open(path: &Path) -> io::Result<SendableFile> {
    Ok(SendableFile(Arc::new(File::open(path)?.into())))
}
