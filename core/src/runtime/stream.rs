//! An accepted or connected TCP socket on one shard.
//!
//! Reads and vectored writes are tried at once where they may succeed; only when the socket has nothing (or
//! no room) is readiness awaited: of reads by a watch that stays with the socket, of writes, which seldom
//! wait, by a poll each time. Both sides wait independently.

use std::cell::{Cell, RefCell, RefMut};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use socket2::{SockRef, TcpKeepalive};

use super::operation::Work;
use super::ring::{Answer, Ring, Watch};
use super::send_file::{Filled, Kept};
use super::shard_runtime::ShardRuntime;

/// A peer that vanished is noticed after about `KEEPALIVE_IDLE` and 9 `KEEPALIVE_INTERVAL`s
/// (`net.ipv4.tcp_keepalive_probes`).
const KEEPALIVE_IDLE: Duration = Duration::from_secs(120);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Most pieces of one vectored write (IOV_MAX).
const WRITE_PIECES_MAX: usize = 1024;

/// What [`TcpStream::read_buf`] reads at once into a buffer without room.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    /// Shared by all connections of a shard; used within one poll only.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into());
}

struct Socket {
    ring: Rc<Ring>,
    watch: Rc<Watch>,
    /// A writer's wait for room.
    room: RefCell<Option<Answer>>,
    /// Its descriptor lives on elsewhere.
    released: Cell<bool>,
    /// What is to be sent of a file before anything else.
    filled: Kept,
}

/// A TCP connection. Clones share it, so that one task may read while another writes; at most one
/// task on either side. It closes with the last clone.
#[derive(Clone)]
pub struct TcpStream {
    socket: Rc<Socket>,
}

impl TcpStream {
    /// Takes over a connected socket (TCP_NODELAY and keep-alive are set) on this shard.
    pub fn adopt(shard: &ShardRuntime, connection: OwnedFd) -> io::Result<Self> {
        let options = SockRef::from(&connection);
        options.set_tcp_nodelay(true)?;
        let keepalive =
            TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
        options.set_tcp_keepalive(&keepalive)?;
        // splice(2) has no flag for it.
        options.set_nonblocking(true)?;
        Ok(TcpStream {
            socket: Rc::new(Socket {
                ring: Rc::clone(shard.ring()),
                watch: Watch::new(Arc::new(connection)),
                room: RefCell::default(),
                released: Cell::new(false),
                filled: Kept::default(),
            }),
        })
    }

    /// The connection's descriptor, to be adopted by another shard; the connection stays open.
    /// What was received but not read goes along.
    ///
    /// # Errors
    /// Those of dup(2); the connection is then closed.
    pub fn release(self) -> io::Result<OwnedFd> {
        let connection = self.as_fd().try_clone_to_owned()?;
        self.socket.released.set(true);
        Ok(connection)
    }

    pub(super) fn descriptor(&self) -> &Arc<OwnedFd> {
        self.socket.watch.fd()
    }

    pub(super) fn filled(&self) -> RefMut<'_, Option<Filled>> {
        self.socket.filled.borrow_mut()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let address = SockRef::from(self.descriptor()).peer_addr()?;
        address.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }

    /// This end's address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = SockRef::from(self.descriptor()).local_addr()?;
        address.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }

    /// Reads at least one byte into `buf`; 0 at the end of the stream (or for an empty `buf`).
    /// Dropping the future loses no bytes.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    /// Appends at least one and at most `max_bytes` bytes to `buf`; 0 at the end of the stream. The
    /// room that `buf` has is read into; without room, it grows only by what has arrived, so that
    /// waiting costs no memory. Dropping the future loses no bytes.
    pub async fn read_buf(&self, buf: &mut BytesMut, max_bytes: usize) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read_buf(cx, buf, max_bytes)).await
    }

    /// Writes at least one byte of `pieces`, in order, unless all are empty; the rest is the
    /// caller's to write again. A peer that has gone is an error (EPIPE), never a signal.
    pub async fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_vectored(cx, pieces, false)).await
    }

    /// [`TcpStream::write_vectored`], of bytes behind which more follow at once: what fills no
    /// packet waits for those.
    pub async fn write_vectored_more(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_vectored(cx, pieces, true)).await
    }

    /// Writes all of `bytes`.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_vectored(&[IoSlice::new(bytes)]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes = bytes.get(written..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Ends one or both directions (shutdown(2)); a waiting read or write of this end returns. No
    /// error if the peer was faster.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match SockRef::from(self.descriptor()).shutdown(how) {
            Err(cause) if cause.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    /// [`TcpStream::read`], for hand-written futures.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        // SAFETY: only initialised bytes are written to it.
        let room = unsafe { &mut *(std::ptr::from_mut(buf) as *mut [MaybeUninit<u8>]) };
        self.socket.poll_receive(cx, room)
    }

    /// [`TcpStream::read_buf`], for hand-written futures.
    pub fn poll_read_buf(
        &self,
        cx: &mut Context<'_>,
        buf: &mut BytesMut,
        max_bytes: usize,
    ) -> Poll<io::Result<usize>> {
        let room = (buf.capacity() - buf.len()).min(max_bytes);
        if room > 0 {
            let room = &mut buf.spare_capacity_mut()[..room];
            let received = ready!(self.socket.poll_receive(cx, room))?;
            // SAFETY: the kernel has filled the first `received` bytes of the room.
            unsafe { buf.set_len(buf.len() + received) };
            return Poll::Ready(Ok(received));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let wanted = scratch.len().min(max_bytes);
            let received = ready!(self.poll_read(cx, &mut scratch[..wanted]))?;
            buf.extend_from_slice(&scratch[..received]);
            Poll::Ready(Ok(received))
        })
    }

    /// [`TcpStream::write_vectored`], for hand-written futures.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
        more: bool,
    ) -> Poll<io::Result<usize>> {
        if pieces.iter().all(|piece| piece.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        loop {
            match self.socket.send_now(pieces, more) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_room(cx))?;
                }
                result => return Poll::Ready(result),
            }
        }
    }
}

impl Socket {
    /// Reads into `room`, which is not empty, once there is something.
    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        room: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.watch.poll_readable(&self.ring, cx))?;
            match self.receive_now(room) {
                Ok(received) => {
                    if received < room.len() {
                        self.watch.read_short();
                    }
                    return Poll::Ready(Ok(received));
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.watch.read_nothing();
                }
                Err(cause) => return Poll::Ready(Err(cause)),
            }
        }
    }

    /// Ready when a write may find room, or fail.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = self.room.borrow_mut();
        if room.is_none() {
            *room = Some(self.ring.begin(Work::Writable, Arc::clone(self.watch.fd()))?);
        }
        let Some(answer) = room.as_mut() else { return Poll::Pending };
        let (_, result) = ready!(Pin::new(answer).poll(cx));
        *room = None;
        Poll::Ready(result)
    }

    /// One non-blocking recv(2).
    fn receive_now(&self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        // SAFETY: the kernel writes at most `room.len()` bytes, to memory borrowed for the call.
        let received = unsafe {
            libc::recv(self.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT)
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// One non-blocking sendmsg(2); MSG_NOSIGNAL turns SIGPIPE into EPIPE.
    fn send_now(&self, pieces: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        // SAFETY: `msghdr` is plain data, for which zeros are valid.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = pieces.as_ptr().cast_mut().cast();
        message.msg_iovlen = pieces.len().min(WRITE_PIECES_MAX) as _;
        let mut flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        if more {
            flags |= libc::MSG_MORE;
        }
        // SAFETY: `IoSlice` has the layout of `iovec` (std guarantees it), the pieces outlive the
        // call and sendmsg does not write to them.
        let sent = unsafe { libc::sendmsg(self.as_raw_fd(), &message, flags) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn as_raw_fd(&self) -> RawFd {
        self.watch.fd().as_raw_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.ring.unwatch(&self.watch);
        // The watch holds a reference to the socket until its cancellation is submitted: without this
        // the peer would learn of the end only then.
        if !self.released.get() {
            let _ = SockRef::from(self.watch.fd()).shutdown(Shutdown::Both);
        }
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor().as_fd()
    }
}
